"""`aegis demo`: the main jobs on one machine, on real servers and real rows, in under two minutes."""
