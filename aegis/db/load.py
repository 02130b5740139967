"""How busy a database is: what it tells in one cheap query, and what it does not let us see.

A figure that cannot be read is not zero: it is named as not measured.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import sqlalchemy as sa

from aegis.db import dialects, transactions
from aegis.db.engines import reading
from aegis.errors import AegisError, Interrupted

_MEGABYTE: Final = 1024 * 1024
#: A look that takes longer is no cheap one.
_LOOK_MS: Final = 1_000
#: Sessions of the application; our own workers are not counted.
_OTHERS: Final = (
    "FROM pg_stat_activity WHERE datname = current_database() AND application_name <> 'aegis' "
    "AND backend_type = 'client backend'"
)
_POSTGRESQL: Final[Mapping[str, str]] = {
    "lock_waits": f"SELECT count(*) {_OTHERS} AND wait_event_type = 'Lock'",
    "active_sessions": f"SELECT count(*) {_OTHERS} AND state = 'active'",
    "snapshot_seconds": "SELECT extract(epoch FROM max(clock_timestamp() - xact_start)) "
    "FROM pg_stat_activity WHERE backend_xmin IS NOT NULL AND pid <> pg_backend_pid()",
    "vacuums": "SELECT count(*) FROM pg_stat_progress_vacuum WHERE relid = to_regclass(:name) "
    "OR relid IN (SELECT relid FROM pg_partition_tree(to_regclass(:name)))",
    "wal_megabytes": "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') / (1024 * 1024)",
    "slot_megabytes": "SELECT max(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)) / (1024 * 1024) "
    "FROM pg_replication_slots",
    "replica_lag_seconds": "SELECT extract(epoch FROM max(greatest(write_lag, flush_lag, replay_lag))) "
    "FROM pg_stat_replication",
}
#: What a role without pg_read_all_stats sees of its own sessions only.
_PARTLY_HIDDEN: Final = frozenset({"lock_waits", "active_sessions", "snapshot_seconds", "vacuums"})
_HIDDEN: Final = (
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE datname = current_database() AND query = '<insufficient privilege>'"
)
_HIDDEN_REPLICAS: Final = "SELECT count(*) FROM pg_stat_replication WHERE state IS NULL"
_MARIADB: Final[Mapping[str, str]] = {
    "lock_waits": "innodb_row_lock_current_waits",
    "active_sessions": "threads_running",
    "wal_megabytes": "innodb_os_log_written",
}
#: What exists there and cannot be seen from the primary.
_MARIADB_BLIND: Final = frozenset({"replica_lag_seconds"})


class Gauge:
    """Reads the figures that are wanted of one database."""

    def __init__(self, engine: sa.Engine, label: str, table: sa.Table, wanted: Iterable[str]) -> None:
        self._engine, self._label = engine, label
        self._name = engine.dialect.identifier_preparer.format_table(table)
        self._wanted = frozenset(wanted)
        #: Wanted, and not or only partly seen.
        self.unmeasured: set[str] = set()

    def read(self) -> dict[str, float]:
        """Return the figures that the database tells now; never raises because it does not."""
        name = self._engine.dialect.name
        if not self._wanted or name == dialects.SQLITE:
            return {}
        return self._postgresql() if name == dialects.POSTGRESQL else self._mariadb()

    def _postgresql(self) -> dict[str, float]:
        wanted = [name for name in _POSTGRESQL if name in self._wanted]
        together = self._ask(self._select(wanted))
        if together is None:
            # One figure that is forbidden hides no other.
            together = {}
            for name in wanted:
                alone = self._ask(self._select([name]))
                self._wanted -= set() if alone is not None else {name}
                self.unmeasured |= set() if alone is not None else {name}
                together |= alone or {}
        if together.pop("hidden", 0):
            self.unmeasured |= self._wanted & _PARTLY_HIDDEN
        if together.pop("hidden_replicas", 0):
            self.unmeasured |= self._wanted & {"replica_lag_seconds"}
        return together

    def _select(self, names: list[str]) -> Callable[[sa.Connection], dict[str, float]]:
        parts = {name: _POSTGRESQL[name] for name in names}
        if _PARTLY_HIDDEN.intersection(names):
            parts["hidden"] = _HIDDEN
        if "replica_lag_seconds" in names:
            parts["hidden_replicas"] = _HIDDEN_REPLICAS
        columns = ", ".join(f"({query}) AS {name}" for name, query in parts.items())
        query = sa.text(f"SELECT {columns}")

        def look(connection: sa.Connection) -> dict[str, float]:
            values = {"name": self._name} if "vacuums" in names else {}
            row = connection.execute(query, values).mappings().one()
            return {name: float(row[name] or 0) for name in parts}

        return look

    def _mariadb(self) -> dict[str, float]:
        self.unmeasured |= self._wanted & _MARIADB_BLIND
        wanted = {variable: name for name, variable in _MARIADB.items() if name in self._wanted}

        def look(connection: sa.Connection) -> dict[str, float]:
            names = ", ".join(f"'{variable}'" for variable in wanted)
            query = f"SHOW GLOBAL STATUS WHERE lower(Variable_name) IN ({names})"
            found = {row[0].lower(): float(row[1]) for row in connection.execute(sa.text(query))}
            return {wanted[variable]: value for variable, value in found.items()}

        seen = (self._ask(look) if wanted else None) or {}
        if "active_sessions" in seen:
            # Whoever asks is running.
            seen["active_sessions"] -= 1
        if "wal_megabytes" in seen:
            seen["wal_megabytes"] /= _MEGABYTE
        return seen

    def _ask(self, look: Callable[[sa.Connection], dict[str, float]]) -> dict[str, float] | None:
        """Return what a look found; nothing when it was interrupted, None when it is forbidden."""
        try:
            with reading(self._engine, self._label) as connection:
                transactions.begin_work(connection, lock_ms=_LOOK_MS, statement_ms=_LOOK_MS)
                return look(connection)
        except Interrupted:
            return {}
        except AegisError:
            return None
