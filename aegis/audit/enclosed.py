"""Details of an event on their way through a broker: in an envelope that only the workers open.

The envelope (`aegis/envelopes.py`) is about `aegis.audit.record`, a line feed, and the request's id, so that
it belongs to one request; in it is one JSON object, UTF-8. In a message it is base64.
"""

import base64
import json
from collections.abc import Mapping
from typing import Any, Final

from aegis.audit.events import LARGEST, canonical
from aegis.envelopes import OVERHEAD, open_, seal
from aegis.errors import Tampered, UsageError
from aegis.keys import Secret

#: The most that base64 of an envelope may have.
_LONGEST: Final = (LARGEST + OVERHEAD) * 4 // 3 + 4


def enclose(workers_key: str, request_id: str, details: Mapping[str, Any]) -> str:
    """Return details sealed to the workers' public key, for one request.

    Raises:
        UsageError: they are no plain data, or larger than an event may be.

    """
    plain = canonical(dict(details))
    if len(plain) > LARGEST:
        message = f"details of {len(plain)} bytes are too large: an event has {LARGEST} at most"
        raise UsageError(message)
    return base64.b64encode(seal(workers_key, plain, about=_about(request_id))).decode()


def disclose(worker_key: Secret, request_id: str, sealed: str) -> dict[str, Any]:
    """Return the details that came for a request.

    Raises:
        UsageError: they do not open, or are no JSON object; the message quotes nothing of them.

    """
    try:
        body = base64.b64decode(sealed if len(sealed) <= _LONGEST else "", validate=True)
        found = json.loads(open_(worker_key, body, about=_about(request_id)))
    except Tampered:
        message = (
            "the envelope of the details does not open: it was sealed to another key than the workers' "
            f"(`aegis client-key`) or for another request id, was changed, or is over {LARGEST} bytes"
        )
        raise UsageError(message) from None
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict):
        return found
    message = "`sealed` must be base64 of an envelope with one JSON object in it, the details"
    raise UsageError(message)


def _about(request_id: str) -> bytes:
    return f"aegis.audit.record\n{request_id}".encode()
