"""The password of a database: from a file or a command, again at each connection, and in no error."""

import shlex
import subprocess
from pathlib import Path
from typing import Final

from aegis.errors import SettingsError
from aegis.settings import SourceSettings

#: How long a command may take.
PASSWORD_SECONDS: Final = 30.0


def read_password(source: SourceSettings) -> str | None:
    """Read the password from its file or command, now; None where there is neither.

    Raises:
        SettingsError: the file cannot be read, or the command gives none.

    """
    if source.password_file:
        return _in_file(source.password_file)
    if source.password_command:
        return _printed_by(source.password_command)
    return None


def _in_file(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        cause = error.strerror
    except UnicodeDecodeError:
        cause = "it is no UTF-8"
    message = f"the password file {file} cannot be read: {cause}"
    raise SettingsError(message)


def _printed_by(command: str) -> str:
    """Run the operator's own command; its other words, and what it prints, may be secret."""
    try:
        words = shlex.split(command)
    except ValueError:
        message = "the password command cannot be read: quotes that do not end"
        raise SettingsError(message) from None
    if not words:
        message = "the password command is empty"
        raise SettingsError(message)
    try:
        done = subprocess.run(  # noqa: S603 - the operator's own
            words, capture_output=True, text=True, timeout=PASSWORD_SECONDS, check=True
        )
    except subprocess.CalledProcessError as error:
        fault = f"failed with exit code {error.returncode}"
    except subprocess.TimeoutExpired:
        fault = f"did not end within {PASSWORD_SECONDS:g} s"
    except (OSError, ValueError) as error:
        fault = f"cannot be run: {type(error).__name__}"
    else:
        return done.stdout.rstrip("\r\n")
    message = f"the password command {words[0]!r} {fault}"
    raise SettingsError(message)
