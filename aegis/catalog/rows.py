"""What would happen to the rows that refer to a person's, by what kind of table they are in, and why."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from aegis.catalog import periods
from aegis.catalog.clocks import LADDERS, ages, best
from aegis.catalog.lexicon import words_of
from aegis.catalog.names import concepts
from aegis.catalog.natures import NOBODYS, Nature
from aegis.catalog.survey import Survey
from aegis.catalog.vocabulary import modifiers
from aegis.datamap.edges import Edge
from aegis.datamap.model import TODO

_HANDLED: Final = words_of(modifiers.HANDLED)
#: Named like orders, and no business records.
_CARTS: Final = frozenset({"cart", "basket", "wishlist"})
_RECORDS: Final = frozenset({Nature.ORDER, Nature.PAYMENT})


@dataclass(frozen=True, kw_only=True)
class Row:
    """What is proposed for rows, or TODO."""

    word: str
    sure: float
    why: str
    #: Further keys of the entry.
    more: Mapping[str, Any] = field(default_factory=dict)


#: Kinds of rows that are nothing without the person.
_GOES: Final[Mapping[Nature, str]] = {
    Nature.SESSION: "ways in end with the person",
    Nature.DEVICE: "a device is the person's",
    Nature.PROFILE: "it is about the person alone",
    Nature.CONTACT: "an address of the person",
    Nature.SETTINGS: "settings of the person",
    Nature.SEARCH: "what the person looked for",
    Nature.BEHAVIOUR: "what the person did, of use to nobody else",
    Nature.ACTIVITY: "what the person did, of use to nobody else",
    Nature.MAIL: "mail to the person",
    Nature.CALLOG: "calls of the person",
    Nature.WALLET: "it is the person's",
    Nature.VEHICLE: "it is the person's",
    Nature.FORM: "answers of the person",
}


#: Kinds of rows that others read or need whole → how sure, and why.
_STAYS: Final[Mapping[Nature, tuple[float, str]]] = {
    Nature.LOG: (0.7, "a log stays complete, and says no more who it was"),
    Nature.CONTENT: (0.6, "what somebody wrote stays for the others, without its author"),
}
_ASKED: Final = frozenset({"medical", "employment", "consent"})


def row_of_person(survey: Survey, label: str) -> Row:
    """Return what is proposed for the row that stands for a person."""
    if survey.has_health(label):
        return Row(word=TODO, sure=0.0, why=f"{periods.ASKED['medical']}; {periods.CAVEAT}")
    return Row(word="anonymize", sure=0.9, why="the person's own row: it stays, without them")


def row_for(survey: Survey, edge: Edge, *, kept: bool = False) -> Row:
    """Return what is proposed for the rows that refer by an edge.

    Args:
        survey: the data source.
        edge: the reference.
        kept: whether the rows that it refers to are retained.

    """
    if edge.child not in survey.facts:
        return Row(word=TODO, sure=0.0, why="the table could not be looked at")
    if edge.is_self or _handled(edge):
        return _released(survey, edge)
    return _asked(survey, edge) or _of_records(survey, edge, kept=kept) or _by_kind(survey, edge)


def _asked(survey: Survey, edge: Edge) -> Row | None:
    nature = survey.natures[edge.child]
    kind = "medical" if survey.has_health(edge.child) else nature.value
    if kind not in _ASKED:
        return None
    return Row(word=TODO, sure=0.0, why=f"{periods.ASKED[kind]}; {periods.CAVEAT}")


def _of_records(survey: Survey, edge: Edge, *, kept: bool) -> Row | None:
    """Return what is proposed for orders and payments, and for what belongs to such rows."""
    nature, cart = survey.natures[edge.child], _is_cart(survey, edge.parent)
    record = nature in _RECORDS
    if record and _is_cart(survey, edge.child):
        return Row(word="delete", sure=0.7, why="it is the person's list, and no business record")
    if record and cart and _nullable(survey, edge):
        return Row(
            word="nullify", sure=0.7, why="the order stays, and lets go of the basket that it came from"
        )
    below = survey.natures.get(edge.parent) in _RECORDS and not cart
    return _kept(survey, edge) if kept or record or below else None


def _by_kind(survey: Survey, edge: Edge) -> Row:
    nature = survey.natures[edge.child]
    if nature in _STAYS:
        sure, why = _STAYS[nature]
        return Row(word="anonymize", sure=sure, why=why)
    if nature in _GOES:
        return Row(word="delete", sure=0.9, why=_GOES[nature])
    if edge.on_delete == "CASCADE":
        return Row(word="delete", sure=0.8, why="the schema deletes it along (ON DELETE CASCADE)")
    if edge.on_delete == "SET NULL" or (nature in NOBODYS and _nullable(survey, edge)):
        return _released(survey, edge)
    if nature is Nature.PERSON:
        return Row(word=TODO, sure=0.0, why="a row of another person")
    personal = survey.personal(edge.child)
    why = (
        "it refers to the person and holds something of them"
        if personal
        else "it is there by the person alone"
    )
    return Row(word="delete", sure=0.5, why=why)


def _handled(edge: Edge) -> bool:
    return any(_HANDLED & set(concepts(column)) for column in edge.columns)


def _nullable(survey: Survey, edge: Edge) -> bool:
    columns = survey.table(edge.child).table.c
    return any(columns[name].nullable for name in edge.columns)


def _released(survey: Survey, edge: Edge) -> Row:
    why = "the row is somebody else's, and the person only had to do with it"
    if _nullable(survey, edge):
        return Row(word="nullify", sure=0.8, why=why)
    cure = "name a ghost and write reassign, or decide otherwise"
    return Row(word=TODO, sure=0.0, why=f"{why}; {', '.join(edge.columns)} is NOT NULL: {cure}")


def _kept(survey: Survey, edge: Edge) -> Row:
    floor = periods.RECORDS
    table = survey.table(edge.child)
    age = best(ages(table, survey.dialect, survey.units), LADDERS["order"], table)
    why = f"{floor.reason} wants such rows for a time: a floor, no ceiling ({periods.CAVEAT})"
    more: dict[str, Any] = {"reason": floor.reason}
    if age is None or age.unit:
        more["until"] = TODO
        return Row(word="retain", sure=0.6, why=f"{why}; no clock tells its age: say until when", more=more)
    more["keep_at_least"] = {"period": floor.period, "from": age.column, "basis": floor.basis}
    return Row(word="retain", sure=0.8, why=why, more=more)


def _is_cart(survey: Survey, label: str) -> bool:
    return bool(set(concepts(survey.facts[label].name)) & _CARTS)
