"""How the columns of `audit_logs` repeat an entry, and how to compare thousands of rows at once.

The bytes of an entry are canonical, so all of it but its details follows from the columns. The
database puts the texts of the columns together; here it is only seen whether the entry begins and
ends so. Who finds that it does not looks at the rows one by one.
"""

import datetime as dt
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from aegis.audit.events import FORMAT
from aegis.db.columns import Moment, table_of
from aegis.db.tables import AuditLog

#: Column → field of the entry.
PROJECTED: Final[Mapping[str, str]] = {
    "id": "id",
    "time": "time",
    "action": "action",
    "outcome": "outcome",
    "actor_ref": "actor",
    "target_type": "target_type",
    "target_ref": "target",
    "tenant": "tenant",
    "correlation_id": "correlation",
}
#: Columns that repeat nothing, and why that hides nothing.
UNPROJECTED: Final[Mapping[str, str]] = {
    "entry": "it is what is hashed",
    "sealed": "the entry commits to its hash",
}
#: Length of an instant.
_INSTANT: Final = len("2026-01-01T00:00:00.000000Z")

#: Turns what was read of one part into text: the values, and the entries.
_Spell = Callable[[Sequence[Any], Sequence[str]], Iterable[str]]


class Projection:
    """The parts of an entry around its details, as the columns have them."""

    def __init__(self) -> None:
        self.expressions: list[sa.ColumnElement[Any]] = []
        self._spells: list[_Spell] = []
        self._text: list[sa.ColumnElement[str]] = []
        #: The first of them behind the details.
        self._behind = 0
        self._build()

    def fits(self, entries: Sequence[bytes], parts: Sequence[Sequence[Any]]) -> bool:
        """Say whether every entry is what its columns say.

        Args:
            entries: the entries.
            parts: for each of `expressions`, its values.

        """
        try:
            texts = [entry.decode() for entry in entries]
        except UnicodeDecodeError:
            return False
        spelled = [spell(values, texts) for spell, values in zip(self._spells, parts, strict=True)]
        heads = map("".join, zip(*spelled[: self._behind], strict=True))
        tails = map("".join, zip(*spelled[self._behind :], strict=True))
        return all(map(str.startswith, texts, heads)) and all(map(str.endswith, texts, tails))

    def _build(self) -> None:
        columns = {PROJECTED[name]: column for name, column in _projected().items()}
        opening = "{"
        for field in sorted([*columns, "details", "sealed", "v"]):
            self._literal(f'{opening}"{field}":')
            opening = ","
            if field == "details":
                self._end()
                self._behind = len(self._spells)
            elif field == "sealed":
                self._hole(table_of(AuditLog).c.sealed, _sealed)
            elif field == "v":
                self._literal(str(FORMAT))
            else:
                self._column(field, columns[field])
        self._literal("}")
        self._end()

    def _column(self, field: str, column: sa.Column[Any]) -> None:
        if isinstance(column.type, Moment):
            self._literal('"')
            self._hole(column, _instants(field))
            self._literal('"')
        else:
            quoted = sa.literal('"') + column + '"'
            self._text.append(sa.func.coalesce(quoted, "null") if column.nullable else quoted)

    def _literal(self, text: str) -> None:
        self._text.append(sa.literal(text))

    def _hole(self, column: sa.Column[Any], spell: _Spell) -> None:
        """Leave to us what the database cannot spell."""
        self._end()
        self.expressions.append(column)
        self._spells.append(spell)

    def _end(self) -> None:
        """End a part that the database spells."""
        text, *more = self._text
        for part in more:
            text += part
        self._text = []
        self.expressions.append(text)
        self._spells.append(lambda values, _: values)


def differing(row: sa.RowMapping, fields: Mapping[str, Any]) -> Iterable[tuple[str, Any, Any]]:
    """Yield column, expected and got for each column of a row that does not repeat its entry."""
    for name, column in _projected().items():
        expected, got = fields.get(PROJECTED[name]), row[name]
        if isinstance(column.type, Moment):
            expected = _instant(expected)
        if expected != got:
            yield name, expected, got


def _projected() -> Mapping[str, sa.Column[Any]]:
    """Return the columns that repeat something; one that nothing is known of is an error."""
    columns = table_of(AuditLog).columns
    return {column.name: column for column in columns if column.name not in UNPROJECTED}


def _instant(text: Any) -> Any:
    try:
        return dt.datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return text


def _instants(field: str) -> _Spell:
    """Return how to spell instants: as the entries do, where they are the same."""
    before = f'"{field}":"'

    def spell(values: Sequence[dt.datetime], texts: Sequence[str]) -> Iterable[str]:
        found = [text.rpartition(before)[2][:_INSTANT] for text in texts]
        try:
            same = list(map(dt.datetime.fromisoformat, found)) == list(values)
        except ValueError:
            same = False
        return found if same else [""] * len(found)

    return spell


def _sealed(values: Sequence[bytes | None], texts: Sequence[str]) -> Iterable[str]:
    sha256 = hashlib.sha256
    return [
        "null"
        if value is None
        # Which key opens it stands in the entry only.
        else f'{{"key":"{_key(text)}","sha256":"{sha256(value).hexdigest()}"}}'
        for value, text in zip(values, texts, strict=True)
    ]


def _key(text: str) -> str:
    return text.rpartition('"sealed":{"key":"')[2].partition('"')[0]
