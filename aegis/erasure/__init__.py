"""Erasure: what one person has in a database, what would happen to it, and in which order."""
