"""The keys of a policy file, and its JSON Schema (draft 2020-12) for editors.

A key is spelled as the command line spells its option. Both are made from `Definition`: a field
that is new there is a key here.
"""

import dataclasses
import datetime as dt
import difflib
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Final

from aegis.datamap.model import STATUSES
from aegis.retention.definition import ACTIONS, NAME, Definition

#: Fields that the command line calls otherwise; every other key is the field's own name.
_SPELLING: Final = {
    "retention_days": "days",
    "zone": "timestamp_zone",
    "filter_sql": "filter",
    "cron_zone": "zone",
}
#: Who answers for the policy: kept beside the definition, as a keyed reference.
OWNER: Final = "owner"
STATUS: Final = "status"
#: What an editor shows beside a key.
_SAYS: Final[Mapping[str, str]] = {
    "table": "`table` or `schema.table` in the data source.",
    "days": "Rows older than so many days, of 24 hours each, go.",
    "period": "ISO 8601, for example P6M or P2Y, in place of days.",
    "action": "What happens to the rows.",
    "timestamp_column": "The column that tells a row's age.",
    "timestamp_unit": "s, ms or us, for a column of whole numbers since 1970.",
    "timestamp_zone": "The zone in which times without one are read.",
    "masks": "column: strategy, for the action anonymize.",
    "marker_column": "Set in the UPDATE that masks a row, where the masks alone do not show it.",
    "delete_after_days": "An anonymized row is deleted when it is so many days older.",
    "tenant_column": "The column that tells tenants apart.",
    "tenant_session": "The setting that row policies read (app.tenant): a run sees what its tenant sees.",
    "tenant_days": "tenant: days, where a tenant's rows are kept for another time.",
    "guards": "What stops a run before its first row.",
    "archive": "Rows are written to files first, or a backup must be young enough; {}: kept 14 days.",
    "cascades": "Tables whose rows may go with their parents'.",
    "after": "Policies that have to be through with their tables before this one.",
    "filter": "Only rows with this condition; no function calls.",
    "datasource": "The database, as aegis.toml names it.",
    "cron": "When it runs: five fields, read in `zone`.",
    "zone": "The time zone of cron and windows.",
    "windows": "Quiet hours such as 22:00-06:00, in `zone`; none: at any time.",
    "budget": "Most rows and seconds of one run.",
    "parallel": "Key ranges that workers may work on at the same time.",
    "purpose": "What the data is for; part of what is approved.",
    "legal_basis": "Why it may be kept so long; part of what is approved.",
    "categories": "Kinds of personal data, for the record of processing.",
    "review_by": "The day by which somebody should look at the policy again.",
    STATUS: "proposed: nobody has decided; accepted: as without a status; rejected: decides nothing.",
    "confidence": "How sure the catalog was of its proposal, from 0 to 1.",
    "evidence": "Why the catalog proposed it, and where its number comes from.",
    OWNER: "Who answers for the policy.",
}
_TYPES: Final[Mapping[Any, str]] = {str: "string", int: "integer", Any: "any", dt.date: "date"}
#: What a policy has to say itself, beside its days or its period.
REQUIRED: Final = ("table", "action")
LENGTHS: Final = ("days", "period")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Word:
    """One key of a policy in a file."""

    key: str
    #: The field of the definition; none for the owner.
    field: str | None
    #: string, integer, date, mapping or list.
    kind: str
    #: Of a mapping's values or a list's items: string, integer or any.
    inner: str = ""
    default: Any = None


def _word(field: dataclasses.Field[Any], hint: Any) -> Word:
    plain = _without_none(hint)
    key, origin = _SPELLING.get(field.name, field.name), typing.get_origin(plain)
    default = None if field.default is dataclasses.MISSING else field.default
    if origin is Mapping:
        return Word(key=key, field=field.name, kind="mapping", inner=_TYPES[typing.get_args(plain)[1]])
    if origin is Sequence:
        return Word(key=key, field=field.name, kind="list", inner=_TYPES[typing.get_args(plain)[0]])
    return Word(key=key, field=field.name, kind=_TYPES[plain], default=default)


