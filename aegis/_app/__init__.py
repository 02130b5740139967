"""The application folders, importable as `aegis._app.api` and so on.

In a wheel they lie beside this file; in a checkout they lie at its root. Here a service finds the
doors without a top-level `api` or `tasks` that could collide with its own.
"""

from pathlib import Path

_HERE = Path(__file__).resolve().parent

#: The folder that holds api/, cli/, migrations/, schedules/, tasks/ and worker/.
FOLDER = _HERE if (_HERE / "api").is_dir() else _HERE.parent.parent

__path__ = [str(FOLDER)]
