"""Where Aegis's files lie: a folder, or a store that fsspec knows, such as `s3://bucket/path`.

A file is there completely or not at all, and is never changed once it is there, but for a
manifest, which is replaced by a newer one.
"""

import datetime as dt
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NoReturn, Protocol

from aegis.durable import sync_folder
from aegis.errors import NotPrepared, Refused, Tampered, Unreachable, UsageError

#: Most characters of a name that somebody else chose.
_LONGEST: Final = 500
#: The name's fault, not the disk's.
_NOT_THERE: Final = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG}
)
#: What may pass by itself.
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class Store(Protocol):
    """Files by folder and name; the folder "" is the place itself."""

    def check(self) -> None:
        """Write, read and remove a file; raise when that does not work."""

    def put(self, folder: str, name: str, data: bytes) -> None:
        """Write a file, durable on return."""

    def get(self, folder: str, name: str) -> bytes:
        """Return a file's content."""

    def take(self, name: str, most: int) -> bytes:
        """Return a file that somebody else put below the place; raise UsageError when it is not fit."""

    def sizes(self, folder: str) -> Mapping[str, int]:
        """Return the names that are there, with their bytes."""

    def written(self, folder: str) -> Mapping[str, dt.datetime]:
        """Return the names that are there, with when they were written; without those it is not known of."""

    def remove(self, folder: str, name: str) -> None:
        """Remove a file; it may be gone already."""

    def destroy(self, folder: str) -> None:
        """Remove a folder with everything in it; it may be gone already."""


class FolderStore:
    """A folder of this machine, or one that is mounted."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def check(self) -> None:
        """Write, read and remove a file.

        Raises:
            Refused: the folder cannot be written.
            Unreachable: there is no room in it now.

        """
        try:
            _round_trip(self, str(self._root))
        except Unreachable as error:
            if isinstance(error.__context__, OSError) and error.__context__.errno in _NO_ROOM:
                raise
            raise Refused(str(error)) from None

    def put(self, folder: str, name: str, data: bytes) -> None:
        """Write a file beside its place, make it durable, and move it there."""
        place = self._root / folder
        with _told(f"the folder {self._root} cannot be written"):
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh = place / f".{secrets.token_hex(8)}.new"
            try:
                self._write(fresh, data)
                fresh.rename(place / name)
            except OSError:
                fresh.unlink(missing_ok=True)
                raise
            sync_folder(place)

    def get(self, folder: str, name: str) -> bytes:
        """Return a file's content.

        Raises:
            Tampered: it is not there any more.

        """
        with _told(f"the folder {self._root} cannot be read"), _missing(name, str(self._root)):
            return (self._root / folder / name).read_bytes()

    def take(self, name: str, most: int) -> bytes:
        """Return a file that somebody else put below the place.

        Raises:
            UsageError: the name leads out of the place, or to nothing that is a file or can be read; or the
                file has more than `most` bytes.

        """
        try:
            with (
                _told(f"the folder {self._root} cannot be read"),
                open(self._within(name), "rb", opener=_open_plainly) as file,
            ):
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode):
                    _refuse("is no plain file")
                return _at_most(file.read(status.st_size + 1) if status.st_size <= most else None, most)
        except Unreachable as error:
            if isinstance(error.__context__, OSError) and error.__context__.errno in _NOT_THERE:
                _refuse("is not there, or cannot be read by Aegis's user")
            raise

    def _within(self, name: str) -> Path:
        root = self._root.resolve()
        try:
            place = (root / _relative(name)).resolve()
        except RuntimeError:
            _refuse("is a symbolic link to itself")
        if not place.is_relative_to(root):
            _refuse("leads out of its place")
        return place

    def sizes(self, folder: str) -> Mapping[str, int]:
        """Return the names that are there, with their bytes."""
        with _told(f"the folder {self._root} cannot be read"):
            place = self._root / folder
            return {file.name: file.stat().st_size for file in place.iterdir()} if place.exists() else {}

    def written(self, folder: str) -> Mapping[str, dt.datetime]:
        """Return the names of the files that are there, with when they were written."""
        found: dict[str, dt.datetime] = {}
        with _told(f"the folder {self._root} cannot be read"), suppress(FileNotFoundError):
            for file in os.scandir(self._root / folder):
                # Somebody else may remove one meanwhile.
                with suppress(FileNotFoundError):
                    if file.is_file(follow_symlinks=False):
                        seconds = file.stat(follow_symlinks=False).st_mtime
                        found[file.name] = dt.datetime.fromtimestamp(seconds, dt.UTC)
        return found

    def remove(self, folder: str, name: str) -> None:
        """Remove a file; it may be gone already."""
        with _told(f"the folder {self._root} cannot be written"):
            (self._root / folder / name).unlink(missing_ok=True)

    def destroy(self, folder: str) -> None:
        """Remove a folder with everything in it; it may be gone already."""
        with _told(f"the folder {self._root} cannot be written"), suppress(FileNotFoundError):
            shutil.rmtree(self._root / folder)

    def _write(self, path: Path, data: bytes) -> None:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())


class RemoteStore:
    """A store behind fsspec, where writing one file is one step."""

    def __init__(self, url: str) -> None:
        self._label = url
        self._files, self._root = _open_remote(url)

    def check(self) -> None:
        """Write, read and remove a file."""
        _round_trip(self, self._label)

    def put(self, folder: str, name: str, data: bytes) -> None:
        """Write a file; the store makes it durable."""
        with self._told():
            self._files.pipe_file(self._path(folder, name), data)

    def get(self, folder: str, name: str) -> bytes:
        """Return a file's content."""
        with self._told(), _missing(name, self._label):
            return bytes(self._files.cat_file(self._path(folder, name)))

    def take(self, name: str, most: int) -> bytes:
        """Return a file that somebody else put below the place.

        Raises:
            UsageError: the name leads out of the place or to no file, or the file has more than `most` bytes.

        """
        path = self._path(_relative(name))
        with self._told():
            try:
                found = self._files.info(path)
                fits = found["type"] == "file" and int(found["size"] or 0) <= most
                data = bytes(self._files.cat_file(path)) if fits else None
            except FileNotFoundError:
                _refuse("is not there")
        if found["type"] != "file":
            _refuse("is no plain file")
        return _at_most(data, most)

    def sizes(self, folder: str) -> Mapping[str, int]:
        """Return the names that are there, with their bytes."""
        return {_name_of(item): int(item["size"] or 0) for item in self._listed(folder)}

    def written(self, folder: str) -> Mapping[str, dt.datetime]:
        """Return the names of the files that are there, with when they were written, if the store says it."""
        found = {_name_of(item): _moment_of(item) for item in self._listed(folder)}
        return {name: moment for name, moment in found.items() if moment is not None}

    def remove(self, folder: str, name: str) -> None:
        """Remove a file; it may be gone already."""
        with self._told(), suppress(FileNotFoundError):
            self._files.rm_file(self._path(folder, name))

    def destroy(self, folder: str) -> None:
        """Remove a folder with everything in it; it may be gone already."""
        with self._told(), suppress(FileNotFoundError):
            self._files.invalidate_cache()
            self._files.rm(self._path(folder), recursive=True)

    def _path(self, *parts: str) -> str:
        return "/".join([self._root, *filter(None, parts)])

    def _listed(self, folder: str) -> Sequence[Mapping[str, Any]]:
        with self._told():
            self._files.invalidate_cache()
            with suppress(FileNotFoundError):
                return [dict(item) for item in self._files.ls(self._path(folder), detail=True)]
            return []

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (Tampered, UsageError):
            raise
        except Exception as error:  # noqa: BLE001 - every store has errors of its own, and their texts may quote keys
            message = f"the store {self._label} does not answer ({type(error).__name__})"
            raise Unreachable(message) from None


