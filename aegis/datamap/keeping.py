"""What retention obeys in a data map: `keep_at_least` and `hold`.

The other keys may say what they like here; a key that no data map has is refused, because a misspelt
one would protect nothing.
"""

from pathlib import Path
from typing import Final

import yaml

from aegis.datamap.bodies import Body
from aegis.datamap.formats import Problems, read_yaml
from aegis.datamap.model import TODO, Keeping, Minimum
from aegis.datamap.periods import parse_period
from aegis.errors import InvalidDataMap, InvalidFile, InvalidPolicy

TOP: Final = ("subjects", "tables")
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
)
_KEEP: Final = ("period", "from", "basis")
#: Rows would go that somebody wanted to keep.
_OPEN: Final = f" is {TODO}, and retention obeys it: write it, or take the key out"


def keeping(path: Path | None, table: str) -> Keeping:
    """Return what the data map says of a table; nothing where there is no map.

    An entry without a schema speaks of the table in every schema, and the other way round.

    Raises:
        InvalidDataMap: the file cannot be read, or says what cannot be meant.

    """
    if path is None:
        return Keeping()
    found = [entry for name, entry in _read(path).items() if _same_table(name, table)]
    minimums = tuple(minimum for entry in found for minimum in entry.minimums)
    return Keeping(minimums=minimums, holds=tuple(hold for entry in found for hold in entry.holds))


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


def _read(path: Path) -> dict[str, Keeping]:
    text, problems = read_text(path), Problems(file=str(path))
    if not _says_anything(text):
        return {}
    try:
        root = Body(read_yaml(text, problems), "the data map", TOP, problems)
        found = {entry.key: _table(entry.key, entry.node, problems) for entry in root.pairs("tables")}
        problems.refuse()
    except InvalidFile:
        said = "; ".join(f"line {line}: {sentence}" for line, sentence in sorted(problems.found))
        message = f"data map {path}, {said}"
        raise InvalidDataMap(message) from None
    return found


def _table(name: str, node: yaml.Node, problems: Problems) -> Keeping:
    body = Body(node, f"table {name}", TABLE, problems)
    minimum, hold = minimum_of(body), body.text("hold")
    if "hold" in body.todo:
        body.complain("hold", _OPEN)
    return Keeping(minimums=(minimum,) if minimum else (), holds=(hold,) if hold else ())


def _says_anything(text: str) -> bool:
    return any(line.strip() and not line.lstrip().startswith("#") for line in text.splitlines())


def _same_table(one: str, other: str) -> bool:
    (schema, _, name), (other_schema, _, other_name) = one.rpartition("."), other.rpartition(".")
    return name == other_name and (not schema or not other_schema or schema == other_schema)
