"""What beat tells of the databases and the broker, read at every scrape; one noun a file.

They see what every door did: workers, the command line, a CronJob. An error goes up, so that a scrape fails
and shows no zeros. Labels come from the configuration only, never from a message.
"""
