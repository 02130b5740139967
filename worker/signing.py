"""Signatures on messages: what this process signs with, and whose signatures it takes."""

import time
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from aegis.keys import KeyFiles, Secret
from aegis.operations.senders import Senders, senders
from aegis.producers import OURSELVES, Message, sign
from aegis.settings import Settings


class Signing:
    """The worker key as a producer, and the producers that the settings name."""

    def __init__(self, settings: Settings) -> None:
        """Take the settings; keys are read when they are first needed."""
        self._settings = settings
        self._files = KeyFiles(settings.home)

    @cached_property
    def senders(self) -> Senders | None:
        """Who may send what; None while no producer is configured: whoever can write to a queue.

        Raises:
            AegisError: a producer's name, key or task is wrong, or there is no worker key.

        """
        return senders(self._settings, self._key) if self._settings.producers else None

    def signed(self, message: Message) -> Mapping[str, Any] | None:
        """Return the header by which a message is Aegis's own; None where there is no worker key yet."""
        if not self._files.exist:
            return None
        return sign(message, self._key, producer=OURSELVES, time=int(time.time()))

    @cached_property
    def _key(self) -> Secret:
        return self._files.worker()
