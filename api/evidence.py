"""The door of evidence: one folder for somebody outside, with how to check it without Aegis."""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aegis.arguments import door
from aegis.erasure.people import USER
from aegis.evidence import scope
from aegis.evidence.folder import Gathered, gather
from aegis.operations.system import current


@door
def gather_evidence(
    folder: Path, *, start: dt.datetime, end: dt.datetime, policy: str | None = None, actor: str
) -> Gathered:
    """Write what was decided and done in a span of time into a new folder.

    Args:
        folder: must not be there; only its owner can read it.
        start: the first instant, with a zone.
        end: the first one behind it, with a zone.
        policy: only this policy; none: all, and erasures.
        actor: who asks for it.

    Raises:
        ValueError: the span or the policy cannot be meant so.
        aegis.errors.Conflict: the folder is there.
        aegis.errors.NotPrepared: the log has no signing key.
        aegis.errors.Busy: a receipt's event has no place in the log yet.
        aegis.errors.Tampered: the log is not what was sealed.

    """
    which = scope.Scope(start=start, end=end, policy=policy)
    return gather(current(), which, folder, actor=actor)


@door
def gather_evidence_of_request(folder: Path, request: str, *, actor: str) -> Gathered:
    """Write what was done for one request into a new folder; as `gather_evidence`."""
    system = current()
    return gather(system, scope.of_request(system, request), folder, actor=actor)


@door
def gather_evidence_of_person(
    folder: Path, key: Sequence[Any], *, subject: str = USER, actor: str
) -> Gathered:
    """Write every erasure of one person into a new folder; nobody need have that key any more.

    Args:
        folder: as for `gather_evidence`; it does not say who the person is.
        key: one value for each column of the subject's key.
        subject: the kind of person, as the data map names it.
        actor: who asks for it.

    """
    system = current()
    return gather(system, scope.of_person(system, subject, key), folder, actor=actor)
