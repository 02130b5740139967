"""The one table that names every task: its queue, its door, and who may send it.

Queues, routes and the documentation's lists are made from it; a test holds it equal to what is
registered.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aegis.errors import Interrupted, InvalidDataMap, InvalidFile, NotPrepared, SettingsError

#: What is wrong with this installation for now, and not with what was asked for.
UNREADY: Final = (Interrupted, NotPrepared, SettingsError, InvalidDataMap, InvalidFile)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One task."""

    name: str
    queue: str
    #: Whether a service may send it; the others only Aegis itself sends.
    for_services: bool
    #: The function that does the work.
    door: str
    #: Whether it claims a row, so that a second delivery does nothing.
    claims: bool
    #: Why a second delivery does no harm.
    repeats: str
    #: After which errors its message goes back to its queue, because nobody else asks for the same again.
    #: None: beat or the reconciler sends it again.
    back: tuple[type[Exception], ...] = ()


REGISTER: Final = "aegis.retention.register"
ENFORCE: Final = "aegis.retention.enforce"
RUN: Final = "aegis.retention.run"
ANONYMIZE: Final = "aegis.users.anonymize"
ANONYMIZE_MANY: Final = "aegis.users.anonymize_many"
ERASE: Final = "aegis.erasure.run"
REPLAY: Final = "aegis.erasure.replay"
CONFIRM: Final = "aegis.erasure.confirm"
PROTECT: Final = "aegis.federated.protect"
TENANCY_CHECK: Final = "aegis.tenancy.check"
RECORD: Final = "aegis.audit.record"
RELAY: Final = "aegis.audit.relay"
SEAL: Final = "aegis.audit.seal"
EXPORT: Final = "aegis.audit.export"
RECONCILE: Final = "aegis.operations.reconcile"
CATALOG_SCAN: Final = "aegis.catalog.scan"

TABLE: Final[tuple[Entry, ...]] = (
    Entry(
        name=REGISTER,
        queue="retention",
        for_services=True,
        door="api.privacy.register_policy_once",
        claims=False,
        repeats="one registration per request id",
        back=UNREADY,
    ),
    Entry(
        name=ENFORCE,
        queue="retention",
        for_services=True,
        door="api.privacy.create_retention_runs",
        claims=False,
        repeats="one set of runs per request id",
        back=UNREADY,
    ),
    Entry(
        name=RUN,
        queue="retention",
        for_services=False,
        door="api.privacy.advance_run",
        claims=True,
        repeats="the run is claimed by one worker at a time",
    ),
    Entry(
        name=ANONYMIZE,
        queue="erasure",
        for_services=True,
        door="api.erasure.request_erasure",
        claims=False,
        repeats="one erasure per request id",
        back=UNREADY,
    ),
    Entry(
        name=ANONYMIZE_MANY,
        queue="erasure",
        for_services=True,
        door="api.erasure.request_erasure",
        claims=False,
        repeats="one erasure per request id",
        back=UNREADY,
    ),
    Entry(
        name=ERASE,
        queue="erasure",
        for_services=False,
        door="api.erasure.advance_erasure",
        claims=True,
        repeats="the erasure is claimed by one worker at a time",
    ),
    Entry(
        name=REPLAY,
        queue="erasure",
        for_services=True,
        door="api.erasure.replay_erasures",
        claims=False,
        repeats="whoever is erased already is not found again",
        back=UNREADY,
    ),
    Entry(
        name=CONFIRM,
        queue="erasure",
        for_services=True,
        door="api.erasure.confirm_copy",
        claims=False,
        repeats="a copy is confirmed once",
        back=UNREADY,
    ),
    Entry(
        name=PROTECT,
        queue="federated",
        for_services=True,
        door="api.federated.protect_request",
        claims=False,
        repeats="one release per request id, charged and noised once",
        # The message alone has the aggregate, and the row counts attempts.
        back=(Exception,),
    ),
    Entry(
        name=TENANCY_CHECK,
        queue="audit",
        for_services=True,
        door="api.privacy.tenant_isolation_check",
        claims=False,
        repeats="it changes nothing but records each denial",
        back=UNREADY,
    ),
    Entry(
        name=RECORD,
        queue="audit",
        for_services=True,
        door="api.audit.record_audit_once",
        claims=False,
        repeats="one event per request id",
        back=UNREADY,
    ),
    Entry(
        name=RELAY,
        queue="maintenance",
        for_services=False,
        door="api.audit.relay_journals",
        claims=False,
        repeats="one event per event id",
    ),
    Entry(
        name=SEAL,
        queue="seal",
        for_services=False,
        door="api.audit.seal_audit_log",
        claims=False,
        repeats="an event has one leaf",
    ),
    Entry(
        name=EXPORT,
        queue="audit",
        for_services=True,
        door="api.audit.export_as_configured",
        claims=False,
        repeats="the cursor is locked, and moves only forward",
        back=UNREADY,
    ),
    Entry(
        name=RECONCILE,
        queue="maintenance",
        for_services=False,
        door="api.privacy.due_runs",
        claims=False,
        repeats="a run that is sent twice is claimed once",
    ),
    Entry(
        name=CATALOG_SCAN,
        queue="maintenance",
        for_services=False,
        door="api.catalog.look_at_catalogs",
        claims=False,
        repeats="it looks, and keeps the newest number",
    ),
)

ROUTES: Final[Mapping[str, str]] = {entry.name: entry.queue for entry in TABLE}
#: Those that a service may send.
FOR_SERVICES: Final = frozenset(entry.name for entry in TABLE if entry.for_services)
#: After which errors the message of a task goes back to its queue.
BACK: Final[Mapping[str, tuple[type[Exception], ...]]] = {entry.name: entry.back for entry in TABLE}
