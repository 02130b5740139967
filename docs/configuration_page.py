"""The page of every setting, from the dataclasses of `aegis.settings` and the comments above their fields."""

import ast
import dataclasses
import inspect
import textwrap
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

from aegis.settings import Settings

_HEAD: Final = """# Configuration

<!-- Written by `python -m docs.generate` from aegis/settings/model.py; change it there. -->

Settings stand in `aegis.toml` in the working folder, or in the file that `AEGIS_CONFIG` names. Each one is
an environment variable as well, which wins over the file: `AEGIS_`, then the names in capitals, with two
underscores for each dot. In the environment a list is divided by commas and a truth value is `true` or
`false`. `NAME` is a name that you choose; from the environment it comes in small letters, so write it so in
the file too.

An unknown key is refused, and so are values that contradict each other, with the reason. `aegis config`
prints what is in force, with secrets masked; `aegis doctor` says what is wrong with it. A relative path is
read from the working folder. Passwords stand in files (`…_file`), or a command prints them.

None of it is needed: without any setting Aegis works on an SQLite file under `.aegis`.
"""
_WORDS: Final[Mapping[Any, str]] = {
    str: "text",
    Path: "path",
    int: "whole number",
    float: "number",
    bool: "true or false",
}


def text() -> str:
    """Return the page."""
    return "\n".join([_HEAD.rstrip(), *_section(Settings, "")]) + "\n"


def _section(kind: type[Any], path: str) -> Iterator[str]:
    """Tell the settings of a table, then the tables below it."""
    title = path.removesuffix(".") or "Top of the file"
    shown = f"`[{title}]`" if path else title
    said = (inspect.getdoc(kind) or "").partition("\n")[0]
    yield from (
        "",
        f"## {shown}",
        "",
        said,
        "",
        "| setting | type | default | meaning |",
        "|---|---|---|---|",
    )
    comments, hints = _comments(kind), get_type_hints(kind)
    below = []
    for field in dataclasses.fields(kind):
        inner, named = _table(hints[field.name])
        if inner is not None:
            below.append((inner, f"{path}{field.name}.NAME." if named else f"{path}{field.name}."))
            continue
        full = f"{path}{field.name}"
        variable = "AEGIS_" + full.upper().replace(".", "__")
        cells = (
            f"`{field.name}`<br>`{variable}`",
            _type(hints[field.name]),
            _default(field),
            comments[field.name],
        )
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
    for inner, inside in below:
        yield from _section(inner, inside)


def _comments(kind: type[Any]) -> dict[str, str]:
    """Return the comment `#:` above each field that has one."""
    source = textwrap.dedent(inspect.getsource(kind))
    lines = source.splitlines()
    (tree,) = ast.parse(source).body
    found = {}
    for node in getattr(tree, "body", ()):
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        above: list[str] = []
        line = node.lineno - 2
        while lines[line].lstrip().startswith("#:"):
            above.insert(0, lines[line].lstrip().removeprefix("#:").strip())
            line -= 1
        found[node.target.id] = " ".join(above)
    return found


def _table(hint: Any) -> tuple[type[Any] | None, bool]:
    """Return the table that a setting is, and whether there is one for each name."""
    options = [hint, *get_args(hint)]
    inner = next((option for option in options if dataclasses.is_dataclass(option)), None)
    return typing.cast("type[Any] | None", inner), get_origin(hint) is Mapping


def _type(hint: Any) -> str:
    if get_origin(hint) in (types.UnionType, typing.Union):
        return _type(next(option for option in get_args(hint) if option is not type(None)))
    if get_origin(hint) is Literal:
        return ", ".join(f"`{word}`" for word in get_args(hint))
    return "list of texts" if get_origin(hint) is tuple else _WORDS[hint]


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default is dataclasses.MISSING:
        return "required"
    if field.default in (None, ()):
        return "none"
    if isinstance(field.default, bool):
        return f"`{str(field.default).lower()}`"
    return f"`{field.default:_}`" if isinstance(field.default, int) else f"`{field.default}`"
