"""Transparency logs as C2SP has them: trees, tiles, signed notes, and whom to trust. No database."""
