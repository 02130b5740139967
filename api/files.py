"""Files about a person: new ones, which only their owner can read."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from aegis.errors import UsageError


@contextmanager
def new_file(path: Path) -> Iterator[TextIO]:
    """Create a file that only its owner can read; nothing is left of it when what fills it fails.

    Raises:
        UsageError: it is there, or cannot be written.

    """
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        message = f"{path} exists; it is not overwritten: name another file"
        raise UsageError(message) from None
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror}"
        raise UsageError(message) from None
    try:
        with os.fdopen(number, "w", encoding="utf-8") as file:
            yield file
    except BaseException:
        path.unlink(missing_ok=True)
        raise
