"""The examples of docs/messages.md: services in Node and Go that ask a real worker for an erasure."""

import base64
import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from aegis.operations.system import System
from aegis.operations.table import ANONYMIZE, ROUTES
from aegis.settings import Settings, SourceSettings
from tests.brokerlife import Life
from tests.certificates import Certificates
from tests.deployed import Deployed
from tests.workerkit import ROOT, wait_until
from worker.intake import admit

LANGUAGES = ("node", "go")
QUEUE = "erasure"
SECRET = bytes(range(32))
MAP = """
subjects:
  user: {table: users, key: id, identifiers: {email: email}}
tables:
  users: {row: anonymize, columns: {email: surrogate}}
"""


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[str]]:
    """Return the command of each example; a language that is not here is skipped."""
    built = tmp_path_factory.mktemp("examples") / "anonymize"

    def command(language: str) -> list[str]:
        program = shutil.which(language)
        if program is None:
            pytest.skip(
                f"no {language} on this machine (Debian: {'nodejs' if language == 'node' else 'golang-go'})"
            )
        source = ROOT / "docs" / "examples"
        if language == "node":
            return [program, str(source / "anonymize.mjs")]
        if not built.exists():
            subprocess.run([program, "build", "-o", built, source / "anonymize.go"], check=True)
        return [str(built)]

    return command


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Deployed]:
    """The deployed broker."""
    with Deployed(tmp_path / "broker", "valkey", producers={"shop": QUEUE}) as server:
        yield server


@contextlib.contextmanager
def running(
    command: list[str], broker: Deployed, *words: str, **environ: str
) -> Iterator[subprocess.Popen[str]]:
    """Run an example as the service, with its own key and its own Redis user."""
    key = broker.folder / "shop.key"
    key.write_text(f"aegis-client-key-1:{base64.b64encode(SECRET).decode()}\n", "ascii")
    environ = {"PATH": os.environ["PATH"], "AEGIS_BROKER_URL": broker.url_of("producer-shop"), **environ}
    full = [*command, "shop", str(key), *words]
    with subprocess.Popen(full, env=environ, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def lying(broker: Deployed) -> dict[str, Any]:
    """Return the message that lies in the queue."""
    with broker.client("admin") as admin:
        wait_until(lambda: admin.llen(QUEUE), "it is sent")
        entry: dict[str, Any] = json.loads(admin.lindex(QUEUE, 0))
        return entry


def tell(broker: Deployed, request: str, **status: str) -> None:
    """Say where a request stands, as workers do."""
    with broker.client("worker") as worker:
        worker.set(f"aegis:status:{request}", json.dumps(status), nx=True, ex=60)


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_an_example_sends(commands: Callable[[str], list[str]], broker: Deployed, language: str) -> None:
    """Workers take it, its signature is over exactly these bytes, and it waits for the answer."""
    with running(commands(language), broker, "4711", "ticket-814") as example:
        entry = lying(broker)
        admit(QUEUE, json.dumps(entry).encode(), ROUTES, None, time.time())
        body, headers = base64.b64decode(entry["body"]), entry["headers"]
        arguments = {"user_id": "4711", "request_id": "ticket-814", "actor": "shop"}
        assert json.loads(body) == [[], arguments, {}]
        header = headers["aegis"]
        assert header.keys() == {"producer", "time", "signature"}
        assert abs(time.time() - header["time"]) < 60
        head = f"aegis/v1/message\n{ANONYMIZE}\n{headers['id']}\nshop\n{header['time']}\n"
        seed = HKDF(SHA256(), 32, None, b"aegis/v1/message").derive(SECRET)
        public = Ed25519PrivateKey.from_private_bytes(seed).public_key()
        public.verify(base64.b64decode(header["signature"]), head.encode() + body)
        tell(broker, "ticket-814", state="failed", reason="UsageError")
        assert example.communicate(timeout=30)[0].strip() == "failed UsageError"
        assert example.returncode == 1
    assert broker.refusals() == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_example_connects_by_tls(
    commands: Callable[[str], list[str]], tmp_path: Path, language: str
) -> None:
    """With the broker's authority and a certificate of its own; not without the authority."""
    trusted = Certificates.made(tmp_path / "certificates")
    with Deployed(tmp_path / "tls", "redis", producers={"shop": QUEUE}, certificates=trusted) as server:
        files = {"CA": "ca.crt", "CERT": "client.crt", "KEY": "client.key"}
        environ = {f"AEGIS_BROKER_{name}": str(trusted.folder / file) for name, file in files.items()}
        with running(commands(language), server, "4711", "ticket-1", **environ) as example:
            assert lying(server)["headers"]["task"] == ANONYMIZE
            tell(server, "ticket-1", state="accepted")
            assert example.communicate(timeout=30)[0].strip() == "accepted"
        del environ["AEGIS_BROKER_CA"]
        with running(commands(language), server, "4711", "ticket-1", **environ) as example:
            assert example.wait(30) != 0


def test_a_worker_erases_who_they_name(
    commands: Callable[[str], list[str]], broker: Deployed, home_template: Path, tmp_path: Path
) -> None:
    """Each asks for one person, a real worker erases them, and nobody else."""
    shutil.copytree(home_template, tmp_path / "home")
    (tmp_path / "app.datamap.yaml").write_text(MAP, "utf-8")
    app = sa.create_engine(f"sqlite:///{tmp_path / 'app.db'}")
    with app.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE users (id INT PRIMARY KEY, email VARCHAR(90))")
        for number in (1, 2, 3):
            connection.exec_driver_sql(f"INSERT INTO users VALUES ({number}, '{number}@example.com')")  # noqa: S608
    source = SourceSettings(url=str(app.url), datamap=tmp_path / "app.datamap.yaml")
    system = System(replace(Settings(home=tmp_path / "home"), datasources={"app": source}))
    system.migrate_source("app")
    system.close()
    life = Life(
        broker,
        tmp_path,
        AEGIS_DATASOURCES__APP__URL=source.url,
        AEGIS_DATASOURCES__APP__DATAMAP=str(source.datamap),
    )
    asked = {language: str(number) for number, language in enumerate(LANGUAGES, 1) if shutil.which(language)}
    with life.process("worker"):
        for language, person in asked.items():
            request = f"ticket-{person}"
            with running(commands(language), broker, person, request) as example:
                wait_until(lambda: f"{person}@example.com" not in emails(app), "they are erased")  # noqa: B023
                tell(broker, request, state="done")
                assert example.communicate(timeout=30)[0].split()[0] in {"accepted", "running", "done"}
        assert len([email for email in emails(app) if email.endswith("@example.com")]) == 3 - len(asked)
    life.check()


def emails(app: sa.Engine) -> list[str]:
    """Return what stands in the table."""
    with app.connect() as connection:
        return list(connection.exec_driver_sql("SELECT email FROM users ORDER BY id").scalars())
