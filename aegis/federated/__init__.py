"""Aggregates of many people: noise, budgets, and their release, once."""
