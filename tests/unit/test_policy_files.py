"""Policy files: what is read, what is refused and how, and the schema for editors."""

import dataclasses
import datetime as dt
import json
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aegis.datamap.formats import Problems
from aegis.errors import InvalidFile
from aegis.retention import files, words
from aegis.retention.definition import Definition
from aegis.retention.files import Filed
from tests.repeats import examples

SCHEMA = Path(__file__).parents[2] / "docs" / "policies.schema.json"
GUIDE = Path(__file__).parents[2] / "docs" / "retention.md"
SMALL = """policies:
  events_90:
    table: events
    days: 90
    action: delete
"""
#: What a value of each type may be in a file.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
COUNT = st.integers(1, 10**9)
PLAIN = st.recursive(
    TEXT | COUNT | st.booleans() | st.floats(allow_nan=False), lambda inner: st.lists(inner, min_size=1)
)
VALUES: Mapping[str, st.SearchStrategy[Any]] = {
    "string": TEXT,
    "integer": COUNT,
    "date": st.dates(),
    "any": PLAIN,
}


def refusal(text: str) -> list[str]:
    """Return the faults of a file."""
    with pytest.raises(InvalidFile) as caught:
        files.read(text, "policies.yaml")
    return list(caught.value.problems)


def value_for(word: words.Word) -> st.SearchStrategy[Any]:
    """Return values that a key may have."""
    if word.key == "period":
        return st.integers(1, 99).map(lambda months: f"P{months}M")
    if word.kind == "mapping":
        return st.dictionaries(TEXT, VALUES[word.inner], min_size=1, max_size=3)
    if word.kind == "list":
        return st.lists(VALUES[word.inner], min_size=1, max_size=3).map(tuple)
    return VALUES[word.kind]


@st.composite
def policies(draw: st.DrawFn) -> Filed:
    """Return a policy with any of its keys, each with any value."""
    chosen = draw(st.sets(st.sampled_from(sorted(words.WORDS)))) | {*words.REQUIRED}
    length = draw(st.sampled_from(words.LENGTHS))
    keys = [key for key in words.WORDS if key == length or (key in chosen and key not in words.LENGTHS)]
    values = {key: draw(value_for(words.WORDS[key])) for key in keys}
    fields = {str(words.WORDS[key].field): value for key, value in values.items() if key != words.OWNER}
    name = draw(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,20}", fullmatch=True))
    return Filed(definition=Definition(name=name, **fields), owner=values.get(words.OWNER))


class TestRoundTrip:
    """What is exported is what is applied."""

    @settings(max_examples=examples(150), deadline=None)
    @given(st.lists(policies(), max_size=3, unique_by=lambda item: item.definition.name))
    def test_written_policies_read_back_the_same(self, written: list[Filed]) -> None:
        """Every key and every value comes back, whatever text, number, date, list or mapping it is."""
        problems = Problems(file="policies.yaml")
        found = files.parse(files.write(written), problems)
        assert problems.found == []
        assert [(item.definition, item.owner) for item in found] == [
            (item.definition, item.owner) for item in written
        ]

    def test_every_field_of_a_definition_has_a_key(self) -> None:
        """A new field is a key at once; only the name stands above the keys."""
        fields = {field.name for field in dataclasses.fields(Definition)}
        assert fields == {"name", *words.KEY_OF}

    def test_defaults_are_not_written(self) -> None:
        """A file says what was decided, and no more."""
        plain = Filed(definition=Definition(name="events_90", table="events"))
        assert files.write([plain]) == SMALL


class TestReading:
    """The two forms of a file."""

    def test_a_list_and_a_mapping_are_the_same(self) -> None:
        """Policies stand by name, or in a list with a name each."""
        listed = "policies:\n- name: events_90\n  table: events\n  days: 90\n  action: delete\n"
        (by_name,), (in_list,) = files.read(SMALL, "f"), files.read(listed, "f")
        assert by_name.definition == in_list.definition == Definition(name="events_90", table="events")

    def test_a_date_is_a_date(self) -> None:
        """Unquoted, as people write it."""
        (found,) = files.read(f"{SMALL}    review_by: 2027-01-31\n", "f")
        assert found.definition.review_by == dt.date(2027, 1, 31)

    def test_no_policies_is_a_file(self) -> None:
        """A file of a team that has none yet."""
        assert files.read("policies: {}\n", "f") == files.read("policies: []\n", "f") == []


