"""The doors after an erasure: its receipt, a new look at any time, a replay after a restore."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from aegis.arguments import door
from aegis.erasure import control, receipts, rechecking, replaying
from aegis.erasure.people import USER
from aegis.operations.system import current


@door
def erasure_receipt(request: str) -> receipts.Receipt:
    """Return the receipt of a request that is done, with the proof that its digest stands in the log.

    Raises:
        ValueError: there is no such request.
        aegis.errors.Refused: it is not done.
        aegis.errors.Busy: its event has no place in the log yet; it gets one when the log is sealed.

    """
    system = current()
    return receipts.of_run(system, control.run_of(system, request))


@door
def verify_erasure(
    key: Sequence[Any],
    *,
    subject: str = USER,
    datasource: str = "default",
    identifiers: Mapping[str, Any] | None = None,
) -> rechecking.Rechecked:
    """Look whether anything of one person is there, at any time; nothing is changed.

    Args:
        key: one value for each column of the subject's key; nobody need have it any more.
        subject: the kind of person, as the data map names it.
        datasource: as aegis.toml names it.
        identifiers: name → value, to be searched for everywhere; none: those of the person's row, if it is
            there, and after an erasure only what the data map reaches.

    Raises:
        ValueError: a name is unknown, or the source has no data map.
        aegis.errors.Refused: the data map leaves something open, or rows are hidden.

    """
    system = current()
    name = system.settings.source_name(datasource)
    known = None if identifiers is None else {kind: str(value) for kind, value in identifiers.items()}
    return rechecking.recheck(system, key, subject=subject, datasource=name, identifiers=known)


@door
def replay_erasures(
    since: dt.datetime, *, actor: str, datasource: str = "default", execute: bool = False
) -> list[replaying.Replayed]:
    """Look for erased people who came back with a restored database, and erase them again.

    Args:
        since: erasures from then on; the day of the backup that was restored, or earlier. With a zone.
        actor: who asks for it.
        datasource: as aegis.toml names it.
        execute: without it nothing is changed.

    Raises:
        ValueError: the instant has no zone, or the source has no data map.
        aegis.errors.Tampered: a tombstone was not written by Aegis.

    """
    system = current()
    name = system.settings.source_name(datasource)
    return replaying.replay(system, since=since, datasource=name, actor=actor, execute=execute)
