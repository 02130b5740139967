"""An erasure, one slice at a time: claim, change what the map says, look what is left, settle.

What was done stands in the journal of the data source. A small erasure is one transaction; a large one goes
in batches, rows that refer before those that they refer to, and whoever comes next follows the map again and
finds what is left.
"""

import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from aegis.erasure import approving, asking, ending, parts, persons, rests, sweeping
from aegis.erasure.erasers import Calls, Reported
from aegis.erasure.executing import PASSES, Execution, TooLarge
from aegis.erasure.persons import Kept
from aegis.erasure.slices import OnProgress, Slice
from aegis.erasure.verifying import LateGround, Searched
from aegis.errors import AegisError, Fenced, Interrupted, Refused, UnsafeTable, UsageError
from aegis.operations import claims, holds, runs, slices
from aegis.operations.batches import Change, Shard
from aegis.operations.claims import Claim
from aegis.operations.states import State, Waits
from aegis.operations.system import System

#: How often all of a small erasure is tried again when the application wrote in between.
TRIES: Final = 3
#: Places that a reason names; the report has them all.
MOST_NAMED: Final = 5


def advance(
    system: System,
    run_id: str,
    seconds: float,
    on_progress: OnProgress | None = None,
    *,
    patient: bool = False,
) -> Slice:
    """Work on an erasure for about `seconds`, at least one batch, and give it back.

    Args:
        system: this process's Aegis.
        run_id: its run.
        seconds: how long about.
        on_progress: is told after each batch what it changed.
        patient: nobody waits for it in this process, so that before its search it may be given back for a
            while: then one pass serves those too whose rows are about to be changed.

    Returns:
        The slice; `outcome` is more, done, busy, fenced, waiting, blocked, retry or failed.

    """
    run = runs.fetch(system, run_id)
    piece = Slice(run=run_id, request=run["request_id"])
    with slices.claimed(system, run_id, piece) as claim:
        if claim is not None:
            _carry(system, claim, piece, seconds, on_progress, patient=patient)
    return piece


def _carry(
    system: System,
    claimed: Claim,
    piece: Slice,
    seconds: float,
    on_progress: OnProgress | None,
    *,
    patient: bool,
) -> None:
    """Work on a claimed erasure and give it back, in whatever state that leaves it."""
    try:
        _Work(system, claimed, piece, on_progress, patient=patient).go_on(seconds)
    except KeyboardInterrupt:
        claims.settle(system, claimed, State.RUNNING)
        raise
    except Fenced:
        raise
    except Waits as wait:
        piece.outcome, piece.reason = "waiting", str(wait)
        ending.settle(system, claimed, piece, State.WAITING, wait=wait.seconds, waits_for=wait.waits_for)
    except Interrupted as passing:
        piece.outcome, piece.reason = "retry", str(passing)
        ending.settle(system, claimed, piece, State.ACCEPTED, wait=claims.backoff(claimed.run["attempts"]))
    except (UsageError, Refused) as refused:
        piece.outcome, piece.reason = "blocked", str(refused)
        ending.settle(system, claimed, piece, State.BLOCKED)
    except AegisError as error:
        piece.outcome, piece.reason = "failed", str(error)
        ending.settle(system, claimed, piece, State.BLOCKED)
        raise


