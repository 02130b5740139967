"""The check of the log in the database, and what it finds."""
