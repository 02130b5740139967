"""How each peer is asked; run by a Python that has the peer, never imported."""
