"""What texts of Aegis tell a person to do: every command and every setting that they name is there."""

import ast
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, get_args, get_type_hints

import click
import pytest

from aegis.settings import Settings
from cli.main import main
from cli.processes import VERBS
from tests.workerkit import ROOT

FLOORS: Final = ("aegis", "api", "cli", "schedules", "tasks", "worker")
#: What stands for whatever an f-string puts there.
_HOLE: Final = "X"
_QUOTED: Final = re.compile(r"`aegis ([^`]+)`")
_PLAIN: Final = re.compile(r"(?<![`\w./-])aegis ((?:[a-z]+(?:-[a-z]+)* ?)+(?:(?:--[a-z-]+|[A-Z]+)\b ?)*)")


class Text(NamedTuple):
    """A text in the code, and where it stands."""

    place: str
    text: str


def texts() -> Iterator[Text]:
    """Yield every text of the code; of an f-string with holes."""
    for floor in FLOORS:
        for path in sorted((ROOT / floor).rglob("*.py")):
            tree = ast.parse(path.read_text("utf-8"))
            inner = {part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
            for node in ast.walk(tree):
                text = None if node in inner else _text(node)
                if text:
                    yield Text(f"{path.relative_to(ROOT)}:{node.lineno}", text)  # type: ignore[attr-defined]


def _text(node: ast.AST) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) or _HOLE for part in node.values)
    return None


def commands() -> list[Text]:
    """Return the commands that texts name, without the word `aegis`."""
    found = set()
    for place, text in texts():
        found |= {Text(place, " ".join(name[1].split())) for name in _QUOTED.finditer(text)}
        found |= {
            Text(place, name[1].strip())
            for name in _PLAIN.finditer(text)
            if name[1].split()[0] in main.list_commands(click.Context(main))
        }
    return sorted(found)


def _one(line: str) -> str:
    """Return the first of what is chained, without what a text leaves out."""
    return " ".join(line.partition("|")[0].replace("…", "").split())


def fault(line: str) -> str | None:
    """Return what a person who types this would be told, or None."""
    command: Any = main
    context = click.Context(main, info_name="aegis")
    words = [word for word in line.split() if word != "--debug"]
    while isinstance(command, click.Group) and words:
        name = words.pop(0)
        if name == _HOLE:
            return None
        found = command.get_command(context, name)
        if found is None:
            return f"no command {name!r}"
        command, context = found, click.Context(found, info_name=name, parent=context)
    below = {verb.name: verb for verb in VERBS.get(command.name, ())}
    if words and words[0] in below:
        command = below[words.pop(0)]
        context = click.Context(command, parent=context)
    if command.context_settings.get("ignore_unknown_options"):
        # The others are Celery's.
        return None
    return _misused(command, words)


def _misused(command: click.Command, words: list[str]) -> str | None:
    known = {name: option for option in command.params for name in option.opts}
    most = sum(99 if one.nargs < 0 else one.nargs for one in command.params if isinstance(one, click.Argument))
    given = 0
    while words:
        word = words.pop(0).rstrip(",.;:")
        if word.startswith("-") and word != "-":
            option = known.get(word.partition("=")[0])
            if option is None:
                return f"no option {word}"
            if not getattr(option, "is_flag", False) and "=" not in word and words:
                words.pop(0)
        else:
            given += 1
    return f"{given} arguments, it takes {most}" if given > most else None


#: section → the names of its settings; that of the whole is empty.
_SECTIONS: Final = {
    name: {field.name for field in dataclasses.fields(hint)}
    for name, hint in get_type_hints(Settings).items()
    if dataclasses.is_dataclass(hint)
}
_SETTING: Final = re.compile(rf"(?<![\w.:/\[-])({'|'.join(_SECTIONS)})\.([a-z_]+)(?![\w.(])")
_VARIABLE: Final = re.compile(r"\bAEGIS_([A-Z]+(?:_[A-Z]+)*)(?:__([A-Z_]+))?\b")


def settings() -> list[tuple[str, str, str]]:
    """Return the settings that sentences name: where, section, name."""
    found = set()
    for place, text in texts():
        if " " not in text:
            continue
        found |= {(place, *name.groups()) for name in _SETTING.finditer(text)}
        found |= {(place, (n[1] if n[2] else "").lower(), (n[2] or n[1]).lower()) for n in _VARIABLE.finditer(text)}
    return sorted(found)


@pytest.mark.parametrize(("place", "section", "name"), settings())
def test_every_setting_that_a_text_names_is_one(place: str, section: str, name: str) -> None:
    """Somebody looks for it in `aegis.toml`, or sets the variable: it is read."""
    known = _SECTIONS[section] if section else {one.name for one in dataclasses.fields(Settings)} | {"config"}
    assert name in known, f"{place}: {section}.{name}"


@pytest.mark.parametrize(("place", "line"), commands())
def test_every_command_that_a_text_names_is_one(place: str, line: str) -> None:
    """Somebody reads it at night and types it: the verb is there, with these options and arguments."""
    assert fault(line) is None, f"{place}: aegis {line}"
