"""The JSON Schema (draft 2020-12) of a data map, for editors that complete and check it."""

from collections.abc import Mapping
from typing import Any, Final

from aegis.datamap import cataloged
from aegis.datamap.groups import GROUP
from aegis.datamap.keeping import TABLE
from aegis.datamap.model import PRESERVE, ROWS, SHARED, STATUSES, TODO
from aegis.datamap.reading import SUBJECT
from aegis.masking.strategies import PLAIN, WITH_ARGUMENT

_TEXT: Final = {"type": "string", "minLength": 1}
_NAMES: Final = {"oneOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1}]}
_VALUE: Final = {"oneOf": [_TEXT, {"type": "integer"}]}
_VALUES: Final = {"oneOf": [_TEXT, {"type": "integer"}, {"type": "array", "items": _VALUE, "minItems": 1}]}
_WAY: Final = {"oneOf": [_TEXT, {"type": "object", "additionalProperties": _TEXT, "minProperties": 1}]}
#: What an editor shows beside a key.
SAYS: Final[Mapping[str, str]] = {
    "table": "The table whose rows stand for one person each: `table` or `schema.table`.",
    "key": "The column, or columns, that tell one from another: its primary key or a unique key.",
    "tenant": "The column that says whose customer it is; of a table, unless it is called as the subject's.",
    "created": "The column that tells a key that was used again from the old one.",
    "ghost": "The key of the row that stands for nobody, to which `reassign` moves rows.",
    "identifiers": "kind: column, such as email: email; what a person is looked for by afterwards.",
    "groups": "name: {period, from, when}: people who are asked for together, by what their rows say.",
    "same_as": "datasource.table.column: the same person in another data source.",
    "row": "What happens to the rows that are reached.",
    "columns": "column: strategy for rows that stay; preserve leaves a column as it is, on purpose.",
    "via": "The way to the rows that these belong to: a column, {column: table.column}, or a list of ways.",
    "reason": "Why rows are retained; stands in the receipt.",
    "keep_at_least": "period, from and basis: rows stay for so long, whatever a policy or an erasure says.",
    "until": "The day on which the reason for retaining rows ends.",
    "shared": "What happens to a row of two people while one of them stays.",
    "hold": "A condition; a row that fulfils it stays.",
    "status": "proposed: nobody has decided; accepted, as without a status: in force; rejected: no decision.",
    "confidence": "How sure the catalog was of its proposal, from 0 to 1.",
    "evidence": "Why the catalog proposed it.",
    "kind": "What a row stands for: person, session, order, …",
    "type": "The column's type when it was looked at.",
    "category": "What the column holds: a key of fideslang, none, or unknown.",
    "when": "A condition; only rows that fulfil it are reached. Not beside a foreign key.",
}


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a data map."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Data map of Aegis",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "subjects": {"type": "object", "additionalProperties": _object(SUBJECT)},
            "tables": {"type": "object", "additionalProperties": _object(TABLE)},
            "catalog": {"type": "object", "additionalProperties": _cataloged()},
        },
        "$defs": {"strategy": _strategy()},
    }


def _object(keys: tuple[str, ...]) -> dict[str, Any]:
    properties = {key: {"description": SAYS[key]} | _shape(key) for key in keys}
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _cataloged() -> dict[str, Any]:
    table = _object(cataloged.TABLE)
    columns = {"type": "object", "additionalProperties": _object(cataloged.COLUMN)}
    return table | {"properties": table["properties"] | {"columns": columns}}


def _shape(key: str) -> dict[str, Any]:
    shapes: dict[str, dict[str, Any]] = {
        "key": _NAMES,
        "ghost": _VALUES,
        "identifiers": {"oneOf": [{"const": TODO}, {"type": "object", "additionalProperties": _TEXT}]},
        "groups": {"oneOf": [{"const": TODO}, {"type": "object", "additionalProperties": _group()}]},
        "status": {"enum": list(STATUSES)},
        "confidence": {"type": "number", "minimum": 0, "maximum": 1},
        "evidence": _NAMES,
        "row": {"enum": [*ROWS, TODO]},
        "shared": {"enum": [*SHARED, TODO]},
        "columns": {"type": "object", "additionalProperties": {"$ref": "#/$defs/strategy"}},
        "via": {"oneOf": [*_WAY["oneOf"], {"type": "array", "items": _WAY, "minItems": 1}]},
        "until": {"type": "string", "format": "date"},
        "keep_at_least": {
            "type": "object",
            "required": ["period", "from"],
            "additionalProperties": False,
            "properties": {"period": _TEXT, "from": _TEXT, "basis": _TEXT},
        },
    }
    return shapes.get(key, _TEXT)


def _group() -> dict[str, Any]:
    return {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": False,
        "dependentRequired": {"period": ["from"], "from": ["period"]},
        "properties": dict.fromkeys(GROUP, _TEXT),
    }


def _strategy() -> dict[str, Any]:
    # A strategy that needs an argument stands with it; one that has a default stands with or without.
    with_argument = {
        "type": "object",
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
        "properties": {name: {} for name in sorted(WITH_ARGUMENT)},
    }
    return {"oneOf": [{"enum": [*sorted({*PLAIN, PRESERVE}), TODO, None]}, with_argument]}
