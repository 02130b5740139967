"""Connections to the broker: one for who looks at it and sends nothing, and what all of them keep to."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from aegis.errors import SettingsError
from aegis.settings import Settings

#: How long the broker may take to answer.
BROKER_SECONDS: Final = 5.0
#: redis-py tells every server its version (CLIENT SETINFO). A user of least privilege may not, and would fill
#: the server's ACL LOG, in which only what somebody tried is to stand.
UNTOLD: Final[Mapping[str, Any]] = (
    {"driver_info": None} if redis.VERSION >= (8,) else {"lib_name": None, "lib_version": None}
)
#: The words of a URL that would turn off the check of the server's certificate, and what they may be.
_CHECKS: Final = {"ssl_cert_reqs": {"required", "CERT_REQUIRED"}, "ssl_check_hostname": {"true", "True"}}


def verified(url: str) -> str:
    """Return a broker's URL with the check of the server's certificate said in it.

    kombu checks no certificate of a `rediss://` URL that says nothing about it.

    Raises:
        SettingsError: it asks for a connection whose other end is not checked, or not encrypted.

    """
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    said = sorted(name for name in options if name.startswith("ssl_"))
    # kombu takes several URLs, each with options of its own.
    several = ";" in url and "rediss://" in url
    if several or (said and parts.scheme != "rediss"):
        message = f"broker_url has {'several servers' if several else said[0]}: expected one rediss:// URL"
        raise SettingsError(message)
    if parts.scheme != "rediss":
        return url
    for name, allowed in _CHECKS.items():
        if options.get(name) not in {None, *allowed}:
            message = (
                f"broker_url has {name}={options[name]}: then anybody could pose as the broker; "
                "take it out, and name the file of its CA: ssl_ca_certs=FILE"
            )
            raise SettingsError(message)
    return parts._replace(query=urlencode({**options, "ssl_cert_reqs": "required"}, safe="/")).geturl()


def client_of(settings: Settings, *, decoded: bool) -> redis.Redis:
    """Return a client that asks once and gives up soon.

    Args:
        settings: the settings.
        decoded: answers are text; else the bytes as they are.

    Raises:
        ValueError: the URL cannot be read.
        SettingsError: it turns off the check of the broker's certificate.
        OSError: the password's file cannot be read.

    """
    url = verified(settings.broker_url).replace("redis+socket://", "unix://", 1)
    client = redis.Redis.from_url(
        url,
        protocol=2,
        socket_timeout=BROKER_SECONDS,
        socket_connect_timeout=BROKER_SECONDS,
        retry=Retry(NoBackoff(), 0),
        decode_responses=decoded,
        **UNTOLD,
    )
    if settings.broker_password_file:
        password = settings.broker_password_file.read_text(encoding="utf-8").rstrip("\r\n")
        client.connection_pool.connection_kwargs["password"] = password
    return client
