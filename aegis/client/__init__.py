"""What a service uses to ask for things: typed, sealed where it has to be, and sent again without harm."""

from aegis.client.outbox import Outbox, Relayed, outbox_table
from aegis.client.requests import Requests
from aegis.client.service import Client
from aegis.client.signer import Signer
from aegis.client.terms import PolicyTerms, Terms
from aegis.operations.statuses import Status

__all__ = [
    "Client",
    "Outbox",
    "PolicyTerms",
    "Relayed",
    "Requests",
    "Signer",
    "Status",
    "Terms",
    "outbox_table",
]
