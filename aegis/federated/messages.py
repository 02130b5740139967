"""What a service sends to have an aggregate protected, and what comes back: nothing of it in clear.

A message has a request id and either `sealed`, an envelope for the workers with everything else in it, or,
from a service that cannot seal, a `reference` to a file and parameters in clear. An aggregate is never
in a message in clear. An envelope is bound to its task and its request id: no other request can use it.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from aegis.envelopes import checked_client_key, open_
from aegis.errors import Tampered, UsageError
from aegis.federated import wire
from aegis.federated.reasons import NotAccepted, Reason
from aegis.keys import Secret
from aegis.operations.statuses import is_id

#: What its rows are called.
OPERATION: Final = "federated.protect"
#: The most that an envelope may have in a message; what is larger goes by reference.
MOST_SEALED: Final = 1024 * 1024 + 4096
#: What of a message is the same for every service: the arguments of `federated_aggregation_protect`.
PARAMETERS: Final = frozenset(
    {
        "actor",
        "budget",
        "dp_delta",
        "dp_epsilon",
        "dp_sensitivity",
        "mechanism",
        "min_participants",
        "participant_count",
        "per_field",
        "public_fields",
        "tenant_id",
        "threshold_epsilon",
    }
)
#: These name people, if only by a digest: they travel in an envelope alone.
SEALED_PARAMETERS: Final = PARAMETERS | {"participants"}
#: Nothing that outlives the release may let its holder find these by trying.
_COUNTS: Final = frozenset({"participant_count", "participants"})
_VALUE: Final = "aggregated_value"
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A file below the place for inputs, by its name and its content's digest."""

    name: str
    sha256: str
    #: The file is an envelope that a client wrote; else it is NumPy's own format.
    sealed: bool = False

    @property
    def plain(self) -> dict[str, Any]:
        """Plain data."""
        return dict(vars(self))


@dataclass(frozen=True, kw_only=True)
class Order:
    """One message, read and checked but for what the release itself checks."""

    request_id: str
    #: Arguments of `federated_aggregation_protect` but the aggregate.
    words: Mapping[str, Any] = field(repr=False)
    #: The aggregate, or where it lies.
    value: Any = field(repr=False)
    #: The public key to which the result is sealed.
    reply_to: str

    @property
    def terms(self) -> bytes:
        """What the same id must not be used for in another way; no aggregate and no count."""
        words = {name: word for name, word in self.words.items() if name not in _COUNTS}
        return wire.encode({"reply_to": self.reply_to, **words})


def about_request(request_id: str) -> bytes:
    """Return what the envelope of a message is about."""
    return _about("aegis.federated.protect", request_id)


def about_input(request_id: str) -> bytes:
    """Return what a sealed file with an aggregate is about."""
    return _about("aegis.federated.protect/input", request_id)


def about_result(request_id: str) -> bytes:
    """Return what a sealed result is about."""
    return _about("aegis.federated.protect/result", request_id)


def checked_id(request_id: object) -> str:
    """Return a request id as it came.

    Raises:
        NotAccepted: it is none.

    """
    if is_id(request_id):
        return str(request_id)
    raise NotAccepted(
        Reason.MESSAGE, "request_id must be 1 to 64 ASCII letters, digits and signs, without spaces"
    )


def read(worker_key: Secret, request_id: str, message: Mapping[str, Any]) -> Order:
    """Return what a message asks for.

    Args:
        worker_key: opens its envelope.
        request_id: its id, checked.
        message: everything else in it.

    Raises:
        NotAccepted: says what is wrong with it and what to do; quotes no value.

    """
    if _VALUE in message:
        raise NotAccepted(
            Reason.IN_CLEAR,
            "an aggregate came in clear: it was not used, and whoever reads the queue could read it. Seal it "
            "to the workers' public key (`aegis client-key`), or name a file by reference",
        )
    if "sealed" in message:
        return _sealed(worker_key, request_id, message)
    words = {name: word for name, word in message.items() if name not in {"reference", "reply_to"}}
    _refuse_unknown(words, PARAMETERS)
    if "reference" not in message:
        raise NotAccepted(
            Reason.MESSAGE, "a message has `sealed`, or a `reference` with parameters beside it"
        )
    return _order(request_id, words, reference(message["reference"]), message.get("reply_to"))


