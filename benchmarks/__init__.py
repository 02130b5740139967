"""Figures against something measured in the same run; never asserted in a test."""
