"""What a service uses to have aggregates protected: nothing leaves it in clear, and nothing comes back so."""

from aegis.client.answers import Status
from aegis.client.service import Client, Terms
from aegis.client.signer import Signer

__all__ = ["Client", "Signer", "Status", "Terms"]
