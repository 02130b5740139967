"""Evidence: one folder that shows somebody outside what was decided and done, and how to check it."""