def _without_none(hint: Any) -> Any:
    if typing.get_origin(hint) in {types.UnionType, typing.Union}:
        (hint,) = [option for option in typing.get_args(hint) if option is not types.NoneType]
    return hint


def _words() -> dict[str, Word]:
    hints = typing.get_type_hints(Definition)
    made = [_word(field, hints[field.name]) for field in dataclasses.fields(Definition)]
    made.append(Word(key=OWNER, field=None, kind="string"))
    return {word.key: word for word in made if word.key != "name"}


#: Every key that a policy may have in a file, in the order in which it is written.
WORDS: Final[Mapping[str, Word]] = _words()
#: What a proposal says of itself: no part of the policy.
REVIEW: Final[Mapping[str, Word]] = {
    STATUS: Word(key=STATUS, field=None, kind="string"),
    "confidence": Word(key="confidence", field=None, kind="number"),
    "evidence": Word(key="evidence", field=None, kind="list", inner="string"),
}
#: field of the definition → key
KEY_OF: Final[Mapping[str, str]] = {word.field: key for key, word in WORDS.items() if word.field}


def nearest(unknown: str) -> str | None:
    """Return the key that somebody who wrote this may have meant."""
    if unknown in _SPELLING:
        return _SPELLING[unknown]
    close = difflib.get_close_matches(unknown, [*WORDS, *REVIEW, *_SPELLING], 1, 0.6)
    return _SPELLING.get(close[0], close[0]) if close else None


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a policy file."""
    name = {"type": "string", "pattern": f"^{NAME.pattern}$", "description": "The policy's name."}
    known = {**WORDS, **REVIEW}
    definitions = {key: _schema_of(word) for key, word in known.items()}
    words = {key: {"$ref": f"#/$defs/{key}"} for key in known}
    named = {"name": {"$ref": "#/$defs/name"}} | words
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Retention policies of Aegis",
        "type": "object",
        "required": ["policies"],
        "additionalProperties": False,
        "properties": {
            "policies": {
                "description": "The policies by name, or a list of policies that have a name each.",
                "oneOf": [
                    {
                        "type": "object",
                        "propertyNames": {"$ref": "#/$defs/name"},
                        "additionalProperties": {"$ref": "#/$defs/policy"},
                    },
                    {"type": "array", "items": {"$ref": "#/$defs/named_policy"}},
                ],
            }
        },
        "$defs": {
            "policy": _policy(words, REQUIRED),
            "named_policy": _policy(named, ("name", *REQUIRED)),
            "name": name,
            **definitions,
        },
    }


def _policy(properties: Mapping[str, Any], required: Sequence[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": list(required),
        "oneOf": [{"required": [length]} for length in LENGTHS],
        "additionalProperties": False,
        "properties": dict(properties),
    }


def _schema_of(word: Word) -> dict[str, Any]:
    made: dict[str, Any] = {"description": _SAYS[word.key]} if word.key in _SAYS else {}
    if word.key == "action":
        return made | {"enum": sorted(ACTIONS)}
    if word.key == STATUS:
        return made | {"enum": list(STATUSES)}
    if word.default is not None and word.key not in LENGTHS:
        made["default"] = word.default
    if word.kind == "mapping":
        return made | {"type": "object", "additionalProperties": _plain(word.inner)}
    if word.kind == "list":
        return made | {"type": "array", "items": _plain(word.inner)}
    return made | _plain(word.kind)


def _plain(kind: str) -> dict[str, Any]:
    if kind == "any":
        return {}
    if kind == "number":
        return {"type": "number", "minimum": 0, "maximum": 1}
    if kind == "date":
        return {"type": "string", "format": "date"}
    if kind == "integer":
        return {"type": "integer", "minimum": 1}
    return {"type": "string", "minLength": 1}
