"""The doors: one function per operation, one unit of work each, audited."""
