"""`aegis catalog propose`, `diff`, `export` and `import`, as a person and a program use them."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.shells import Shell, empty

TABLES = """
CREATE TABLE users (id INTEGER PRIMARY KEY, email VARCHAR(99), first_name TEXT, last_name TEXT);
CREATE TABLE user_sessions (id INTEGER PRIMARY KEY, user_id INT REFERENCES users ON DELETE CASCADE,
    ip_address VARCHAR(45), expires_at TIMESTAMP);
"""


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A folder with an application's database and the name of a data map that is not there yet."""
    make(tmp_path, TABLES)
    made = empty(tmp_path)
    made.configure()
    with (tmp_path / "aegis.toml").open("a") as settings:
        settings.write('datamap = "app.datamap.yaml"\n')
    return made


def make(folder: Path, script: str) -> None:
    """Change the application's schema."""
    with closing(sqlite3.connect(folder / "app.db")) as connection:
        connection.executescript(script)


def test_from_nothing_to_a_reviewed_catalog(shell: Shell) -> None:
    """Each step says the next; drift is exit code 1; what is reviewed goes out and comes back."""
    nothing = shell("catalog", "diff")
    assert (nothing.code, nothing.err) == (1, "")
    assert "+ users  new table, 4 columns\n" in nothing.out
    assert "8 columns are undecided. Next:  aegis catalog propose app" in nothing.out
    assert (
        "nobody has accepted what columns of app hold"
        in shell("catalog", "export", "--format", "csv").refusal
    )

    made = shell("catalog", "propose")
    assert (made.code, made.err) == (0, "")
    assert "user_sessions_ended  expires_at    30  delete" in made.out
    assert "Nothing of it is in force" in made.out
    datamap, policies = (shell.folder / f"app.{kind}.proposed.yaml" for kind in ("datamap", "policies"))
    assert shell("catalog", "propose", "--json").document["added"] == {
        "subjects": [],
        "tables": [],
        "columns": [],
        "catalog": [],
        "catalog columns": [],
        "policies": [],
    }
    waiting = shell("policy", "apply", "-f", str(policies), "--check")
    assert waiting.code == 1
    assert "user_sessions_ended  proposed: nobody has accepted it" in waiting.out

    live = shell.folder / "app.datamap.yaml"
    datamap.rename(live)
    assert shell("datamap", "check").code == 1
    live.write_text(live.read_text().replace("status: proposed", "status: accepted"))
    assert shell("datamap", "check").code == 0
    agreed = shell("catalog", "diff")
    assert (agreed.code, agreed.out) == (0, "A person has decided what every column of app holds.\n")

    labels = shell.folder / "labels.csv"
    assert shell("catalog", "export", "--format", "csv", "-o", str(labels)).code == 0
    assert "users,email,varchar(99),user.contact.email,accepted," in labels.read_text()
    make(shell.folder, "ALTER TABLE users ADD COLUMN xk VARCHAR(9); DROP TABLE user_sessions;")
    drift = shell("catalog", "diff", "--json")
    assert drift.code == 1
    assert drift.document["undecided_columns"] == 1
    assert [(d["kind"], d["table"], d["column"]) for d in drift.document["differences"]] == [
        ("column", "users", "xk"),
        ("gone", "user_sessions", ""),
    ]
    with labels.open("a") as file:
        file.write("users,xk,,user.government_id,,,\n")
    taken = shell("catalog", "import", str(labels), "--format", "csv", "--json").document
    assert taken["taken"] == 1, "what a person has decided stays"
    text = datamap.read_text()
    assert "xk: {status: proposed, type: varchar(9), category: user.government_id," in text
    assert "xk: TODO  # new; proposed: " in text


def test_a_review_that_is_open_and_a_map_that_changed(shell: Shell) -> None:
    """Two files that say different things are not mixed: a person finishes one."""
    assert shell("catalog", "propose").code == 0
    proposed, live = (shell.folder / f"app.datamap{name}.yaml" for name in (".proposed", ""))
    live.write_text(proposed.read_text().replace("status: proposed", "status: accepted"))
    assert shell("catalog", "propose").code == 0
    live.write_text(live.read_text().replace("row: anonymize", "row: delete"))
    told = shell("catalog", "propose").refusal
    assert "say different things of users: finish the review of the one" in told


def test_what_stops_it(shell: Shell) -> None:
    """A file with faults is 2 with its line, a database that does not answer 5; nothing is written over."""
    path = shell.folder / "app.datamap.proposed.yaml"
    path.write_text("tables: [a]\n")
    wrong = shell("catalog", "propose")
    assert (wrong.code, wrong.out) == (2, "")
    assert f"{path}:1:" in wrong.err
    assert path.read_text() == "tables: [a]\n"
    path.unlink()
    bad = shell.folder / "bad.json"
    bad.write_text("{")
    read = shell("catalog", "import", str(bad), "--format", "datahub")
    assert (read.code, f"{bad}:1: this is no JSON" in read.err) == (2, True)
    (shell.folder / "app.db").unlink()
    for words in (("diff",), ("propose",), ("import", str(bad), "--format", "csv")):
        gone = shell("catalog", *words)
        assert gone.code == 5, words
        assert "does not exist" in gone.err


def test_other_forms(shell: Shell) -> None:
    """Each is written from proposals where that is said, under the names that the other tool has."""
    shell("catalog", "propose")
    proposed = ("--datamap", str(shell.folder / "app.datamap.proposed.yaml"), "--proposed")
    hub = shell("catalog", "export", "--format", "datahub", *proposed, "--name", "shop.public").out
    assert (
        "urn:li:dataset:(urn:li:dataPlatform:sqlite,shop.public.users,PROD)"
        in json.loads(hub)[1]["entityUrn"]
    )
    meta = json.loads(shell("catalog", "export", "--format", "openmetadata", *proposed).out)
    assert {table["databaseSchema"] for table in meta} == {"app.default.app"}
    fides = shell("catalog", "export", "--format", "fides", *proposed).out
    assert "fides_key: app" in fides
