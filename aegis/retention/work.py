"""One claimed run of a retention policy during one slice: batches until the time is up, then the count."""

import contextlib
import time
from collections import Counter
from dataclasses import replace
from functools import partial
from typing import Final, NoReturn

from aegis.db.engines import reading
from aegis.errors import AegisError, Interrupted, Passing, Refused, UsageError
from aegis.masking.keys import lasting_key
from aegis.operations import claims, ranges, slices, tallies
from aegis.operations.batches import Change, Shard
from aegis.operations.claims import Claim
from aegis.operations.pace import Pace
from aegis.operations.ranges import Range
from aegis.operations.states import State
from aegis.operations.system import System
from aegis.operations.tallies import Tally
from aegis.operations.throttle import Throttle, naps, throttle_for
from aegis.retention import archiving, ending, policies
from aegis.retention.allowance import allowed
from aegis.retention.attaching import attach_again, put_back
from aegis.retention.gates import Cancelled, Waits, before_slice, under_holds
from aegis.retention.landing import Landing
from aegis.retention.opening import Opened, count_patiently, keep_for_counting, open_run, patient
from aegis.retention.order import wait_for_others
from aegis.retention.partitions import Partitions
from aegis.retention.portions import Portions
from aegis.retention.sessions import seen_by
from aegis.retention.slices import OnProgress, Slice
from aegis.retention.stages import done_until
from aegis.retention.target import Target

#: A range of fewer rows is not worth a worker of its own.
LEAST_ROWS: Final = 1_000
#: Sweeps for rows that arrived late or moved past the walker, before the run says what is left.
SWEEPS: Final = 3
#: So long at most a run goes on after its policy was replaced or disabled, and its batch.
LOOK_SECONDS: Final = 1.0


