"""The check of an export alone, without a database and without a network."""
