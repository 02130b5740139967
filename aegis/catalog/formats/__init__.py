"""What columns hold, in the forms of other tools: out of a reviewed data map, and into one as proposals."""
