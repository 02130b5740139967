"""The pages about people and about proof, read from their beginning, on one small application."""

import contextlib
import datetime as dt
import json
import sqlite3
import sys
from pathlib import Path
from typing import Final

from aegis.embedded.redis import EmbeddedRedis
from tests.pages import DOCS, blocks
from tests.pagesites import EVENTS, MAP, WHO, at, erased, own, people, sending
from tests.postgres import Postgres
from tests.reader import Reader
from tests.receivers import HttpServer
from tests.shells import ADD, APPROVE, EXECUTE
from tests.starter import starter

#: What the erasers of an application work on.
BUCKET: Final = """
class bucket:
    def remove(name): return True
provider = None
"""
#: A database of tenants.
TENANTS: Final = """
CREATE TABLE orgs (id TEXT PRIMARY KEY, title TEXT);
CREATE TABLE users (id INTEGER PRIMARY KEY, org TEXT REFERENCES orgs, email TEXT);
CREATE TABLE notes (id INTEGER PRIMARY KEY, author INTEGER REFERENCES users);
INSERT INTO orgs VALUES ('acme', 'ACME Limited'), ('beta', 'Beta');
INSERT INTO users VALUES (1, 'acme', 'one@example.com'), (2, 'beta', 'two@example.com');
INSERT INTO notes VALUES (1, 1), (2, 2);
"""
#: Tables of which the catalog has something to say.
SHOP: Final = """
CREATE TABLE orgs (id int PRIMARY KEY, name text);
CREATE TABLE users (id int PRIMARY KEY, org_id int REFERENCES orgs, email varchar(254), phone varchar(20),
    is_staff boolean NOT NULL, last_login timestamptz);
CREATE TABLE customers (id int PRIMARY KEY, first_name varchar(40), c1 text, c2 text);
INSERT INTO customers
    SELECT i, 'Anna', 'a' || i || '@example.com', 'word ' || i FROM generate_series(1, 50) AS i;
CREATE TABLE user_sessions (id int PRIMARY KEY, user_id int REFERENCES users, token text,
    expires_at timestamptz);
CREATE TABLE access_log (id int PRIMARY KEY, org_id int REFERENCES orgs, user_id int REFERENCES users,
    ip_address inet, created timestamptz);
CREATE TABLE patients (id int PRIMARY KEY, user_id int REFERENCES users, diagnosis text,
    created_at timestamptz);
CREATE TABLE invoices (id int PRIMARY KEY, user_id int REFERENCES users, issued_at timestamptz);
CREATE TABLE leads (id int PRIMARY KEY, email text, created_at timestamptz);
CREATE TABLE visits (id int PRIMARY KEY, user_id int REFERENCES users, path text);
"""


def test_audit(postgres_server: Postgres, tmp_path: Path) -> None:
    """Exports, checks with and without Aegis, evidence, and a prune."""
    (tmp_path / "app.datamap.yaml").write_text(MAP, "utf-8")
    more = 'datamap = "app.datamap.yaml"'
    with at(tmp_path, postgres_server, EVENTS + people(), more=more) as (shell, _):
        erase = ("erasure", "run", "7", "--request", "r", "--actor", "you@example.com", "--execute")
        for words in (ADD, APPROVE, EXECUTE, erase, ("audit", "seal")):
            assert shell(*words).code == 0
        key = shell("audit", "keys", "list", "--json").document[-1]["vkey"]

        def prove() -> None:
            log = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text("utf-8").splitlines()]
            event = next(line["event"]["id"] for line in log if "leaf" in line)
            for name in ("event.tlog-proof", "receipt.tlog-proof"):
                assert shell("audit", "prove", event, "--out", name).code == 0

        today = f"{dt.datetime.now(dt.UTC):%Y-%m-%d}"
        Reader(
            page=DOCS / "audit.md",
            shell=shell,
            here={
                "logs.example.com/aegis+4af23c1b+AR…": key,
                "2026-03-31": today,
                "aegis evidence --person -": "echo 7 | aegis evidence --person -",
                "--request R": "--request r",
                "python3 check.py": f"cd evidence-2026-q1 && {sys.executable} check.py",
            },
            before={"aegis audit verify --export": prove},
            elsewhere={
                "aegis audit verify --witness": "tests/integration/test_audit_verify.py: a witness of its own"
            },
        ).read()


