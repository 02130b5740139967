"""What Aegis writes, checked by programs that nobody here wrote."""
