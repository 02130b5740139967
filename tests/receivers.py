"""Receivers of an export, for the tests: real sockets that take everything, refuse, or break off."""

import contextlib
import datetime as dt
import ipaddress
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

_READ: Final = 64 * 1024


class HttpServer:
    """An HTTP server on a free port, which remembers what it was sent."""

    def __init__(self) -> None:
        #: The statuses to answer with, one after the other; the last one for ever.
        self.statuses = [200]
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.methods: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/ingest?token=canary-7f3a"

    @contextlib.contextmanager
    def running(self) -> Iterator["HttpServer"]:
        """Run it."""
        with self._server:
            thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            try:
                yield self
            finally:
                self._server.shutdown()
                thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.methods.append("POST")
                outer.headers.append(dict(self.headers))
                status = outer.statuses.pop(0) if len(outer.statuses) > 1 else outer.statuses[0]
                if status < 300:
                    outer.bodies.append(body)
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_GET(self) -> None:
                outer.methods.append("GET")
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


class SyslogServer:
    """A syslog server over TCP, or TLS with a context; each connection is one list of messages."""

    def __init__(self, context: ssl.SSLContext | None = None, *, goodbye: bool = True) -> None:
        #: Whether it answers the goodbye of TLS.
        self.goodbye = goodbye
        #: Reset the connection after so many bytes; none: take everything.
        self.break_off: int | None = None
        self.connections: list[list[bytes]] = []
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    @property
    def messages(self) -> list[bytes]:
        """Everything that it took."""
        return [message for connection in self.connections for message in connection]

    @contextlib.contextmanager
    def running(self) -> Iterator["SyslogServer"]:
        """Run it."""
        thread = threading.Thread(target=self._serve)
        thread.start()
        try:
            yield self
        finally:
            # Closing a socket wakes nobody who waits on it; shutting it down does.
            self._listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), plain:
                self._take(plain)

    def _take(self, plain: socket.socket) -> None:
        if self._context is None:
            data = self._read(plain)
        else:
            # The context of a client that does not trust us ends here.
            with self._context.wrap_socket(plain, server_side=True) as encrypted:
                data = self._read(encrypted)
                if data is not None and self.goodbye:
                    encrypted.unwrap()
        if data is not None:
            self.connections.append(octets(data))

    def _read(self, connection: socket.socket) -> bytes | None:
        data = b""
        while True:
            if self.break_off is not None and len(data) >= self.break_off:
                # Linger of zero: the connection is reset, not ended.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return None
            piece = connection.recv(_READ if self.break_off is None else 64)
            if not piece:
                return data
            data += piece


def octets(data: bytes) -> list[bytes]:
    """Divide messages with octet counting, as RFC 6587 has it."""
    found = []
    while data:
        count, blank, rest = data.partition(b" ")
        assert blank, data[:20]
        assert count.isdigit(), data[:20]
        assert not count.startswith(b"0"), data[:20]
        assert len(rest) >= int(count), "a message ends in the middle"
        found.append(rest[: int(count)])
        data = rest[int(count) :]
    return found


def certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """Make a certificate for 127.0.0.1; return a server's context with it, and its file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tests")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "server.pem", folder / "server.key"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return context, public
