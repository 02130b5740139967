"""What hangs on the rows of a table: rows that would go along, that must go first, or that have to stay."""

from dataclasses import dataclass
from typing import Final

from aegis.catalog.natures import Nature
from aegis.catalog.survey import Survey

#: Foreign keys by which the database changes a child when its parent goes.
_CHANGES: Final = frozenset({"CASCADE", "SET NULL", "SET DEFAULT"})
#: Kinds whose rows nobody deletes along with others.
_KEPT: Final = frozenset(
    {Nature.ORDER, Nature.PAYMENT, Nature.MEDICAL, Nature.EMPLOYMENT, Nature.PERSON, Nature.CONSENT}
)


@dataclass(frozen=True, kw_only=True)
class Branches:
    """Tables below one whose rows are to go."""

    #: By a foreign key that changes them: a policy has to name them.
    along: tuple[str, ...] = ()
    #: By one that stops the deletion while they are there.
    first: tuple[str, ...] = ()
    #: Their rows would be deleted along, and are of a kind that has to stay.
    kept: tuple[str, ...] = ()


def branches_of(survey: Survey, label: str) -> Branches:
    """Return what hangs on the rows of a table."""
    along: set[str] = set()
    first: set[str] = set()
    kept: set[str] = set()
    waiting, seen = [label], {label}
    carts = survey.natures[label] is Nature.ORDER
    while waiting:
        for reference in survey.children(waiting.pop()):
            child = reference.child
            if reference.on_delete not in _CHANGES:
                first.add(child)
                continue
            along.add(child)
            goes = reference.on_delete == "CASCADE"
            own_lines = carts and survey.natures.get(child) is Nature.ORDER
            if goes and survey.natures.get(child) in _KEPT and not own_lines:
                kept.add(child)
            if goes and child not in seen:
                seen.add(child)
                waiting.append(child)
    return Branches(along=tuple(sorted(along)), first=tuple(sorted(first)), kept=tuple(sorted(kept)))
