"""Every page of the documentation, read from its beginning: its commands and examples run, and say what it says."""

import contextlib
import datetime as dt
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import redis
import sqlalchemy as sa

from aegis.embedded.redis import EmbeddedRedis
from aegis.embedded.server import free_port
from tests import oneperson, worlds
from tests.deployed import Deployed
from tests.pages import DOCS, PAGES, blocks, told
from tests.postgres import Postgres
from tests.reader import Reader
from tests.receivers import HttpServer
from tests.shells import ADD, APPROVE, EXECUTE, Shell, empty
from tests.starter import starter
from tests.workerkit import ROOT, client, listens, wait_until

WHO: Final = ("--actor", "you@example.com")
#: What a service has at hand.
PATHS: Final = "from pathlib import Path\n"


def app(broker: str) -> str:
    """Return the Celery application of a service."""
    return f"from celery import Celery\napp = Celery(broker={broker!r})\n"


@contextlib.contextmanager
def at(folder: Path, postgres: Postgres, *statements: str, more: str = "", migrated: bool = True) -> Iterator[tuple[Shell, str]]:
    """Give a folder whose data source `app` is a PostgreSQL with these tables."""
    name = f"page_{folder.name}"[:60].lower().replace("-", "_")
    url = postgres.create_database(name)
    app = worlds.engine(url)
    with app.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))
    (folder / "aegis.toml").write_text(f'[datasources.app]\nurl = "{url}"\n{more}\n', "utf-8")
    shell = empty(folder)
    assert not migrated or shell("migrate", "--datasource", "app").code == 0
    yield shell, url
    app.dispose()
    postgres.drop_database(name)


def test_tenants(postgres_server: Postgres, tmp_path: Path) -> None:
    """A check, a policy with days of a tenant's own, and one through the tenant's session under row security."""
    orders = (
        "CREATE TABLE orders (id bigserial PRIMARY KEY, org text NOT NULL, created_at timestamptz NOT NULL)",
        "INSERT INTO orders (org, created_at) SELECT (ARRAY['acme', 'beta'])[1 + i % 2], now() - i * interval '1 day' "
        "FROM generate_series(1, 200) AS i",
    )
    with at(tmp_path, postgres_server, *orders) as (shell, url):
        owner = worlds.engine(url)

        def run(text: str) -> None:
            with owner.begin() as connection:
                connection.exec_driver_sql(text)

        def approve() -> None:
            assert shell("policy", "approve", "orders_90", "--actor", "legal@example.com").code == 0

        Reader(
            page=DOCS / "tenants.md",
            shell=shell,
            # The tests' own superuser is called so.
            here={"ROLE aegis": "ROLE aegis_reads", "2027-01-31": "2099-01-31"},
            given={"from api.privacy": 'requesting_tenant = resource_tenant = "acme"'},
            before={"aegis retention run --policy orders_90 --tenant acme --execute": approve},
            sql=run,
        ).read()
        with owner.begin() as connection:
            connection.exec_driver_sql("DROP ROLE aegis_reads")
        owner.dispose()


EVENTS: Final = (
    "CREATE TABLE safety_events (id bigserial PRIMARY KEY, tenant text, kind text, email text, "
    "created_at timestamptz NOT NULL)",
    "INSERT INTO safety_events (tenant, kind, created_at) SELECT 'acme', 'low', now() - i * interval '1 day' "
    "FROM generate_series(1, 200) AS i",
)


def test_rights(postgres_server: Postgres, tmp_path: Path) -> None:
    """The rights are printed, given by the owner, and the role that has them lacks nothing."""
    with at(tmp_path, postgres_server, *EVENTS) as (shell, url):
        assert shell(*ADD).code == 0

        def own(text: str) -> None:
            with worlds.engine(url).begin() as connection:
                connection.exec_driver_sql(text)

        def be_the_role() -> None:
            role = sa.make_url(url).set(username="aegis_run", password="x").render_as_string(hide_password=False)
            (tmp_path / "aegis.toml").write_text(f'[datasources.app]\nurl = "{role}"\n', "utf-8")

        Reader(
            page=DOCS / "rights.md",
            shell=shell,
            here={"$OWNER/app": url, "less": "cat"},
            before={
                "aegis grants app --role": lambda: own("CREATE ROLE aegis_run LOGIN PASSWORD 'x'"),
                "aegis grants app --check": be_the_role,
            },
        ).read()
        own("DROP OWNED BY aegis_run; DROP ROLE aegis_run")


