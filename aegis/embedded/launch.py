"""Become a server that dies with the process that started it.

Run as a script, before the server's own program, so that nothing has to happen between fork and
exec in a process that may have threads:

    launch.py STARTER SIGNAL IDENTITY FOLDER PROGRAM [ARGUMENT ...]

STARTER is the process id of the starter, SIGNAL what the server gets when the starter is gone,
IDENTITY `same`, `namespace` or `UID:GID`. FOLDER is entered under that identity, which proves that
the server can reach it. The process id stays the same throughout.
"""

import ctypes
import os
import signal
import sys
import time
from pathlib import Path

CLONE_NEWUSER = 0x1000_0000
PR_SET_PDEATHSIG = 1
#: What root is called inside its user namespace; any number but 0 serves.
MAPPED = 1000
#: Exit code when the starter was gone before the server began.
ABANDONED = 75


def enter_namespace() -> None:
    """Rename this root to an ordinary user; its files stay its own.

    Raises:
        OSError: user namespaces are forbidden here.

    """
    uid, gid = os.getuid(), os.getgid()
    _libc("unshare", CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"{MAPPED} {uid} 1", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"{MAPPED} {gid} 1", encoding="ascii")


def drop_to(uid: int, gid: int) -> None:
    """Give up root for the user `uid`, for good."""
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def die_with(starter: int, death: int) -> None:
    """Arrange that this process gets the signal `death` when `starter` is gone."""
    if sys.platform == "linux":
        _libc("prctl", PR_SET_PDEATHSIG, death)
    else:
        watch(starter, death)
    if os.getppid() != starter:
        sys.exit(ABANDONED)


def watch(starter: int, death: int) -> None:
    """Do the same where the kernel does not offer it: a child looks after the starter."""
    server = os.getpid()
    if os.fork():
        return
    os.closerange(0, os.sysconf("SC_OPEN_MAX") if sys.platform == "linux" else 256)
    while os.getppid() == server:
        try:
            os.kill(starter, 0)
        except ProcessLookupError:
            os.kill(server, death)
            break
        time.sleep(0.2)
    os._exit(0)


def become(starter: int, death: int, identity: str, folder: str, command: list[str]) -> None:
    """Take on the identity, tie this process to the starter and turn into the server.

    The order matters: Linux forgets the death signal whenever the identity changes.
    """
    if identity == "namespace":
        enter_namespace()
    elif identity != "same":
        uid, _, gid = identity.partition(":")
        drop_to(int(uid), int(gid))
    os.chdir(folder)
    die_with(starter, death)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    os.execv(command[0], command)  # noqa: S606 - replacing this process is the purpose


def _libc(function: str, *arguments: int) -> None:
    call = getattr(ctypes.CDLL(None, use_errno=True), function)
    if call(*(ctypes.c_ulong(argument) for argument in arguments)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), function)


if __name__ == "__main__":
    _, _starter, _death, _identity, _folder, *_command = sys.argv
    try:
        become(int(_starter), int(_death), _identity, _folder, _command)
    except OSError as _error:
        sys.exit(f"cannot run {_command[0]} as {_identity} in {_folder}: {_error}")
