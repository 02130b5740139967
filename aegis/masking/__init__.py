"""Masks: what is written over personal data, with one meaning on every database."""
