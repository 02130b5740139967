"""DataHub: a file of metadata change proposals that add a tag to each personal column.

Each is a PATCH of the aspect `editableSchemaMetadata`, so that descriptions and tags that people wrote
there stay. The form is what DataHub's own `DatasetPatchBuilder` makes; its source `file` reads it. A tag is
the category's name.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from aegis.catalog.formats.documents import items_of, parsed, wrong
from aegis.catalog.formats.labels import Label, Place, by_table
from aegis.datamap.model import NONE

_PLATFORMS: Final = {"postgresql": "postgres"}
_TAG: Final = "urn:li:tag:"
_TERM: Final = "urn:li:glossaryTerm:"
_FIELDS: Final = "editableSchemaFieldInfo"
_EXPECTED: Final = "a list of DataHub's metadata change proposals"


def write(labels: Sequence[Label], place: Place) -> str:
    """Return labels as a file for `datahub ingest`."""
    proposals = [
        {
            "entityType": "dataset",
            "entityUrn": _urn(table, place),
            "changeType": "PATCH",
            "aspectName": "editableSchemaMetadata",
            "aspect": {"value": json.dumps(changes), "contentType": "application/json-patch+json"},
        }
        for table, found in by_table(labels).items()
        if (changes := [_change(label) for label in found if label.is_personal])
    ]
    return json.dumps(proposals, indent=2, ensure_ascii=False) + "\n"


def read(text: str, file: str, place: Place, tables: Sequence[str]) -> Mapping[tuple[str, str], str]:
    """Return (table, column) → category, from tags and terms that are keys of fideslang, or `none`.

    Raises:
        InvalidFile: it is no such file.

    """
    found = {}
    data = parsed(text, file)
    try:
        for proposal in items_of(data):
            name = str(proposal["entityUrn"]).split(",")[1]
            table = place.table(name, tables)
            for column, tag in _tags(proposal) if table else ():
                category = tag.removeprefix(_TAG).removeprefix(_TERM)
                if table and (category == NONE or category.split(".")[0] == "user"):
                    found[table, column] = category
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        raise wrong(file, _EXPECTED) from None
    return found


def _urn(table: str, place: Place) -> str:
    platform = _PLATFORMS.get(place.dialect, place.dialect)
    return f"urn:li:dataset:(urn:li:dataPlatform:{platform},{place.name(table)},PROD)"


def _change(label: Label) -> dict[str, Any]:
    tag = f"{_TAG}{label.category}"
    # JSON Pointer (RFC 6901).
    column = label.column.replace("~", "~0").replace("/", "~1")
    return {"op": "add", "path": f"/{_FIELDS}/{column}/globalTags/tags/{tag}", "value": {"tag": tag}}


def _tags(proposal: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield column and tag of a proposal: of a patch, or of a whole aspect."""
    aspect = proposal["aspect"]
    body = aspect["json"] if "json" in aspect else json.loads(aspect["value"])
    if isinstance(body, list):
        for change in body:
            part = change["path"].split("/")
            if change["op"] == "add" and part[1] == _FIELDS:
                yield part[2].replace("~1", "/").replace("~0", "~"), part[-1]
        return
    for field in body.get(_FIELDS) or body.get("fields") or ():
        for tag in (field.get("globalTags") or {}).get("tags", ()):
            yield field["fieldPath"], tag["tag"]
        for term in (field.get("glossaryTerms") or {}).get("terms", ()):
            yield field["fieldPath"], term["urn"]
