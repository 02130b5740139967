"""Real schemas that nobody here wrote: built from their applications, filled with people, compared."""
