"""What retention obeys in a data map: `keep_at_least` and `hold`.

The other keys may say what they like here; a key that no data map has is refused, because a misspelt
one would protect nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from aegis.datamap.bodies import Body
from aegis.datamap.formats import Entry, Problems, read_yaml
from aegis.datamap.model import STATUSES, TODO, Keeping, Minimum, Status
from aegis.datamap.periods import parse_period
from aegis.errors import InvalidDataMap, InvalidFile, InvalidPolicy

#: What a proposal says of itself.
REVIEW: Final = ("status", "confidence", "evidence")
TOP: Final = ("subjects", "tables", "catalog")
TABLE: Final = (
    "row",
    "columns",
    "via",
    "tenant",
    "reason",
    "keep_at_least",
    "until",
    "shared",
    "when",
    "hold",
    *REVIEW,
)
#: Texts that are remembered: a run asks for its map many times.
_REMEMBERED: Final = 16
_KEEP: Final = ("period", "from", "basis")
#: Rows would go that somebody wanted to keep, or that nobody has decided about.
_OPEN: Final = f" is {TODO}, and retention obeys it: write it, or take the key out"
_PROPOSED: Final = " is proposed, and nobody has decided: say status: accepted, or rejected"


def keeping(path: Path | None, table: str) -> Keeping:
    """Return what the data map says of a table; nothing where there is no map.

    An entry without a schema speaks of the table in every schema, and the other way round.

    Raises:
        InvalidDataMap: the file cannot be read, or says what cannot be meant.

    """
    if path is None:
        return Keeping()
    found = [said for name, said in _read(path).items() if _same_table(name, table)]
    for said in found:
        if said.status == "proposed" and said.keeps:
            message = f"data map {path}, line {said.line}: what table {table} is kept for{_PROPOSED}"
            raise InvalidDataMap(message)
    kept = [said.keeping for said in found if said.status != "rejected"]
    return Keeping(
        minimums=tuple(minimum for entry in kept for minimum in entry.minimums),
        holds=tuple(hold for entry in kept for hold in entry.holds),
    )


def read_text(path: Path) -> str:
    """Return the text of a data map.

    Raises:
        InvalidDataMap: it cannot be read.

    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        message = f"data map {path} cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        message = f"data map {path} is no text in UTF-8"
    raise InvalidDataMap(message)


def minimum_of(body: Body) -> Minimum | None:
    """Return the minimum period of a table's entry."""
    if "keep_at_least" not in body.parts:
        return None
    part = Body(body.parts["keep_at_least"].node, f"{body.where}: keep_at_least", _KEEP, body.problems)
    period, column = part.text("period"), part.text("from")
    for name in ("period", "from"):
        if name not in part.parts:
            body.complain("keep_at_least", f" needs {name}, such as {{period: P8Y, from: issued_at}}")
    for name in part.todo:
        part.complain(name, _OPEN)
    if period is None or column is None:
        return None
    try:
        parse_period(period)
    except InvalidPolicy as error:
        part.complain("period", f": {error}")
        return None
    return Minimum(period=period, column=column, basis=part.text("basis"))


def status_of(body: Body) -> Status:
    """Return whether a person has accepted an entry; one that has no status was written by a person."""
    if "status" in body.parts and body.undecided("status"):
        body.complain("status", f" is {TODO}; say {', '.join(STATUSES)}")
    return body.choice("status", STATUSES) or "accepted"


@dataclass(frozen=True, kw_only=True)
class _Said:
    """What an entry says about keeping, and whether somebody has decided so."""

    keeping: Keeping
    status: Status
    line: int

    @property
    def keeps(self) -> bool:
        return bool(self.keeping.minimums or self.keeping.holds)


def _read(path: Path) -> Mapping[str, _Said]:
    return _parsed(read_text(path), str(path))


@lru_cache(maxsize=_REMEMBERED)
def _parsed(text: str, path: str) -> Mapping[str, _Said]:
    problems = Problems(file=path)
    if not _says_anything(text):
        return {}
    try:
        root = Body(read_yaml(text, problems), "the data map", TOP, problems)
        found = {entry.key: _table(entry, problems) for entry in root.pairs("tables")}
        problems.refuse()
    except InvalidFile:
        said = "; ".join(f"line {line}: {sentence}" for line, sentence in sorted(problems.found))
        message = f"data map {path}, {said}"
        raise InvalidDataMap(message) from None
    return found


def _table(entry: Entry, problems: Problems) -> _Said:
    body = Body(entry.node, f"table {entry.key}", TABLE, problems)
    minimum, hold = minimum_of(body), body.text("hold")
    if "hold" in body.todo:
        body.complain("hold", _OPEN)
    keeping = Keeping(minimums=(minimum,) if minimum else (), holds=(hold,) if hold else ())
    return _Said(keeping=keeping, status=status_of(body), line=entry.line)


def _says_anything(text: str) -> bool:
    return any(line.strip() and not line.lstrip().startswith("#") for line in text.splitlines())


def _same_table(one: str, other: str) -> bool:
    (schema, _, name), (other_schema, _, other_name) = one.rpartition("."), other.rpartition(".")
    return name == other_name and (not schema or not other_schema or schema == other_schema)
