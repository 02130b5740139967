"""The log: events, sealing of details, and the relay from the journals."""