def test_erasure(postgres_server: Postgres, tmp_path: Path) -> None:
    """One person, a group, a tenant, copies elsewhere, another look, and a replay."""
    (tmp_path / "app.datamap.yaml").write_text(MAP, "utf-8")
    (tmp_path / "identifiers.txt").write_text("email=a@example.com\n", "utf-8")
    config, server = tmp_path / "aegis.toml", HttpServer()
    with (
        at(tmp_path, postgres_server, people(), more='datamap = "app.datamap.yaml"') as (shell, url),
        EmbeddedRedis(tmp_path / "redis") as broker,
        server.running(),
    ):
        before = config.read_text("utf-8")
        shell.environment |= {"AEGIS_BROKER_URL": broker.url}

        def tenants() -> None:
            """Go on in a database of tenants, with the map of the page."""
            with contextlib.closing(sqlite3.connect(tmp_path / "crm.db")) as crm:
                crm.executescript(TENANTS)
            text = next(one.text for one in blocks(DOCS / "erasure.md") if "tenant: {table: orgs" in one.text)
            (tmp_path / "crm.yaml").write_text(text, "utf-8")
            where = f"sqlite:///{tmp_path / 'crm.db'}"
            config.write_text(f'[datasources.crm]\nurl = "{where}"\ndatamap = "crm.yaml"\n', "utf-8")
            assert shell("migrate", "--datasource", "crm").code == 0

        def copied() -> None:
            """Name the copies of the page, and let one be asked and confirm."""
            text = next(one.text for one in blocks(DOCS / "erasure.md") if "copies.warehouse" in one.text)
            text = text.replace("https://search.internal/forget", server.url.partition("?")[0])
            config.write_text(before + text.replace("/run/secrets/search", "identifiers.txt"), "utf-8")
            assert shell("erasure", "run", "8", "--request", "copied", *WHO, "--execute").code == 0
            ask = "from api.erasure import ask_due_copies\nask_due_copies(lambda *_: None)\n"
            starter().run((), folder=tmp_path, environment=shell.environment, script=ask)
            assert shell("erasure", "confirm", "copied", "search", *WHO).code == 0

        def restored() -> None:
            own(url, "UPDATE users SET email = 'a@example.com' WHERE id = 7")

        Reader(
            page=DOCS / "erasure.md",
            shell=shell,
            here={
                "4711": "7",
                "01a21e1a-8144-72d3-a21c-e9ffefbcd309": lambda: erased(shell),
                "since 2027-01-31": "since 2026-01-31",
                "ticket-814 agency": "copied agency",
                "status ticket-814": "status copied",
            },
            before={
                "aegis erasure run acme": tenants,
                "jq -j .receipt": lambda: config.write_text(before, "utf-8"),
                'app.send_task(\n    "aegis.erasure.confirm"': copied,
                "aegis erasure replay": restored,
            },
            codes={"aegis erasure replay": 1},
            given={
                "app.send_task": sending(broker.url),
                "from api.privacy import anonymize_users": sending(broker.url),
                "from aegis.datamap.erasers": BUCKET,
            },
            elsewhere={"aegis retention resume": "tests/integration/test_replay.py restores a source"},
        ).read()


def test_datamap(postgres_server: Postgres, tmp_path: Path) -> None:
    """A first map, what is open in it, a hook, and the plan for one person."""
    with at(tmp_path, postgres_server, people(), more='datamap = "app.datamap.yaml"') as (shell, url):

        def opened() -> None:
            own(url, "ALTER TABLE users ADD COLUMN nickname text")
            own(url, "CREATE TABLE orders (id int PRIMARY KEY, user_id int REFERENCES users)")
            (tmp_path / "app.datamap.yaml").write_text(MAP, "utf-8")

        def decided() -> None:
            own(url, "ALTER TABLE users DROP COLUMN nickname; DROP TABLE orders")

        Reader(
            page=DOCS / "datamap.md",
            shell=shell,
            here={"4711": "7"},
            before={"from aegis.datamap.hooks": opened, "aegis erasure plan": decided},
            codes={"aegis datamap check": 1},
            given={"from aegis.datamap.hooks": "import sqlalchemy as sa\n"},
        ).read()


def test_catalog(postgres_server: Postgres, tmp_path: Path) -> None:
    """A scan, two files of proposals, and what a migration makes of them."""
    with at(tmp_path, postgres_server, SHOP, more='datamap = "app.datamap.yaml"') as (shell, url):

        def accept_and_migrate() -> None:
            path = tmp_path / "app.datamap.yaml"
            path.write_text(path.read_text("utf-8").replace("status: proposed", "status: accepted"), "utf-8")
            own(url, "ALTER TABLE users ADD COLUMN nickname varchar(20), ALTER COLUMN phone TYPE text")
            own(url, "DROP TABLE visits")

        Reader(
            page=DOCS / "catalog.md",
            shell=shell,
            before={"aegis catalog diff app": accept_and_migrate},
            codes={"aegis datamap check": 1, "aegis catalog diff app": 1},
        ).read()
