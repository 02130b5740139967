"""What an exported event looks like, one format a module."""
