"""How each application makes its tables; run by the Python that has the application, never imported."""