def test_producers(tmp_path: Path) -> None:
    """A service makes its key, shows it again, and sends what is signed."""
    with EmbeddedRedis(tmp_path / "redis") as redis:
        shell = empty(tmp_path)
        shell.environment |= {"AEGIS_BROKER_URL": redis.url}
        workers = shell("client-key").out.strip()
        key = str(tmp_path / "shop.key")
        Reader(
            page=DOCS / "producers.md",
            shell=shell,
            here={"/etc/shop/aegis.key": key, "redis://shop@redis/0": redis.url, "aegis-workers-1:…": workers},
            given={"from aegis.client": f"{PATHS}{app(redis.url)}"},
        ).read()
        queued = json.loads(client(redis.url).lindex("erasure", 0))
        assert queued["headers"]["aegis"]["producer"] == "shop"


def test_keys(tmp_path: Path) -> None:
    """The store is turned on several machines: prepared, copied, turned."""
    shell = empty(tmp_path)
    assert shell("policy", "list").code == 0
    Reader(page=DOCS / "keys.md", shell=shell).read()


def people() -> list[str]:
    """Return the statements that make one small application with its people."""
    made = oneperson.TABLES.format(json="jsonb").split(";")
    for name, rows in oneperson.ROWS.items():
        made += [f"INSERT INTO {name} VALUES ({', '.join(map(literal, row))})" for row in rows]
    return [*made, "ALTER TABLE users ADD COLUMN last_seen_at timestamptz DEFAULT now() - interval '9 years'"]


def literal(value: object) -> str:
    """Return a value as SQL."""
    return "NULL" if value is None else f"'{value}'"


MAP: Final = oneperson.MAP.replace(
    "identifiers: {email: email}",
    "identifiers: {email: email}, groups: {inactive: {period: P3Y, from: last_seen_at}}",
)


def test_audit(postgres_server: Postgres, tmp_path: Path) -> None:
    """Exports, checks with and without Aegis, evidence, and a prune."""
    (tmp_path / "app.datamap.yaml").write_text(MAP, "utf-8")
    more = 'datamap = "app.datamap.yaml"'
    with at(tmp_path, postgres_server, *EVENTS, *people(), more=more) as (shell, _):
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
            elsewhere={"aegis audit verify --witness": "tests/integration/test_audit_verify.py: a witness of its own"},
        ).read()


def test_erasure(postgres_server: Postgres, tmp_path: Path) -> None:
    """One person, a group, a tenant, copies elsewhere, another look, and a replay."""
    (tmp_path / "app.datamap.yaml").write_text(MAP, "utf-8")
    (tmp_path / "identifiers.txt").write_text("email=a@example.com\n", "utf-8")
    config, server = tmp_path / "aegis.toml", HttpServer()
    with (
        at(tmp_path, postgres_server, *people(), more='datamap = "app.datamap.yaml"') as (shell, url),
        EmbeddedRedis(tmp_path / "redis") as broker,
        server.running(),
    ):
        before = config.read_text("utf-8")

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
            with worlds.engine(url).begin() as connection:
                connection.exec_driver_sql("UPDATE users SET email = 'a@example.com' WHERE id = 7")

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
                "app.send_task": app(broker.url),
                "from api.privacy import anonymize_users": app(broker.url),
                "from aegis.datamap.erasers": BUCKET,
            },
            elsewhere={"aegis retention resume": "tests/integration/test_replay.py restores a source"},
        ).read()


#: A database of tenants.
TENANTS: Final = """
CREATE TABLE orgs (id TEXT PRIMARY KEY, title TEXT);
CREATE TABLE users (id INTEGER PRIMARY KEY, org TEXT REFERENCES orgs, email TEXT);
CREATE TABLE notes (id INTEGER PRIMARY KEY, author INTEGER REFERENCES users);
INSERT INTO orgs VALUES ('acme', 'ACME Limited'), ('beta', 'Beta');
INSERT INTO users VALUES (1, 'acme', 'one@example.com'), (2, 'beta', 'two@example.com');
INSERT INTO notes VALUES (1, 1), (2, 2);
"""


def erased(shell: Shell) -> str:
    """Return the newest request."""
    return str(shell("erasure", "status", "--json").document[0]["request"])


#: What the erasers of an application work on.
BUCKET: Final = """
class bucket:
    def remove(name): return True
provider = None
"""


def test_running(postgres_server: Postgres, tmp_path: Path) -> None:
    """A control database that is named is prepared by command, and the log gets its first key."""
    with at(tmp_path, postgres_server, *EVENTS, migrated=False) as (shell, _):
        control = postgres_server.create_database("page_running_control")
        Reader(
            page=DOCS / "running.md",
            shell=shell,
            here={"postgresql://aegis@db/aegis": control},
            elsewhere={
                "aegis worker health": "tests/integration/test_health.py has a worker",
                "aegis beat health": "tests/integration/test_health.py has a beat",
                "pip install": "no registry here; tests/integration/test_traces.py has what it installs",
            },
        ).read()
        postgres_server.drop_database("page_running_control")


