"""The page of every command, from the commands themselves."""

import re
from collections.abc import Iterator
from typing import Final

import click

from cli.main import EPILOG, SECTIONS, main
from cli.processes import VERBS

_HEAD: Final = """# Commands

<!-- Written by `python -m docs.generate` from the commands of cli/; change it there. -->

`aegis COMMAND --help` says the same. With `--json` a command prints one JSON document for programs; errors
go to stderr in one line. What is destructive is a dry run without `--execute`. `aegis --debug COMMAND` shows
where an unexpected error comes from; what it shows may hold data. A USER that is `-` is read from stdin, so
that it stays out of the shell's history.

## Exit codes

| code | meaning |
|---|---|
"""
_CODES: Final = re.compile(r"(\d) ([^,.]+)")


def text() -> str:
    """Return the page."""
    return "\n".join([_HEAD.rstrip(), *_codes(), *_sections()]) + "\n"


def _codes() -> Iterator[str]:
    for code, meaning in _CODES.findall(EPILOG.partition("Exit codes:")[2]):
        yield f"| {code} | {meaning} |"


def _sections() -> Iterator[str]:
    root = click.Context(main, info_name="aegis", **main.context_settings)
    for title, section in SECTIONS.items():
        yield from ("", f"## {title}")
        for name in section:
            command = main.get_command(root, name)
            if command is not None:
                yield from _command(command, click.Context(command, info_name=name, parent=root))


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    """Tell a command, then those below it."""
    if command.hidden:
        return
    if isinstance(command, click.Group):
        # What a group alone does is to list its commands.
        yield from ("", f"### aegis {_path(context)}", *_help(command))
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None:
                yield from _command(below, click.Context(below, info_name=name, parent=context))
        return
    verbs = VERBS.get(command.name or "", ())
    pieces = " ".join(command.collect_usage_pieces(context))
    depth = "###" if context.parent and context.parent.parent is None else "####"
    yield from ("", f"{depth} aegis {_path(context)}", "", f"    aegis {_path(context)} {pieces}")
    yield from _help(command)
    records = [one.get_help_record(context) for one in command.get_params(context)]
    # What stands in the usage alone, such as NAME, has no words of its own.
    options = [record for record in records if record and record[1] and not record[0].startswith("-h,")]
    if options:
        yield from ("", "| option | |", "|---|---|")
        yield from (_row(names, meaning) for names, meaning in options)
    for verb in verbs:
        yield from _command(verb, click.Context(verb, info_name=verb.name, parent=context))


def _row(names: str, meaning: str) -> str:
    cells = (cell.replace("|", "\\|") for cell in (f"`{names}`", " ".join(meaning.split())))
    return f"| {' | '.join(cells)} |"


def _path(context: click.Context) -> str:
    names: list[str] = []
    at = context
    while at.parent is not None:
        names.insert(0, at.info_name or "")
        at = at.parent
    return " ".join(names)


def _help(command: click.Command) -> Iterator[str]:
    """Return a command's own words; what click is told not to wrap stays as it is."""
    for paragraph in (command.help or "").replace("\r", "").split("\n\n"):
        first, _, rest = paragraph.strip("\n").partition("\n")
        yield ""
        if first.strip() == "\b":
            yield from (f"    {line}" for line in rest.splitlines())
        else:
            yield " ".join(paragraph.split())
