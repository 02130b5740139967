"""What the live schema has that nobody has accepted: new tables and columns since the review."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from aegis.datamap.model import Cataloged, DataMap, Holding

Kind = Literal["table", "column", "type", "open", "gone"]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One thing of the live schema that the accepted catalog does not say, or says otherwise."""

    #: table, column: new since; type: the column's type is another one; open: nobody has decided what it
    #: holds; gone: it is not there any more.
    kind: Kind
    table: str
    #: Empty: the whole table, with so many columns.
    column: str = ""
    #: Columns that nobody has decided on because of it.
    columns: int = 0
    #: The type now, and the one that was accepted.
    type: str | None = None
    was: str | None = None


#: label → column → type as SQL spells it
Types = Mapping[str, Mapping[str, str]]
_EMPTY: Final[Mapping[str, Cataloged]] = {}


def differences(datamap: DataMap | None, live: Types) -> list[Difference]:
    """Compare the live schema with what a person accepted, by table.

    Args:
        datamap: the reviewed data map; None, or one without a section `catalog`: nothing was ever accepted.
        live: what is there.

    """
    known = datamap.catalog if datamap else _EMPTY
    found: list[Difference] = []
    for label, columns in sorted(live.items()):
        said = known.get(label)
        if said is None:
            found.append(Difference(kind="table", table=label, columns=len(columns)))
            continue
        for name, kind in columns.items():
            difference = _of_column(label, name, kind, said.columns.get(name), said)
            found += [difference] if difference else []
    return [*found, *_gone(known, live)]


def undecided(found: list[Difference]) -> int:
    """Return how many columns of the live schema nobody has decided on."""
    return sum(difference.columns for difference in found)


def _of_column(
    label: str, name: str, kind: str, holding: Holding | None, said: Cataloged
) -> Difference | None:
    if holding is None:
        return Difference(kind="column", table=label, column=name, columns=1, type=kind)
    if not holding.decided and said.status != "rejected":
        return Difference(kind="open", table=label, column=name, columns=1, type=kind)
    if holding.type is not None and holding.type != kind:
        return Difference(kind="type", table=label, column=name, columns=1, type=kind, was=holding.type)
    return None


def _gone(known: Mapping[str, Cataloged], live: Types) -> list[Difference]:
    found = []
    for label, said in known.items():
        if label not in live:
            found.append(Difference(kind="gone", table=label))
            continue
        missing = [name for name in said.columns if name not in live[label]]
        found += [Difference(kind="gone", table=label, column=name) for name in missing]
    return found