class _Work:
    """One claimed erasure during one slice."""

    def __init__(
        self, system: System, claimed: Claim, piece: Slice, on_progress: OnProgress | None, *, patient: bool
    ) -> None:
        self._system, self._claim, self._piece = system, claimed, piece
        self._on_progress, self._patient = on_progress, patient
        self._request = asking.fetch(system, claimed.run["request_id"])
        self._renew_at = 0.0
        report = claimed.run["report"] or {}
        #: What the search found until now, plain.
        self._found: Mapping[str, Any] | None = report.get("search")
        self._reported = Reported.read(report)

    def go_on(self, seconds: float) -> None:
        """Change rows until the time is up or all are changed; then look what is left."""
        system, run = self._system, self._claim.run
        deadline = time.monotonic() + seconds
        system.relay.register(run["datasource"])
        holds.put_placed_in_force(system, run["datasource"])
        kept = persons.read(system, self._claim.id)
        self._request = rests.begin(system, run, self._request, kept)
        approving.wait_for_approval(system, run, self._request)
        shard = Shard(system, datasource=run["datasource"], run=self._claim.id, epoch=self._claim.epoch)
        shard.take_over()
        execution = Execution(system, run, self._request, kept, shard)
        subject = str(self._request["arguments"]["subject"])
        calls = Calls(system, run["datasource"], subject, kept, self._reported)
        if execution.done and self._found is None and self._request["arguments"].get("parts"):
            # What was written while other data sources were waited for goes too.
            execution.begin_again()
        for _ in range(PASSES):
            if not self._change(execution, calls, shard, deadline):
                break
            parts.wait_for_others(system, self._request)
            searched = self._search(execution, kept, deadline)
            if searched is None:
                return None
            if not searched.blocking:
                if calls.open and not self._call(execution, calls, deadline):
                    break
                return self._finish(execution, kept, searched)
            if not execution.begin_again():
                self._refuse(searched)
            # The application wrote rows of theirs since: they go too, and are looked for again.
        claims.settle(system, self._claim, State.RUNNING)
        return None

    def _change(self, execution: Execution, calls: Calls, shard: Shard, deadline: float) -> bool:
        """Change all rows, after what was waited for; return whether it came so far."""
        if calls.asked:
            if not self._call(execution, calls, deadline):
                return False
            # What was written while it was waited for goes too, and is looked for.
            execution.begin_again()
        if not execution.done:
            if not self._execute(execution, shard, deadline):
                return False
            # What was searched before these rows were changed is not the last word.
            self._note(None)
        return True

    def _search(self, execution: Execution, kept: Kept, deadline: float) -> Searched | None:
        """Look for what is left; none when it was given back before all is searched."""
        system, claimed = self._system, self._claim
        claims.note(system, claimed, state=State.VERIFYING)
        so_far = Searched.read(self._found)
        if so_far.whole:
            return so_far
        if so_far.mark is None:
            sweeping.note_executed(system, claimed)
            self._request = asking.fetch(system, claimed.run["request_id"])
        if so_far.mark is None and self._patient and sweeping.should_wait(system, claimed):
            self._piece.outcome = "waiting"
            self._piece.reason = "others whose rows are about to be changed will be searched for with it"
            claims.settle(system, claimed, State.VERIFYING, wait=sweeping.PAUSE_SECONDS)
            return None
        ground = LateGround(execution.looking)
        searched, freed = sweeping.sweep(system, claimed, kept, ground, so_far=so_far, deadline=deadline)
        self._piece.freed += freed
        self._note(searched.plain())
        if searched.whole:
            return searched
        claims.settle(system, claimed, State.VERIFYING)
        return None

    def _call(self, execution: Execution, calls: Calls, deadline: float) -> bool:
        """Call the application's erasers; return whether all of them are through."""
        execution.refuse_another_plan()
        claims.renew(self._system, self._claim, progress=False)
        try:
            return calls.go_on(deadline, self._keep_called)
        except Waits:
            # By the time that it is finished, what was searched is another day's.
            self._note(None)
            raise

    def _keep_called(self) -> None:
        self._note(self._found)
        claims.renew(self._system, self._claim, progress=True)

    def _note(self, found: Mapping[str, Any] | None) -> None:
        """Keep what was found and reported, for whoever goes on."""
        self._found = found
        report = ({} if found is None else {"search": found}) | self._reported.plain()
        claims.note(self._system, self._claim, report=report or None)

    def _finish(self, execution: Execution, kept: Kept, searched: Searched) -> None:
        with execution.looking() as trace:
            ending.finish(
                self._system,
                self._claim,
                self._request,
                kept=kept,
                trace=trace,
                searched=searched,
                reported=self._reported,
                piece=self._piece,
            )

    def _refuse(self, searched: Searched) -> NoReturn:
        self._piece.residual = [hit.plain() for hit in searched.blocking]
        found = ", ".join(
            f"{hit.rows} row{'s' * (hit.rows != 1)} of {hit.table}.{hit.column} ({hit.identifier})"
            for hit in searched.blocking[:MOST_NAMED]
        )
        message = (
            f"something of who was erased is left: {found}; decide in the data map what happens to it, or "
            "remove it, then `aegis erasure resume`"
        )
        raise Refused(message)

    def _execute(self, execution: Execution, shard: Shard, deadline: float) -> bool:
        """Return whether all rows are changed."""
        if not shard.mark:
            try:
                self._worked(self._at_once(execution), time.monotonic())
            except TooLarge:
                pass
            else:
                return True
        began = time.monotonic()

        def tell(change: Change) -> bool:
            nonlocal began
            execution.worked(time.monotonic() - began)
            self._worked(change, began)
            began = time.monotonic()
            return not slices.is_over(deadline)

        return execution.batches(tell)

    def _at_once(self, execution: Execution) -> Change:
        """Do all of it in one transaction; a row that the application wrote in between needs another look."""
        for _ in range(TRIES - 1):
            try:
                return execution.at_once()
            except UnsafeTable:
                # Rows that refer to what goes came in after the look; the next one sees them.
                continue
        return execution.at_once()

    def _worked(self, change: Change, began: float) -> None:
        done: Counter[str] = Counter(self._piece.changed)
        own = {f"{change.action}:{self._claim.run['table_name']}": change.rows} if change.rows else {}
        done.update(own)
        done.update(change.counts)
        self._piece.changed = dict(done)
        self._piece.batch_seconds.append(time.monotonic() - began)
        if self._on_progress:
            self._on_progress({**change.counts, **own})
        if time.monotonic() >= self._renew_at:
            claims.renew(self._system, self._claim, progress=True)
            self._renew_at = time.monotonic() + self._system.settings.operations.lease_seconds / 4
