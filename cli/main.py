"""The `aegis` command: its sections, and what an error becomes on the way out."""

import importlib
import importlib.metadata
import importlib.util
import os
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

import click

from aegis.errors import AegisError, UsageError

#: Stopped by a person; what was committed stands.
STOPPED: Final = 3
#: A fault of Aegis: nobody can tell what it would have said.
CANNOT_TELL: Final = 5
#: What a program gets whose reader went away, as from the signal of that name.
_BROKEN_PIPE: Final = 141


class Entry(NamedTuple):
    """Where a command is, and its line in the overview; the module is imported when it is used."""

    module: str
    attribute: str
    help: str


SECTIONS: Final[Mapping[str, Mapping[str, Entry]]] = {
    "Start here": {
        "demo": Entry("cli.demo.command", "demo", "See it all work on rows made here, in under two minutes."),
        "doctor": Entry("cli.doctor", "doctor", "Check every connection, key, migration and clock."),
    },
    "Policies, retention and the log": {
        "policy": Entry("cli.policy", "policy", "Add, list, show, preview, approve, disable policies."),
        "retention": Entry("cli.retention", "retention", "Run policies now, or see what ran."),
        "datamap": Entry(
            "cli.datamap", "datamap", "Say what is personal and where; check it against the schema."
        ),
        "catalog": Entry("cli.catalog", "catalog", "Find the personal columns of a data source."),
        "erasure": Entry("cli.erasure", "erasure", "One person: erase, prove it, or export everything."),
        "federated": Entry("cli.federated", "federated", "Aggregates over many people: budgets, releases."),
        "hold": Entry("cli.hold", "hold", "Legal holds: place, list, release."),
        "stop": Entry("cli.stop", "stop", "The kill switch: nothing is changed from the next batch on."),
        "start": Entry("cli.stop", "start", "Let what was stopped go on."),
        "audit": Entry("cli.audit", "audit", "The audit log: seal, verify, prove, export; keys, witnesses."),
        "evidence": Entry("cli.evidence", "evidence", "One folder for a regulator, checked without Aegis."),
    },
    "Set up and run": {
        "init": Entry("cli.setup", "init", "Make the key files, once."),
        "migrate": Entry("cli.setup", "migrate", "Prepare Aegis's databases, or a data source."),
        "approver": Entry("cli.approver", "approver", "Add, list and remove the keys of approvers."),
        "client-key": Entry(
            "cli.clientkey", "client_key", "The workers' public key, or a service's own key."
        ),
        "grants": Entry("cli.grants", "grants", "Print the rights that a data source needs, or check them."),
        "config": Entry("cli.setup", "config", "Print the settings in force, secrets masked."),
        "up": Entry("cli.processes", "up", "Redis, worker, beat and metrics on this machine."),
        "worker": Entry("cli.processes", "worker", "One worker process, for production."),
        "beat": Entry("cli.processes", "beat", "The scheduler process, for production."),
    },
}


class Overview(click.Group):
    """The group that knows its commands without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands that are there."""
        del ctx
        return [name for section in SECTIONS.values() for name in section if _find(name)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        del ctx
        entry = _find(cmd_name)
        if entry is None:
            return None
        command: click.Command = getattr(importlib.import_module(entry.module), entry.attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the overview by sections."""
        del ctx
        for title, section in SECTIONS.items():
            rows = [(name, entry.help) for name, entry in section.items() if _find(name)]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows, col_max=12)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples as they are typed."""
        del ctx
        formatter.write(EPILOG)

    def main(self, *args: Any, **extra: Any) -> NoReturn:
        """Run a command; every error becomes one line on stderr and its exit code."""
        extra |= {"prog_name": "aegis", "standalone_mode": False}
        _prepare_streams()
        try:
            code = super().main(*args, **extra)
            sys.stdout.flush()
        except BrokenPipeError:
            _write_nowhere()
            sys.exit(_BROKEN_PIPE)
        except Exception as error:  # noqa: BLE001 - the one place where every error ends
            sys.exit(_report(error))
        sys.exit(code if isinstance(code, int) else 0)


def _prepare_streams() -> None:
    """Make all three usable: some start programs with one closed, which is None to Python."""
    for name, mode in {"stdin": "r", "stdout": "w", "stderr": "w"}.items():
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - until the end
    # A terminal that lacks a character gets a replacement, not a crash.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def _write_nowhere() -> None:
    """Let Python's own flush at the end not complain: nobody reads any more, or the disk is full."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _unwritten(error: Exception) -> OSError | None:
    """Return why the output could not be written, if it could not."""
    if not isinstance(error, OSError):
        return None
    try:
        sys.stdout.flush()
    except OSError as found:
        _write_nowhere()
        return found
    return None


EPILOG: Final = """
As in: aegis policy add events_90 --table events --days 90 --action delete
  aegis policy preview events_90, approve it --actor you@example.com, aegis retention run --execute
Exit codes: 0 done, 1 a finding, 2 wrong use, 3 will resume, 4 refused or needs you, 5 cannot tell.
"""


@click.group(cls=Overview, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(importlib.metadata.version("aegis-privacy-worker"), message="aegis %(version)s")
@click.option("--debug", is_flag=True, help="Show where an unexpected error comes from; it may show data.")
def main(*, debug: bool) -> None:
    """Delete what is past its time, unattended, and prove it."""
    _DEBUG[:] = [debug]


_DEBUG: Final = [False]


#: What a door calls by its argument's name, and the command line by an option's.
_OPTIONS: Final = {"policies=[…]": "--policy", "datasource=": "--datasource"}


def _in_options(text: str) -> str:
    for argument, option in _OPTIONS.items():
        text = text.replace(argument, option)
    return text


def _find(name: str) -> Entry | None:
    entry = next((section[name] for section in SECTIONS.values() if name in section), None)
    return entry if entry and importlib.util.find_spec(entry.module) else None


def _report(error: Exception) -> int:
    """Say what happened; return the exit code."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return UsageError.exit_code
    if isinstance(error, click.Abort):
        text, code = "stopped", STOPPED
    elif isinstance(error, click.ClickException):
        context = getattr(error, "ctx", None)
        more = f" (see {context.command_path} --help)" if context else ""
        text, code = f"{error.format_message().rstrip('.')}{more}", UsageError.exit_code
    elif isinstance(error, AegisError):
        text, code = _in_options(str(error)), error.exit_code
    elif unwritten := _unwritten(error):
        text, code = f"the output cannot be written: {unwritten.strerror}", AegisError.exit_code
    elif isinstance(error, OSError) and error.filename:
        text, code = f"{error.filename}: {error.strerror}", AegisError.exit_code
    else:
        # Its text may quote a row; only its kind is shown.
        text, code = f"{type(error).__name__}: this is a fault of Aegis", CANNOT_TELL
        text += "" if _DEBUG[0] else "; `aegis --debug …` shows where"
    if _DEBUG[0]:
        traceback.print_exception(error)
    click.echo(f"aegis: {' '.join(text.split())}", err=True)
    return code
