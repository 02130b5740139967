"""Looking again, at any time: whether anything of one person is there."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from aegis.erasure import ownrows, persons
from aegis.erasure.changes import Changes, Means
from aegis.erasure.people import Key
from aegis.erasure.residual.hits import Hit
from aegis.erasure.tracing import Trace, looking
from aegis.erasure.verifying import Ground, Named, Searched, search
from aegis.masking.keys import lasting_key
from aegis.operations.system import System


@dataclass(frozen=True, kw_only=True)
class Rechecked:
    """What is there of one person."""

    datasource: str
    subject: str
    #: `action:table` → rows that the map would change.
    rows: Mapping[str, int]
    #: Where identifiers were found; never a value.
    hits: tuple[Hit, ...]
    #: The identifiers that were searched for; none: only what the map reaches was looked at.
    identifiers: tuple[str, ...]
    not_searched: tuple[str, ...]

    @property
    def clean(self) -> bool:
        """Whether nothing is there that an erasure would not leave."""
        return not self.rows and not Searched.of(self.hits).blocking


def recheck(
    system: System, key: Key, *, subject: str, datasource: str, identifiers: Mapping[str, str] | None
) -> Rechecked:
    """Look for everything of one person, and change nothing.

    Args:
        system: this process's Aegis.
        key: one value for each column of the subject's key; nobody need have it any more.
        subject: the kind of person, as the data map names it.
        datasource: the source's own name.
        identifiers: name → value, to be searched for everywhere; none: those of the person's row, if there.

    Raises:
        AegisError: as `traced`; something cannot be read.

    """
    with looking(system, [key], subject=subject, datasource=datasource, tenant=None, verify=True) as trace:
        rows = _left(system, trace)
        ground = Ground(trace)
        known = dict(identifiers or {}) or ownrows.identifiers_of(system, trace)
    found = search(
        system, datasource, [Named(identifiers=known)], ground, so_far=Searched(), deadline=math.inf
    )
    return Rechecked(
        datasource=datasource,
        subject=subject,
        rows=rows,
        hits=tuple(found.hits),
        identifiers=tuple(sorted(known)),
        not_searched=found.not_searched,
    )


def _left(system: System, trace: Trace) -> dict[str, int]:
    means = Means(key=persons.new_mask(), lasting=lasting_key(system.worker_key))
    changes, left = Changes(trace.connection, trace, means), dict[str, int]()
    for act in trace.each_act:
        if rows := changes.left(act):
            name = f"{act.counted}:{act.table}"
            left[name] = left.get(name, 0) + rows
    return left
