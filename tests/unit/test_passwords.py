"""Passwords of databases come from a file or a command, at each connection, and stand in no error."""

import sys
from pathlib import Path

import pytest

from aegis.db.passwords import read_password
from aegis.errors import SettingsError
from aegis.settings import SourceSettings

URL = "postgresql://aegis@127.0.0.1/shop"
PASSWORD = "hunter2 and more"


def test_a_file_is_read_each_time(tmp_path: Path) -> None:
    """A new password is there at once; the file's last line end is none of it."""
    file = tmp_path / "password"
    source = SourceSettings(url=URL, password_file=file)
    for word in (PASSWORD, f"{PASSWORD} "):
        file.write_text(f"{word}\n", "utf-8")
        assert read_password(source) == word
    file.unlink()
    with pytest.raises(SettingsError, match=f"password file {file} cannot be read: No such file"):
        read_password(source)


def test_a_command_is_asked_each_time() -> None:
    """What it prints is the password."""
    command = f"{sys.executable} -c 'print(\"{PASSWORD}\")'"
    assert read_password(SourceSettings(url=URL, password_command=command)) == PASSWORD
    assert read_password(SourceSettings(url=URL)) is None


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (f"{sys.executable} -c 'print(\"{PASSWORD}\"); raise SystemExit(3)'", "failed with exit code 3"),
        (f"/nowhere/secret {PASSWORD}", "'/nowhere/secret' cannot be run: FileNotFoundError"),
        (f"secret 'of {PASSWORD}", "cannot be read: quotes that do not end"),
        ("  ", "is empty"),
    ],
)
def test_a_command_that_gives_none(command: str, told: str) -> None:
    """The error names the program and the cause, and neither its words nor what it printed."""
    with pytest.raises(SettingsError, match=told) as refused:
        read_password(SourceSettings(url=URL, password_command=command))
    assert PASSWORD not in str(refused.value)


def test_a_command_that_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is ended, and told."""
    monkeypatch.setattr("aegis.db.passwords.PASSWORD_SECONDS", 0.2)
    command = f"{sys.executable} -c 'import time; time.sleep(60)'"
    with pytest.raises(SettingsError, match=r"did not end within 0\.2 s"):
        read_password(SourceSettings(url=URL, password_command=command))
