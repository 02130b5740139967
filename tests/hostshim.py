"""What a host does to its processes: its clock moves, its disk is full. By a library that stands before libc.

    shim = Shim.build(folder)        # None where there is no C compiler, or no Linux
    process = start(..., env=shim.environ("worker-0"))
    shim.move_clock("worker-0", 30.0)
    shim.fill_disk()

Python asks libc for the time of day and lets it write; so a process sees the moved clock everywhere, in
mid-course, while clocks that only run forwards stay as they are. Below `shim.disk` a write that finds no room
writes half of what it was given, as long as that is much, and then fails with ENOSPC.
"""

import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import Final, Self

#: Nanoseconds by which the clock is moved, and whether the disk is full, as a process maps them.
_STATE: Final = struct.Struct("=qq")
_SOURCE: Final = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct state { int64_t moved; int64_t full; };
static const volatile struct state *state;
static const char *disk;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("HOST_STATE");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *found = mmap(NULL, sizeof *state, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    // A copy: who changes its title writes over its environment.
    const char *place = getenv("HOST_DISK");
    disk = place ? strdup(place) : NULL;
    if (found != MAP_FAILED) state = found;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = syscall(SYS_clock_gettime, clock, now);
    if (!failed && state && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t all = now->tv_sec * 1000000000LL + now->tv_nsec + state->moved;
        now->tv_sec = all / 1000000000LL;
        now->tv_nsec = all % 1000000000LL;
    }
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec fine;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &fine);
    now->tv_sec = fine.tv_sec;
    now->tv_usec = fine.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *where) {
    struct timespec fine;
    clock_gettime(CLOCK_REALTIME, &fine);
    if (where) *where = fine.tv_sec;
    return fine.tv_sec;
}

static int on_the_disk(int file) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return strncmp(path, disk, strlen(disk)) == 0;
}

ssize_t write(int file, const void *data, size_t bytes) {
    if (state && state->full && disk && on_the_disk(file)) {
        if (bytes < 512) { errno = ENOSPC; return -1; }
        bytes /= 2;
    }
    return syscall(SYS_write, file, data, bytes);
}
"""


class Shim:
    """One library; a file of state for each process that is named."""

    def __init__(self, folder: Path) -> None:
        """Take an empty folder."""
        self._folder = folder
        #: What is below here can be full.
        self.disk = folder / "disk"
        self._library = folder / "shim.so"
        self._full = False
        self._moved: dict[str, float] = {}

    @classmethod
    def build(cls, folder: Path) -> Self | None:
        """Return one for what is started from now on; None: this machine cannot have one."""
        shim = cls(folder)
        shim.disk.mkdir(parents=True)
        compiler = shutil.which("cc")
        if compiler is None or sys.platform != "linux":
            return None
        source = folder / "shim.c"
        source.write_text(_SOURCE, "utf-8")
        words = ("-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", str(shim._library), str(source))
        subprocess.run([compiler, *words], check=True)
        return shim

    def environ(self, name: str) -> dict[str, str]:
        """Return what a process of that name is started with."""
        self._moved.setdefault(name, 0.0)
        self._write(name)
        state, disk = str(self._state(name)), f"{self.disk}/"
        return {"LD_PRELOAD": str(self._library), "HOST_STATE": state, "HOST_DISK": disk}

    def move_clock(self, name: str, seconds: float) -> None:
        """Let a process see a clock that is so far from the true one; 0: the true one."""
        self._moved[name] = seconds
        self._write(name)

    def fill_disk(self) -> None:
        """Let no process write below the disk's folder."""
        self._set_full(full=True)

    def make_room(self) -> None:
        """Let all write again."""
        self._set_full(full=False)

    def calm(self) -> None:
        """Show everybody the true clock, and make room."""
        self._moved = dict.fromkeys(self._moved, 0.0)
        self.make_room()

    def _set_full(self, *, full: bool) -> None:
        self._full = full
        for name in self._moved:
            self._write(name)

    def _write(self, name: str) -> None:
        state, path = _STATE.pack(int(self._moved[name] * 1e9), self._full), self._state(name)
        # In place: who has mapped the file sees it at once.
        with path.open("r+b" if path.exists() else "wb") as file:
            file.write(state)

    def _state(self, name: str) -> Path:
        return self._folder / f"{name}.state"
