"""What a hold is about: free text that may name a person, so it is kept sealed, as in the log."""

import base64
import datetime as dt
from typing import Final

from aegis.operations.system import System

_SEALED: Final = "sealed:"


def seal(system: System, hold: str, matter: str) -> str:
    """Return what is kept of a hold's matter: sealed under the year's log key, and for this hold only.

    Touches the key store, so never call it inside a transaction.
    """
    year = str(dt.datetime.now(dt.UTC).year)
    key = system.keystore.key("log", year)
    body = base64.b64encode(key.seal(matter.encode(), hold.encode())).decode()
    return f"{_SEALED}{key.reference(year)}:{body}"


def read(system: System, hold: str, kept: str) -> str:
    """Return a hold's matter, or that nobody can read it any more.

    Raises:
        Tampered: it is not what was kept for this hold.

    """
    if not kept.startswith(_SEALED):
        # An older version kept it as it was.
        return kept
    reference, _, body = kept.removeprefix(_SEALED).partition(":")
    key = system.keystore.existing(reference)
    return (
        "(its key was destroyed)" if key is None else key.open(base64.b64decode(body), hold.encode()).decode()
    )
