"""Somebody who reads a page from its beginning and does what stands there."""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from tests.pages import Block, Told, blocks, compare, told
from tests.shells import Shell
from tests.starter import starter
from tests.workerkit import ROOT

#: What only a shell does: pipes, other files, variables, several commands.
_FOR_A_SHELL: Final = re.compile(r"[|><;&]|\$[({A-Z]|^for ")
_RAISES: Final = re.compile(r"^(\w.*?)  # (\w+Error)\b.*$", re.MULTILINE)
_LONGEST: Final = 60
#: What a page may ask for that not every machine has.
PROGRAMS: Final = frozenset({"jq", "openssl", "psql", "redis-cli", "sha256sum", "ssh-keygen"})


@dataclass(kw_only=True)
class Reader:
    """A page, a place in which it is read, and what is different there; what nothing needs is a fault."""

    page: Path
    shell: Shell
    #: Words of the page → what they are here.
    here: Mapping[str, str | Callable[[], str]] = field(default_factory=dict)
    #: Beginning of a command or example → what has to happen before.
    before: Mapping[str, Callable[[], object]] = field(default_factory=dict)
    #: Beginning of a command → its exit code, where it is not 0.
    codes: Mapping[str, int] = field(default_factory=dict)
    #: Beginning of a command or example → why it does not run here, or which test runs it.
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    #: Beginning of a Python example → what its service has defined.
    given: Mapping[str, str] = field(default_factory=dict)
    #: Runs SQL as the owner of the application's database.
    sql: Callable[[str], object] | None = None
    #: Whether a command that was typed already is passed over: where each entry of a page begins anew.
    once: bool = False
    _used: set[str] = field(default_factory=set)
    _typed: set[str] = field(default_factory=set)

    def read(self) -> None:
        """Do everything that the page says, in its order; tell all faults at once."""
        commands = [one for block in blocks(self.page) if block.language == "console" for one in told(block)]
        asked = {word for one in commands if not self._left_out(one.command) for word in one.command.split()}
        for program in sorted(PROGRAMS & asked):
            if shutil.which(program) is None:
                pytest.skip(f"no {program} on this machine, and {self.page.name} has it in a command")
        faults = [str(fault) for step in self._steps() if (fault := _fault(step))]
        assert not faults, "\n\n".join(faults)
        stated = {*self.here, *self.before, *self.codes, *self.elsewhere, *self.given}
        assert self._used == stated, f"nothing on the page needs {sorted(stated - self._used)}"
        named = re.findall(r"tests/[\w/]+\.py", " ".join(self.elsewhere.values()))
        assert [test for test in named if not (ROOT / test).is_file()] == []

    def _steps(self) -> Iterator[Callable[[], object]]:
        for block in blocks(self.page):
            if block.language == "console":
                for one in told(block):
                    again = self.once and one.command in self._typed
                    if not (again or self._left_out(one.command)):
                        self._typed.add(one.command)
                        yield partial(self._type, one)
            elif block.language in {"python", "sql"} and not self._left_out(block.text):
                yield partial(self._program if block.language == "python" else self._statement, block)

    def _type(self, one: Told) -> None:
        self._prepare(one.command)
        command = self._meant(one.command)
        if exported := re.fullmatch(r"export (\w+)=(\S+)", command):
            self.shell.environment[exported[1]] = exported[2]
            return
        bare = re.sub(r"'[^']*'|\"[^\"]*\"|#.*", "", command)
        if _FOR_A_SHELL.search(bare) or not bare.startswith("aegis "):
            code, printed = self._in_bash(command)
        else:
            said = self.shell(*shlex.split(command, comments=True)[1:])
            code, printed = said.code, said.out + said.err
        wanted = self._one_of(self.codes, one.command)
        assert code == (0 if wanted is None else self.codes[wanted]), (
            f"{one.block}\n$ {command}\n{code}\n{printed}"
        )
        compare(one, printed)

    def _in_bash(self, command: str) -> tuple[int, str]:
        programs = self.shell.folder / "bin"
        if not programs.exists():
            programs.mkdir()
            aegis = programs / "aegis"
            aegis.write_text(f'#!/bin/sh\nexec {sys.executable} -m aegis.home "$@"\n', "ascii")
            aegis.chmod(0o700)
        environment = {**self.shell.environment, "PATH": f"{programs}:{self.shell.environment['PATH']}"}
        done = subprocess.run(
            ["/bin/bash", "-o", "pipefail", "-c", command],
            cwd=self.shell.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=_LONGEST,
        )
        return done.returncode, done.stdout

    def _program(self, block: Block) -> None:
        self._prepare(block.text)
        given = self._one_of(self.given, block.text)
        # A line of which the page says that it raises has to.
        text = _RAISES.sub(
            r"try:\n    \1\nexcept \2:\n    pass\nelse:\n    raise AssertionError\n", block.text
        )
        script = f"{self.given[given] if given else ''}\n{self._meant(text)}"
        code, out, err = starter().run(
            (), folder=self.shell.folder, environment=self.shell.environment, script=script
        )
        assert code == 0, f"{block}\n{out}{err}"

    def _statement(self, block: Block) -> None:
        self._prepare(block.text)
        assert self.sql, f"{block}: nobody runs SQL"
        self.sql(self._meant(block.text))

    def _prepare(self, text: str) -> None:
        """Let happen what the page tells in between, once."""
        for beginning in [name for name in self.before if text.startswith(name) and name not in self._used]:
            self._used.add(beginning)
            self.before[beginning]()

    def _meant(self, text: str) -> str:
        """Return a command or example as it is here."""
        for word, here in self.here.items():
            if re.search(_whole(word), text):
                self._used.add(word)
                meant = here if isinstance(here, str) else here()
                text = re.sub(_whole(word), lambda _, meant=meant: meant, text)  # type: ignore[misc]
        return text

    def _left_out(self, text: str) -> bool:
        return self._one_of(self.elsewhere, text) is not None

    def _one_of(self, table: Mapping[str, object], text: str) -> str | None:
        """Return the longest key of a table with which the text begins."""
        found = max((name for name in table if text.startswith(name)), key=len, default=None)
        if found is not None:
            self._used.add(found)
        return found


def _fault(step: Callable[[], object]) -> AssertionError | None:
    try:
        step()
    except AssertionError as error:
        return error
    return None


def _whole(word: str) -> str:
    return rf"(?<!\w){re.escape(word)}(?!\w)"
