"""Aegis's own tables, engines, and everything in which databases differ."""