def reference(found: object) -> Reference:
    """Return a reference as it came in a message.

    Raises:
        NotAccepted: it is none.

    """
    if isinstance(found, Mapping) and {"name", "sha256"} <= set(found) <= {"name", "sha256", "sealed"}:
        name, sha256, sealed = found["name"], found["sha256"], found.get("sealed", False)
        fits = isinstance(name, str) and isinstance(sha256, str) and isinstance(sealed, bool)
        if fits and _SHA256.fullmatch(sha256):
            return Reference(name=name, sha256=sha256, sealed=sealed)
    raise NotAccepted(
        Reason.REFERENCE,
        'a reference is {"name": …, "sha256": 64 hexadecimal digits}, with "sealed": true or not',
    )


def _sealed(worker_key: Secret, request_id: str, message: Mapping[str, Any]) -> Order:
    if set(message) != {"sealed"}:
        others = ", ".join(sorted(map(repr, set(message) - {"sealed"} & SEALED_PARAMETERS)))
        raise NotAccepted(
            Reason.MESSAGE, f"beside `sealed` a message has its request_id alone; got {others or 'more'}"
        )
    words = _opened(worker_key, request_id, message["sealed"])
    if (_VALUE in words) == ("reference" in words):
        raise NotAccepted(Reason.MESSAGE, f"an envelope has {_VALUE} or a reference in it, one of the two")
    reply_to = words.pop("reply_to", None)
    value = words.pop(_VALUE) if _VALUE in words else reference(words.pop("reference"))
    _refuse_unknown(words, SEALED_PARAMETERS)
    return _order(request_id, words, value, reply_to)


def _opened(worker_key: Secret, request_id: str, sealed: object) -> dict[str, Any]:
    if not isinstance(sealed, str) or len(sealed) > MOST_SEALED * 4 // 3 + 4:
        raise NotAccepted(Reason.ENVELOPE, f"`sealed` is base64 of {MOST_SEALED} bytes at most")
    try:
        body = base64.b64decode(sealed, validate=True)
        words = wire.decode(open_(worker_key, body, about=about_request(request_id)))
    except Tampered:
        raise NotAccepted(
            Reason.ENVELOPE,
            "the envelope does not open: it was sealed to another key than the workers' "
            "(`aegis client-key`) or for another request id, or it was changed on the way",
        ) from None
    except ValueError as error:
        why = str(error) if isinstance(error, UsageError) else "it is not base64"
        raise NotAccepted(Reason.ENVELOPE, f"the envelope is not what the format says: {why}") from None
    if isinstance(words, dict) and all(isinstance(name, str) for name in words):
        return words
    raise NotAccepted(
        Reason.ENVELOPE, "the envelope is not what the format says: expected a map of arguments"
    )


def _order(request_id: str, words: dict[str, Any], value: Any, reply_to: object) -> Order:
    if "participant_count" not in words:
        raise NotAccepted(Reason.MESSAGE, "participant_count is missing: how many people stand behind it")
    if reply_to is None:
        raise NotAccepted(
            Reason.NO_REPLY_KEY,
            "the result would be sealed to nobody: give reply_to, the public key of the service "
            "(`aegis client-key --new FILE`)",
        )
    try:
        key = checked_client_key(reply_to)
    except UsageError as error:
        raise NotAccepted(Reason.NO_REPLY_KEY, f"reply_to: {error}") from None
    return Order(request_id=request_id, words=words, value=value, reply_to=key)


def _refuse_unknown(words: Mapping[str, Any], known: frozenset[str]) -> None:
    if unknown := set(words) - known:
        # Not by its name: whoever mixes up names and values would find the value in a log.
        raise NotAccepted(
            Reason.MESSAGE,
            f"{len(unknown)} arguments are not known here; known are: {', '.join(sorted(known))}",
        )


def _about(what: str, request_id: str) -> bytes:
    return f"{what}\n{request_id}".encode()
