"""What texts of Aegis tell a person to do: every command and every setting that they name is there."""

import ast
import dataclasses
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple, get_type_hints

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
#: section → the names of its settings.
_SECTIONS: Final = {
    name: {field.name for field in dataclasses.fields(hint)}
    for name, hint in get_type_hints(Settings).items()
    if dataclasses.is_dataclass(hint)
}
_WHOLE: Final = {field.name for field in dataclasses.fields(Settings)}
#: As `operations.journal_days`; neither a file such as `worker.key` nor the name of a module.
_SETTING: Final = re.compile(rf"(?<![\w.:/\[-])({'|'.join(_SECTIONS)})\.(?!key\b|jsonl\b)([a-z_]+)(?![\w.(])")
_VARIABLE: Final = re.compile(r"\bAEGIS_([A-Z]+(?:_[A-Z]+)*)(?:__([A-Z_]+))?\b")


class Named(NamedTuple):
    """What a text names, and where the text stands."""

    place: str
    name: str


def texts() -> Iterator[Named]:
    """Yield every text of the code; of an f-string with holes."""
    for floor in FLOORS:
        for path in sorted((ROOT / floor).rglob("*.py")):
            tree = ast.parse(path.read_text("utf-8"))
            parts = {
                part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values
            }
            for node in ast.walk(tree):
                if isinstance(node, ast.expr) and node not in parts and (text := _text(node)):
                    yield Named(f"{path.relative_to(ROOT)}:{node.lineno}", text)


def _text(node: ast.expr) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) or _HOLE for part in node.values)
    return None


def commands() -> list[Named]:
    """Return the commands that texts name, without the word `aegis`."""
    verbs = main.list_commands(click.Context(main))
    found = set()
    for place, text in texts():
        quoted = [name[1] for name in _QUOTED.finditer(text)]
        plain = [name[1] for name in _PLAIN.finditer(text) if name[1].split()[0] in verbs]
        found |= {Named(place, _first(line)) for line in (*quoted, *plain)}
    return sorted(found)


def _first(line: str) -> str:
    """Return the first of what is chained, without what a text leaves out."""
    return " ".join(line.partition("|")[0].replace("…", "").split())


def fault(line: str) -> str | None:
    """Return what somebody who types this is told by the real commands, or None."""
    command: Any = main
    context = click.Context(main, info_name="aegis")
    words = [word for word in line.split() if word != "--debug"]
    while isinstance(command, click.Group) and words:
        name = words.pop(0)
        if name == _HOLE:
            return None
        found = command.get_command(context, name)
        if found is None:
            return f"no command {name}"
        command, context = found, click.Context(found, info_name=name, parent=context)
    below = {verb.name: verb for verb in VERBS.get(command.name, ())}
    if words and words[0] in below:
        command = below[words.pop(0)]
    # The other words of `worker` and `beat` are Celery's.
    return (
        None if command.context_settings.get("ignore_unknown_options") else _misused(command, context, words)
    )


def _misused(command: click.Command, context: click.Context, words: list[str]) -> str | None:
    known = {name: option for option in command.get_params(context) for name in option.opts}
    arguments = [one.nargs for one in command.params if isinstance(one, click.Argument)]
    given = 0
    while words:
        word = words.pop(0).rstrip(",.;:")
        if not word.startswith("-") or word == "-":
            given += 1
            continue
        option = known.get(word.partition("=")[0])
        if option is None:
            return f"no option {word}"
        if "=" not in word and words and not getattr(option, "is_flag", False):
            words.pop(0)
    return "too many arguments" if given > sum(arguments) and -1 not in arguments else None


def settings() -> list[Named]:
    """Return the settings that sentences name: `section.name`, or the name of one of no section."""
    found = set()
    for place, text in texts():
        if " " in text:
            found |= {Named(place, f"{name[1]}.{name[2]}") for name in _SETTING.finditer(text)}
            variables = [[part.lower() for part in name.groups("")] for name in _VARIABLE.finditer(text)]
            # Of the data sources each is called by its own name.
            found |= {
                Named(place, ".".join(filter(None, parts)))
                for parts in variables
                if parts[0] != "datasources"
            }
    return sorted(found)


def is_setting(name: str) -> bool:
    """Say whether the settings have one of this name."""
    section, _, own = name.rpartition(".")
    # AEGIS_CONFIG says where the others are.
    return own in _SECTIONS.get(section, ()) if section else own in {*_WHOLE, "config"}


def test_every_command_that_a_text_names_is_one() -> None:
    """Somebody reads it at night and types it: the verb is there, with these options and arguments."""
    found = commands()
    assert [f"{place}: aegis {line}: {told}" for place, line in found if (told := fault(line))] == []
    assert {"audit verify", "migrate --datasource X", "approver list"} <= {line for _, line in found}


def test_every_setting_that_a_text_names_is_one() -> None:
    """Somebody looks for it in `aegis.toml`, or sets the variable: it is read."""
    found = settings()
    assert [f"{place}: {name}" for place, name in found if not is_setting(name)] == []
    assert {"retention.count_seconds", "broker_url"} <= {name for _, name in found}


@pytest.mark.parametrize(
    "line",
    [
        "retention resum X",
        "nothing",
        "audit seal --now",
        "policy list X Y",
        "worker dead-letters --all",
        "audit x",
    ],
)
def test_what_is_no_command_is_told(line: str) -> None:
    """A verb that went, an option that never was, a word too many."""
    assert fault(line)


def test_what_is_no_setting_is_told() -> None:
    """Neither a wrong name nor a wrong section is one."""
    assert is_setting("operations.journal_days")
    assert is_setting("broker_url")
    assert not any(map(is_setting, ["operations.journal", "federated.journal_days", "broker", "x.y"]))
