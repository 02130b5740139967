"""The doors of erasure: plan what would happen to everything of one person, and do it.

Those to what comes after it, and to what is there, stand in modules of their own and are found here too.
"""

from collections.abc import Sequence
from typing import Any

from aegis.arguments import RequestId, door
from aegis.audit.events import uuid7
from aegis.erasure import approving, control, outcomes, parts
from aegis.erasure.asking import Wish, ask, fetch
from aegis.erasure.outcomes import Erasure, OnProgress
from aegis.erasure.people import USER
from aegis.erasure.plan import Plan
from aegis.erasure.runs import advance
from aegis.erasure.surveying import survey
from aegis.errors import NobodyThere, UsageError
from aegis.operations import runs
from aegis.operations.system import current

from .access import export_person as export_person  # noqa: PLC0414
from .afterwards import erasure_receipt as erasure_receipt  # noqa: PLC0414
from .afterwards import replay_erasures as replay_erasures  # noqa: PLC0414
from .afterwards import verify_erasure as verify_erasure  # noqa: PLC0414
from .copies import ask_due_copies as ask_due_copies  # noqa: PLC0414
from .copies import confirm_copy as confirm_copy  # noqa: PLC0414
from .copies import overdue_copies as overdue_copies  # noqa: PLC0414


@door
def plan_erasure(
    key: Sequence[Any],
    *,
    subject: str = USER,
    datasource: str = "default",
    tenant: str | None = None,
) -> Plan:
    """Plan the erasure of one person: exact counts of one snapshot; nothing is changed.

    Other data sources whose maps say that their people are these (`same_as`) have a plan of their own in it.

    Args:
        key: one value for each column of the subject's key; text where it was typed.
        subject: the kind of person, as the data map names it.
        datasource: as aegis.toml names it.
        tenant: refuse a person of any other one.

    Raises:
        ValueError: nobody has that key, a name is unknown, or the source has no data map.
        PermissionError: the person is another tenant's.
        aegis.errors.Refused: the data map leaves something open, or rows are hidden.

    """
    system = current()
    name = system.settings.source_name(datasource)
    return survey(system, [key], subject=subject, datasource=name, tenant=tenant).joint


@door
def anonymize_user(
    user_id: Any,
    actor: str = "system",
    *,
    tenant_id: Any = None,
    dry_run: bool = False,
    idempotency_key: RequestId | None = None,
    subject: str = USER,
    datasource: str = "default",
    on_progress: OnProgress | None = None,
) -> Erasure:
    """Erase one person everywhere in a data source, as its data map says; at once, in this process.

    Args:
        user_id: the key of the person's row; a list or tuple where it has several columns.
        actor: who asks for it.
        tenant_id: refuse a person of any other one.
        dry_run: count only; nothing is changed.
        idempotency_key: the same key again is the same request, however often it is asked.
        subject: the kind of person, as the data map names it.
        datasource: as aegis.toml names it.
        on_progress: is told after each batch what it changed: `action:table` → rows.

    Returns:
        What was done. It is true when the person is erased, and false else: `status` is then not_found,
        dry_run, waiting (for an approval or a stop), blocked, busy or retry, and `reason` says why.

    Raises:
        ValueError: a name is unknown, a value does not fit, or the source has no data map.
        PermissionError: the person is another tenant's.
        aegis.errors.Refused: the data map leaves something open, or rows are hidden.

    """
    return anonymize_users(
        [user_id],
        actor,
        tenant_id=tenant_id,
        dry_run=dry_run,
        idempotency_key=idempotency_key,
        subject=subject,
        datasource=datasource,
        on_progress=on_progress,
    )


@door
def anonymize_users(
    user_ids: Any = None,
    actor: str = "system",
    *,
    tenant_id: Any = None,
    dry_run: bool = False,
    idempotency_key: RequestId | None = None,
    subject: str = USER,
    datasource: str = "default",
    group: str | None = None,
    limit: int | None = None,
    on_progress: OnProgress | None = None,
) -> Erasure:
    """Erase several people as one request: step by step for all of them, not one after the other.

    Takes, returns and raises what `anonymize_user` does, for a list of keys; one who is not there refuses
    all of it. Instead of the list `group` names one of the data map's: of those who are in it now and are
    not erased yet at most `limit`, those first who have been in it for longest; with a tenant only its own.
    Where there is nobody, `status` is not_found.
    """
    system = current()
    wish = _wish(
        user_ids, subject, datasource, tenant_id, actor=actor, origin="call", group=group, limit=limit
    )
    try:
        if dry_run:
            return outcomes.planned(system, wish)
        run = ask(system, wish, idempotency_key)
    except NobodyThere as error:
        if dry_run and group is None:
            raise
        return outcomes.not_found(wish, str(error))
    return outcomes.carry_out(system, run, on_progress)


