"""How each application tells its tables; run by the Python that has the application, never imported."""
