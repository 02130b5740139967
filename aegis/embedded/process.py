"""A child process: started so that it dies with its starter, awaited until it answers, ended."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

#: Turns into the server; a file of its own, since it runs before the server in the child.
LAUNCH = Path(__file__).with_name("launch.py")
#: How long the end of a child is awaited before it is killed.
STOP_SECONDS = 30.0
#: The pause between two looks at a server that is starting.
LOOK_SECONDS = 0.02


def start_child(
    command: Sequence[str | Path],
    *,
    folder: Path,
    log: Path | None,
    death: signal.Signals,
    identity: str = "same",
    keep: Sequence[int] = (),
    stdin: IO[bytes] | int = subprocess.DEVNULL,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start `command` in `folder`; it receives `death` when this process ends, however it ends.

    Args:
        command: the program's absolute path and its arguments.
        folder: its working folder.
        log: where its output is appended; none: where this process's goes.
        death: the signal that ends it.
        identity: `same`, `namespace` or `UID:GID`, see `aegis.embedded.launch`.
        keep: file descriptors that it inherits.
        stdin: what it reads.
        environment: its environment; default: little of this process's.

    """
    script = [sys.executable, "-I", "-S", str(LAUNCH)]
    arguments = [str(os.getpid()), str(int(death)), identity, str(folder), *map(str, command)]

    def spawn() -> subprocess.Popen[bytes]:
        with contextlib.ExitStack() as opened:
            output = None if log is None else opened.enter_context(log.open("ab"))
            return subprocess.Popen(  # noqa: S603 - the callers' own programs, no shell
                script + arguments,
                stdin=stdin,
                stdout=output,
                stderr=output,
                pass_fds=keep,
                env=_environment() if environment is None else dict(environment),
                umask=0o077,
                # Ctrl-C is for the starter; it then stops its servers in the right order.
                start_new_session=True,
            )

    if threading.current_thread() is threading.main_thread():
        return spawn()
    return _spawn_in_keeper(spawn)


def wait_until(process: subprocess.Popen[bytes], answers: Callable[[], bool], seconds: float) -> bool:
    """Wait until the child answers; False: it ended, or did not answer in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            return False
        if answers():
            return True
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(LOOK_SECONDS)
    return False


def stop_child(process: subprocess.Popen[bytes], polite: signal.Signals) -> None:
    """Ask the child to end; kill it when it does not."""
    if process.poll() is not None:
        return
    process.send_signal(polite)
    see_off(process)


def see_off(process: subprocess.Popen[bytes]) -> None:
    """Wait for the end of a child that was asked to end; kill it when it does not."""
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        kill_child(process)


def kill_child(process: subprocess.Popen[bytes]) -> None:
    """Kill the child and then its own children, as the end of the machine would."""
    grandchildren = _children(process.pid)
    process.kill()
    for pid in grandchildren:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def _environment() -> dict[str, str]:
    # Little of the caller's: PGDATA, PGOPTIONS or a locale would change what the server does.
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    return {**kept, "LC_ALL": "C", "TZ": "UTC"}


def _children(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text("utf-8")
    except OSError:
        return []
    return [int(child) for child in children.split()]


def _spawn_in_keeper(spawn: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
    # Linux sends the death signal when the THREAD that forked ends, so a thread that may end
    # before the server leaves the fork to one that lives exactly as long as the server.
    started: list[subprocess.Popen[bytes] | BaseException] = []
    known = threading.Event()

    def keep() -> None:
        try:
            started.append(spawn())
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            started.append(error)
        known.set()
        if isinstance(started[0], subprocess.Popen):
            started[0].wait()

    threading.Thread(target=keep, name="aegis-server-keeper", daemon=True).start()
    known.wait()
    if isinstance(started[0], BaseException):
        raise started[0]
    return started[0]
