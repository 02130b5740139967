"""What columns hold in the forms of other tools: there and back, and what is refused."""

import json
from typing import Final

import pytest
import yaml

from aegis.catalog.formats import csv, openmetadata
from aegis.catalog.formats.labels import Label, Place, labels_of
from aegis.catalog.formats.table import FORMATS
from aegis.datamap.reading import parse_map
from aegis.errors import InvalidFile

PLACE: Final = Place(datasource="app", dialect="postgresql", prefix="app.public")
MAP: Final = """
catalog:
  users:
    status: accepted
    columns:
      id: {type: bigint, category: user.unique_id}
      email: {type: varchar(254), category: user.contact.email, confidence: 0.97, evidence: ["=1+1", "b"]}
      created: {type: timestamp, category: none}
      odd/name~x: {type: text, category: user.health_and_medical}
      nick: {status: proposed, type: text, category: user.name}
      blob: {type: text, category: unknown}
  crm.leads:
    status: accepted
    columns: {phone: {type: text, category: user.contact.phone_number}}
  roles:
    status: rejected
    columns: {name: {category: user.name}}
"""
LABELS: Final = labels_of(parse_map(MAP, "m"))
TABLES: Final = ("crm.leads", "roles", "users")
PERSONAL: Final = {
    ("users", "id"): "user.unique_id",
    ("users", "email"): "user.contact.email",
    ("users", "odd/name~x"): "user.health_and_medical",
    ("crm.leads", "phone"): "user.contact.phone_number",
}


def test_only_what_a_person_accepted_goes_out() -> None:
    """Neither proposals, nor what nobody knows, nor what was rejected; unless they are asked for."""
    assert {(each.table, each.column) for each in LABELS} == {*PERSONAL, ("users", "created")}
    everything = labels_of(parse_map(MAP, "m"), proposed=True)
    assert {each.column for each in everything} - {each.column for each in LABELS} == {"nick", "blob"}


@pytest.mark.parametrize("form", ["csv", "datahub", "fides"])
def test_there_and_back(form: str) -> None:
    """Every category comes back to its column; of DataHub, which is told of personal columns alone, those."""
    text = FORMATS[form].write(LABELS, PLACE)
    found = FORMATS[form].read(text, "f", PLACE, TABLES)
    rest = {} if form == "datahub" else {("users", "created"): "none"}
    assert found == PERSONAL | rest


def test_openmetadata_is_coarser() -> None:
    """It says that something is personal, and whether of a special category; states are the review's."""
    text = openmetadata.write(labels_of(parse_map(MAP, "m"), proposed=True), PLACE)
    found = openmetadata.read(text, "f", PLACE, TABLES)
    assert found == dict.fromkeys([*PERSONAL, ("users", "nick")], "user")
    users = json.loads(text)[0]
    assert (users["name"], users["databaseSchema"]) == ("users", "app.public")
    states = {c["name"]: {(t["tagFQN"], t["state"]) for t in c["tags"]} for c in users["columns"]}
    assert states["odd/name~x"] == {
        ("PersonalData.SpecialCategory", "Confirmed"),
        ("PII.Sensitive", "Confirmed"),
    }
    assert states["nick"] == {("PersonalData.Personal", "Suggested"), ("PII.Sensitive", "Suggested")}
    assert json.loads(text)[1]["databaseSchema"] == "app.crm"


def test_openmetadata_answers_are_read() -> None:
    """A page of its API, with its names in full and categories in quotes."""
    tags = [{"tagFQN": 'fideslang."user.contact.email"'}, {"tagFQN": "PII.Sensitive"}]
    columns = [{"name": "email", "tags": tags}, {"name": "id", "tags": None}]
    page = {"data": [{"name": "users", "fullyQualifiedName": "svc.app.public.users", "columns": columns}]}
    found = openmetadata.read(json.dumps(page), "f", PLACE, TABLES)
    assert found == {("users", "email"): "user.contact.email"}


