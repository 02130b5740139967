"""A TCP proxy before PostgreSQL that delays, cuts, and cuts in the middle of a commit."""

import contextlib
import socket
import threading
import time
from collections import Counter
from typing import Final, Literal, Self

#: As libpq sends it, at the end of a simple or of a parsed query.
_COMMIT: Final = b"COMMIT\0"
_MOST: Final = 65_536

#: Before the server has heard of the commit, or when it has committed and nobody was told.
Moment = Literal["before", "after"]


class Meddler:
    """Listens on a port of this machine, and passes everything on until it is told otherwise."""

    def __init__(self, server: int) -> None:
        """Take the port of the server; it may come and go."""
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        #: Seconds by which each piece is late.
        self.delay = 0.0
        #: Commits that were cut, by moment.
        self.commits = Counter[str]()
        self._armed: Moment | None = None
        self._lock = threading.Lock()
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()

    def __enter__(self) -> Self:
        """Begin to accept."""
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Listen no more, and cut what is there."""
        self._listener.close()
        self.cut()

    def cut(self) -> int:
        """Cut every connection; return how many there were."""
        with self._lock:
            pairs = [*self._pairs]
        for pair in pairs:
            _close(pair)
        return len(pairs)

    def arm(self, moment: Moment) -> None:
        """Cut the connection of whoever commits next."""
        with self._lock:
            self._armed = moment

    def calm(self) -> None:
        """Only pass on from now on."""
        self.delay = 0.0
        with self._lock:
            self._armed = None

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self._server), 5)
                except OSError:
                    client.close()
                    continue
                server.settimeout(None)
                with self._lock:
                    self._pairs.add((client, server))
                words = client, server, threading.Event()
                for way in (self._ask, self._answer):
                    threading.Thread(target=way, args=words, daemon=True).start()

    def _ask(self, client: socket.socket, server: socket.socket, mute: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while part := client.recv(_MOST):
                time.sleep(self.delay)
                moment = self._taken() if _COMMIT in part else None
                if moment == "before":
                    break
                if moment == "after":
                    mute.set()
                server.sendall(part)
        self._end(client, server)

    def _answer(self, client: socket.socket, server: socket.socket, mute: threading.Event) -> None:
        with contextlib.suppress(OSError):
            # What comes back behind a commit that is to be cut says that the server has committed.
            while (part := server.recv(_MOST)) and not mute.is_set():
                time.sleep(self.delay)
                client.sendall(part)
        self._end(client, server)

    def _taken(self) -> Moment | None:
        with self._lock:
            moment, self._armed = self._armed, None
            if moment:
                self.commits[moment] += 1
        return moment

    def _end(self, client: socket.socket, server: socket.socket) -> None:
        _close((client, server))
        with self._lock:
            self._pairs.discard((client, server))
        for each in (client, server):
            each.close()


def _close(pair: tuple[socket.socket, socket.socket]) -> None:
    """Close both ends; whoever waits for them hears it."""
    for each in pair:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
