"""A service that has aggregates protected, without a broker: the test delivers what it sends."""

import base64
import dataclasses
from pathlib import Path
from typing import Any

from celery import Celery

from aegis.client import Client
from aegis.envelopes import client_public_key, seal, workers_public_key
from aegis.federated import messages, wire
from aegis.keys import Secret, new_client_key
from aegis.operations.system import System
from api import federated


class Post(Celery):
    """A Celery application that keeps what it is to send."""

    def send_task(self, name: str, *args: Any, **options: Any) -> Any:
        """Keep a message."""
        del args
        self.sent.append((name, options["kwargs"]))

    @property
    def sent(self) -> list[tuple[str, dict[str, Any]]]:
        """What was sent."""
        kept: list[tuple[str, dict[str, Any]]] = self.__dict__.setdefault("kept", [])
        return kept


@dataclasses.dataclass(kw_only=True)
class Service:
    """A client with its key and its post."""

    client: Client
    key: Secret
    post: Post
    system: System

    @property
    def public(self) -> str:
        """The key to which its answers are sealed."""
        return client_public_key(self.key)

    def deliver(self) -> dict[str, Any]:
        """Deliver the newest message, as the task does."""
        return federated.protect_request(**self.post.sent[-1][1])

    def ask(self, value: Any, request_id: str, participants: int = 20, **terms: Any) -> dict[str, Any]:
        """Send, and deliver."""
        self.client.protect(value, participants, request_id=request_id, **terms)
        return self.deliver()

    def sealed(self, request_id: str, body: Any, *, key: str | None = None, about: str | None = None) -> str:
        """Return an envelope as a service in another language makes it."""
        to = key or workers_public_key(self.system.worker_key)
        plain = body if isinstance(body, bytes) else wire.encode(body)
        found = seal(to, plain, about=messages.about_request(about or request_id))
        return base64.b64encode(found).decode()


def service(system: System, folder: Path, *, inputs: bool = True) -> Service:
    """Return a service of a system; its key lies in the folder."""
    settings = system.settings
    post = Post("service", set_as_current=False)
    key = new_client_key(folder / "service.key")
    client = Client(
        post,
        workers_key=workers_public_key(system.worker_key),
        key_file=folder / "service.key",
        database_url=settings.control.url,
        inputs=settings.inputs_url if inputs else None,
        outputs=settings.outputs_url,
    )
    return Service(client=client, key=key, post=post, system=system)
