"""A connection to the broker, for who looks at it and sends nothing."""

from typing import Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from aegis.settings import Settings

#: How long the broker may take to answer.
BROKER_SECONDS: Final = 5.0


def client_of(settings: Settings, *, decoded: bool) -> redis.Redis:
    """Return a client that asks once and gives up soon.

    Args:
        settings: the settings.
        decoded: answers are text; else the bytes as they are.

    Raises:
        ValueError: the URL cannot be read.
        OSError: the password's file cannot be read.

    """
    url = settings.broker_url.replace("redis+socket://", "unix://", 1)
    client = redis.Redis.from_url(
        url,
        protocol=2,
        socket_timeout=BROKER_SECONDS,
        socket_connect_timeout=BROKER_SECONDS,
        retry=Retry(NoBackoff(), 0),
        decode_responses=decoded,
    )
    if settings.broker_password_file:
        password = settings.broker_password_file.read_text(encoding="utf-8").rstrip("\r\n")
        client.connection_pool.connection_kwargs["password"] = password
    return client
