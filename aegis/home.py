"""Put the application folders on the path: what the `aegis` command does before anything else.

The wheel keeps `api`, `cli`, `schedules`, `tasks` and `worker` below `aegis/_app`, since such names
collide in site-packages. A process that belongs to Aegis may have them under their plain names.
"""

import sys
from pathlib import Path
from types import ModuleType

from aegis._app import FOLDER
from aegis.errors import AegisError, Conflict

#: The application folders that are imported by their plain names.
PACKAGES = ("api", "cli", "schedules", "tasks", "worker")


def activate() -> None:
    """Make the application folders importable by their plain names, before anything else.

    They come first on `sys.path`, and the working folder leaves it: a `tasks/` that happens to lie
    there must not be taken for ours.

    Raises:
        Conflict: a module of such a name was imported before, and it is not Aegis's.

    """
    for name in PACKAGES:
        module = sys.modules.get(name)
        if module is not None and not _is_ours(module):
            message = (
                f"a module {name!r} from {getattr(module, '__file__', None) or 'elsewhere'} was imported "
                f"before Aegis, which has its own {name!r}: in your own program import aegis.privacy, "
                "aegis.auditing or aegis.client, and leave aegis.home to the aegis command"
            )
            raise Conflict(message)
    kept = [entry for entry in sys.path if not _is_working_folder(entry) and Path(entry) != FOLDER]
    sys.path[:] = [str(FOLDER), *kept]


def main() -> None:
    """Run the `aegis` command."""
    try:
        activate()
    except AegisError as error:
        print(f"aegis: {error}", file=sys.stderr)  # noqa: T201 - the command line is not importable yet
        raise SystemExit(error.exit_code) from error
    from cli.main import main as command  # noqa: PLC0415 - only now is it on the path

    command()


def _is_ours(module: ModuleType) -> bool:
    return FOLDER / module.__name__ in {Path(place).resolve() for place in getattr(module, "__path__", ())}


def _is_working_folder(entry: str) -> bool:
    return Path(entry).resolve() == Path.cwd() and Path(entry).resolve() != FOLDER


if __name__ == "__main__":
    main()
