"""The keys of persons, years and archives, each destroyable, and what wraps them."""
