"""`via`: from which columns a table's rows are followed to the rows that they belong to.

Four ways to write one:

    user_id                                    the foreign key that has this column
    {owner_id: users.id, when: "kind = 0"}     no foreign key; only rows with the condition
    {org_id: users.org_id, user_id: users.id}  several columns that refer together
    {"payload->>'user_id'": users.id}          a value inside of a JSON column
"""

import re
from collections.abc import Sequence
from typing import Final

import yaml

from aegis.datamap.bodies import Body
from aegis.datamap.formats import Entry, Problems, entries, kind_of, value_of
from aegis.datamap.model import Via
from aegis.datamap.spelling import check_spelling
from aegis.errors import InvalidCondition

_EXAMPLES: Final = (
    "write a column (user_id), {owner_id: users.id}, or {\"payload->>'user_id'\": users.id}; "
    "several of them stand in a list"
)
_JSON: Final = re.compile(
    r"""\s*(?P<column>[^\W\d]\w*)\s*(?P<keys>(?:->\s*'(?:[^']|'')+'\s*)*->>\s*'(?:[^']|'')+')\s*"""
)
_KEY: Final = re.compile(r"->>?\s*'((?:[^']|'')+)'")


def vias_of(body: Body) -> tuple[Via, ...]:
    """Return the ways of a table's entry."""
    if "via" not in body.parts or body.undecided("via"):
        return ()
    made = [_via(entry, f"{body.where}: via", body.problems) for entry in body.several("via")]
    return tuple(via for via in made if via is not None)


def check_condition(text: str | None, where: str, line: int, problems: Problems) -> None:
    """Note what can be told of a condition before its table is known."""
    if text is None:
        return
    try:
        check_spelling(text)
    except InvalidCondition as error:
        problems.add(line, f"{where}: {error}")


def written(columns: Sequence[str], path: Sequence[str] = ()) -> str:
    """Return columns, and the keys below one, as a data map writes them."""
    if not path:
        return columns[0] if len(columns) == 1 else f"({', '.join(columns)})"
    quoted = ["'" + key.replace("'", "''") + "'" for key in path]
    return "->".join([columns[0], *quoted[:-1]]) + f"->>{quoted[-1]}"


def _via(entry: Entry, where: str, problems: Problems) -> Via | None:
    if isinstance(entry.node, yaml.MappingNode):
        return _spelled_out(entry, where, problems)
    name = value_of(entry.node, problems, where)
    if not isinstance(name, str) or not name:
        problems.add(entry.line, f"{where}: expected a way, got {kind_of(entry.node)}; {_EXAMPLES}")
    elif "->" in name or "." in name:
        problems.add(entry.line, f"{where}: {name} needs the column that it refers to; {_EXAMPLES}")
    else:
        return Via(text=name, line=entry.line, columns=(name,))
    return None


def _spelled_out(entry: Entry, where: str, problems: Problems) -> Via | None:
    before = len(problems.found)
    parts = entries(entry.node, problems, where) or []
    when = _when([part for part in parts if part.key == "when"], where, problems)
    pairs = [(_source(p, where, problems), _target(p, where, problems)) for p in parts if p.key != "when"]
    paths = [path for (_, path), _ in pairs if path]
    parents = {table for _, (table, _) in pairs}
    if not pairs:
        problems.add(entry.line, f"{where}: it names no column; {_EXAMPLES}")
    elif len(parents) > 1 or (paths and len(pairs) > 1):
        sentence = (
            f"{where}: columns that stand together refer to one table together, and a JSON column alone; "
            "write several ways as a list"
        )
        problems.add(entry.line, sentence)
    if len(problems.found) > before:
        return None
    columns = tuple(column for (column, _), _ in pairs)
    return Via(
        text=written(columns, paths[0] if paths else ()),
        line=entry.line,
        columns=columns,
        parent=parents.pop(),
        parent_columns=tuple(column for _, (_, column) in pairs),
        path=paths[0] if paths else (),
        when=when,
    )


def _source(part: Entry, where: str, problems: Problems) -> tuple[str, tuple[str, ...]]:
    """Return a column and, where it is JSON, the keys below it."""
    if "->" not in part.key:
        return part.key, ()
    match = _JSON.fullmatch(part.key)
    if match is None:
        sentence = (
            f"{where}: {part.key} cannot be read; write column->>'key', or column->'outer'->>'key' for a "
            "deeper one"
        )
        problems.add(part.line, sentence)
        return part.key, ()
    keys = _KEY.findall(match["keys"])
    return match["column"], tuple(key.replace("''", "'") for key in keys)


def _target(part: Entry, where: str, problems: Problems) -> tuple[str, str]:
    """Return the table and the column that are referred to."""
    value = value_of(part.node, problems, where)
    table, dot, column = value.rpartition(".") if isinstance(value, str) else ("", "", "")
    if not dot or not table or not column:
        sentence = f"{where}: {part.key} must name the column that it refers to, such as users.id"
        problems.add(part.line, sentence)
    return table, column


def _when(parts: Sequence[Entry], where: str, problems: Problems) -> str | None:
    for part in parts:
        text = value_of(part.node, problems, f"{where}: when")
        if not isinstance(text, str):
            problems.add(part.line, f"{where}: when must be a condition, such as owner_kind = 0")
            return None
        check_condition(text, f"{where}: when", part.line, problems)
        return text
    return None