class Work:
    """One claimed run during one slice."""

    def __init__(
        self,
        system: System,
        claimed: Claim,
        piece: Slice,
        on_progress: OnProgress | None,
        *,
        full_speed: bool,
    ) -> None:
        self._system = system
        self._claim = claimed
        self._piece = piece
        self._policy = policies.by_id(system, claimed.run["policy_id"])
        self._engine = system.databases.source(self._policy.datasource)
        self._on_progress = on_progress
        self._renew_at = 0.0
        #: Whether a batch of this slice stands in the journal.
        self._progress = False
        self._look_at = 0.0
        #: Portions in a row that were left for the next sweep.
        self._passed_by = 0
        self._tally = Tally()
        self._landing = Landing(system, self._policy, claimed)
        self._full_speed = full_speed
        self._throttle: Throttle | None = None
        limits = system.settings.retention
        self._pace = Pace.of(limits, self._engine.dialect.name)

    def go_on(self, seconds: float) -> None:
        """Do batches until the time is up or the table is through."""
        try:
            self._go_on(seconds)
        except (Interrupted, Refused, UsageError, KeyboardInterrupt):
            # The run goes on some day, and attaches first what it had detached.
            with contextlib.suppress(AegisError):
                self._attach_again()
            raise
        except (Cancelled, Waits, AegisError):
            self._attach_again()
            raise
        finally:
            tallies.add(self._system, self._claim.id, self._tally)

    def _attach_again(self) -> None:
        """Leave no partition detached while nobody works on the run."""
        if self._claim.range_row is None and self._policy.action == "delete":
            attach_again(self._system, self._claim.run, epoch=self._claim.epoch)

    def _go_on(self, seconds: float) -> None:
        known = before_slice(self._system, self._policy)
        wait_for_others(self._system, self._policy, self._claim.run)
        self._allowance = allowed(self._system, self._policy, self._claim.run)
        self._landing.begin()
        shard = Shard(
            self._system,
            datasource=self._policy.datasource,
            run=self._claim.id,
            epoch=self._claim.epoch,
            shard=self._claim.shard,
            # In every batch, so that a run waits at the one after the hold and does not walk on in vain.
            obey=partial(under_holds, self._policy, self._claim.run["table_name"]),
            seen_by=seen_by(self._policy, self._claim.run["tenant"]),
        )
        shard.take_over()
        put_back(shard)
        span = self._enter_range(shard)
        mark = span.end if span and span.end else shard.mark
        opened = open_run(self._system, self._claim, self._policy, mark, known)
        target, walker, cutoffs = opened.target, opened.walker, opened.cutoffs
        self._piece.expected = opened.expected
        shard.one_view = bool(target.branches)
        archive = archiving.begin(self._system, self._policy, self._claim.run)
        begin_at = done_until(self._system, self._policy, self._claim.run, target)
        batches = Portions(
            self._policy,
            self._claim,
            target,
            walker,
            cutoffs,
            begin_at=begin_at,
            archive=archive,
            key=lasting_key(self._system.worker_key),
        )
        if not self._full_speed:
            self._throttle = throttle_for(self._system, self._policy.datasource, target.layout.table)
        spent = self._drop_partitions(shard, batches, seconds)
        if spent and spent >= seconds:
            return claims.settle(self._system, self._claim, State.RUNNING)
        if span:
            batches.begin = span.begin
            if span.end is not None:
                walker.until(span.end)
        elif not shard.mark and (self._claim.run["shards"] > 1 or self._nothing_due(target)):
            # Every range is through, or there is nothing to walk for: what comes late is counted there.
            return self._verify(shard, batches)
        elif begin_at is None and self._cut_up(shard, opened):
            return None
        # From here on: a slow count must not eat the time that is there for batches.
        return self._walk(shard, batches, time.monotonic() + seconds - spent)

    def _walk(self, shard: Shard, batches: Portions, deadline: float) -> None:
        """Do batches until the deadline, at least one, or until the table is through."""
        last = False
        while not last:
            if self._allowance.spent:
                return self._through(shard, batches)
            if self._policy_changed():
                # The next slice finds out what became of it.
                break
            last = slices.is_over(deadline) or not self._allowance.fits(self._batch_seconds)
            if not self._one(shard, batches, last=last):
                return self._through(shard, batches)
        claims.settle(self._system, self._claim, State.RUNNING)
        return None

    def _drop_partitions(self, shard: Shard, batches: Portions, seconds: float) -> float:
        """Drop the partitions that are wholly past; return the seconds that this took, 0 for none."""
        if self._claim.range_row or self._landing.limited:
            return 0.0
        start, dropped = time.monotonic(), False
        until = start + seconds
        whole = Partitions(
            self._policy,
            self._claim.run,
            shard,
            target=batches.target,
            cutoffs=batches.cutoffs,
            tell=batches.tell,
        )
        for leaf in whole.due():
            began = time.monotonic()
            if (
                slices.is_over(until)
                or self._allowance.spent
                or not self._allowance.fits(self._batch_seconds)
            ):
                break
            keep_for_counting(self._system, self._claim)
            change = whole.drop(leaf, self._allowance.rows)
            if change is not None:
                dropped = True
                self._worked(change, time.monotonic() - began)
                self._rest(time.monotonic() - began)
        return time.monotonic() - start if dropped else 0.0

    def _worked(self, change: Change, spent: float) -> None:
        self._allowance.worked(change.rows, spent)
        self._tally.worked_ms += round(1000 * spent)
        self._counted(change, spent)

    def _policy_changed(self) -> bool:
        """Whether somebody replaced or disabled the policy; looked up between batches, not before each."""
        if time.monotonic() < self._look_at:
            return False
        self._look_at = time.monotonic() + LOOK_SECONDS
        return policies.by_id(self._system, self._policy.id).state != self._policy.state

    def _nothing_due(self, target: Target) -> bool:
        """Whether a walk would only pass rows that are masked already."""
        return target.masks is not None and self._piece.expected == 0

    def _enter_range(self, shard: Shard) -> Range | None:
        """Return the claimed range, with the shard at its beginning when nothing was done in it yet."""
        if self._claim.range_row is None:
            return None
        span = ranges.read(self._system, self._claim.range_row)
        if not shard.mark:
            shard.mark = dict(span.begin)
        return span

    def _cut_up(self, shard: Shard, opened: Opened) -> bool:
        """Cut a run that has not begun into ranges, where its policy asks for it and it is worth it.

        A budget is one worker's to keep.
        """
        rows, parts = self._piece.expected or 0, self._policy.parallel
        if (
            self._landing.limited
            or shard.mark
            or self._claim.run["shards"] > 1
            or parts == 1
            or rows < parts * LEAST_ROWS
            or self._policy.budget
        ):
            return False
        with reading(self._engine, f"data source {self._policy.datasource}") as connection:
            count_patiently(self._system, connection, self._policy, self._claim.run["tenant"])
            counter = patient(self._system, connection, opened.target)
            due = opened.target.expired(opened.cutoffs, self._claim.run["tenant"])
            marks = counter.within(lambda: opened.walker.divide(connection, parts, rows, due))
        if not marks:
            return False
        self._piece.ranges = claims.cut(self._system, self._claim, marks)
        return True

    def _through(self, shard: Shard, batches: Portions) -> None:
        """Verify; or, behind a range, leave that to whoever takes the run itself again."""
        if part := self._claim.range_row:
            claims.finish_range(self._system, self._claim, part)
        else:
            self._verify(shard, batches)

    @property
    def _batch_seconds(self) -> float:
        """How long the next batch may take, by the one before."""
        return max([self._pace.target_seconds, *self._piece.batch_seconds[-1:]])

    def _one(self, shard: Shard, batches: Portions, *, last: bool) -> bool:
        """Do one batch; return whether something is left behind its mark."""
        began = time.monotonic()
        try:
            most = self._landing.most(self._allowance.rows)
            size = self._pace.size if most is None else min(self._pace.size, most)
            act = batches.act(shard.mark, size, keep_mark=last, most=most)
            change = shard.batch(act, batches.tell)
        except Passing:
            return True if self._pace.refused() else self._pass_by(shard, batches)
        self._passed_by = 0
        spent = time.monotonic() - began
        self._allowance.worked(change.rows, spent)
        self._tally.worked_ms += round(1000 * spent)
        if change.rows or last:
            # The last batch of a slice keeps its mark even if it changed no row: that is progress.
            self._counted(change, spent)
            self._landing.took(change.rows)
        self._pace.worked(spent, through=batches.through(change.mark))
        if not last:
            self._rest(spent)
        return "end" not in change.mark

    def _rest(self, spent: float) -> None:
        """Rest after a batch, longer while the database is over a threshold; no transaction is open."""
        if self._throttle is None:
            return
        pause, piece = self._throttle.after(spent), self._piece
        reason = piece.throttle = self._throttle.reason
        self._tally.unmeasured |= self._throttle.unmeasured
        if reason:
            self._tally.throttled_ms[reason] += round(1000 * pause)
            piece.throttled[reason] = piece.throttled.get(reason, 0.0) + pause
        for nap in naps(pause):
            if reason and self._on_progress:
                self._on_progress(replace(piece, rows=0, actions={}, batch_seconds=[]))
            time.sleep(nap)
        self._keep_lease(progress=False)

    def _pass_by(self, shard: Shard, batches: Portions) -> bool:
        """Leave a portion that cannot be had for the next sweep; further ahead each time in a row."""
        # Only the mark moves: nothing has to be seen at once, and no row's lock is waited for.
        shard.one_view, view = False, shard.one_view
        change = shard.batch(batches.pass_by(shard.mark, 2**self._passed_by), batches.tell)
        shard.one_view = view
        self._passed_by += 1
        return "end" not in change.mark

    def _counted(self, change: Change, spent: float) -> None:
        rows, actions = change.rows, {change.action: change.rows} if change.rows else {}
        self._piece.rows += rows
        self._piece.actions = dict(Counter(self._piece.actions) + Counter(actions))
        self._piece.batch_seconds.append(spent)
        self._keep_lease(progress=True)
        if self._on_progress:
            self._on_progress(replace(self._piece, rows=rows, actions=actions, batch_seconds=[spent]))

    def _keep_lease(self, *, progress: bool) -> None:
        """Renew the lease now and then; the first batch in the journal is told at once."""
        first = progress and not self._progress
        if first or time.monotonic() >= self._renew_at:
            claims.renew(self._system, self._claim, progress=progress)
            self._renew_at = time.monotonic() + self._system.settings.operations.lease_seconds / 3
        self._progress |= progress

    def _verify(self, shard: Shard, batches: Portions) -> None:
        """Count what is left past the cutoff; sweep again for rows that came late, else finish."""
        claims.note(self._system, self._claim, state=State.VERIFYING)
        keep_for_counting(self._system, self._claim)
        left = ending.look(self._system, self._claim, self._policy, batches, shard.holds)
        due, swept = left.due, batches.sweep(shard.mark)
        # Uncounted, one sweep shows as well that nothing is left: it passes by all that is there.
        if due != 0 and not self._allowance.spent and swept < (1 if due is None else SWEEPS):
            shard.batch(batches.start_again(shard.mark), batches.tell)
            claims.settle(self._system, self._claim, State.RUNNING)
            return
        if due != 0 and not self._allowance.spent and batches.skipped(shard.mark):
            self._give_up(due, shard, batches)
        tallies.add(self._system, self._claim.id, self._tally)
        ending.finish(
            self._system,
            self._claim,
            self._policy,
            batches=batches,
            left=left,
            allowance=self._allowance,
            piece=self._piece,
        )

    def _give_up(self, due: int | None, shard: Shard, batches: Portions) -> NoReturn:
        """Block the run: rows are due that no sweep could have; resumed, it goes through once more."""
        shard.batch(batches.start_again({"sweep": SWEEPS - 1}), batches.tell)
        self._piece.skipped = due or 0
        told = "some, not counted" if due is None else due
        message = (
            f"rows that are past their time and could not be changed: {told}. Another session has held their "
            "locks, or one row takes longer than statement_timeout_milliseconds, through the whole run. End "
            f"that session, then `aegis retention resume {self._claim.id}`"
        )
        raise Refused(message)
