"""A batch: one transaction in the data source that changes rows, moves the mark and tells the log.

The shard's header is locked first. A worker whose epoch is not the header's any more writes
nothing; a hold that raised `holds_version` is read before any row is touched.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from aegis.audit.events import Event
from aegis.db import transactions
from aegis.db.engines import reading, writing
from aegis.db.journal import Entry, Journal
from aegis.db.transactions import SeenBy
from aegis.errors import Fenced, NotPrepared
from aegis.operations import holds
from aegis.operations.marks import MarkBox
from aegis.operations.scopes import Scope
from aegis.operations.stops import wait_if_stopped
from aegis.operations.system import System


@dataclass(frozen=True, kw_only=True)
class Change:
    """What a batch did, before it is committed."""

    rows: int
    #: What was done to them.
    action: str = ""
    #: Where the shard goes on.
    mark: dict[str, Any]
    counts: dict[str, int] = field(default_factory=dict)
    #: What the event says besides.
    about: dict[str, Any] = field(default_factory=dict)
    #: Write the mark although no row was changed.
    keep_mark: bool = False

    @property
    def touched(self) -> bool:
        """Whether any row was changed, of whichever table."""
        return bool(self.rows or any(self.counts.values()))


#: Changes rows in the open transaction, obeying these holds.
Act = Callable[[sa.Connection, Sequence[Scope]], Change]
#: Prepares an act in its transaction before the header is locked, under the holds that were last read.
First = Callable[[sa.Connection, Sequence[Scope]], None]
#: Looks at the holds whenever they are read; raises Waits where nothing may be changed under them.
Obey = Callable[[Sequence[Scope]], None]
#: Builds the event of a change; gets the journal number that it will stand under.
Tell = Callable[[Change, int], Event]


class Shard:
    """One shard of a run, open for batches under one epoch."""

    def __init__(
        self,
        system: System,
        *,
        datasource: str,
        run: str,
        epoch: int,
        shard: int = 0,
        obey: Obey | None = None,
        seen_by: SeenBy | None = None,
    ) -> None:
        self._system = system
        self.engine = system.databases.source(datasource)
        self.label = f"data source {datasource}"
        self._journal = Journal(self.engine.dialect.name)
        self._run, self._shard, self._epoch = run, shard, epoch
        self._obey = obey
        self._seen_by = seen_by
        self._mac_key = system.worker_key.subkey("journal-mac")
        self._box = MarkBox(system.worker_key.subkey("mark"), run, shard)
        #: The legal holds that the last transaction obeyed.
        self.holds: Sequence[Scope] = ()
        self._holds_version: int | None = None
        self._number = 0
        #: Every statement of a batch must see the same rows, because the batch has more than one.
        self.one_view = False
        self.mark: dict[str, Any] = {}

    def peek(self) -> dict[str, Any]:
        """Return the mark as it stands, without a claim to it; an empty one where there is no journal."""
        with reading(self.engine, self.label) as connection:
            if not self._journal.exists(connection):
                return {}
            _, sealed = self._journal.last(connection, self._run, self._shard)
        return self._box.open(sealed)

    def take_over(self, *, anyhow: bool = False) -> Sequence[Scope]:
        """Fence off every earlier epoch, then read the holds and the mark.

        Args:
            anyhow: neither a stop nor a hold hinders, because what follows changes no row.

        Raises:
            Fenced: a later epoch is at work already.
            Waits: a stop is in force, or a hold under which nothing can be changed.
            NotPrepared: the source has no journal.

        """
        with reading(self.engine, self.label) as connection:
            if not self._journal.exists(connection):
                name = self.label.removeprefix("data source ")
                message = f"{self.label} has no journal; run `aegis migrate --datasource {name}` as its owner"
                raise NotPrepared(message)
        with writing(self.engine, self.label) as connection:
            self._journal.take_over(connection, self._run, self._shard, self._epoch)
        with self._transaction() as connection:
            self.permit(connection, anyhow=anyhow)
            self._number, sealed = self._journal.last(connection, self._run, self._shard)
        self.mark = self._box.open(sealed)
        return self.holds

    def batch(self, act: Act, tell: Tell, *, first: First | None = None) -> Change:
        """Do one batch; everything of it is committed on return, or nothing.

        Args:
            act: changes rows.
            tell: builds the event.
            first: what takes long, and must not keep whoever places a hold waiting.

        Raises:
            Fenced: another worker took over; nothing was changed.
            Waits: a stop or a hold over everything was placed meanwhile; nothing was changed.
            AegisError: a database error; nothing was changed.

        """
        return self._do(act, tell, first)

    def note(self, act: Act, *, first: First | None = None) -> Change:
        """Do a batch that changes no row, so that neither a stop nor a hold hinders it."""
        return self._do(act, None, first)

    def _do(self, act: Act, tell: Tell | None, first: First | None) -> Change:
        with self._transaction() as connection:
            if first is not None:
                first(connection, self.holds)
            self.permit(connection, anyhow=tell is None)
            change = act(connection, self.holds)
            number = self._number + 1
            written = change.touched or change.keep_mark
            if written:
                self._journal.append(connection, self._entry(change, number, tell))
        if written:
            self._number = number
        self.mark = change.mark
        return change

    def _entry(self, change: Change, number: int, tell: Tell | None) -> Entry:
        event = tell(change, number) if tell and change.touched else None
        plain = Entry(
            run=self._run,
            shard=self._shard,
            number=number,
            rows=change.rows,
            mark=self._box.seal(change.mark),
            counts=change.counts,
            event_id=event.id if event else None,
            entry=event.entry if event else None,
            sealed=event.sealed if event else None,
        )
        return Entry(**vars(plain) | {"mac": plain.authenticated(self._mac_key)})

    def permit(self, connection: sa.Connection, *, anyhow: bool = False) -> None:
        """Lock the header, read the holds, and let the open transaction go on.

        Args:
            connection: the data source.
            anyhow: neither a stop nor a hold hinders, because no row is changed.

        Raises:
            Fenced: another worker took over.
            Waits: a stop or a hold over everything is in force.

        """
        header = self._journal.lock_header(connection, self._run, self._shard)
        if header is None or header.epoch != self._epoch:
            message = (
                f"run {self._run} shard {self._shard}: expected epoch {self._epoch}, "
                f"got {header.epoch if header else 'none'}: another worker took over, or a person paused it"
            )
            raise Fenced(message, epoch=header.epoch if header else None)
        if header.holds_version != self._holds_version:
            self.holds = holds.read(connection, self._journal, self._system.worker_key)
            self._holds_version = header.holds_version
        if anyhow:
            return
        wait_if_stopped(self.holds)
        if self._obey:
            self._obey(self.holds)

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        limits = self._system.settings.retention
        with writing(self.engine, self.label) as connection:
            transactions.begin_work(
                connection,
                lock_ms=limits.lock_timeout_milliseconds,
                statement_ms=limits.statement_timeout_milliseconds,
                one_view=self.one_view,
                seen_by=self._seen_by,
            )
            yield connection
