"""Pages of the documentation, read from their beginning: commands and examples run, and say what it says."""

import contextlib
import json
import subprocess
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final

import pytest
import redis
import sqlalchemy as sa

from aegis.embedded.redis import EmbeddedRedis
from aegis.embedded.server import free_port
from aegis.settings import load_settings
from tests.deployed import Deployed
from tests.pages import DOCS, PAGES, blocks, told
from tests.pagesites import EVENTS, at, own, sending
from tests.postgres import Postgres
from tests.reader import Reader
from tests.shells import ADD, empty
from tests.workerkit import ROOT, client, listens, wait_until

#: Pages of which nothing runs here, and why: the beginning of a command → the reason.
ELSEWHERE: Final[Mapping[str, Mapping[str, str]]] = {
    "CONTRIBUTING.md": {
        "make": "the project's own commands: .ci/run",
        "uv": "asks a registry; tests/integration/test_wheel.py installs by the locks",
        "echo hatchling": "asks a registry",
        ".venv/bin/python -m docs.generate": "tests/unit/test_reference_pages.py compares what it writes",
        ".venv/bin/python -m deploy.grafana": "tests/integration/test_dashboards.py compares what it writes",
        ".venv/bin/python -m docs.dashboard": "needs two minutes; tests/unit/test_dashboard_picture.py draws",
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

#: Two tenants.
ORDERS: Final = """
CREATE TABLE orders (id bigserial PRIMARY KEY, org text NOT NULL, created_at timestamptz NOT NULL);
INSERT INTO orders (org, created_at)
    SELECT (ARRAY['acme', 'beta'])[1 + mod(i, 2)], now() - i * interval '1 day'
    FROM generate_series(1, 200) AS i;
"""


def test_readme(postgres_server: Postgres, tmp_path: Path) -> None:
    """A policy on one's own database, the same from Python, and a task by its name."""
    with (
        at(tmp_path, postgres_server, EVENTS, migrated=False) as (shell, _),
        EmbeddedRedis(tmp_path / "redis") as broker,
    ):
        Reader(
            page=ROOT / "README.md",
            shell=shell,
            codes={"aegis doctor": 1},
            given={"app.send_task": sending(broker.url)},
            elsewhere={
                "make demo": "tests/acceptance/test_demo.py",
                "cat aegis.toml": "another database here; the next test reads it",
                "pip install": "no registry here; tests/integration/test_wheel.py installs the wheel",
                "aegis up": "tests/acceptance/test_quickstart_page.py",
                "from aegis.client": "tests/acceptance/test_client_page.py",
            },
        ).read()


def test_the_settings_of_the_readme(tmp_path: Path) -> None:
    """What it shows of `aegis.toml` is read."""
    found = [
        one for block in blocks(ROOT / "README.md") for one in told(block) if one.command == "cat aegis.toml"
    ]
    (tmp_path / "aegis.toml").write_text("\n".join(found[0].shown), "utf-8")
    assert load_settings({}, tmp_path).datasources["app"].password_file == Path("/run/secrets/app")


def test_tenants(postgres_server: Postgres, tmp_path: Path) -> None:
    """A check, days of a tenant's own, and a policy through the tenant's session under row security."""
    with at(tmp_path, postgres_server, ORDERS) as (shell, url):

        def approve() -> None:
            assert shell("policy", "approve", "orders_90", "--actor", "legal@example.com").code == 0

        Reader(
            page=DOCS / "tenants.md",
            shell=shell,
            # The tests' own superuser is called so.
            here={"ROLE aegis": "ROLE aegis_reads", "2027-01-31": "2099-01-31"},
            given={"from api.privacy": 'requesting_tenant = resource_tenant = "acme"'},
            before={"aegis retention run --policy orders_90 --tenant acme --execute": approve},
            sql=partial(own, url),
        ).read()
        own(url, "DROP ROLE aegis_reads")


def test_rights(postgres_server: Postgres, tmp_path: Path) -> None:
    """The rights are printed, given by the owner, and the role that has them lacks nothing."""
    with at(tmp_path, postgres_server, EVENTS) as (shell, url):
        assert shell(*ADD).code == 0

        def be_the_role() -> None:
            role = (
                sa.make_url(url).set(username="aegis_run", password="x").render_as_string(hide_password=False)
            )
            (tmp_path / "aegis.toml").write_text(f'[datasources.app]\nurl = "{role}"\n', "utf-8")

        Reader(
            page=DOCS / "rights.md",
            shell=shell,
            here={"$OWNER/app": url, "less": "cat"},
            before={
                "aegis grants app --role": lambda: own(url, "CREATE ROLE aegis_run LOGIN PASSWORD 'x'"),
                "aegis grants app --check": be_the_role,
            },
        ).read()
        own(url, "DROP OWNED BY aegis_run; DROP ROLE aegis_run")


def test_running(postgres_server: Postgres, tmp_path: Path) -> None:
    """A control database that is named is prepared by command, and the log gets its first key."""
    with at(tmp_path, postgres_server, EVENTS, migrated=False) as (shell, _):
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
            here={
                "/etc/shop/aegis.key": key,
                "redis://shop@redis/0": redis.url,
                "aegis-workers-1:…": workers,
            },
            given={"from pathlib": sending(redis.url)},
        ).read()
        queued = json.loads(str(client(redis.url).lindex("erasure", 0)))
        assert queued["headers"]["aegis"]["producer"] == "shop"


def test_keys(tmp_path: Path) -> None:
    """The store is turned on several machines: prepared, copied, turned."""
    shell = empty(tmp_path)
    assert shell("policy", "list").code == 0
    Reader(page=DOCS / "keys.md", shell=shell).read()


def test_federated(tmp_path: Path) -> None:
    """An aggregate from Python and from a file, budgets, clipping, and a sum of a secure aggregation."""
    shell = empty(tmp_path)

    def spend(budget: str, epsilon: str) -> None:
        words = (
            "--participants",
            "42",
            "--epsilon",
            epsilon,
            "--budget",
            budget,
            "--id",
            budget,
            "--execute",
        )
        assert shell("federated", "release", "round-7.json", *words).code == 0

    def spent() -> None:
        spend("acme/usage", "0.5")
        spend("sensors", "0.1")

    (tmp_path / "round-7.json").write_text('{"loss": 0.31, "rows": 1200}', "utf-8")
    Reader(
        page=DOCS / "federated.md",
        shell=shell,
        here={"YOU": "you@example.com", "/etc/usage/aegis.key": "usage.key"},
        before={"aegis federated budget show": spent},
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
            "from pathlib": "tests/integration/test_federated_worker.py has a worker",
        },
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


@pytest.mark.parametrize("name", sorted(ELSEWHERE))
def test_what_runs_elsewhere(name: str, tmp_path: Path) -> None:
    """Each command of these pages has a reason why it is not typed here, and no reason is left over."""
    Reader(
        page=next(page for page in PAGES if page.name == name),
        shell=empty(tmp_path),
        elsewhere=ELSEWHERE[name],
    ).read()
