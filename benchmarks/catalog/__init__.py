"""Columns of real applications, labelled by written rules, and how well a classifier agrees with them."""
