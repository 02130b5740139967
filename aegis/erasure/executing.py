"""Doing an erasure's acts under its run's epoch, each batch with its journal row and its event."""

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, Final, TypeVar

import sqlalchemy as sa

from aegis.audit import events
from aegis.audit.actions import Action, Outcome
from aegis.audit.events import Event
from aegis.erasure.acts import Act
from aegis.erasure.changes import Changes, Means
from aegis.erasure.holding import refuse_held
from aegis.erasure.objections import objections
from aegis.erasure.parts import own_digest
from aegis.erasure.persons import Kept
from aegis.erasure.plan import digest_of
from aegis.erasure.rows import Group
from aegis.erasure.steps import steps_of
from aegis.erasure.tracing import Trace, again, looking, patient_snapshot, trace
from aegis.errors import Refused
from aegis.masking.keys import lasting_key
from aegis.operations.batches import Change, Shard
from aegis.operations.pace import Pace
from aegis.operations.runs import ERASURE
from aegis.operations.scopes import Scope
from aegis.operations.system import System

#: How often what the application wrote meanwhile is looked for and done too.
PASSES: Final = 3
#: More people than that, and texts are not searched for each of their names.
_SCRUBBED: Final = 20
#: Is told `action:table` → rows.
Tell = Callable[[Mapping[str, int]], None]


T = TypeVar("T")
Batch = Callable[[sa.Connection, Sequence[Scope]], Change]
Do = Callable[[Changes], Counter[str]]


class TooLarge(Exception):
    """More rows than one transaction should change."""