def test_datahub_of_others_is_read() -> None:
    """A whole aspect with tags and terms, as DataHub's own export has it; other tags say nothing."""
    fields = [
        {
            "fieldPath": "email",
            "glossaryTerms": {"terms": [{"urn": "urn:li:glossaryTerm:user.contact.email"}]},
        },
        {"fieldPath": "id", "globalTags": {"tags": [{"tag": "urn:li:tag:deprecated"}]}},
    ]
    urn = "urn:li:dataset:(urn:li:dataPlatform:postgres,app.public.users,PROD)"
    proposal = {"entityUrn": urn, "aspect": {"json": {"editableSchemaFieldInfo": fields}}}
    found = FORMATS["datahub"].read(json.dumps([proposal]), "f", PLACE, TABLES)
    assert found == {("users", "email"): "user.contact.email"}


def test_datahub_patches_that_take_something_away() -> None:
    """A tag that is removed, and a change of something else, say nothing of what a column holds."""
    tag = "urn:li:tag:user.name"
    changes = [
        {"op": "remove", "path": f"/editableSchemaFieldInfo/email/globalTags/tags/{tag}"},
        {"op": "add", "path": f"/customProperties/{tag}"},
        {"op": "add", "path": f"/editableSchemaFieldInfo/id/globalTags/tags/{tag}"},
    ]
    urn = "urn:li:dataset:(urn:li:dataPlatform:postgres,app.public.users,PROD)"
    proposal = {"entityUrn": urn, "aspect": {"value": json.dumps(changes)}}
    found = FORMATS["datahub"].read(json.dumps([proposal]), "f", PLACE, TABLES)
    assert found == {("users", "id"): "user.name"}


def test_fides_of_others_is_read() -> None:
    """Tables of other databases say nothing, nor fields without a category."""
    fields = [{"name": "email", "data_categories": ["system", "user.name"]}, {"name": "id"}]
    collections = [{"name": "users", "fields": fields}, {"name": "elsewhere", "fields": fields}]
    text = json.dumps({"dataset": [{"fides_key": "app", "name": "app", "collections": collections}]})
    assert FORMATS["fides"].read(text, "f", PLACE, TABLES) == {("users", "email"): "user.name"}


def test_what_nobody_knows_has_no_category_there() -> None:
    """Neither personal nor not; and a type that nobody told is left out."""
    label = Label(table="users", column="blob", category="unknown", status="proposed")
    fields = yaml.safe_load(FORMATS["fides"].write([label], PLACE))["dataset"][0]["collections"][0]["fields"]
    assert fields == [{"name": "blob"}]
    (column,) = json.loads(FORMATS["openmetadata"].write([label], PLACE))[0]["columns"]
    assert column == {"name": "blob", "dataType": "UNKNOWN", "tags": []}


def test_a_spreadsheet_takes_no_cell_for_a_formula() -> None:
    """A cell that begins like one is quoted."""
    row = next(line for line in csv.write(LABELS, PLACE).splitlines() if line.startswith("users,email"))
    assert row.endswith(",'=1+1; b")
    label = Label(table="t", column="=x", category="user", status="accepted")
    assert csv.read(csv.write([label], PLACE), "f", PLACE, ["t"]) == {("t", "=x"): "user"}


@pytest.mark.parametrize(
    ("form", "text", "told"),
    [
        ("csv", "a,b\n", "f:1: the first line must name the columns table, column, category"),
        ("csv", "table,column,category\nusers,,x\n", "f:2: a row needs"),
        ("datahub", "[", "f:1: this is no JSON"),
        ("datahub", '[{"entityUrn": 1}]', "f:1: expected a list of DataHub's"),
        ("datahub", "3", "f:1: expected a list of DataHub's"),
        ("openmetadata", '[{"x": 1}]', "f:1: expected tables of OpenMetadata"),
        ("openmetadata", '"text"', "f:1: expected tables of OpenMetadata"),
        ("fides", "dataset: 3", "it is no Fides dataset"),
    ],
)
def test_another_file_is_refused(form: str, text: str, told: str) -> None:
    """With its line, and what was expected."""
    with pytest.raises(InvalidFile, match=told):
        FORMATS[form].read(text, "f", PLACE, TABLES)
