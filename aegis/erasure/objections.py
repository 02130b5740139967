"""What speaks against carrying an erasure out, found before its first write."""

from collections.abc import Iterator, Sequence
from typing import Final

from aegis.datamap.reached import Reached
from aegis.erasure.steps import Step
from aegis.erasure.tracing import Trace
from aegis.errors import AegisError
from aegis.masking.masks import masks_of
from aegis.masking.preflight import Masked, refuse_once

_SHARED: Final = "because of `shared`, while what they refer to goes: say `shared: delete`"
_RETAINED: Final = "retained, while what they refer to goes: nullify that reference, or retain it too"


def objections(trace: Trace, steps: Sequence[Step]) -> list[str]:
    """Return why an erasure cannot be carried out as things stand; nothing when it can."""
    return [*_forbidden(steps), *_stuck(steps), *_unfit(trace)]


def _forbidden(steps: Sequence[Step]) -> Iterator[str]:
    for step in steps:
        if step.action == "fail" and step.rows:
            rows = f"{step.rows} row{'s' * (step.rows != 1)} of {step.table}"
            yield f"{rows} must not be there ({', '.join(step.ways)})"


def _stuck(steps: Sequence[Step]) -> Iterator[str]:
    for step in steps:
        if step.stuck:
            yield (
                f"{step.stuck} row{'s' * (step.stuck != 1)} of {step.table} would stay, "
                f"{_RETAINED if step.action == 'retain' else _SHARED}"
            )


def _unfit(trace: Trace) -> Iterator[str]:
    """Try the masks of every table that has rows to mask against its keys, CHECKs and domains."""
    found = {}
    for act in trace.each_act:
        if act.masks and act.groups:
            found[act.table, tuple(sorted(act.masks))] = act
    for act in found.values():
        what = _masked(trace, trace.coverage.tables[act.table])
        try:
            refuse_once(trace.connection, what, masks_of(act.masks))
        except AegisError as error:
            yield str(error)


def _masked(trace: Trace, reached: Reached) -> Masked:
    known = trace.catalog.tables[reached.table]
    references = trace.catalog.references
    needed = dict.fromkeys(known.key, "is part of the primary key")
    for other in references:
        if other.parent == reached.table:
            needed |= dict.fromkeys(other.parent_columns, f"is referred to by {other.child}")
    return Masked(
        table=known.table,
        label=reached.table,
        needed=needed,
        uniques=known.uniques,
        referring=frozenset(n for other in references if other.child == reached.table for n in other.columns),
    )
