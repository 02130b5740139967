"""Requests, runs, claims, holds and batches: the seam under every operation."""