class Execution:
    """One claimed erasure, and how its rows are changed.

    Args:
        system: this process's Aegis.
        run: its row.
        request: its request's row.
        kept: who it is about.
        shard: the run's shard, taken over.

    """

    def __init__(
        self, system: System, run: Mapping[str, Any], request: Mapping[str, Any], kept: Kept, shard: Shard
    ) -> None:
        self._system, self._run, self._request = system, run, request
        self._kept, self._shard = kept, shard
        self._subject = str(request["arguments"]["subject"])
        scrubbed = kept.identifiers if len(kept.people) <= _SCRUBBED else []
        self._means = Means(key=kept.mask, lasting=lasting_key(system.worker_key), identifiers=scrubbed)
        limits = system.settings.retention
        self._pace = Pace.of(limits, shard.engine.dialect.name)
        self._known = kept.known(request["arguments"])
        self._found: Trace | None = None
        #: What was looked at as a whole under which holds.
        self._obeyed: tuple[Trace, Sequence[Scope]] | None = None

    @property
    def done(self) -> bool:
        """Whether every row is changed, as far as the journal says."""
        return bool(self._shard.mark.get("executed"))

    # -- all at once ------------------------------------------------------------------------

    def at_once(self) -> Change:
        """Do all of it in one transaction.

        Raises:
            TooLarge: it has too many rows for that; nothing was changed.
            Refused: something speaks against it; nothing was changed.

        """

        def look(connection: sa.Connection, _holds: Sequence[Scope]) -> None:
            self._found = self._traced(connection)
            rows = sum(g.rows for act in self._found.each_act for g in act.groups)
            if rows > self._system.settings.erasure.single_transaction_rows:
                raise TooLarge
            self._refuse(self._found)

        return self._shard.batch(self._everything, self._event, first=look)

    def _everything(self, connection: sa.Connection, scopes: Sequence[Scope]) -> Change:
        found = self._found
        assert found is not None  # noqa: S101 - `look` ran before
        refuse_held(connection, found, found.each_act, self._kept.people, scopes)
        done: Counter[str] = Counter()
        for number in range(PASSES):
            changes = Changes(connection, found, self._means)
            for item in found.acts:
                done += _do(changes, item, anew=number == 0)
            found = again(found, self._known)
            left = _left(Changes(connection, found, self._means), found)
            if not left:
                return self._change(done, {"executed": True, "passes": number + 1})
        raise _stays(left)

    # -- in batches -------------------------------------------------------------------------

    def batches(self, tell: Callable[[Change], bool]) -> bool:
        """Do it in batches while `tell` says to go on; return whether all of it is done.

        Raises:
            Refused: something speaks against it; what was done before is accounted for.

        """
        for number in range(int(self._shard.mark.get("passes", 0)), PASSES):
            found = self._look()
            once = set(self._shard.mark.get("once", ()))
            for item in found.acts:
                for step in self._portions(found, item, once, number):
                    if not tell(self._shard.batch(step, self._event)):
                        return False
            self._shard.batch(self._marked({"passes": number + 1, "once": sorted(once)}), self._event)
            found = self._look()
            left = self._read(partial(self._still, found))
            if not left:
                self._shard.batch(self._marked({**self._shard.mark, "executed": True}), self._event)
                return True
        raise _stays(left)

    def _portions(self, found: Trace, item: Act | list[Act], once: set[str], number: int) -> Iterator[Batch]:
        """Yield batches that together do an act, or a circle of deletions."""
        if isinstance(item, list):
            yield self._batch(found, partial(_do, item=item, anew=True), item, once, number)
            return
        name = f"{item.action}:{item.table}:{','.join(map(str, sorted(item.ways)))}:{item.own}"
        waiting = self._waiting(found, item)
        if waiting is None:
            if name not in once:
                once.add(name)
                yield self._batch(found, partial(_do, item=item, anew=True), [item], once, number)
            return
        while waiting:
            size = self._pace.size
            if waiting[0].rows > size and found.catalog.tables[item.table].key:
                group = waiting.pop(0)
                for _ in range(-(-group.rows // size)):
                    do = partial(_some, act=item, group=group, most=size)
                    yield self._batch(found, do, [replace(item, groups=[group])], once, number)
                continue
            some, rows = [waiting.pop(0)], 0
            while waiting and (rows := rows + some[-1].rows) + waiting[0].rows <= size:
                some.append(waiting.pop(0))
            do = partial(_apply, act=item, groups=some)
            yield self._batch(found, do, [replace(item, groups=some)], once, number)

    def _batch(self, found: Trace, do: Do, acts: Sequence[Act], once: set[str], number: int) -> Batch:
        def change(connection: sa.Connection, scopes: Sequence[Scope]) -> Change:
            if scopes:
                self._refuse_held(connection, found, acts, scopes)
            done = do(Changes(connection, found, self._means))
            return self._change(done, {"passes": number, "once": sorted(once)})

        return change

    def _refuse_held(
        self, connection: sa.Connection, found: Trace, acts: Sequence[Act], scopes: Sequence[Scope]
    ) -> None:
        """Look at everything once for each set of holds; behind that, at what a batch is about to change."""
        known = self._obeyed is not None and self._obeyed[0] is found and self._obeyed[1] == scopes
        refuse_held(connection, found, acts if known else found.each_act, self._kept.people, scopes)
        self._obeyed = (found, scopes)

    def _still(self, found: Trace, connection: sa.Connection) -> Counter[str]:
        return _left(Changes(connection, found, self._means), found)

    def _waiting(self, found: Trace, act: Act) -> list[Group] | None:
        return self._read(lambda connection: Changes(connection, found, self._means).waiting(act))

    def refuse_another_plan(self) -> None:
        """Refuse to go on by another plan than the one that was asked for.

        Raises:
            Refused: the data map, a hook or the schema changed since, or something speaks against it.

        """
        self._look()

    def begin_again(self) -> bool:
        """Begin another pass if the map reaches rows that are not as they should be; return whether."""
        found = self._look()
        if not self._read(partial(self._still, found)):
            return False
        mark = {name: value for name, value in self._shard.mark.items() if name not in {"executed", "passes"}}
        self._shard.batch(self._marked({**mark, "passes": 0}), self._event)
        return True

    @contextmanager
    def looking(self) -> Iterator[Trace]:
        """Open a snapshot in which the people's rows are found."""
        with looking(
            self._system,
            self._kept.keys,
            subject=self._subject,
            datasource=self._run["datasource"],
            tenant=self._run["tenant"],
            known=self._known,
        ) as trace:
            yield trace

    def worked(self, seconds: float) -> None:
        """Learn how long a batch took."""
        self._pace.worked(seconds)

    # -- both -------------------------------------------------------------------------------

    def _traced(self, connection: sa.Connection) -> Trace:
        return trace(
            self._system,
            connection,
            self._kept.keys,
            subject=self._subject,
            datasource=self._run["datasource"],
            tenant=self._run["tenant"],
            known=self._known,
        )

    def _look(self) -> Trace:
        """Find the rows in a snapshot of their own, and refuse what speaks against going on."""

        def look(connection: sa.Connection) -> Trace:
            found = self._traced(connection)
            self._refuse(found)
            return found

        return self._read(look)

    def _read(self, look: Callable[[sa.Connection], T]) -> T:
        with patient_snapshot(self._system, self._run["datasource"]) as connection:
            return look(connection)

    def _refuse(self, found: Trace) -> None:
        """Refuse another plan than the one that was asked for, and one that cannot be carried out.

        Raises:
            Refused: says why.

        """
        if digest_of(self._system, found, self._run["datasource"]) != own_digest(self._request):
            message = (
                "the data map, a hook or the schema changed since this erasure was asked for; nothing more "
                "is changed. Look at `aegis erasure plan`; `aegis erasure resume` takes the new plan"
            )
            raise Refused(message)
        if against := objections(found, steps_of(found.coverage, found.rows)):
            message = f"it cannot be carried out: {'; '.join(against)}. Nothing more is changed"
            raise Refused(message)

    def _marked(self, mark: Mapping[str, Any]) -> Batch:
        return lambda _connection, _scopes: Change(rows=0, mark=dict(mark), keep_mark=True)

    def _change(self, done: Counter[str], mark: Mapping[str, Any]) -> Change:
        counts = Counter(done)
        rows = counts.pop(f"{self._run['action']}:{self._run['table_name']}", 0)
        return Change(
            rows=rows, action=self._run["action"], mark=dict(mark), counts=dict(+counts), keep_mark=True
        )

    def _event(self, change: Change, number: int) -> Event:
        run = self._run
        return events.compose(
            action=Action.ERASURE_BATCH,
            outcome=Outcome.SUCCESS,
            actor_ref=run["actor_ref"],
            target_type="policy",
            target_ref=ERASURE,
            moment=dt.datetime.now(dt.UTC),
            clear={
                "run": run["id"],
                "number": number,
                "shard": 0,
                "table": run["table_name"],
                "datasource": run["datasource"],
                "action": run["action"],
                "rows": change.rows,
                "along": change.counts,
                "digest": self._request["plan_digest"],
            },
            tenant=run["tenant"],
            correlation_id=run["id"],
        )


def _some(changes: Changes, act: Act, group: Group, most: int) -> Counter[str]:
    return changes.some_of(act, group, most)


def _apply(changes: Changes, act: Act, groups: Sequence[Group]) -> Counter[str]:
    return changes.apply(act, groups)


def _do(changes: Changes, item: Act | list[Act], *, anew: bool) -> Counter[str]:
    """Do an act, or a circle; what nobody can recognise only the first time."""
    if isinstance(item, list):
        return changes.break_circle(item)
    return changes.apply(item, item.groups) if anew or changes.repeats(item) else Counter()


def _left(changes: Changes, found: Trace) -> Counter[str]:
    """Return the rows that an erasure has still to change: `action:table` → rows."""
    left: Counter[str] = Counter()
    for act in found.each_act:
        left[f"{act.counted}:{act.table}"] += changes.left(act)
    return +left


def _stays(left: Mapping[str, int]) -> Refused:
    named = ", ".join(
        f"{rows} of {name.partition(':')[2]} to {name.partition(':')[0]}" for name, rows in left.items()
    )
    message = (
        f"after {PASSES} passes rows are still as they were ({named}): a trigger or rule puts them back, or "
        "the application writes more all the time"
    )
    return Refused(message)
