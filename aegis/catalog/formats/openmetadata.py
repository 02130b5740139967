"""OpenMetadata: tables whose columns have tags, `Confirmed` where a person accepted them, else `Suggested`.

The form is that of `CreateTableRequest` (`PUT /api/v1/tables`), with `tagLabel.json` for each tag; read is
that, or tables as `GET /api/v1/tables?fields=columns,tags` answers. Its classifications do not have the
categories of fideslang: `PersonalData.Personal` or `.SpecialCategory`, and `PII.Sensitive`, are written.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from aegis.catalog.formats.documents import items_of, parsed, wrong
from aegis.catalog.formats.labels import Label, Place, by_table
from aegis.catalog.types import Family, family_of, length_of

_EXPECTED: Final = "tables of OpenMetadata, each with its columns"
#: Beginnings of categories that GDPR art. 9 speaks of.
_SPECIAL: Final = (
    "user.health_and_medical",
    "user.biometric",
    "user.genetic",
    "user.demographic.race_ethnicity",
    "user.demographic.political_opinion",
    "user.demographic.religious_belief",
    "user.demographic.sexual_orientation",
)
_SENSITIVE: Final = (
    *("user.name", "user.contact", "user.financial", "user.government_id", "user.authorization"),
    *("user.payment", *_SPECIAL),
)
_TYPES: Final[Mapping[Family, str]] = {
    Family.TEXT: "VARCHAR",
    Family.LONG_TEXT: "TEXT",
    Family.INTEGER: "BIGINT",
    Family.NUMBER: "NUMERIC",
    Family.BOOLEAN: "BOOLEAN",
    Family.DATE: "DATE",
    Family.MOMENT: "TIMESTAMP",
    Family.TIME: "TIME",
    Family.UUID: "UUID",
    Family.NETWORK: "INET",
    Family.MAC: "MACADDR",
    Family.JSON: "JSON",
    Family.BYTES: "BLOB",
    Family.ENUM: "ENUM",
    Family.SHAPE: "GEOMETRY",
}
#: Length of a text that does not say it; OpenMetadata wants one.
_LONGEST: Final = 65_535
_TAGS: Final = {
    "PII.Sensitive": "user",
    "PersonalData.Personal": "user",
    "PersonalData.SpecialCategory": "user",
}


def write(labels: Sequence[Label], place: Place) -> str:
    """Return labels as a list of tables."""
    tables = [
        {
            "name": place.name(table).rpartition(".")[2],
            "databaseSchema": place.name(table).rpartition(".")[0],
            "columns": [_column(label) for label in found],
        }
        for table, found in by_table(labels).items()
    ]
    return json.dumps(tables, indent=2, ensure_ascii=False) + "\n"


def read(text: str, file: str, place: Place, tables: Sequence[str]) -> Mapping[tuple[str, str], str]:
    """Return (table, column) → category.

    Raises:
        InvalidFile: it is no such file.

    """
    found, data = {}, parsed(text, file)
    try:
        for item in items_of(data):
            name = item.get("fullyQualifiedName") or f"{item.get('databaseSchema', '')}.{item['name']}"
            table = place.table(str(name).replace('"', ""), tables)
            for column in item["columns"] if table else ():
                category = _category(column)
                if table and category:
                    found[table, str(column["name"])] = category
    except (AttributeError, KeyError, TypeError):
        raise wrong(file, _EXPECTED) from None
    return found


def _column(label: Label) -> dict[str, Any]:
    family = family_of(label.type)
    made: dict[str, Any] = {"name": label.column, "dataType": _TYPES.get(family, "UNKNOWN")}
    if family is Family.TEXT:
        made["dataLength"] = length_of(label.type) or _LONGEST
    if label.type:
        made["dataTypeDisplay"] = label.type
    accepted = label.status == "accepted"
    state, made_by = ("Confirmed", "Manual") if accepted else ("Suggested", "Automated")
    made["tags"] = [
        {"tagFQN": tag, "source": "Classification", "labelType": made_by, "state": state}
        for tag in _tags(label)
    ]
    return made


def _tags(label: Label) -> list[str]:
    if not label.is_personal:
        return []
    special = label.category.startswith(_SPECIAL)
    tags = ["PersonalData.SpecialCategory" if special else "PersonalData.Personal"]
    return [*tags, *(["PII.Sensitive"] if label.category.startswith(_SENSITIVE) else [])]


def _category(column: Mapping[str, Any]) -> str | None:
    names = [str(tag["tagFQN"]) for tag in column.get("tags") or ()]
    own = [name.rpartition('"')[0].rpartition('"')[2] for name in names if '"user.' in name]
    return next(iter(own), None) or next((_TAGS[name] for name in names if name in _TAGS), None)
