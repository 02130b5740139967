"""Reading events back: projected columns, clear details, and what the key store still opens."""

import json
from collections.abc import Collection
from typing import Any

import sqlalchemy as sa

from aegis.audit import events
from aegis.audit.keyring.keystore import KeyStore
from aegis.db.columns import table_of
from aegis.db.engines import CONTROL, Databases, reading
from aegis.db.tables import Actor, AuditLeaf, AuditLog

#: Most events that one call returns.
MOST = 10_000


class Reader:
    """Reads events; each person and detail only as long as their key lives."""

    def __init__(self, databases: Databases, keystore: KeyStore) -> None:
        self._databases = databases
        self._keystore = keystore

    def newest(
        self, limit: int, *, action: str | None = None, correlation: str | None = None
    ) -> list[dict[str, Any]]:
        """Return events newest first, as plain data."""
        query = _events(isouter=True).order_by(AuditLog.time.desc(), AuditLog.id.desc())
        return self._read(query.limit(limit), action, correlation)

    def following(
        self, leaf: int, limit: int, *, action: str | None = None, correlation: str | None = None
    ) -> list[dict[str, Any]]:
        """Return the events after a leaf in the order of the log."""
        query = _events(isouter=False).where(AuditLeaf.leaf > leaf).order_by(AuditLeaf.leaf)
        return self._read(query.limit(limit), action, correlation)

    def _read(
        self, query: sa.Select[Any], action: str | None, correlation: str | None
    ) -> list[dict[str, Any]]:
        if action is not None:
            query = query.where(AuditLog.action == action)
        if correlation is not None:
            query = query.where(AuditLog.correlation_id == correlation)
        with reading(self._databases.control, CONTROL) as connection:
            rows = connection.execute(query).mappings().all()
        actors = self.actors({row["actor_ref"] for row in rows})
        return [self._plain(row, actors.get(row["actor_ref"])) for row in rows]

    def actors(self, references: Collection[str]) -> dict[str, str | None]:
        """Return the names behind references; None where the key of a name was destroyed."""
        sealed = sa.select(Actor.actor_ref, Actor.name_sealed).where(Actor.actor_ref.in_(references))
        with reading(self._databases.control, CONTROL) as connection:
            names = {row.actor_ref: row.name_sealed for row in connection.execute(sealed)}
        return {reference: self._actor(reference, name) for reference, name in names.items()}

    def _plain(self, row: Any, actor: str | None) -> dict[str, Any]:
        return {
            "id": row["id"],
            "leaf": row["leaf"],
            "time": events.stamp(row["time"]),
            "action": row["action"],
            "outcome": row["outcome"],
            "actor": actor,
            "actor_ref": row["actor_ref"],
            "target_type": row["target_type"],
            "target_id": row["target_ref"],
            "tenant": row["tenant"],
            "correlation_id": row["correlation_id"],
            "details": events.details_of(row["entry"]) | self._opened(row["entry"], row["sealed"]),
        }

    def _opened(self, entry: bytes, sealed: bytes | None) -> dict[str, Any]:
        if sealed is None:
            return {}
        key = self._keystore.existing(json.loads(entry)["sealed"]["key"])
        details: dict[str, Any] = json.loads(key.open(sealed)) if key else {"sealed": "its key was destroyed"}
        return details

    def _actor(self, reference: str, sealed: bytes) -> str | None:
        key = self._keystore.existing(reference)
        return key.open(sealed, reference.encode()).decode("utf-8") if key else None


def _events(*, isouter: bool) -> sa.Select[Any]:
    log = table_of(AuditLog)
    return sa.select(log, AuditLeaf.leaf).join(AuditLeaf, AuditLeaf.id == AuditLog.id, isouter=isouter)