class TestRefusals:
    """Each fault names file, line, policy, key and cure."""

    @pytest.mark.parametrize(
        ("added", "fault"),
        [
            ("retention_days: 30", "key retention_days: there is no such key; did you mean days?"),
            ("timestamp_colunm: at", "key timestamp_colunm: there is no such key; did you mean"),
            ("filter_sql: a = 1", "key filter_sql: there is no such key; did you mean filter?"),
            ("xylophone: 1", "key xylophone: there is no such key; known: table,"),
            ("purpose:", "key purpose: it has no value; give it one, or take the key out"),
            ("purpose: yes", "key purpose: expected text, got yes or no; write it in quotes"),
            ("purpose: 7", "key purpose: expected text, got a whole number; write it in quotes"),
            ("cascades: reviews", "key cascades: expected a list, got text"),
            ("cascades: [1]", "key cascades: expected only text in it"),
            ("parallel: '2'", "key parallel: expected a whole number, got text"),
            ("parallel: 2.0", "key parallel: expected a whole number, got a number"),
            ("parallel: yes", "key parallel: expected a whole number, got yes or no"),
            ("review_by: soon", "key review_by: expected a date such as 2027-01-31, got text"),
            ("review_by: 2027-01-31 10:00:00", "expected a date such as 2027-01-31, got a time"),
            ("review_by: 2027-02-31", "key review_by: this cannot be read"),
            ("tenant_days: {acme: much}", "key tenant_days: expected only a whole number in it"),
            ("tenant_days: {7: 30}", "key tenant_days: a key must be text; write it in quotes"),
            ("tenant_days: {a: 1, a: 2}", "key tenant_days: a was said in line 6 already"),
            ("purpose: !!python/name:os.system x", "key purpose: this cannot be read"),
            ("name: other", "key name: there is no such key"),
            ("status: perhaps", "key status: expected proposed, accepted, rejected"),
            ("period: P1Y", "give either days or period"),
            ("parallel: 65", "expected parallel from 1 to 64"),
            ("cron: never", "cron expected five fields"),
            ("purpose: &a x", "anchors and aliases are not read: write it out"),
            ("cron: * * * * *", "text that begins with * must be in quotes"),
        ],
    )
    def test_of_one_line(self, added: str, fault: str) -> None:
        """The fault is the only one, and stands where the line stands."""
        (problem,) = refusal(f"{SMALL}    {added}\n")
        # Too many lengths is a fault of the policy as a whole.
        line = 2 if "either" in fault else 6
        assert problem.startswith(f"policies.yaml:{line}: ")
        assert fault in problem
        syntax = "anchors" in fault or "begins with *" in fault
        assert syntax or "policy events_90" in problem

    def test_a_fault_of_the_definition_has_the_line_of_its_key(self) -> None:
        """The definition's own check names fields; the file names its key's line."""
        (problem,) = refusal(SMALL.replace("90\n", "0\n"))
        assert problem.startswith("policies.yaml:4: policy events_90: expected 1 to")

    def test_a_period_that_is_none(self) -> None:
        """The fault stands at the period."""
        (problem,) = refusal(SMALL.replace("days: 90", "period: 2Y"))
        assert problem.startswith("policies.yaml:4: policy events_90: ")

    def test_a_policy_that_says_nothing(self) -> None:
        """Each key that is missing is told."""
        assert len(refusal("policies: {a: {}}\n")) == 3

    def test_all_at_once(self) -> None:
        """A file is mended in one go: every fault is told, in the order of the lines."""
        problems = refusal("version: 1\npolicies:\n  a: {table: t}\n  b: {days: 3, action: delete}\n")
        assert [problem.split(":")[1] for problem in problems] == ["1", "3", "3", "4"]
        assert "action is missing" in " ".join(problems)

    @pytest.mark.parametrize(
        ("text", "fault"),
        [
            ("", "policies.yaml:1: the file is empty"),
            ("# nothing\n", "the file is empty"),
            ("a: [1", "policies.yaml:1: this is no YAML"),
            ("policies: {}\n---\npolicies: {}\n", "this is no YAML"),
            ("- a\n", "the file: expected `key: value` lines, got a list"),
            ("policies:\n", "policies: expected policies by name, or a list; got a single value"),
            ("other: 1\n", "other: there is no such key here; policies stand under policies:"),
            ("policies: [x]\n", "policies: expected `key: value` lines, got a single value"),
            ("policies:\n- table: t\n  days: 1\n  action: delete\n", "a policy in a list needs a name"),
            ("policies:\n  a: 1\n", "policies.yaml:2: policy a: expected `key: value` lines"),
            ("{}\n", "policies.yaml:1: expected policies under policies:, found none"),
            ("policies:\n- name: 7\n  table: t\n", "policies.yaml:2: a policy in a list needs a name"),
            ("\x00", "it has a character that no YAML file may have"),
            ("[" * 5000, "policies.yaml:1: "),
            (f"policies: {'[' * 500}{']' * 500}", "policies.yaml:1: "),
            (f"policies: {{a: {{guards: {'{x: ' * 30}1{'}' * 30}}}}}", "it is nested too deep"),
        ],
    )
    def test_of_a_file(self, text: str, fault: str) -> None:
        """What is no policy file at all is told as such."""
        assert fault in refusal(text)[0]

    def test_what_nobody_has_written_yet(self) -> None:
        """A proposal that is accepted says no TODO; one that is rejected may, and is no policy."""
        text = SMALL.replace("90\n", "90\n    purpose: TODO\n    status: {}\n", 1)
        (problem,) = refusal(text.format("accepted"))
        assert "key purpose: it says TODO: write it, or reject the policy" in problem
        assert files.read(text.format("rejected"), "f") == []

    def test_a_name_twice(self) -> None:
        """The second one is refused, and names the first."""
        one = "- {name: a, table: t, days: 1, action: delete}\n"
        assert refusal(f"policies:\n{one}{one}") == ["policies.yaml:3: policy a: it stands in line 2 already"]


