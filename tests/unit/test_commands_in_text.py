"""A command that a page or a message names is one that `aegis` has, with these options."""

import re
import shlex
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final

import click
import pytest

from cli.main import SECTIONS, main
from cli.processes import VERBS
from tests.pages import DOCS, PAGES, every, spans, told
from tests.texts import Named, texts
from tests.workerkit import ROOT

_TEXTS: Final = (*PAGES, *sorted((DOCS / "decisions").glob("*.md")), ROOT / "CHANGELOG.md")
_TOP: Final = frozenset(name for section in SECTIONS.values() for name in section)
#: Words that stand for something else: NAME, YOU, FILE…, a path that is left open.
_OPEN: Final = re.compile(r"[A-Z][A-Z0-9_]*|.*….*|.*\{.*")
_IN_MESSAGE: Final = re.compile(r"`aegis ([^`|]+)[`|]")
_PLAIN: Final = re.compile(
    r"(?<![`\w./-])aegis ((?:[a-z]+(?:-[a-z]+)* ?)+(?:(?:--[a-z-]+\b(?: '[^']*'| [\w.@]+\b)?|[A-Z]+\b) ?)*)"
)
_IN_SHELL: Final = re.compile(r"(?:aegis|.* -- aegis|docker compose .* cli) (.+)$")


def accept(words: list[str]) -> None:
    """Let the real parsers read a command; what they would not take is an error."""
    command: click.Command = main
    context = click.Context(main, info_name="aegis")
    words = [word for before, word in pairwise(["", *words]) if word != "…" or before == "--datasource"]
    while isinstance(command, click.Group):
        _, words, _ = command.make_parser(context).parse_args(words)
        if not words:
            return
        name, *words = words
        below = command.get_command(context, name)
        if below is None:
            raise click.NoSuchOption(name)
        command, context = (
            below,
            click.Context(below, info_name=name, parent=context, **below.context_settings),
        )
    for verb in VERBS.get(command.name or "", ()):
        if words[:1] == [verb.name]:
            command, words = verb, words[1:]
            context = click.Context(verb, info_name=verb.name, parent=context)
    values, rest, _ = command.make_parser(context).parse_args(words)
    if rest:
        message = f"nothing takes {rest}"
        raise click.UsageError(message)
    for parameter in command.params:
        if isinstance(parameter.type, click.Path | click.File):
            continue
        value = values.get(parameter.name or "")
        said = value if isinstance(value, list | tuple) else [value]
        if any(isinstance(word, str) for word in said) and not any(
            _OPEN.fullmatch(str(word)) for word in said
        ):
            parameter.type_cast_value(context, value)


def wrong(words: str) -> str | None:
    """Return what is wrong with a command, without its first word."""
    try:
        accept(shlex.split(words, comments=True))
    except (click.ClickException, ValueError) as error:
        return f"aegis {words}: {getattr(error, 'message', error)}"
    return None


def in_text(page: Path) -> Iterator[str]:
    """Return the commands in the text of a page, with and without the word aegis."""
    for span in spans(page):
        first, _, rest = span.partition(" ")
        if first == "aegis" and rest:
            yield rest
        elif first in _TOP and re.match(r"[a-z]", rest):
            yield span


@pytest.mark.parametrize("page", _TEXTS, ids=lambda page: page.stem)
def test_a_command_in_the_text_exists(page: Path) -> None:
    """Each `aegis …` in the text has a verb that is there, options that it takes, and values that fit."""
    assert [found for command in in_text(page) if (found := wrong(command))] == []


def test_a_command_in_a_block_exists() -> None:
    """So has each in a console, also where no test can run it: in a container or a pod."""
    commands = [
        match[1]
        for block in every("console")
        for one in told(block)
        for part in re.split(r" [|&]+ | \d?>", re.sub(r"\$\(.*?\)", "X", one.command))
        if (match := _IN_SHELL.match(part))
    ]
    assert len(commands) > 150
    assert [fault for command in commands if (fault := wrong(command))] == []


def in_messages() -> set[Named]:
    """Return the commands in the texts of the code: in backticks, or by a verb that is one of ours."""
    found = set()
    for place, text in texts():
        quoted = _IN_MESSAGE.findall(text)
        plain = [line for line in _PLAIN.findall(text) if line.split()[0] in _TOP]
        found |= {Named(place, " ".join(line.split())) for line in (*quoted, *plain)}
    return found


def test_a_command_in_a_message_exists() -> None:
    """Somebody reads it at night, in an error, a finding or a docstring, and types it: it is there."""
    found = in_messages()
    assert sorted(f"{place}: {fault}" for place, line in found if (fault := wrong(line))) == []
    assert {"audit verify", "migrate --datasource X", "approver list"} <= {line for _, line in found}


@pytest.mark.parametrize(
    "command",
    [
        "policy shew NAME",
        "policy show NAME --sqll",
        "policy show",
        "retention run --policy",
        "stop all",
        "audit seal --now",
        "policy list X Y",
        "worker dead-letters --all",
        "audit x",
        "retention resum X",
        "nothing",
    ],
)
def test_what_is_not_there_is_found(command: str) -> None:
    """A verb, an option or a word too many is told; a name that is left out is not."""
    assert (wrong(command) is None) == (command == "policy show")