@door
def request_erasure(
    user_ids: Any = None,
    request_id: RequestId | None = None,
    *,
    actor: str = "system",
    tenant_id: Any = None,
    subject: str = USER,
    datasource: str = "default",
    origin: str = "task",
    group: str | None = None,
    limit: int | None = None,
) -> str:
    """Accept a request for an erasure, once for its id, and change nothing yet; return its run's id.

    Whom it is about is said as for `anonymize_users`.

    Raises:
        aegis.errors.NobodyThere: somebody is not there.
        aegis.errors.NobodyInGroup: nobody is in the group who has to be erased yet.

    """
    wish = _wish(
        user_ids, subject, datasource, tenant_id, actor=actor, origin=origin, group=group, limit=limit
    )
    return ask(current(), wish, request_id or uuid7())


def _wish(
    user_ids: Any,
    subject: str,
    datasource: str,
    tenant: Any,
    *,
    actor: str,
    origin: str,
    group: str | None,
    limit: int | None,
) -> Wish:
    if (user_ids is None) == (group is None):
        message = "an erasure names people, or a group of the data map, and never both"
        raise UsageError(message)
    if limit is not None and (group is None or type(limit) is not int or limit < 1):
        message = "limit says how many people of a group are erased at most: 1 or more, and only with a group"
        raise UsageError(message)
    if group is not None:
        user_ids = []
    if not isinstance(user_ids, list | tuple):
        message = "several people are named by a list of their keys"
        raise UsageError(message)
    keys = [list(key) if isinstance(key, list | tuple) else [key] for key in user_ids]
    return Wish(
        keys=keys,
        subject=subject,
        datasource=current().settings.source_name(datasource),
        tenant=None if tenant is None else str(tenant),
        actor=actor,
        origin=origin,
        group=group,
        limit=limit,
    )


@door
def advance_erasure(run_id: str, seconds: float | None = None) -> dict[str, Any]:
    """Work on an erasure for one slice and give it back.

    Returns:
        run, request, changed (`action:table` → rows, of this slice), total, `more` (call again), outcome
        (more, done, busy, fenced, waiting, blocked, retry) and reason.

    """
    system = current()
    seconds = system.settings.retention.slice_seconds if seconds is None else seconds
    return advance(system, run_id, seconds, patient=True).report()


@door
def carry_out_erasure(request: str, *, on_progress: OnProgress | None = None) -> Erasure:
    """Work on a request in this process until it ends or waits.

    Raises:
        ValueError: there is no such request.

    """
    system = current()
    return outcomes.carry_out(system, control.run_of(system, request)["id"], on_progress)


def erasure_runs(request: str) -> list[str]:
    """Return the runs of a request: one for each data source in which its people are.

    Raises:
        ValueError: there is no such request.

    """
    return [one.run["id"] for one in parts.whole(current(), request)]


def due_erasures() -> list[str]:
    """Return the erasures whose message or worker was lost, to be sent again."""
    return runs.due(current(), erasures=True)


@door
def erasure_status(request: str) -> Erasure:
    """Return where a request stands.

    Raises:
        ValueError: there is no such request.

    """
    return outcomes.standing(current(), request)


def recent_erasures(limit: int = 20) -> list[Erasure]:
    """Return where the newest requests stand, newest first."""
    return outcomes.recent(current(), limit)


@door
def approve_erasure(
    request: str, actor: str, *, digest: str | None = None, signature: bytes | None = None
) -> Erasure:
    """Approve the plan of a request, bound to its digest.

    Raises:
        ValueError: there is no such request.
        aegis.errors.Refused: it has ended, has another digest, or a signature is missing or wrong.

    """
    system = current()
    approving.approve(system, request, actor=actor, digest=digest, signature=signature)
    return outcomes.standing(system, request)


@door
def erasure_message(request: str) -> bytes:
    """Return the bytes to sign for a request."""
    system = current()
    return approving.subject_of(control.run_of(system, request), fetch(system, request)).message


@door
def resume_erasure(request: str, actor: str) -> Erasure:
    """Let a blocked request go on with a new plan; where approval is asked for, it needs a new one.

    Raises:
        ValueError: there is no such request.
        aegis.errors.Refused: there is nothing to resume.

    """
    return control.resume(current(), request, actor=actor)


@door
def cancel_erasure(request: str, actor: str) -> Erasure:
    """End a request for good after the batch in flight; what was changed until then is accounted for."""
    return control.cancel(current(), request, actor=actor)
