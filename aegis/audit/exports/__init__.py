"""The log on its way to others: batches, cursors, formats and receivers."""
