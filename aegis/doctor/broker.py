"""The broker: whether it answers, and whether it keeps what it is given."""

import ssl
import time
from typing import Any, Final

import redis

from aegis.doctor.findings import Finding, Found, fault, note, ok, unknown
from aegis.doctor.patient import Patient
from aegis.errors import SettingsError
from aegis.operations.brokers import client_of
from aegis.settings import Settings, masked

#: How long the broker may take to answer.
BROKER_SECONDS: Final = 5.0


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
    except (redis.ResponseError, redis.ConnectionError, redis.TimeoutError) as error:
        yield _refused(shown, error)
        return
    finally:
        client.close()
    yield from _check_info(shown, info)


def refuse_wrong_login(settings: Settings) -> None:
    """Refuse to go on with a broker that answers and does not let us in; one that is away is waited for.

    Raises:
        SettingsError: says what the doctor says of it.

    """
    shown = masked(settings.broker_url)
    try:
        client = client_of(settings, decoded=True)
    except (ValueError, OSError) as error:
        message = f"broker {shown}: {error}; correct broker_url or broker_password_file"
        raise SettingsError(message) from None
    try:
        client.ping()
    except redis.AuthenticationError as error:
        found = _refused(shown, error)
        message = f"broker {found.text}; {found.cure}"
        raise SettingsError(message) from None
    except redis.RedisError:
        # It is away, or least privilege forbids PING: the transport goes on trying.
        return
    finally:
        client.close()


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
    return fault("broker", text, "start it (aegis up brings its own), or correct AEGIS_BROKER_URL")


def _check_info(shown: str, info: dict[str, Any]) -> Found:
    name = "Valkey" if info.get("server_name") == "valkey" else "Redis"
    version = info.get("valkey_version") or info.get("redis_version")
    yield ok("broker", f"{shown}: {name} {version}")
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        text = f"maxmemory-policy is {policy}: when memory is short it drops messages unseen"
        yield fault("broker", text, "redis-cli CONFIG SET maxmemory-policy noeviction, and in redis.conf")
    if not info.get("aof_enabled"):
        text = "it keeps no append-only file: messages are lost when it restarts (runs are sent again)"
        yield note("broker", text, "redis-cli CONFIG SET appendonly yes, and in redis.conf")
