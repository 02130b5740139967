"""Connections to the broker: TLS in both directions, and passwords that change."""

import secrets
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis
from kombu.exceptions import OperationalError

from aegis.client.sending import _app
from aegis.doctor.broker import check_broker
from aegis.doctor.findings import Finding, Verdict
from aegis.doctor.patient import Patient
from aegis.embedded.server import write_private
from aegis.errors import SettingsError
from aegis.operations.brokers import client_of, verified
from aegis.operations.system import System
from aegis.settings import Settings
from tests.brokerlife import SHOP, Events, Life
from tests.certificates import Certificates
from tests.deployed import Deployed
from worker.app import build_app


@pytest.fixture
def home(home_template: Path, tmp_path: Path) -> Path:
    """A home for worker and beat."""
    return Path(shutil.copytree(home_template, tmp_path / "home"))


@pytest.fixture
def trusted(tmp_path: Path) -> Certificates:
    """Certificates for the server and its clients."""
    return Certificates.made(tmp_path / "certificates")


@pytest.fixture
def secure(trusted: Certificates, tmp_path: Path) -> Iterator[Deployed]:
    """A Redis that speaks TLS only, with clients that show a certificate."""
    with Deployed(tmp_path / "broker", "redis", producers=SHOP, certificates=trusted) as server:
        yield server


def test_all_work_over_tls(secure: Deployed, home: Path) -> None:
    """A service, a worker and the doctor, with certificates in both directions."""
    life = Life(secure, home.parent)
    with life.process("worker"), Events(secure) as events:
        sent = life.send()
        life.until(lambda: ("task-succeeded", sent) in events.seen(), "it is done")
        assert [found.verdict for found in examined(life.settings("worker"))] == [Verdict.OK]


def test_no_connection_whose_other_end_is_not_checked(
    trusted: Certificates, home: Path, tmp_path: Path
) -> None:
    """Another authority, another name, no authority: none of them connects, whoever asks."""
    other = Certificates.made(tmp_path / "other")
    with Deployed(tmp_path / "broker", "redis", certificates=trusted, mutual=False) as server:
        right = Life(server, home.parent).settings("worker")
        bare = right.broker_url.partition("?")[0]
        assert not refused(replace(right, broker_url=f"{bare}?{trusted.trust}"))
        for url in (
            bare,
            f"{bare}?{other.trust}",
            f"{bare}?{trusted.trust}".replace("127.0.0.1", "localhost"),
        ):
            settings = replace(right, broker_url=url)
            assert refused(settings), url
            (found,) = examined(settings)
            assert found.verdict is Verdict.FAULT
            assert "no connection that can be trusted" in found.text
            assert "ssl_ca_certs" in str(found.cure)


def test_no_connection_without_a_certificate_of_ones_own(
    secure: Deployed, trusted: Certificates, home: Path
) -> None:
    """Where the broker asks for one."""
    right = Life(secure, home.parent).settings("worker")
    assert not refused(right)
    assert refused(replace(right, broker_url=f"{right.broker_url.partition('?')[0]}?{trusted.trust}"))


def refused(settings: Settings) -> bool:
    """Say that neither a worker, nor a service, nor who only looks gets a connection."""
    password = (settings.broker_password_file or Path()).read_text("ascii").strip()
    service = settings.broker_url.replace("worker@", f"worker:{password}@")
    for app in (build_app(settings, imports=()), _app(service)):
        try:
            with app.connection_for_write() as connection:
                connection.ensure_connection(max_retries=1, interval_start=0, timeout=1)
                channel: Any = connection.default_channel
                channel.client.ping()
        except (OperationalError, redis.RedisError):
            continue
        finally:
            app.close()
        return False
    with closing(client_of(settings, decoded=True)) as client, pytest.raises(redis.ConnectionError):
        client.ping()
    return True


@pytest.mark.parametrize(
    "url",
    [
        "rediss://h/0?ssl_cert_reqs=none",
        "rediss://h/0?ssl_cert_reqs=CERT_NONE",
        "rediss://h/0?ssl_cert_reqs=optional",
        "rediss://h/0?ssl_ca_certs=/ca&ssl_check_hostname=false",
        "redis://h/0?ssl_ca_certs=/ca",
        "redis://h/0;rediss://i/0",
        "rediss://h/0;rediss://i/0",
    ],
)
def test_the_check_of_a_certificate_cannot_be_turned_off(url: str) -> None:
    """Not in the URL, and not by leaving it out of one of several."""
    with pytest.raises(SettingsError, match="broker_url has"):
        verified(url)
    with pytest.raises(SettingsError):
        build_app(Settings(broker_url=url), imports=())
    with pytest.raises(SettingsError):
        client_of(Settings(broker_url=url), decoded=True)


def test_a_url_keeps_what_it_says() -> None:
    """The check is added; user, password and files stay."""
    url = "rediss://u:p%40@h:1/0?ssl_ca_certs=/run/secrets/ca"
    assert verified(url) == f"{url}&ssl_cert_reqs=required"
    assert verified(verified(url)) == verified(url)
    assert verified("redis://u:p%40@h:1/0") == "redis://u:p%40@h:1/0"


def test_a_password_changes_while_a_worker_runs(home: Path, tmp_path: Path) -> None:
    """Old and new are valid for a while; then only the new one, and the worker is there with it."""
    with Deployed(tmp_path / "broker", "valkey", producers=SHOP) as broker:
        life = Life(broker, home.parent)
        with life.process("worker"):
            servers = broker.password_file("worker")
            old, new = servers.read_text("ascii"), f"{secrets.token_hex(24)}\n"
            write_private(servers, old + new)
            assert broker.render().returncode == 0
            broker.load()
            write_private(life.password_file("worker"), new)
            write_private(servers, new)
            assert broker.render().returncode == 0
            broker.load()
            with broker.client("admin") as admin:
                admin.client_kill_filter(_type="normal")
            with pytest.raises(redis.AuthenticationError), closing(as_worker(broker, old)) as late:
                late.ping()
            broker.refusals()
            with Events(broker) as events:
                sent = life.send()
                life.until(lambda: ("task-succeeded", sent) in events.seen(), "it is done")


def test_the_doctor_as_a_user_who_may_not_ask(home: Path, tmp_path: Path) -> None:
    """It cannot tell, and says as whom it can."""
    with Deployed(tmp_path / "broker", "valkey") as broker:
        (found,) = examined(Life(broker, home.parent).settings("beat"))
        assert found.verdict is Verdict.UNKNOWN
        assert found.cure == "ask as the user worker, or grant this one +info and +time"


def as_worker(broker: Deployed, password: str) -> redis.Redis:
    """Return a client with some password."""
    return redis.Redis.from_url(broker.url_of("worker", password.strip()), protocol=2)


def examined(settings: Settings) -> list[Finding]:
    """Return what the doctor says of the broker."""
    system = System(settings)
    try:
        return list(check_broker(Patient(system=system)))
    finally:
        system.close()
