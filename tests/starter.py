"""A process that has imported the command line and forks for each command, which saves a second each.

What runs is the real command in a process of its own: `python -m aegis.home` with its arguments, folder,
environment and stdin; or a script, as `python -c`. Only the interpreter's start and the imports are shared.
"""

import atexit
import contextlib
import functools
import importlib
import io
import json
import os
import pkgutil
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

_ROOT: Final = Path(__file__).resolve().parents[1]
#: Seconds after which a command is killed.
_LONGEST: Final = 120


class Starter:
    """The process, from the tests' side; it ends with them."""

    def __init__(self) -> None:
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("AEGIS_", "PYTHON"))
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.starter"],
            cwd=_ROOT,
            env=kept,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._lock = threading.Lock()

    def run(
        self,
        words: Sequence[str],
        *,
        folder: Path,
        environment: Mapping[str, str],
        stdin: str = "",
        script: str | None = None,
    ) -> tuple[int, str, str]:
        """Run `aegis`, or a script, to its end; return its exit code and what it printed."""
        assert self._process.stdin
        assert self._process.stdout
        with tempfile.TemporaryDirectory() as place:
            Path(place, "in").write_text(stdin, "utf-8")
            asked: dict[str, Any] = {"words": list(words), "script": script}
            asked |= {"folder": str(folder), "environment": dict(environment)}
            with self._lock:
                self._process.stdin.write(json.dumps({**asked, "place": place}) + "\n")
                self._process.stdin.flush()
                code = int(self._process.stdout.readline())
            out, err = (Path(place, name).read_text("utf-8") for name in ("out", "err"))
        return code, out, err


@functools.cache
def starter() -> Starter:
    """Return the one of these tests."""
    return Starter()


def _serve() -> None:
    from aegis.home import activate  # noqa: PLC0415 - as the command does it

    activate()
    cli = importlib.import_module("cli")
    for module in pkgutil.iter_modules(cli.__path__):
        importlib.import_module(f"cli.{module.name}")
    # It is to run once more in each command, as the main module.
    sys.modules.pop("aegis.home")
    assert threading.active_count() == 1, "a fork would lack the other threads"
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if child == 0:
            _command(asked)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201 - the answer


def _command(asked: Mapping[str, Any]) -> NoReturn:
    code = 1
    try:
        os.environ.clear()
        os.environ.update(asked["environment"])
        os.chdir(asked["folder"])
        signal.alarm(_LONGEST)
        _replace(sys.stdin.fileno(), f"{asked['place']}/in", os.O_RDONLY)
        sys.stdin = io.TextIOWrapper(io.FileIO(0), "utf-8")
        for stream, name in ((sys.stdout, "out"), (sys.stderr, "err")):
            _replace(stream.fileno(), f"{asked['place']}/{name}", os.O_WRONLY | os.O_CREAT)
            assert isinstance(stream, io.TextIOWrapper)
            stream.reconfigure(encoding=os.environ.get("PYTHONIOENCODING"))
        sys.argv = ["aegis", *asked["words"]]
        if asked["script"] is None:
            runpy.run_module("aegis.home", run_name="__main__", alter_sys=True)
        else:
            exec(asked["script"], {"__name__": "__main__"})  # noqa: S102 - the test's own
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:  # noqa: BLE001 - as the interpreter would end
        traceback.print_exc()
    finally:
        atexit._run_exitfuncs()  # noqa: SLF001 - nothing else runs them in a forked process
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _replace(number: int, path: str, flags: int) -> None:
    """Let a file take the place of an open one."""
    opened = os.open(path, flags, 0o600)
    os.dup2(opened, number)
    os.close(opened)


if __name__ == "__main__":
    _serve()