class TestSchema:
    """The JSON Schema that editors read."""

    def test_the_published_one_is_the_one_of_the_code(self) -> None:
        """Made anew by `aegis policy schema > docs/policies.schema.json`."""
        assert json.loads(SCHEMA.read_text(encoding="utf-8")) == words.schema()

    def test_every_key_is_explained(self) -> None:
        """An editor shows a sentence beside each key."""
        made = words.schema()["$defs"]
        assert [key for key in words.WORDS if "description" not in made[key]] == []
        assert set(made["policy"]["properties"]) == {*words.WORDS, *words.REVIEW}
        assert set(made["named_policy"]["properties"]) == {"name", *words.WORDS, *words.REVIEW}

    def test_no_reference_leads_nowhere(self) -> None:
        """Every `$ref` is a definition of the schema."""
        made = words.schema()
        text = json.dumps(made)
        used = {part.split('"')[0] for part in text.split('"$ref": "#/$defs/')[1:]}
        assert used == set(made["$defs"])

    def test_types_are_those_of_the_definition(self) -> None:
        """A key's type in the schema is its field's type."""
        kinds = {key: _kind(made) for key, made in words.schema()["$defs"].items() if key in words.WORDS}
        assert kinds == {key: "string" if key == "action" else word.kind for key, word in words.WORDS.items()}

    def test_the_guide_shows_a_file_that_is_read(self) -> None:
        """The example in the documentation has no fault."""
        example = GUIDE.read_text(encoding="utf-8").split("```yaml\npolicies:\n")[1].split("```")[0]
        problems = Problems(file="docs/retention.md")
        assert len(files.parse(f"policies:\n{example}", problems)) > 1
        assert problems.found == []


def _kind(made: Mapping[str, Any]) -> str:
    if "enum" in made:
        return "string"
    if made.get("format") == "date":
        return "date"
    return typing.cast("str", {"object": "mapping", "array": "list"}.get(made["type"], made["type"]))