def test_federated(tmp_path: Path) -> None:
    """An aggregate from Python and from a file, budgets, clipping, and a sum of a secure aggregation."""
    shell = empty(tmp_path)

    def spend(budget: str, epsilon: str) -> None:
        words = ("--participants", "42", "--epsilon", epsilon, "--budget", budget, "--id", budget, "--execute")
        assert shell("federated", "release", "round-7.json", *words).code == 0

    (tmp_path / "round-7.json").write_text('{"loss": 0.31, "rows": 1200}', "utf-8")
    Reader(
        page=DOCS / "federated.md",
        shell=shell,
        here={"YOU": "you@example.com", "/etc/usage/aegis.key": "usage.key"},
        before={"aegis federated budget show": lambda: [spend("acme/usage", "0.5"), spend("sensors", "0.1")]},
        given={
            "from aegis.federated.clipping": (
                "import numpy as np; from api.budgets import create_budget\n"
                "updates = np.ones((20, 4))\n"
                "create_budget('models', epsilon=9, delta=1e-6, composition='zcdp', actor='you')\n"
            ),
            "from aegis.federated.modular": (
                "import numpy as np; from aegis.federated.clipping import clip_contributions\n"
                "update = np.ones(4); modulus = 1 << 32; residues = np.zeros(4, dtype=np.int64)\n"
            ),
        },
        elsewhere={
            "from pathlib import Path\n\nfrom aegis.client": "tests/integration/test_federated_worker.py has a worker",
        },
    ).read()


def test_datamap(postgres_server: Postgres, tmp_path: Path) -> None:
    """A first map, what is open in it, a hook, and the plan for one person."""
    with at(tmp_path, postgres_server, *people(), more='datamap = "app.datamap.yaml"') as (shell, url):

        def own(*statements: str) -> None:
            with worlds.engine(url).begin() as connection:
                for statement in statements:
                    connection.exec_driver_sql(statement)

        def opened() -> None:
            own(
                "ALTER TABLE users ADD COLUMN nickname text",
                "CREATE TABLE orders (id int PRIMARY KEY, user_id int REFERENCES users)",
            )
            (tmp_path / "app.datamap.yaml").write_text(MAP, "utf-8")

        def decided() -> None:
            own("ALTER TABLE users DROP COLUMN nickname", "DROP TABLE orders")

        Reader(
            page=DOCS / "datamap.md",
            shell=shell,
            here={"4711": "7"},
            before={"from aegis.datamap.hooks": opened, "aegis erasure plan": decided},
            codes={"aegis datamap check": 1},
            given={"from aegis.datamap.hooks": "import sqlalchemy as sa\n"},
        ).read()


#: Tables of which the catalog has something to say.
SHOP: Final = (
    "CREATE TABLE orgs (id int PRIMARY KEY, name text)",
    "CREATE TABLE users (id int PRIMARY KEY, org_id int REFERENCES orgs, email varchar(254), phone varchar(20), "
    "is_staff boolean NOT NULL, last_login timestamptz)",
    "CREATE TABLE customers (id int PRIMARY KEY, first_name varchar(40), c1 text, c2 text)",
    "INSERT INTO customers SELECT i, 'Anna', 'a' || i || '@example.com', 'word ' || i FROM generate_series(1, 50) AS i",
    "CREATE TABLE user_sessions (id int PRIMARY KEY, user_id int REFERENCES users, token text, expires_at timestamptz)",
    "CREATE TABLE access_log (id int PRIMARY KEY, org_id int REFERENCES orgs, user_id int REFERENCES users, "
    "ip_address inet, created timestamptz)",
    "CREATE TABLE patients (id int PRIMARY KEY, user_id int REFERENCES users, diagnosis text, created_at timestamptz)",
    "CREATE TABLE invoices (id int PRIMARY KEY, user_id int REFERENCES users, issued_at timestamptz)",
    "CREATE TABLE leads (id int PRIMARY KEY, email text, created_at timestamptz)",
    "CREATE TABLE visits (id int PRIMARY KEY, user_id int REFERENCES users, path text)",
)


