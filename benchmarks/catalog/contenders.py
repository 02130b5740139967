"""Those who say which columns are personal, each as a function of a whole schema."""

from collections.abc import Callable
from typing import Final

from benchmarks.catalog import peers
from benchmarks.catalog.schemas import Schema
from benchmarks.catalog.scoring import Predictions

Contender = Callable[[Schema], Predictions]


class NotThere(Exception):
    """A contender cannot take part here; the message says why."""


def aegis(schema: Schema) -> Predictions:
    """Ask Aegis, by names and structure alone; `unknown` where it wants a person to look.

    Raises:
        NotThere: this checkout has no classifier.

    """
    message = f"nothing predicts {schema.application}: contenders.aegis is not connected to a classifier"
    raise NotThere(message)


#: name → contender
CONTENDERS: Final[dict[str, Contender]] = {"aegis": aegis, **{peer.name: peer.ask for peer in peers.PEERS}}
