"""Receivers over the network: syslog over TCP and TLS, and HTTP."""

import contextlib
import socket
import ssl
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

from aegis.audit import posting
from aegis.audit.exports.batches import Batch
from aegis.audit.exports.formats.table import Format
from aegis.errors import OperationFailed, SettingsError, Unreachable, UsageError

#: Scheme → the port where none is named (RFC 6587 and RFC 5425).
SYSLOG_PORTS: Final = {"syslog": 601, "syslog+tls": 6514}
HTTP_SCHEMES: Final = ("https", "http")
#: Seconds that a receiver may take for each step.
PATIENCE: Final = 30.0
#: Bytes of one request; a longer event goes alone.
BODY: Final = 1024 * 1024
_READ: Final = 4096


class SyslogReceiver:
    """A syslog server over TCP or TLS, with octet counting (RFC 6587, 3.4.1; RFC 5425, 4.3).

    Each batch has its own connection. TCP tells a sender nothing of what was read, so we end our side
    after the last message and wait for the server to end its own: a server that closes has read
    everything, one that died with something unread resets.
    """

    def __init__(self, url: str, layout: Format) -> None:
        if layout.messages is None:
            message = (
                f"syslog does not take {layout.name}, whose lines are not one for each event: expected "
                "rfc5424, cef, ecs or ocsf"
            )
            raise UsageError(message)
        parts = _parts(url)
        if parts.path.strip("/") or parts.query or not parts.hostname:
            message = f"expected {parts.scheme}://host:port and nothing behind it"
            raise UsageError(message)
        self._messages = layout.messages
        self._host = parts.hostname
        self._port = parts.port or SYSLOG_PORTS[parts.scheme]
        self._context = ssl.create_default_context() if parts.scheme == "syslog+tls" else None
        self._name = f"{parts.scheme}://{self._host}:{self._port}"

    def send(self, batch: Batch) -> None:
        """Send a batch and wait until the server has read it.

        Raises:
            Unreachable: it cannot be reached, its certificate is not trusted, or it did not read everything.

        """
        data = b"".join(b"%d %s" % (len(one), one) for one in self._messages(batch))
        try:
            with socket.create_connection((self._host, self._port), timeout=PATIENCE) as plain:
                if self._context is None:
                    plain.sendall(data)
                    plain.shutdown(socket.SHUT_WR)
                    _drain(plain)
                else:
                    self._send_encrypted(self._context, plain, data)
        except OSError as error:
            message = f"{self._name} did not take the events: {posting.reason(error, PATIENCE)}"
            raise Unreachable(message) from None

    def close(self) -> None:
        """Do nothing: no connection outlives its batch."""

    def _send_encrypted(self, context: ssl.SSLContext, plain: socket.socket, data: bytes) -> None:
        with context.wrap_socket(plain, server_hostname=self._host) as encrypted:
            encrypted.sendall(data)
            # A server has to answer our goodbye with its own; some only close the connection. Whoever cut
            # it in between could make us believe so too: the numbers of the leaves show that gap.
            with contextlib.suppress(ssl.SSLEOFError, ssl.SSLZeroReturnError):
                encrypted.unwrap()


class HttpReceiver:
    """An HTTP endpoint that takes lines by POST; acknowledged is what it answers 2xx to."""

    def __init__(self, url: str, layout: Format, authorization: Path | None) -> None:
        parts = _parts(url)
        if not parts.hostname or parts.fragment:
            message = f"expected {parts.scheme}://host/path"
            raise UsageError(message)
        self._url = url
        self._format = layout
        self._authorization = authorization
        self._name = posting.place(url)

    def send(self, batch: Batch) -> None:
        """Post a batch, in several requests when it is long.

        Raises:
            Unreachable: nobody answers, or with an error that may pass.
            OperationFailed: it refuses.

        """
        headers = {"Content-Type": self._format.media, **self._authorized()}
        for body in _bodies(self._format.lines(batch)):
            failed = f"{self._name} did not take the events"
            status = posting.post(self._url, body, headers, patience=PATIENCE, failed=failed)
            if status not in posting.OK:
                kind = Unreachable if status in posting.PASSING else OperationFailed
                message = f"{failed}: HTTP {status}"
                raise kind(message)

    def close(self) -> None:
        """Do nothing: no connection outlives its request."""

    def _authorized(self) -> dict[str, str]:
        """Return the header; its file is read each time, so that a token can be renewed."""
        if self._authorization is None:
            return {}
        try:
            value = self._authorization.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            message = f"the authorization {self._authorization} cannot be read: {reason}"
            raise SettingsError(message) from None
        if not value.isascii() or not value.isprintable():
            message = f"{self._authorization}: expected one line, the value of the header Authorization"
            raise SettingsError(message)
        return {"Authorization": value}


def _parts(url: str) -> SplitResult:
    """Divide a URL.

    Raises:
        UsageError: it is none, or a password stands in it.

    """
    parts = urlsplit(url)
    try:
        parts.port  # noqa: B018 - raises
    except ValueError:
        message = f"the port of {parts.scheme}:// must be a number from 0 to 65535"
        raise UsageError(message) from None
    if "@" in parts.netloc:
        message = f"{parts.scheme}://: no user and password in the URL; give a file with the authorization"
        raise UsageError(message)
    return parts


def _bodies(lines: Sequence[bytes]) -> Iterator[bytes]:
    """Yield lines in bodies of a bounded size."""
    waiting: list[bytes] = []
    length = 0
    for line in lines:
        if waiting and length + len(line) + 1 > BODY:
            yield b"".join(waiting)
            waiting, length = [], 0
        waiting.append(line + b"\n")
        length += len(line) + 1
    if waiting:
        yield b"".join(waiting)


def _drain(connection: socket.socket) -> None:
    """Read until the other side has ended."""
    while connection.recv(_READ):
        pass
