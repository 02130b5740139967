"""What a service seals: to the workers aggregates and the details of events, to itself what it keeps."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aegis.audit.enclosed import enclose
from aegis.envelopes import checked_workers_key, client_public_key, open_, seal
from aegis.errors import NotPrepared, UsageError
from aegis.federated import inputs as places
from aegis.federated import messages, wire
from aegis.keys import Secret, client_key
from aegis.operations.stores import open_store

#: Aggregates up to here travel in their message; with a place for inputs only up to the other.
LARGEST_IN_MESSAGE: Final = 1024 * 1024
LARGEST_BESIDE_A_PLACE: Final = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class Sealed:
    """An envelope, as base64."""

    text: str
    #: The file that it refers to, if the aggregate is large.
    file: str | None = None


class Sealer:
    """Seals to the workers, and to the service itself.

    Args:
        workers_key: their public key; None: nothing can be sealed.
        key_file: the service's own key.
        inputs: the place for large aggregates.

    """

    def __init__(self, workers_key: str | None, key_file: Path | None, inputs: str | None) -> None:
        self._workers_key = None if workers_key is None else checked_workers_key(workers_key.strip())
        self._key_file, self._inputs = key_file, inputs

    def secret(self) -> Secret:
        """Load the service's own key.

        Raises:
            NotPrepared: the client was given none.

        """
        if self._key_file is None:
            message = (
                "answers and the outbox are sealed to the service itself: give key_file= "
                "(`aegis client-key --new FILE`)"
            )
            raise NotPrepared(message)
        return client_key(self._key_file)

    def details(self, details: Mapping[str, Any], request_id: str) -> str:
        """Return the details of an event, sealed for one request."""
        return enclose(self._to(), request_id, details)

    def aggregate(self, value: Any, request_id: str, body: Mapping[str, Any]) -> Sealed:
        """Return an aggregate and what is said about it, sealed for one request; a large one in a file.

        Raises:
            UsageError: the value is no aggregate, or too large for how this client was made.

        """
        words = {name: _plain(word) for name, word in body.items()}
        words["reply_to"] = client_public_key(self.secret())
        encoded = wire.encode(value)
        written = None
        if self._inputs and len(encoded) > LARGEST_BESIDE_A_PLACE:
            written = self._written(encoded, request_id)
            words["reference"] = written.plain
        elif len(encoded) <= LARGEST_IN_MESSAGE:
            words["aggregated_value"] = value
        else:
            message = (
                f"an aggregate of {len(encoded)} bytes is too large for a message (at most "
                f"{LARGEST_IN_MESSAGE}): give inputs=, the workers' federated.inputs, to the client"
            )
            raise UsageError(message)
        sealed = seal(self._to(), wire.encode(words), about=messages.about_request(request_id))
        return Sealed(text=base64.b64encode(sealed).decode(), file=None if written is None else written.name)

    def keep(self, arguments: Mapping[str, Any], request_id: str) -> bytes:
        """Return the arguments of a request, sealed to the service itself."""
        plain = json.dumps(arguments, sort_keys=True).encode()
        return seal(client_public_key(self.secret()), plain, about=_about_kept(request_id))

    def kept(self, sealed: bytes, request_id: str) -> dict[str, Any]:
        """Return arguments that were kept.

        Raises:
            Tampered: they are not sealed to this service's key, or not for this request.

        """
        found: dict[str, Any] = json.loads(open_(self.secret(), sealed, about=_about_kept(request_id)))
        return found

    def forget(self, sealed: Sealed) -> None:
        """Remove the file that no message names; if that fails too, it goes when it is old enough."""
        if sealed.file is not None:
            open_store(str(self._inputs)).remove("", sealed.file)

    def _to(self) -> str:
        if self._workers_key is None:
            message = "this is sealed to the workers: give workers_key= (`aegis client-key`) to the client"
            raise NotPrepared(message)
        return self._workers_key

    def _written(self, encoded: bytes, request_id: str) -> messages.Reference:
        sealed = seal(self._to(), encoded, about=messages.about_input(request_id))
        found = messages.Reference(
            name=places.new_name(request_id), sha256=hashlib.sha256(sealed).hexdigest(), sealed=True
        )
        open_store(str(self._inputs)).put("", found.name, sealed)
        return found


def _about_kept(request_id: str) -> bytes:
    return f"aegis.client.outbox\n{request_id}".encode()


def _plain(word: Any) -> Any:
    """Return an argument as it is written: any sequence of names as a list."""
    is_sequence = isinstance(word, Sequence | set | frozenset) and not isinstance(word, str | bytes)
    return list(word) if is_sequence else word
