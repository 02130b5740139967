"""Key files and subkeys."""

import base64
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aegis.errors import Conflict, NotPrepared, SettingsError
from aegis.keys import KeyFiles, Purpose, Secret

KEY = Secret(key_id="x", material=bytes(range(32)))


def test_subkeys_never_change() -> None:
    """The journal's MACs and the marks of years ago must still fit: a golden value for each purpose."""
    assert {purpose: KEY.subkey(purpose).hex() for purpose in GOLDEN} == GOLDEN


GOLDEN: dict[Purpose, str] = {
    "journal-mac": "8c59c3d8d0f75865a0606546705b0bb5e95bbe0d10f08409442e019ee709f9c2",
    "mark": "b711c4de41e20c3148aa840f58036f7969813aed30e434b0f59fc31370d70913",
    "key-lookup": "d24f7322d1d56c45ce2ae16cb9eddde11dad4d8374608fdb3804cc230f81b6c6",
    "payload-digest": "ba4474cef76153e3041e11808f981b8522e5c3a9531a06f262d0bbb0d4cb29a0",
    "message": "9a5b4b9b21acf9f26ace77925849acc967d835659b28dfc5604824a49c33e40c",
    "key-reference": "49b0ca71baf1f77b1071627306feffaf14aa79d189abc7fd6a446fb52445e8b3",
}


def test_a_key_shows_its_id_only() -> None:
    """Neither repr nor str has the material."""
    assert "material" not in repr(KEY)
    assert str(KEY.material) not in str(KEY)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "aegis-epoch-1:" + base64.b64encode(bytes(32)).decode(),
        "aegis-worker-1:" + base64.b64encode(bytes(31)).decode(),
        "aegis-worker-1:***",
        "aegis-worker-1:\u00e9" + base64.b64encode(bytes(32)).decode(),
        "aegis-worker-2:" + base64.b64encode(bytes(32)).decode(),
    ],
)
def test_what_is_no_key_is_refused(tmp_path: Path, text: str) -> None:
    """Another role, length, version or alphabet: the message says what is expected, not what is there."""
    files = KeyFiles(tmp_path)
    worker, _ = files.create()
    worker.write_text(text)
    with pytest.raises(SettingsError, match="aegis-worker-1:<base64>"):
        files.worker()
    worker.write_bytes(b"\xff" * 60)
    with pytest.raises(SettingsError, match="aegis-worker-1:<base64>"):
        files.worker()


def test_each_home_has_other_keys(tmp_path: Path) -> None:
    """Keys are random and read back as written; a missing one is told with its cure."""
    one, two = KeyFiles(tmp_path / "one"), KeyFiles(tmp_path / "two")
    with pytest.raises(NotPrepared, match="aegis init"):
        one.worker()
    one.create()
    two.create()
    assert one.worker() == one.worker() != two.worker()
    assert one.worker().material != one.epoch(1).material


def test_a_key_that_was_not_finished_is_made_again(tmp_path: Path) -> None:
    """What a kill leaves in mid-write is no key, and the next attempt leaves exactly one whole file."""
    files = KeyFiles(tmp_path)
    files.create()
    (files.folder / "epoch-2.new").write_text("aegis-epoch-1:AAAA")
    made = files.make("epoch", 2)
    assert files.make("epoch", 2) == files.epoch(2) == made
    assert sorted(path.name for path in files.folder.iterdir()) == [
        "epoch-1.key",
        "epoch-2.key",
        "worker.key",
    ]
    assert (files.folder / "epoch-2.key").stat().st_nlink == 1


def test_without_a_folder_no_key_is_made(tmp_path: Path) -> None:
    """A key beside none of the others would be a second beginning."""
    with pytest.raises(NotPrepared, match="aegis init"):
        KeyFiles(tmp_path).make("audit", 1)


def test_keys_that_are_there_stay(tmp_path: Path) -> None:
    """A second beginning is refused, changes no key and leaves nothing behind."""
    files = KeyFiles(tmp_path)
    made = {path: path.read_bytes() for path in files.create()}
    with pytest.raises(Conflict, match="a key is never overwritten"):
        files.create()
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == made
    assert list(tmp_path.iterdir()) == [files.folder]


def test_a_key_that_cannot_be_read_is_not_one_that_is_gone(tmp_path: Path) -> None:
    """Of a file that another user owns nobody may say that its epoch was destroyed."""
    files = KeyFiles(tmp_path)
    files.create()
    (files.folder / "epoch-1.key").chmod(0)
    assert files.find("epoch", 2) is None
    with as_nobody(files.folder), pytest.raises(NotPrepared, match="cannot be read by this user"):
        files.find("epoch", 1)


@contextmanager
def as_nobody(folder: Path) -> Iterator[None]:
    """Be an ordinary user who may look into a folder, where the tests are root's."""
    if os.geteuid() != 0:
        yield
        return
    for each in (folder, *folder.parents):
        if each.owner() == "root" and each != each.parent and not each.stat().st_mode & 0o001:
            each.chmod(each.stat().st_mode | 0o011)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_lost_worker_key_is_not_made_again(tmp_path: Path) -> None:
    """Beside other keys a new one would fit nothing: the message says to restore the old one."""
    files = KeyFiles(tmp_path)
    worker, _ = files.create()
    worker.unlink()
    with pytest.raises(NotPrepared, match=r"worker\.key is missing: restore it"):
        files.create()
    assert not worker.exists()
