"""What a table is by whose its rows are: what its name leaves open, its references to persons settle."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from aegis.catalog import roles
from aegis.catalog.facts import ColumnFacts, TableFacts
from aegis.catalog.lexicon import words_of
from aegis.catalog.names import concepts
from aegis.catalog.natures import NOBODYS, Nature
from aegis.catalog.telling import ADDRESS, PERSONAL, REACH, has_name, told, words_within

#: Things that are somebody's own where a person is referred to.
_UPLOADED: Final = words_of("document file image video audio media recording photo blob")
#: Containers that are kept for somebody where a person is referred to.
_KEPT: Final = words_of("cache dictionary clipboard storage")
#: Logs of what people did say so, or refer to a person.
_ABOUT_PEOPLE: Final = words_of("audit activity login access user attempt")
#: What people do is observed in rows of these; their dates are facts about somebody.
_OBSERVED: Final = words_of("login click view read visit open")
#: A log that measures how long something went on, or how far, is kept for what people did.
_MEASURED: Final = words_of("start end begin finish completion complete spent elapsed duration progress")
#: Somebody told of without a row of theirs.
_TRACED: Final = words_of("ip visitor session email user client device agent username cookie fingerprint")
#: What a clinical record refers to.
_RECORDS: Final = words_of(
    "patient encounter visit admission consultation episode case person hospitalization subject stay"
)
#: Copies of other rows.
_COPIES: Final = words_of("revision version history historical archive snapshot")
#: Parts of another row.
_PARTS: Final = words_of("line item detail result entry value row finding reading")
#: What a patient owes is no finding.
_MONEY: Final = words_of("invoice payment bill receipt claim transaction refund statement")
#: Natures of tables that are clinical records where a patient is whose they are.
_CLINICAL: Final = frozenset(
    {Nature.UNKNOWN, Nature.THING, Nature.ORDER, Nature.BEHAVIOUR, Nature.ACTIVITY, Nature.CONTENT}
    | {Nature.FORM, Nature.OWNED}
)
_ENOUGH: Final = 2


def by_references(
    table: TableFacts, natures: Mapping[str, Nature], persons: Collection[str], referred: Collection[str]
) -> tuple[Nature, str] | None:
    """Return what a table is, when what it refers to is known too, and why; None: as before.

    Args:
        table: the table.
        natures: label → what the tables are by their names and columns.
        persons: concepts that tables of persons are called by.
        referred: labels of the tables that others refer to.

    """
    nature = natures[table.label]
    owners = [c for c in table.columns if roles.is_owner(c, natures, persons)]
    if not owners:
        return _nobodys(table, nature)
    found = _somebodys(table, nature, owners, referred)
    return None if found is nature else (found, f"its column {owners[0].name} refers to a person")


def of_others(
    table: TableFacts, natures: Mapping[str, Nature], names: Mapping[tuple[str, ...], str]
) -> tuple[Nature, str] | None:
    """Return what a table is that holds copies or parts of another's rows, and why; None: as before.

    Args:
        table: the table.
        natures: label → what the tables are by their names, columns and references.
        names: concepts of a table's name → its label.

    """
    name = concepts(table.name)
    original = names.get(tuple(word for word in name if word not in _COPIES), table.label)
    if original != table.label and natures[original] in NOBODYS:
        return natures[original], f"it keeps what {original} held before"
    if natures[table.label] not in {Nature.UNKNOWN, Nature.THING} or not _PARTS & set(name):
        return None
    records = [label for label in sorted(table.parents) if natures.get(label) is Nature.MEDICAL]
    return (Nature.MEDICAL, f"it is part of {records[0]}") if records else None


def _nobodys(table: TableFacts, nature: Nature) -> tuple[Nature, str] | None:
    """Return what a table is that refers to nobody."""
    if nature is Nature.LOG and not _ABOUT_PEOPLE & set(concepts(table.name)):
        return Nature.THING, "it is a log that names nobody"
    if nature is Nature.BEHAVIOUR and not _TRACED & words_within(table):
        return Nature.THING, "nobody is named whose behaviour it would be"
    if nature is Nature.CONSENT and not any(
        concepts(c.name) in {("email",), ("phone",)} for c in table.columns
    ):
        return Nature.THING, "nobody is named who would have consented"
    if nature is Nature.MEDICAL and not _RECORDS & words_within(table):
        return Nature.THING, "it refers to no patient: its rows are values to choose from"
    if nature is Nature.IDENTITY:
        return Nature.THING, "nobody is named whom it would identify"
    return None


def _somebodys(
    table: TableFacts, nature: Nature, owners: Sequence[ColumnFacts], referred: Collection[str]
) -> Nature:
    """Return what a table is whose rows refer to persons."""
    name = concepts(table.name)
    if nature in _CLINICAL and not _MONEY & set(name) and any(map(_is_patient, owners)):
        return Nature.MEDICAL
    if nature is Nature.PERSON and any(c.refers_to not in {None, table.label} for c in owners):
        # Employees that hang on parties are persons to whatever refers to them.
        kept = table.label in referred or told(table, PERSONAL | REACH)
        return nature if kept else Nature.PROFILE
    if nature is Nature.THING:
        return _of_thing(table, name)
    if nature is Nature.LOG and len(_MEASURED & words_within(table)) >= _ENOUGH:
        return Nature.ACTIVITY
    return _owned(table) if nature is Nature.UNKNOWN else nature


def _of_thing(table: TableFacts, name: Sequence[str]) -> Nature:
    """Return what a table of things is where each is somebody's."""
    last = name[-1] if name else ""
    if last in _UPLOADED:
        return Nature.CONTENT
    if last in _KEPT:
        return Nature.OWNED
    if last == "event":
        return Nature.ACTIVITY if _OBSERVED & set(name) else _owned(table)
    return Nature.THING


def _is_patient(owner: ColumnFacts) -> bool:
    return "patient" in (*concepts(owner.name), *concepts(owner.refers_to or ""))


def _owned(table: TableFacts) -> Nature:
    """Return what a table is of which nothing is known but that it is somebody's."""
    reached = has_name(table) and told(table, REACH)
    return Nature.CONTACT if reached or len(told(table, ADDRESS)) > 1 else Nature.OWNED
