"""Posting over HTTP: one request, no redirection followed, and nothing that was sent in an error."""

import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any, Final
from urllib.parse import urlsplit

from aegis.errors import Unreachable

#: Statuses of a receiver that has what was sent.
OK: Final = range(200, 300)
#: Answers after which the same may be tried again (RFC 9110, RFC 6585).
PASSING: Final = frozenset({408, 425, 429, *range(500, 600)})


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Takes a redirection for an answer: the place that it leads to was not asked for, and gets no body."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Return no request."""


def post(url: str, body: bytes, headers: Mapping[str, str], *, patience: float, failed: str) -> int:
    """Post a body once, and return the status of the answer.

    Args:
        url: https or http.
        body: what is sent.
        headers: sent with it.
        patience: seconds that each step may take.
        failed: what did not happen, for the error.

    Raises:
        Unreachable: nobody answers, or not in time.

    """
    request = urllib.request.Request(url, data=body, headers=dict(headers), method="POST")  # noqa: S310 - the caller checked the scheme
    try:
        with opener().open(request, timeout=patience) as answer:
            # What else it says does not matter, and might never end.
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except (OSError, HTTPException) as error:
        cause = error.reason if isinstance(error, urllib.error.URLError) else error
        message = f"{failed}: {reason(cause, patience)}"
        raise Unreachable(message) from None


def opener() -> urllib.request.OpenerDirector:
    """Return what opens a URL, and follows no redirection; the certificates that it trusts are read now."""
    return urllib.request.build_opener(_NoRedirect())


def place(url: str) -> str:
    """Return scheme, host and port of a URL, fit to be printed."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}"


def reason(error: object, patience: float) -> str:
    """Return what went wrong, without anything that was sent."""
    if isinstance(error, TimeoutError):
        return f"no answer within {patience:.0f} seconds"
    if isinstance(error, ssl.SSLCertVerificationError):
        why = error.verify_message
        return f"its certificate is not trusted ({why}); SSL_CERT_FILE names the authorities to trust"
    return (isinstance(error, OSError) and error.strerror) or type(error).__name__
