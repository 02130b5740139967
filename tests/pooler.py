"""A pooler before a real PostgreSQL, in transaction or session mode: as little of one as the tests need.

It speaks the frontend/backend protocol (version 3.0, in PostgreSQL's documentation): whoever connects is
greeted without a password and with a process id that is made up; a statement goes to a connection that the
pooler has of its own, the one that was given back last.
"""

import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Self

from psycopg import pq
from psycopg.pq.abc import PGconn

#: Asks for encryption; the answer is no.
_ASKS: Final = frozenset({80877103, 80877104})
#: A process id that no server has.
_MADE_UP: Final = 99_999_999
#: A connection of the pooler's own, and its socket.
_Server = tuple[PGconn, socket.socket]
_TOLD: Final = ("server_version", "client_encoding", "DateStyle", "TimeZone", "integer_datetimes")


@dataclass(kw_only=True)
class Pooler:
    """Listens on a port of this machine until the block ends."""

    #: libpq's words for the server.
    server: str
    #: `transaction` or `session`.
    mode: str
    port: int = 0
    _idle: list[_Server] = field(default_factory=list)
    _listener: socket.socket | None = None

    def __enter__(self) -> Self:
        """Begin to listen."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Close everything."""
        assert self._listener is not None
        self._listener.close()
        for connection, raw in self._idle:
            raw.close()
            connection.finish()

    def _accept(self) -> None:
        assert self._listener is not None
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        mine: _Server | None = None
        with suppress(OSError), client:
            self._greet(client)
            while (message := _message(client))[:1] not in {b"X", b""}:
                mine = mine or self._taken()
                mine[1].sendall(message)
                idle = message[:1] in {b"Q", b"S"} and _relayed(mine[1], client) == b"I"
                if idle and self.mode == "transaction":
                    self._given_back(mine)
                    mine = None
        if mine is not None:
            self._given_back(mine)

    def _taken(self) -> _Server:
        if self._idle:
            return self._idle.pop()
        connection = pq.PGconn.connect(self.server.encode())
        assert connection.status == pq.ConnStatus.OK, connection.get_error_message()
        raw = socket.socket(fileno=socket.dup(connection.socket))
        raw.settimeout(None)
        return connection, raw

    def _given_back(self, mine: _Server) -> None:
        self._idle.append(mine)

    def _greet(self, client: socket.socket) -> None:
        while True:
            (length,) = struct.unpack("!I", _exactly(client, 4))
            (code,) = struct.unpack("!I", _exactly(client, length - 4)[:4])
            if code not in _ASKS:
                break
            client.sendall(b"N")
        one = self._taken()
        told = {name: one[0].parameter_status(name.encode()) or b"" for name in _TOLD}
        self._given_back(one)
        said = [_packed(b"R", struct.pack("!I", 0))]
        said += [_packed(b"S", name.encode() + b"\0" + value + b"\0") for name, value in told.items()]
        said += [_packed(b"K", struct.pack("!II", _MADE_UP, 0)), _packed(b"Z", b"I")]
        client.sendall(b"".join(said))


def _relayed(server: socket.socket, client: socket.socket) -> bytes:
    """Pass the server's answer on to its end; return whether it is idle or in a transaction."""
    while True:
        message = _message(server)
        client.sendall(message)
        if message[:1] == b"Z":
            return message[5:6]


def _message(source: socket.socket) -> bytes:
    head = _exactly(source, 5)
    return head + _exactly(source, struct.unpack("!I", head[1:])[0] - 4)


def _exactly(source: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        part = source.recv(size - len(found))
        if not part:
            raise ConnectionResetError
        found += part
    return found


def _packed(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body
