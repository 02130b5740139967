"""The search for persons: a test that would find nothing shows nothing."""

import base64
import json
import sqlite3
import urllib.parse
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from tests.canary import Person, Place, of_database, of_folder, search

PERSON = Person(role="row", number=7)
OTHER = Person(role="other", number=8)


@given(st.binary(max_size=9), st.binary(max_size=9), st.sampled_from(PERSON.values))
def test_every_spelling_is_found(before: bytes, after: bytes, value: str) -> None:
    """In the middle of anything: plain, in other letters, in JSON, in a URL, in hex, Base64 and UTF-16."""
    texts = [value.encode(), value.upper().encode(), json.dumps(value).encode(), value.encode("utf-16-le")]
    texts += [urllib.parse.quote(value).encode(), value.encode().hex().encode()]
    contents = [before + text + after for text in texts]
    contents.append(base64.b64encode(before + value.encode() + after))
    contents.append(base64.b64encode(before + json.dumps(value).encode() + after))
    for content in contents:
        assert search([Place(name="x", content=content)], [PERSON, OTHER]), content


def test_whose_it_is() -> None:
    """A hit names the place and the person; one that stands there by design is none."""
    place = Place(name="x", content=PERSON.email.encode())
    assert search([place], [PERSON, OTHER]) == ["x: row (plain)"]
    allowed = Place(name="x", content=PERSON.email.encode(), by_design={"row": "because"})
    assert search([allowed], [PERSON, OTHER]) == []
    assert search([Place(name="x", content=b"nobody")], [PERSON, OTHER]) == []


def test_part_of_a_name() -> None:
    """Nobody's whole name, and a hit all the same."""
    assert search([Place(name="x", content=b"a quillfeather")], [PERSON]) == ["x: somebody (plain)"]


def test_databases_and_files(tmp_path: Path) -> None:
    """Text and bytes of every column, and the files themselves, deleted rows included."""
    path = tmp_path / "a.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (a TEXT, b BLOB)")
        connection.execute("INSERT INTO t VALUES ('', ?)", (PERSON.email.encode(),))
        connection.execute("INSERT INTO t VALUES (?, '')", (OTHER.phone,))
    connection.close()
    engine = sa.create_engine(f"sqlite:///{path}", poolclass=sa.NullPool)
    hits = search(of_database("d", engine), [PERSON, OTHER])
    assert {"d.t: row (plain)", "d.t: other (plain)"} <= set(hits)
    assert search(of_database("d", engine, leave_out=["t"]), [PERSON]) == []
    assert "f/a.db: row (plain)" in search(of_folder("f", tmp_path), [PERSON])
    assert search(of_folder("f", tmp_path, leave_out=[path]), [PERSON]) == []


@pytest.mark.parametrize("name", ["row.7f3a@canary.example.json"])
def test_names_of_files(tmp_path: Path, name: str) -> None:
    """A file's name tells as much as its content."""
    (tmp_path / name).touch()
    assert "f: names of files: row (plain)" in search(of_folder("f", tmp_path), [PERSON])