def test_catalog(postgres_server: Postgres, tmp_path: Path) -> None:
    """A scan, two files of proposals, and what a migration makes of them."""
    with at(tmp_path, postgres_server, *SHOP, more='datamap = "app.datamap.yaml"') as (shell, url):

        def accept_and_migrate() -> None:
            path = tmp_path / "app.datamap.yaml"
            path.write_text(path.read_text("utf-8").replace("status: proposed", "status: accepted"), "utf-8")
            with worlds.engine(url).begin() as connection:
                connection.exec_driver_sql("ALTER TABLE users ADD COLUMN nickname varchar(20)")
                connection.exec_driver_sql("ALTER TABLE users ALTER COLUMN phone TYPE text")
                connection.exec_driver_sql("DROP TABLE visits")

        Reader(
            page=DOCS / "catalog.md",
            shell=shell,
            before={"aegis catalog diff app": accept_and_migrate},
            codes={"aegis datamap check": 1, "aegis catalog diff app": 1},
        ).read()


def test_broker(tmp_path: Path) -> None:
    """A broker with its users is made as the page says, and a password is changed while it runs."""
    with contextlib.ExitStack() as stack:
        made = Deployed(tmp_path / "unused", "redis")
        made.folder.mkdir()
        port = free_port()
        shell = empty(tmp_path)
        (tmp_path / "deploy").symlink_to(ROOT / "deploy")

        def start() -> str:
            text = (ROOT / "deploy" / "redis" / "redis.conf").read_text("utf-8")
            for there, ours in {"/run/redis": "run", "/data": "data", "port 6379": f"port {port}"}.items():
                text = text.replace(there, str(tmp_path / ours) if ours != f"port {port}" else ours)
            (tmp_path / "redis.conf").write_text(text, "utf-8")
            process = stack.enter_context(subprocess.Popen([made.program, "redis.conf"], cwd=tmp_path))
            stack.callback(process.terminate)
            wait_until(lambda: listens(f"redis://127.0.0.1:{port}"), "the broker listens")
            return "true"

        Reader(
            page=DOCS / "broker.md",
            shell=shell,
            here={
                "/run/redis": "run",
                "/data": "data",
                "/run/secrets/redis_worker": "worker_password",
                "redis-server deploy/redis/redis.conf": start,
                "redis-cli": f"redis-cli -p {port}",
            },
        ).read()
        new = (tmp_path / "new").read_text("ascii").strip()
        with contextlib.closing(redis.Redis(port=port, username="worker", password=new)) as worker:
            assert worker.info()


#: Pages of which nothing runs here, and why: the beginning of a command → the reason.
ELSEWHERE: Final = {
    "CONTRIBUTING.md": {
        "make": "the project's own commands: .ci/run",
        "uv": "asks a registry; tests/integration/test_wheel.py installs by the locks",
        "echo hatchling": "asks a registry",
    },
    "messages.md": {
        "export AEGIS_BROKER_URL": "tests/integration/test_examples.py runs both services",
        "node": "tests/integration/test_examples.py",
        "go run": "tests/integration/test_examples.py",
        "redis-cli GET": "tests/integration/test_broker_users.py reads what workers write there",
        "app.send_task": "tests/unit/test_examples_on_pages.py: the task takes this",
    },
    "deploy.md": {
        "sh deploy/secrets.sh": "tests/unit/test_compose.py",
        "docker": "no daemon here; tests/integration/test_compose_services.py and test_image_built.py",
        "cd ": "no kustomize of that name here; tests/unit/test_kubernetes.py",
        "aegis init": "test_running",
        "kubectl": "no cluster here; tests/unit/test_kubernetes.py",
    },
}


def test_readme(postgres_server: Postgres, tmp_path: Path) -> None:
    """A policy on one's own database, the same from Python, and a task by its name."""
    with (
        at(tmp_path, postgres_server, *EVENTS, migrated=False) as (shell, _),
        EmbeddedRedis(tmp_path / "redis") as broker,
    ):
        # The test's database has another address; what a URL and a password file do is tested elsewhere.
        named = next(one.shown for one in told(blocks(ROOT / "README.md")[2]) if one.command == "cat aegis.toml")
        shown = "\n".join(named)
        Reader(
            page=ROOT / "README.md",
            shell=shell,
            here={"cat aegis.toml": f"cat aegis.toml; echo '{shown}'"},
            codes={"aegis doctor": 1},
            given={"app.send_task": app(broker.url)},
            elsewhere={
                "make demo": "tests/acceptance/test_demo.py",
                "pip install": "no registry here; tests/integration/test_wheel.py installs the wheel",
                "aegis up": "tests/acceptance/test_quickstart_page.py",
                "from aegis.client": "tests/acceptance/test_client_page.py",
            },
        ).read()


@pytest.mark.parametrize("name", sorted(ELSEWHERE))
def test_what_runs_elsewhere(name: str, tmp_path: Path) -> None:
    """Each command of these pages has a reason why it is not typed here, and no reason is left over."""
    Reader(page=next(page for page in PAGES if page.name == name), shell=empty(tmp_path), elsewhere=ELSEWHERE[name]).read()
