"""A reviewed file that gets additions: nothing that stood there changes."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from aegis.catalog.review import Reviewed, blank
from aegis.errors import InvalidFile
from tests.repeats import examples

NAMES = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=12)
VALUES = st.recursive(
    st.booleans()
    | st.integers()
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
    | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
FILE = """# Ours; agreed with legal.
tables:   # all of them
  users:  # people
    row: anonymize   # see ticket
    columns:
      email: surrogate   # not null: it is unique

      bio: null
    # a last word
  orders: {row: delete, columns: {note: null}}   # gone

# the end
other: 1
"""


def added(text: str) -> Reviewed:
    """Return a file that people review."""
    return Reviewed(text=text, file="f.yaml")


@settings(max_examples=examples(100), deadline=None)
@given(st.dictionaries(NAMES, st.dictionaries(NAMES, VALUES, min_size=1, max_size=4), min_size=1, max_size=4))
def test_what_is_added_is_read_back(bodies: dict[str, dict[str, object]]) -> None:
    """Whatever an entry says, in a new file and behind entries of a person."""
    for text in (blank(("tables",), ["head"]), FILE):
        file = added(text)
        new = {name: body for name, body in bodies.items() if name not in {"users", "orders"}}
        file.add("tables", new)
        assert {name: yaml.safe_load(file.text)["tables"][name] for name in new} == new
        assert [line for line in text.splitlines() if line not in file.text.splitlines()] == []


def test_entries_come_behind_the_last_one() -> None:
    """Comments stay where they stood; the section that follows is not touched."""
    file = added(FILE)
    file.add("tables", {"visits": {"row": "delete"}})
    before, after = FILE.split("\n\n# the end")
    assert file.text == f"{before}\n  visits:\n    row: delete\n\n# the end{after}"


def test_columns_come_behind_the_last_one() -> None:
    """In lines, in braces, and where there are none yet."""
    file = added(FILE)
    file.add_below(("tables", "users", "columns"), "nick", "TODO", "new")
    file.add_below(("tables", "orders", "columns"), "memo", "TODO", "a comment has no place here")
    file.add_below(("tables", "users", "columns"), "email", "TODO")
    assert "      bio: null\n      nick: TODO  # new\n    # a last word\n" in file.text
    assert "  orders: {row: delete, columns: {note: null, memo: TODO}}   # gone\n" in file.text
    assert file.text.count("email") == 1, "what a person has decided is not said again"
    bare = added("tables:\n  a:\n    row: delete\n  b: {row: delete}\n")
    for name in ("a", "b", "none"):
        bare.add_below(("tables", name, "columns"), "c", "TODO")
    assert (
        bare.text == "tables:\n  a:\n    row: delete\n    columns:\n      c: TODO\n"
        "  b: {row: delete, columns: {c: TODO}}\n"
    )


def test_one_value_is_written_over() -> None:
    """Its line keeps its comment."""
    file = added(FILE)
    file.replace(("tables", "users", "columns", "email"), {"constant": "x"})
    assert file.text == FILE.replace("email: surrogate ", "email: {constant: x} ")
    file.replace(("tables", "users", "columns", "phone"), "null")
    assert "phone" not in file.text, "what is not there is not written over"


@pytest.mark.parametrize("text", ["tables: {a: {row: delete}}\n", "tables: [a]\n", "tables: word\n"])
def test_where_nothing_can_be_added(text: str) -> None:
    """A section that is not in lines of its own is the person's to mend."""
    with pytest.raises(InvalidFile, match=r"f\.yaml:1: tables: nothing can be added here"):
        added(text).add("tables", {"b": {"row": "delete"}})


@pytest.mark.parametrize(
    "text", ["", "# nothing yet\n", "tables:\n", "tables: {}\n", "tables: {}   # none\n", "other: 1"]
)
def test_a_section_is_begun(text: str) -> None:
    """In an empty file, and where it says that it is empty."""
    file = added(text)
    file.add("tables", {"b": {"row": "delete"}})
    assert yaml.safe_load(file.text)["tables"] == {"b": {"row": "delete"}}
    assert ("# none" in text) == ("# none" in file.text)
