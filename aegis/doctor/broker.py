"""The broker: whether it answers, and whether it keeps what it is given."""

import ssl
import time
from typing import Any, Final

import redis

from aegis.doctor.findings import Finding, Found, Verdict, fault, note, ok, unknown
from aegis.doctor.patient import Patient
from aegis.errors import SettingsError
from aegis.operations.brokers import client_of
from aegis.settings import Settings, masked

#: Holds the id of the worker key of whom the broker serves.
INSTALLATION: Final = "aegis:installation"


def check_broker(patient: Patient) -> Found:
    """Check that the broker answers, and what it says about itself; its time is for the check of clocks."""
    settings = patient.settings
    shown = masked(settings.broker_url)
    try:
        client = client_of(settings, decoded=True)
    except (ValueError, OSError) as error:
        yield fault("broker", f"{shown}: {error}", "correct broker_url or broker_password_file")
        return
    try:
        info: dict[str, Any] = client.info()
        patient.offsets["the broker"] = _offset(client)
        others = [] if patient.fresh else list(_check_installation(client, _key_of(patient)))
    except (redis.ResponseError, redis.ConnectionError, redis.TimeoutError) as error:
        yield _refused(shown, error)
        return
    finally:
        client.close()
    yield from _check_info(shown, info)
    yield from others


def _key_of(patient: Patient) -> str:
    return patient.system.key_files.worker().key_id


def refuse_unfit_broker(settings: Settings, installation: str | None = None) -> list[Finding]:
    """Refuse a broker that does not let us in, may drop messages or is another installation's.

    One that is away is waited for.

    Args:
        settings: where it is.
        installation: the id of the worker key; the broker belongs to whoever starts on it first.

    Returns:
        What is no reason to refuse it, and still to be told.

    Raises:
        SettingsError: says what the doctor says of it.

    """
    shown = masked(settings.broker_url)
    found: list[Finding] = []
    try:
        client = client_of(settings, decoded=True)
    except (ValueError, OSError) as error:
        message = f"broker {shown}: {error}; correct broker_url or broker_password_file"
        raise SettingsError(message) from None
    try:
        info: dict[str, Any] = client.info()
        found += _check_info(shown, info)
        if installation is not None:
            client.set(INSTALLATION, installation, nx=True)
            found += _check_installation(client, installation)
    except (redis.AuthenticationError, redis.ResponseError) as error:
        found.append(_refused(shown, error))
    except redis.RedisError:
        return []
    finally:
        client.close()
    for finding in found:
        if finding.verdict is Verdict.FAULT:
            message = f"broker {finding.text}; {finding.cure}"
            raise SettingsError(message)
    return [finding for finding in found if finding.verdict is not Verdict.OK]


def _check_installation(client: redis.Redis, installation: str) -> Found:
    other: Any = client.get(INSTALLATION)
    if other not in (None, installation):
        text = (
            f"it serves the installation with worker key {other}, and this one has {installation}: "
            "each would take the other's messages"
        )
        cure = (
            "give every worker and beat the same worker.key and control database, and every installation a "
            f"broker or a database number of its own; if the key was replaced: redis-cli DEL {INSTALLATION}"
        )
        yield fault("broker", text, cure)


def _offset(client: redis.Redis) -> float:
    """Return how far the broker's clock is ahead of this host's, in seconds."""
    before = time.time()
    seconds, microseconds = client.time()
    return seconds + microseconds / 1e6 - (before + time.time()) / 2


def _refused(shown: str, error: redis.RedisError) -> Finding:
    # A refused login is a connection error to the library, so it is asked for first.
    if isinstance(error, redis.AuthenticationError):
        cure = "correct the password: broker_password_file, or AEGIS_BROKER_URL"
        return fault("broker", f"{shown} refuses the login", cure)
    if isinstance(error, redis.ResponseError):
        text = f"{shown} answers, but does not tell about itself ({type(error).__name__})"
        return unknown("broker", text, "ask as the user worker, or grant this one +info and +time")
    if isinstance(error.__context__, ssl.SSLError):
        text = f"{shown}: no connection that can be trusted ({error.__context__.reason or 'TLS'})"
        cure = "name in broker_url its CA, ssl_ca_certs=FILE, and the host that its certificate is for"
        return fault("broker", text, cure)
    text = f"{shown} does not answer; nothing runs by itself without it"
    return fault("broker", text, "start it (`aegis up` brings its own), or correct AEGIS_BROKER_URL")


def _check_info(shown: str, info: dict[str, Any]) -> Found:
    name = "Valkey" if info.get("server_name") == "valkey" else "Redis"
    version = info.get("valkey_version") or info.get("redis_version")
    yield ok("broker", f"{shown}: {name} {version}")
    policy = info.get("maxmemory_policy", "noeviction")
    # The others drop only what has a time to live, and no queue has one.
    if policy.startswith("allkeys-"):
        text = f"{shown}: maxmemory-policy is {policy}: when memory is short it drops messages unseen"
        yield fault("broker", text, "redis-cli CONFIG SET maxmemory-policy noeviction, and in redis.conf")
    if not info.get("aof_enabled"):
        text = f"{shown}: it keeps no append-only file: a restart loses messages (runs are sent again)"
        yield note("broker", text, "redis-cli CONFIG SET appendonly yes, and in redis.conf")
