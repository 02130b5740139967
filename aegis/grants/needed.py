"""Everything that Aegis needs in a data source: its journal, the policies, the data map, the throttle."""

from dataclasses import dataclass
from typing import Final

from aegis.datamap.coverage import examine
from aegis.datamap.erasers import load_erasers
from aegis.datamap.hooks import load_anonymizers
from aegis.datamap.reading import read_map
from aegis.db import dialects, rights, tending
from aegis.db.catalog import read_catalog
from aegis.db.engines import reading
from aegis.db.journal import Journal
from aegis.db.rights import Right
from aegis.erasure.tracing import refuse_open
from aegis.errors import Refused
from aegis.grants.erasure import of_map
from aegis.grants.needs import SEES, Need, Needs, Purpose
from aegis.grants.retention import of_policy
from aegis.grants.searching import of_search
from aegis.operations.states import PolicyState
from aegis.operations.system import System
from aegis.retention import policies

#: What a batch, a hold, a takeover and the relay write in rows of the journal that are there already.
_NOTED: Final = ("epoch", "holds_version", "counts", "relayed_at")
#: Figures of the throttle that a role sees of its own sessions only.
_WATCHED: Final = ("lock_waits", "active_sessions", "snapshot_seconds", "vacuums", "replica_lag_seconds")
_LIVE: Final = frozenset({PolicyState.PENDING, PolicyState.APPROVED})


@dataclass(frozen=True, kw_only=True)
class Grants:
    """What one role of a data source needs."""

    datasource: str
    database: str
    #: postgresql, mariadb, mysql or sqlite.
    dialect: str
    purpose: Purpose
    role: str
    needs: tuple[Need, ...]
    #: One for each need, in the same order.
    statements: tuple[str, ...]
    #: What the owner creates before: a function for what only an owner may do.
    functions: tuple[str, ...] = ()

    @property
    def grantable(self) -> bool:
        """Whether the database knows rights at all."""
        return self.dialect != dialects.SQLITE


def needed(system: System, datasource: str, *, purpose: Purpose = "run", role: str | None = None) -> Grants:
    """Return the rights that a role needs, for the policies and the data map as they are now.

    Args:
        system: this process's Aegis.
        datasource: the source's own name.
        purpose: `run` changes rows, and searches for what is left of a person unless the source names
            another connection for that; `verify` only looks.
        role: who is granted to; none: `aegis_run` or `aegis_verify`.

    Raises:
        Refused: the source is Aegis's own control database; the data map leaves something open; or
            the session does not see the schema.
        UsageError: a policy or the data map names what is not there.

    """
    source = system.settings.source(datasource)
    engine = system.databases.source(datasource)
    role = role or f"aegis_{purpose}"
    database = str(engine.url.database)
    if engine.dialect.name != dialects.SQLITE:
        if source == system.settings.control:
            message = (
                f"data source {datasource} is Aegis's own control database, whose tables its role owns; "
                "name a database of the application below [datasources]"
            )
            raise Refused(message)
        with reading(engine, f"data source {datasource}") as connection:
            needs = Needs(connection)
            _collect(needs, system, datasource, purpose)
            found = needs.all()
            functions = [tending.function(connection, needs.tended)] if needs.tended else []
    else:
        found, functions = [], []
    return Grants(
        datasource=datasource,
        database=database,
        dialect=engine.dialect.name,
        purpose=purpose,
        role=role,
        needs=tuple(found),
        statements=tuple(rights.grant(engine.dialect, need.right, role) for need in found),
        functions=tuple(functions),
    )


def _collect(needs: Needs, system: System, datasource: str, purpose: Purpose) -> None:
    database = str(needs.connection.engine.url.database)
    if needs.postgresql:
        needs.add(Right(privilege="CONNECT", kind="database", name=database), "connects")
    else:
        right = Right(privilege=rights.SIGHT, kind="database", name=database)
        needs.add(right, SEES)
    if purpose == "run":
        _journal(needs)
        live = [policy for policy in policies.newest(system) if policy.state in _LIVE]
        mine = [policy for policy in live if policy.datasource == datasource]
        for policy in mine:
            of_policy(needs, system, policy)
        _watching(needs, system, retains=bool(mine))
    _map(needs, system, datasource, purpose)


def _journal(needs: Needs) -> None:
    table = Journal(needs.connection.dialect.name).table
    why = "the journal of every run, hold and erasure"
    needs.read(table, None, why)
    needs.columns("INSERT", table, None, why)
    needs.columns("UPDATE", table, _NOTED, why)
    needs.whole("DELETE", table, "the journal: what is in the log is removed after its time")


def _watching(needs: Needs, system: System, *, retains: bool) -> None:
    """Need to see other sessions, where a run holds back for them or a purge waits for them."""
    if not needs.postgresql or not retains:
        return
    right = Right(privilege="MEMBER", kind="membership", name="pg_read_all_stats")
    if any(getattr(system.settings.throttle, name) > 0 for name in _WATCHED):
        needs.add(right, "the throttle: sees how busy the application is")
    needs.add(right, "retention purge: sees whether an old transaction still sees the rows")


def _map(needs: Needs, system: System, datasource: str, purpose: Purpose) -> None:
    source = system.settings.source(datasource)
    if source.datamap is None:
        return
    datamap = read_map(source.datamap)
    if not datamap.subjects:
        return
    hooks = system.settings.hooks
    anonymizers = load_anonymizers(hooks, datasource)
    catalog = read_catalog(needs.connection)
    found = examine(datamap, catalog, anonymizers, load_erasers(hooks, datasource))
    refuse_open(found, datasource)
    for coverage in found.coverages.values():
        of_map(needs, catalog, coverage, anonymizers, verify=purpose == "verify")
    if purpose == "verify" or source.verify is None:
        of_search(needs)
