"""When it runs: beat entries and the policies' own schedules."""
