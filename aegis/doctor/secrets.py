"""Files with passwords and tokens: whether they are there, and closed to others."""

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from aegis.doctor.findings import Found, fault, note, ok
from aegis.settings import Settings

_NAME: Final = "secrets"
#: Whoever can write it can lead Aegis elsewhere.
_WRITABLE: Final = stat.S_IWGRP | stat.S_IWOTH


def check_secrets(settings: Settings) -> Found:
    """Check every file of a secret that the settings name."""
    files = dict(_files(settings))
    bad = 0
    for path, what in files.items():
        try:
            mode = path.stat().st_mode
        except OSError as error:
            bad += 1
            yield fault(_NAME, f"{what}: {path} cannot be read: {error.strerror}", "correct its path")
            continue
        if mode & _WRITABLE:
            bad += 1
            yield fault(_NAME, f"{what}: others can write {path}", f"chmod 600 {path}")
        elif mode & stat.S_IROTH:
            # In a container that is how a secret is given, and there are no others.
            bad += 1
            yield note(_NAME, f"{what}: others can read {path}", f"chmod 600 {path}")
    if files and not bad:
        yield ok(_NAME, f"{len(files)} file{'s' * (len(files) > 1)}, closed to others")


def _files(settings: Settings) -> Iterator[tuple[Path, str]]:
    named = {
        "password of the control database": settings.database_password_file,
        "password of the key store": settings.keys_password_file,
        "password of the broker": settings.broker_password_file,
    }
    for name, source in settings.datasources.items():
        named[f"password of data source {name}"] = source.password_file
        for copy, place in source.copies.items():
            named[f"secret of copy {copy} of {name}"] = place.secret_file
    for name, export in settings.audit.exports.items():
        named[f"authorization of export {name}"] = export.authorization_file
    yield from ((path, what) for what, path in named.items() if path is not None)
