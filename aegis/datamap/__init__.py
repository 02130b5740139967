"""What is personal, where, and what happens to it: data maps and the conditions in them."""
