"""`aegis datamap`, as a person and a program use it."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from tests.shells import Shell, empty

TABLES = """
CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT, about TEXT);
CREATE TABLE orders (id INTEGER PRIMARY KEY, user_id INT REFERENCES users, note TEXT);
"""
DECIDED = """subjects: {user: {table: users, key: id, identifiers: {email: email}}}
tables:
  users: {row: anonymize, columns: {email: surrogate, about: null}}
  orders: {row: delete, via: user_id}
"""


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A folder with an application's database that `aegis.toml` names."""
    with closing(sqlite3.connect(tmp_path / "app.db")) as connection:
        connection.executescript(TABLES)
    made = empty(tmp_path)
    made.configure()
    return made


def name_map(shell: Shell) -> Path:
    """Name the data map in `aegis.toml`; return its path."""
    with (shell.folder / "aegis.toml").open("a") as settings:
        settings.write('datamap = "app.datamap.yaml"\n')
    return shell.folder / "app.datamap.yaml"


def test_from_nothing_to_a_map_that_is_decided(shell: Shell) -> None:
    """Each step says the next one; a new column is found; a program gets the same as one document."""
    refused = shell("datamap", "check").refusal
    assert "data source app has no data map" in refused
    assert "aegis datamap init --datasource app" in refused
    made = shell("datamap", "init")
    assert (made.code, made.err) == (0, "")
    assert 'below [datasources.app]:  datamap = "app.datamap.yaml"' in made.out
    path = name_map(shell)
    assert "it is not overwritten" in shell("datamap", "init").refusal
    first = shell("datamap", "check")
    assert first.code == 1
    assert "orders.user_id → users.id: row is TODO" in first.out
    assert "(app.datamap.yaml:" in first.out

    path.write_text("subjects: {user: {table: users, key: id}}\ntables: {users: {row: anonymize}}\n")
    told = shell("datamap", "check")
    assert "    + orders: {row: TODO, via: user_id}\n" in told.out
    assert "    + users: {columns: {email: TODO, about: TODO}}\n" in told.out
    assert "3 things are open." in told.out

    path.write_text(DECIDED)
    decided = shell("datamap", "check")
    assert (decided.code, decided.err) == (0, "")
    assert decided.out == "subject user: 2 tables, 1 reference\n\nEverything in app is decided.\n"
    with closing(sqlite3.connect(shell.folder / "app.db")) as connection:
        connection.execute("ALTER TABLE users ADD COLUMN nick TEXT")
    drifted = shell("datamap", "check", "--json")
    assert drifted.code == 1
    (item,) = drifted.document["undecided"]
    assert (item["kind"], item["table"], item["what"]) == ("column", "users", "column nick")
    (way,) = drifted.document["subjects"]["user"]["tables"][1]["ways"]
    assert (way["edge"], way["row"], way["decided_by"]) == ("orders.user_id → users.id", "delete", "orders")
    assert not (shell.folder / ".aegis").exists(), "nothing else is needed for it"


def test_what_stops_it(shell: Shell) -> None:
    """A fault of the file and of the use 2, a database that does not answer 5; a hook that fails is told."""
    path = name_map(shell)
    path.write_text("tables:\n  users: {rwo: delete}\n  orders: {row: retain}\n")
    said = shell("datamap", "check")
    assert (said.code, len(said.err.splitlines()), said.out) == (2, 3, "")
    assert "app.datamap.yaml:2: table users: there is no key rwo; did you mean row?" in said.err
    assert len(shell("datamap", "check", "--json").document["faults"]) == 3
    assert shell("datamap", "check", "--datasource", "nowhere").code == 2
    assert shell("datamap", "init", "--subject-table", "nobody", "-o", "new.yaml").code == 2
    path.write_text(DECIDED)
    hooked = shell("datamap", "check", AEGIS_HOOKS="no.such.module")
    assert hooked.code == 2
    assert "hook module no.such.module cannot be imported (ModuleNotFoundError)" in hooked.refusal
    (shell.folder / "app.db").unlink()
    gone = shell("datamap", "check")
    assert gone.code == 5
    assert "does not exist" in gone.refusal
    assert shell("datamap", "check", "--json").document["decided"] is None
    assert shell("datamap", "init", "-o", "new.yaml").code == 5


FIDES = """dataset:
- fides_key: shop
  collections:
  - name: users
    fields:
    - {name: id, fides_meta: {primary_key: true}}
    - {name: email, data_categories: [user.contact.email], fides_meta: {identity: email}}
    - {name: about, data_categories: [user.content]}
  - name: logins
    fields:
    - name: who
      fidesops_meta: {references: [{dataset: shop, field: users.email, direction: from}]}
    - {name: phone, fidesops_meta: {identity: phone_number}}
  - name: nowhere
    fields: [{name: x}]
"""


def test_there_and_back_from_fides(shell: Shell) -> None:
    """References become ways and identities identifiers; categories stay notes; the map is written as one."""
    with closing(sqlite3.connect(shell.folder / "app.db")) as connection:
        connection.execute("CREATE TABLE logins (id INTEGER PRIMARY KEY, who TEXT, phone TEXT)")
    (shell.folder / "shop.yml").write_text(FIDES)
    path = name_map(shell)
    assert shell("datamap", "init", "--from-fides", "shop.yml").code == 0
    text = path.read_text()
    assert "identifiers: {email: email}" in text
    assert "    via: {who: users.email}\n    row: TODO" in text
    assert "      about: TODO  # fides: user.content\n" in text
    assert shell("datamap", "check").code == 1
    assert shell("datamap", "export", "--format", "fides").code == 1
    path.write_text(DECIDED + "  logins: {row: delete, via: {who: users.email}}\n")
    exported = shell("datamap", "export", "--format", "fides")
    assert exported.code == 0
    (dataset,) = yaml.safe_load(exported.out)["dataset"]
    users, logins = (c for c in dataset["collections"] if c["name"] in {"users", "logins"})
    assert users["fields"] == [
        {"name": "id", "data_categories": ["system.operations"], "fides_meta": {"primary_key": True}},
        {"name": "email", "data_categories": ["user.contact.email"], "fides_meta": {"identity": "email"}},
        {"name": "about", "data_categories": ["user"]},
    ]
    reference = {"dataset": "app", "field": "users.email", "direction": "from"}
    assert logins["fields"][1]["fides_meta"] == {"references": [reference]}
    (shell.folder / "shop.yml").write_text("dataset: [{collections: 7}]")
    said = shell("datamap", "init", "--from-fides", "shop.yml", "-o", "new.yaml")
    assert said.code == 2
    assert "shop.yml:1: it is no Fides dataset" in said.refusal
