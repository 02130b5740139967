"""Aggregates over many people: noise that keeps its word, within a budget, released once."""
