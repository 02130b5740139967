"""`--sign-with` and `--signature`: how an approval is signed here, or brought from elsewhere."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from aegis.errors import UsageError
from aegis.operations import signatures

Command = TypeVar("Command", bound=Callable[..., Any])
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def options(command: Command) -> Command:
    """Give a command its `--sign-with` and `--signature`."""
    here = click.option(
        "--sign-with", "private", type=_FILE, metavar="FILE", help="Sign with this private key (mode 0600)."
    )
    elsewhere = click.option(
        "--signature", "made", type=_FILE, metavar="FILE", help="A signature that was made elsewhere."
    )
    return here(elsewhere(command))


def signature(message: bytes, private: Path | None, made: Path | None) -> bytes | None:
    """Return the signature that was asked for; none when neither was."""
    if private and made:
        text = "give --sign-with or --signature, not both"
        raise UsageError(text)
    if private:
        return signatures.sign(private, message)
    return made.read_bytes() if made else None