def open_store(url: str) -> Store:
    """Return the store that a URL, or the path of a folder, names.

    Raises:
        NotPrepared: the package for it is not installed.

    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        return FolderStore(Path(url))
    return FolderStore(Path(rest)) if scheme == "file" else RemoteStore(url)


def _open_remote(url: str) -> tuple[Any, str]:
    try:
        import fsspec  # noqa: PLC0415 - an extra: only who keeps archives in a store needs it

        files, root = fsspec.core.url_to_fs(url, use_listings_cache=False)
    except (ImportError, ValueError) as error:
        message = (
            f"files in {url.partition('://')[0]}:// need a package that is not installed "
            f"({type(error).__name__}): pip install 'aegis-privacy-worker[archive-s3]'"
        )
        raise NotPrepared(message) from None
    return files, str(root)


def _open_plainly(path: str, flags: int) -> int:
    # Not blocking: it could be a pipe that nobody writes to.
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _relative(name: str) -> str:
    """Return a name that stays below its place, as far as a name can tell."""
    parts = name.split("/")
    if len(name) > _LONGEST or not all(parts) or {".", ".."} & set(parts) or "\\" in name or "\0" in name:
        _refuse("leads out of its place, or is written in a way that could")
    return name


def _at_most(data: bytes | None, most: int) -> bytes:
    if data is None or len(data) > most:
        _refuse(f"has more than {most} bytes")
    return data


def _refuse(why: str) -> NoReturn:
    message = f"the file that was named {why}"
    raise UsageError(message) from None


def _name_of(item: Mapping[str, Any]) -> str:
    return str(item["name"]).rpartition("/")[2]


def _moment_of(item: Mapping[str, Any]) -> dt.datetime | None:
    """Return when a file was written; every kind of store has a name of its own for it."""
    if item.get("type") != "file":
        return None
    for name in ("LastModified", "last_modified", "updated", "mtime", "created"):
        value = item.get(name)
        with suppress(ValueError):
            if isinstance(value, str):
                value = dt.datetime.fromisoformat(value)
        if isinstance(value, int | float):
            return dt.datetime.fromtimestamp(value, dt.UTC)
        if isinstance(value, dt.datetime):
            return value.astimezone(dt.UTC) if value.tzinfo else value.replace(tzinfo=dt.UTC)
    return None


def _round_trip(store: Store, place: str) -> None:
    name, data = f"{secrets.token_hex(8)}.check", secrets.token_bytes(16)
    store.put("checks", name, data)
    read = store.get("checks", name)
    store.remove("checks", name)
    if read != data:
        message = f"{place} does not give back what was written; nothing was changed"
        raise Refused(message)


@contextmanager
def _told(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        message = f"{what}: {error.strerror}; make room or give Aegis's user the right"
        raise Unreachable(message) from None


@contextmanager
def _missing(name: str, place: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        message = f"the file {name} is missing in {place}: restore it from a backup"
        raise Tampered(message) from None
