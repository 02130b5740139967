"""The statements and events of a run's batches."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from aegis.audit import events
from aegis.audit.actions import Action, Outcome
from aegis.audit.events import Event
from aegis.db.tables import DataRetentionPolicy
from aegis.errors import Passing
from aegis.masking.keys import MaskKey
from aegis.operations.batches import Act, Change
from aegis.operations.claims import Claim
from aegis.operations.parts import Parts
from aegis.operations.scopes import Scope
from aegis.retention.allowance import at_most
from aegis.retention.archiving import Archived
from aegis.retention.cutoffs import Cutoffs
from aegis.retention.stages import Stage, stages_of
from aegis.retention.target import Target
from aegis.retention.turns import Turns, among, possible
from aegis.retention.walkers import Portion, Walker, first_mark


class Portions:
    """Builds the statements and the events of a run's batches."""

    def __init__(
        self,
        policy: DataRetentionPolicy,
        claimed: Claim,
        target: Target,
        walker: Walker,
        cutoffs: Cutoffs,
        *,
        begin_at: dt.datetime | None = None,
        archive: Parts | None = None,
        key: MaskKey | None = None,
    ) -> None:
        self.target = target
        self.cutoffs = cutoffs
        self._policy = policy
        self._run = claimed.run
        self._shard = claimed.shard
        self._walker = walker
        self.stages = stages_of(target, policy, cutoffs, key)
        #: The mark at which each stage begins; that of the range, where the run was cut into ranges.
        self.begin: Mapping[str, Any] = {}
        self._begin_at = begin_at
        #: What is done to the rows, by the name of the action: it is archived where there is an archive.
        self._actions = {
            stage.action.name: Archived(stage.action, stage.target, archive) if archive else stage.action
            for stage in self.stages
        }
        self._turns: dict[str, Turns] = {}
        #: The portion that the last turn went over, with where and how large it was cut.
        self._open: tuple[Any, Portion] | None = None
        #: By action, for the holds with which it was built: with many tenants that takes longer than a batch.
        self._doomed: dict[str, tuple[Sequence[Scope], sa.ColumnElement[bool]]] = {}

    def doomed(self, holds: Sequence[Scope], stage: Stage) -> sa.ColumnElement[bool]:
        """Return the rows that this run may take in a stage."""
        known = self._doomed.get(stage.action.name)
        if known is not None and known[0] is holds:
            return known[1]
        built = stage.target.doomed(stage.cutoffs, holds, self._policy.name, self._run["tenant"])
        self._doomed[stage.action.name] = holds, built
        return built

    def held(self, holds: Sequence[Scope], stage: Stage) -> sa.ColumnElement[bool]:
        """Return the rows past their time that holds keep in a stage."""
        tenant = self._run["tenant"]
        held = stage.target.held(holds, self._policy.name, tenant)
        expired = stage.target.expired(stage.cutoffs, tenant)
        return sa.false() if held is None else sa.and_(expired, held)

    def stage(self, mark: Mapping[str, Any]) -> Stage:
        """Return the stage that goes on behind a mark."""
        return self.stages[int(mark.get("stage", 0))]

    def sweep(self, mark: Mapping[str, Any]) -> int:
        """Return which sweep over the table this is, from 0."""
        return int(mark.get("sweep", 0))

    def act(self, mark: Mapping[str, Any], size: int, *, keep_mark: bool, most: int | None = None) -> Act:
        """Return the function that changes one portion behind the mark, and at most so many rows."""

        def change(connection: sa.Connection, holds: Sequence[Scope]) -> Change:
            if "end" in mark:
                return Change(rows=0, mark=dict(mark), keep_mark=False)
            stage = self.stage(mark)
            portion = self._portion(connection, mark, size, stage)
            # A batch that is limited to so many rows does all of them.
            turns = self._turns_of(connection, stage) if most is None else Turns(possible=False)
            due = sa.and_(portion.within, self.doomed(holds, stage), among(turns.turn(mark)))
            where = at_most(connection, self.target, due, most)
            done = self._actions[stage.action.name].apply(connection, where)
            if most is not None and done.rows > most:
                message = f"a batch found {done.rows} rows where {most} are left of the budget"
                raise Passing(message)
            turn = turns.following(mark, done.rows, size)
            return Change(
                rows=done.rows,
                action=stage.action.name,
                mark=self._behind(portion, mark) if turn is None else {**mark, "turn": turn},
                counts=dict(done.along),
                about=dict(done.about),
                keep_mark=keep_mark,
            )

        return change

    def through(self, mark: Mapping[str, Any]) -> bool:
        """Whether a mark stands behind a whole portion, and not between two turns over it."""
        return "turn" not in mark

    def _portion(
        self, connection: sa.Connection, mark: Mapping[str, Any], size: int, stage: Stage
    ) -> Portion:
        """Return the portion behind a mark; for a further turn the one that is known."""
        place = {**mark, "turn": None}, size
        if self.through(mark) or self._open is None or self._open[0] != place:
            begin = self._from(connection, mark)
            self._open = place, self._walker.cut(connection, begin, size, stage.cutoffs.latest)
        return self._open[1]

    def _turns_of(self, connection: sa.Connection, stage: Stage) -> Turns:
        name = stage.action.name
        if name not in self._turns:
            self._turns[name] = Turns(possible=possible(connection, stage.target))
        return self._turns[name]

    def skipped(self, mark: Mapping[str, Any]) -> int:
        """Return how many portions this sweep has passed by."""
        return int(mark.get("skipped", 0))

    def pass_by(self, mark: Mapping[str, Any], size: int) -> Act:
        """Return the function that moves the mark behind a portion and leaves its rows for the next sweep."""

        def change(connection: sa.Connection, _holds: Sequence[Scope]) -> Change:
            if "end" in mark:
                return Change(rows=0, mark=dict(mark), keep_mark=False)
            latest = self.stage(mark).cutoffs.latest
            portion = self._walker.cut(connection, self._from(connection, mark), size, latest)
            behind = self._behind(portion, mark) | {"skipped": self.skipped(mark) + 1}
            return Change(rows=0, mark=behind, keep_mark=True)

        return change

    def start_again(self, mark: Mapping[str, Any]) -> Act:
        """Return the function that puts the mark back to the beginning for the next sweep."""

        def change(_connection: sa.Connection, _holds: Sequence[Scope]) -> Change:
            return Change(rows=0, mark={"sweep": self.sweep(mark) + 1}, keep_mark=True)

        return change

    def tell(self, change: Change, number: int) -> Event:
        """Build the event of a batch; it is stored in the batch's own transaction."""
        run = self._run
        (stage,) = [stage for stage in self.stages if stage.action.name == change.action]
        details = {
            "run": run["id"],
            "number": number,
            "shard": self._shard,
            "pass": self.sweep(change.mark),
            "table": run["table_name"],
            "datasource": run["datasource"],
            "action": change.action,
            "rows": change.rows,
            "along": change.counts,
            "cutoff": events.stamp(stage.cutoffs.base),
            "digest": self._policy.digest,
            **change.about,
        }
        return events.compose(
            action=Action.RETENTION_BATCH,
            outcome=Outcome.SUCCESS,
            actor_ref=run["actor_ref"],
            target_type="policy",
            target_ref=run["policy"],
            moment=dt.datetime.now(dt.UTC),
            clear=details,
            tenant=run["tenant"],
            correlation_id=run["id"],
        )

    def _behind(self, portion: Portion, mark: Mapping[str, Any]) -> dict[str, Any]:
        stage, following = int(mark.get("stage", 0)), portion.mark
        if following is None:
            stage += 1
            following = {"end": True} if stage == len(self.stages) else dict(self.begin)
        behind = following | {"sweep": self.sweep(mark)}
        if passed := self.skipped(mark):
            behind["skipped"] = passed
        return behind | {"stage": stage} if 0 < stage < len(self.stages) else behind

    def _from(self, connection: sa.Connection, mark: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return where the first portion begins: rows before it were done by an earlier run."""
        fresh = not mark.keys() - {"sweep", "stage", "turn"} and not self.sweep(mark)
        if not fresh or self._begin_at is None or self.stage(mark) is not self.stages[0]:
            return mark
        return {**mark, **first_mark(self._walker, connection, self._begin_at)}
