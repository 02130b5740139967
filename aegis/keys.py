"""The one place that loads a secret key.

Keys are files under `AEGIS_HOME/keys`, mode 0600, one line each: `aegis-<role>-1:<base64>`.

* `worker.key`: the root of the worker's subkeys (HKDF-SHA256, RFC 5869): journal MAC, marks,
  look-ups in the key store.
* `epoch-<n>.key`: wraps the keys of subjects and actors in the key store. It lives apart from
  that store, so that a backup of the store alone opens nothing.
* `audit-<n>.key`: the seed of an Ed25519 key that signs the log's checkpoints; it need only be
  where the log is sealed. Its public half stands in the log.

A service that has results sealed to itself keeps a key of its own, wherever it likes:
`aegis-client-key-1:<base64>`.
"""

import base64
import fcntl
import hashlib
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from aegis.durable import sync_folder
from aegis.errors import Conflict, NotPrepared, SettingsError

KEY_BYTES = 32
_NAMES = ("worker", "epoch-1")
_CLIENT = "client-key"
Purpose = Literal[
    "journal-mac",
    "mark",
    "key-lookup",
    "payload-digest",
    "approval",
    "archive-mac",
    "hold-key",
    "key-reference",
    "mask",
    "erasure-subject",
    "erasure-person",
    "erasure-copy",
    "tombstone",
    "envelope",
    "message",
    "release",
]
#: Roles of which there is more than one key, one after the other.
Role = Literal["epoch", "audit"]


@dataclass(frozen=True, kw_only=True)
class Secret:
    """A key and the public id that names it."""

    #: First 8 hex digits of a hash of the key: safe to print and to store.
    key_id: str
    material: bytes = field(repr=False)
    #: Those that were derived, for as long as the key itself is remembered.
    _derived: dict[Purpose, bytes] = field(default_factory=dict, init=False, repr=False, compare=False)

    def subkey(self, purpose: Purpose) -> bytes:
        """Return the 32-byte subkey for one purpose (HKDF-SHA256, no salt)."""
        if purpose not in self._derived:
            info = b"aegis/v1/" + purpose.encode()
            key = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info)
            self._derived[purpose] = key.derive(self.material)
        return self._derived[purpose]


class KeyFiles:
    """The key files under one home."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "keys"

    def create(self) -> list[Path]:
        """Make the worker key and the first epoch key, both or none; refuse to replace any.

        Raises:
            Conflict: the folder has keys already.
            NotPrepared: it has some, but the worker key was lost.

        """
        if self.folder.exists() and any(self.folder.iterdir()) and not self.exist:
            message = (
                f"{self.folder} has keys, but {self._path('worker')} is missing: restore it from the backup "
                "of the key files. Another one in its place would not fit what stands in the databases"
            )
            raise NotPrepared(message)
        home = self.folder.parent
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix="keys-", dir=home))
        for name in _NAMES:
            _write(fresh / f"{name}.key", secrets.token_bytes(KEY_BYTES))
        try:
            # Atomic, and refused unless the folder is missing or empty.
            fresh.rename(self.folder)
            sync_folder(home)
        except OSError:
            shutil.rmtree(fresh)
            message = f"{self.folder} is there already; a key is never overwritten. Nothing was changed"
            raise Conflict(message) from None
        return [self._path(name) for name in _NAMES]

    @property
    def exist(self) -> bool:
        """Whether the worker key is there."""
        return self._path("worker").exists()

    def worker(self) -> Secret:
        """Load the worker key."""
        return self._load("worker")

    def epoch(self, number: int) -> Secret:
        """Load the key of one epoch of the key store."""
        return self._load(f"epoch-{number}")

    def audit(self, number: int) -> Secret:
        """Load a key that signs checkpoints."""
        return self._load(f"audit-{number}")

    def make(self, role: Role, number: int) -> Secret:
        """Make one more key of a role, or load it when it is there already; never replace one.

        Killed at any point, it leaves the whole key or none; and none twice, so that it can be removed.
        """
        path = self._path(f"{role}-{number}")
        with _alone(self.folder):
            if not path.exists():
                unfinished = path.with_suffix(".new")
                unfinished.unlink(missing_ok=True)
                _write(unfinished, secrets.token_bytes(KEY_BYTES))
                unfinished.rename(path)
                # What it wraps is committed later, and must not outlive it.
                sync_folder(self.folder)
        return self._load(f"{role}-{number}")

    def find(self, role: Role, number: int) -> Secret | None:
        """Load a key of a role, or return None when its file is not here (any more)."""
        try:
            return self._load(f"{role}-{number}")
        except NotPrepared:
            if self._path(f"{role}-{number}").exists():
                raise
            return None

    def numbers(self, role: Role) -> list[int]:
        """Return the numbers of the keys of a role that are here, ascending."""
        found = (path.stem.removeprefix(f"{role}-") for path in self.folder.glob(f"{role}-*.key"))
        return sorted(int(number) for number in found if number.isdigit())

    def remove(self, role: Role, number: int) -> None:
        """Remove the file of a key that is of no use any more."""
        self._path(f"{role}-{number}").unlink(missing_ok=True)
        sync_folder(self.folder)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.key"

    def _load(self, name: str) -> Secret:
        return _read(self._path(name), name.partition("-")[0], "run `aegis init`")


def new_client_key(path: Path) -> Secret:
    """Make the key of a service, to which results are sealed; never replace one.

    Raises:
        Conflict: the file is there already.
        NotPrepared: it cannot be written.

    """
    try:
        _write(path, secrets.token_bytes(KEY_BYTES), _CLIENT)
        sync_folder(path.absolute().parent)
    except FileExistsError:
        message = f"{path} is there already; a key is never overwritten. Nothing was changed"
        raise Conflict(message) from None
    except OSError as error:
        message = f"the key {path} cannot be written ({error.strerror}); make the folder first"
        raise NotPrepared(message) from None
    return client_key(path)


def client_key(path: Path) -> Secret:
    """Load the key of a service."""
    return _read(path, _CLIENT, "run `aegis client-key --new FILE`")


def _read(path: Path, role: str, what_to_do: str) -> Secret:
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        message = f"the key {path} is missing; {what_to_do}, or restore it from its backup"
        raise NotPrepared(message) from None
    except PermissionError:
        message = (
            f"the key {path} cannot be read by this user; run Aegis as its owner, or give it to this user"
        )
        raise NotPrepared(message) from None
    with os.fdopen(handle, encoding="utf-8", errors="replace") as file:
        if os.fstat(file.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            message = f"the key {path} can be read by others; run `chmod 600 {path}`"
            raise SettingsError(message)
        return _parse(path, role, file.read())


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other processes from making a key in the folder."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        message = f"there is no folder {folder}; run `aegis init`"
        raise NotPrepared(message) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _write(path: Path, material: bytes, role: str | None = None) -> None:
    role = role or path.stem.partition("-")[0]
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(f"aegis-{role}-1:{base64.b64encode(material).decode()}\n")
        file.flush()
        os.fsync(file.fileno())


def _parse(path: Path, role: str, text: str) -> Secret:
    head, _, body = text.strip().partition(":")
    try:
        material = base64.b64decode(body, validate=True)
    except ValueError:
        material = b""
    if head != f"aegis-{role}-1" or len(material) != KEY_BYTES:
        message = f"{path} is not a key of the role {role!r}: expected one line `aegis-{role}-1:<base64>`"
        raise SettingsError(message)
    return Secret(key_id=hashlib.sha256(b"aegis-key-id" + material).hexdigest()[:8], material=material)
