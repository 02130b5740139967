"""The door of a person's access: every row of theirs in one file."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from aegis.arguments import door
from aegis.erasure import exporting
from aegis.erasure.exporting import Exported
from aegis.erasure.people import USER
from aegis.operations.system import current

from .files import new_file


@door
def export_person(
    key: Sequence[Any],
    path: Path,
    *,
    actor: str,
    subject: str = USER,
    datasource: str = "default",
    tenant: str | None = None,
    with_shared: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> Exported:
    """Write every row of one person into a new file that only its owner can read, and record that.

    Args:
        key: one value for each column of the subject's key; text where it was typed.
        path: the file; it must not be there. Nothing is left of it when the export fails.
        actor: who asks for it.
        subject: the kind of person, as the data map names it.
        datasource: as aegis.toml names it.
        tenant: refuse a person of any other one.
        with_shared: also rows that are another person's too, such as messages between two people.
        on_progress: is told how many rows were written, and how many there are.

    Raises:
        ValueError: nobody has that key, a name is unknown, or the file is there.
        PermissionError: the person is another tenant's.
        aegis.errors.Refused: the data map leaves something open, or rows are hidden.

    """
    system = current()
    name = system.settings.source_name(datasource)
    with new_file(path) as file:
        return exporting.export(
            system,
            key,
            subject=subject,
            datasource=name,
            tenant=tenant,
            with_shared=with_shared,
            actor=actor,
            write=file.write,
            on_progress=on_progress or (lambda _done, _total: None),
        )
