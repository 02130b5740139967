"""Aegis deletes, anonymizes and protects personal data in databases, and proves what it did."""
