"""Rows are written to files before they go, or a backup must be young enough: a policy's `archive`."""

import contextlib
from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import Any, Final, Protocol

import sqlalchemy as sa

from aegis.db.rowlines import (
    gives_what_it_deletes,
    read_lines,
    refuse_new_columns,
    shape_of,
    take_lines,
)
from aegis.db.tables import DataRetentionPolicy
from aegis.errors import AegisError, InvalidPolicy, Passing
from aegis.operations import archives
from aegis.operations.parts import Part, Parts
from aegis.operations.stores import open_store
from aegis.operations.system import System
from aegis.retention import backups
from aegis.retention.changes import Changed, Delete, RowAction
from aegis.retention.target import Target

#: How long an archive is kept when its policy does not say.
KEEP_DAYS: Final = 14
#: What `archive` may say, with the most that it may ask for.
_LARGEST: Final[Mapping[str, int]] = {"keep_days": 3_650, "backup_hours": 8_784}


class Archivable(Protocol):
    """The part of a policy that archives depend on; a definition or a stored policy."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def archive(self) -> Mapping[str, Any] | None: ...  # noqa: D102
    @property
    def cascades(self) -> Any: ...  # noqa: D102


class Archived:
    """An action whose rows are written to the run's archive first, in the same transaction.

    Where the statement that deletes gives the rows that it deleted, those are written. Otherwise the
    rows are locked while they are read, and what the action changes must be as many: a row that began
    to fit in between rolls the batch back, and it is tried again.
    """

    def __init__(self, action: RowAction, target: Target, parts: Parts) -> None:
        self.name = action.name
        self._action = action
        self._target = target
        self._parts = parts
        self._gives: bool | None = None

    def apply(self, connection: sa.Connection, where: sa.ColumnElement[bool]) -> Changed:
        """Write the rows as one part and do the action to them."""
        table = self._target.layout.table
        part, changed = self._done(connection, table, where)
        if changed.rows != (part.rows if part else 0):
            message = (
                f"rows of {self._target.layout.label} changed while they were archived; nothing was changed"
            )
            raise Passing(message)
        if part is None:
            return changed
        refuse_new_columns(connection, table)
        about = {"part": part.digest, "part_rows": part.rows, "part_bytes": part.bytes}
        return replace(changed, about={**changed.about, **about})

    def _done(
        self, connection: sa.Connection, table: sa.Table, where: sa.ColumnElement[bool]
    ) -> tuple[Part | None, Changed]:
        if self._gives is None:
            self._gives = isinstance(self._action, Delete) and gives_what_it_deletes(connection, table)
        if self._gives:
            part = self._write(connection, table, take_lines(connection, table, where))
            return part, Changed(rows=part.rows if part else 0)
        part = self._write(connection, table, read_lines(connection, table, where))
        return part, self._action.apply(connection, where)

    def _write(self, connection: sa.Connection, table: sa.Table, lines: Generator[bytes]) -> Part | None:
        head: dict[str, Any] = {"table": self._target.layout.label, "action": self.name}
        head |= {"shape": shape_of(connection, table).plain()}
        with contextlib.closing(lines):
            return self._parts.write(head, lines)


def spelled(archive: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return `archive` in its one spelling: `{}` keeps archives for the days that are usual."""
    return {"keep_days": KEEP_DAYS} if isinstance(archive, Mapping) and not archive else archive


def check_archive(policy: Archivable) -> None:
    """Refuse an `archive` that cannot be meant.

    Raises:
        InvalidPolicy: an unknown key, a number that is none, or rows that the archive would miss.

    """
    given = policy.archive
    if given is None:
        return
    if not isinstance(given, Mapping) or set(given) - set(_LARGEST):
        message = f"policy {policy.name}: archive says keep_days, backup_hours or both, and nothing else"
        raise InvalidPolicy(message)
    for name, number in given.items():
        if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= _LARGEST[name]:
            message = f"policy {policy.name}: archive.{name} is a whole number from 1 to {_LARGEST[name]}"
            raise InvalidPolicy(message)
    if "keep_days" in given and policy.cascades:
        message = (
            f"policy {policy.name}: rows that go by a cascade would not be in the archive; give their tables "
            "policies with archives of their own, or leave archive.keep_days out"
        )
        raise InvalidPolicy(message)


def keep_days(policy: Archivable) -> int | None:
    """Return how long the policy's archives are kept; None when it keeps none."""
    return (policy.archive or {}).get("keep_days")


def begin(system: System, policy: DataRetentionPolicy, run: Mapping[str, Any]) -> Parts | None:
    """Open the run's archive, when its policy keeps one."""
    days = keep_days(policy)
    return None if days is None else archives.begin(system, run, days)


def complete(system: System, run: Mapping[str, Any], policy: DataRetentionPolicy, *, over: bool) -> None:
    """Complete the run's archive, when its policy keeps one; `over`: nobody works on the run any more."""
    days = keep_days(policy)
    if days is not None:
        archives.complete(system, run, days, over=over)


def complete_if_possible(system: System, run: Mapping[str, Any], policy: DataRetentionPolicy) -> None:
    """Complete the archive of a run that stops; what hinders it now does not hinder beat later."""
    with contextlib.suppress(AegisError):
        complete(system, run, policy, over=False)


def refuse_unkept(system: System, policy: DataRetentionPolicy) -> None:
    """Let no row go while its archive could not be written, or its backup is too old.

    Raises:
        Refused: says what is missing, and the cure.
        Unreachable: the store does not answer now.

    """
    if keep_days(policy) is not None:
        open_store(system.settings.archives_url).check()
    hours = (policy.archive or {}).get("backup_hours")
    if hours is not None:
        backups.refuse_old(system, policy, hours)
