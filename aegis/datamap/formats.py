"""YAML files that people write: plain data only, and the line of everything that is in them.

What is wrong is collected, each with its line, so that a file is mended in one go. Anchors and
aliases are refused: what a policy says stands where the policy stands.
"""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from aegis.errors import InvalidFile

_DEEPEST: Final = 10
#: Brackets in brackets, after which a text is read no further: each of them makes all that follow slower.
_DEEPEST_READ: Final = 100
_TOO_DEEP: Final = "it is nested too deep"
_BREAKS: Final = frozenset("\r\x85\u2028\u2029")
_KINDS: Final = {
    str: "text",
    bool: "yes or no",
    int: "a whole number",
    float: "a number",
    dt.date: "a date",
    dt.datetime: "a time",
    list: "a list",
    dict: "a mapping",
    type(None): "nothing",
}


@dataclass(kw_only=True)
class Problems:
    """What is wrong with one file."""

    #: What the file is called in a message.
    file: str
    #: (line, sentence)
    found: list[tuple[int, str]] = field(default_factory=list)

    def add(self, line: int, sentence: str) -> None:
        """Note what is wrong in a line."""
        self.found.append((line, sentence))

    def refuse(self) -> None:
        """Raise InvalidFile when something was found, with every line of it."""
        if self.found:
            raise InvalidFile([f"{self.file}:{line}: {text}" for line, text in sorted(self.found)])


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One key of a mapping, or one item of a list (whose key is empty)."""

    key: str
    line: int
    node: yaml.Node


def read_yaml(text: str, problems: Problems) -> yaml.Node:
    """Return the root of a document.

    Raises:
        InvalidFile: it is no YAML, empty, or several documents.

    """
    root = None
    try:
        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST_READ:
                problems.add(_line(event.start_mark), _TOO_DEEP)
                break
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                problems.add(_line(event.start_mark), "anchors and aliases are not read: write it out")
        problems.refuse()
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        problems.add(_line(error.problem_mark or error.context_mark), _syntax(error, text))
    except yaml.YAMLError:
        problems.add(1, "it has a character that no YAML file may have")
    if root is None and not problems.found:
        problems.add(1, "the file is empty")
    problems.refuse()
    assert root is not None  # noqa: S101 - for the type checker: `refuse` has raised
    return root


def entries(node: yaml.Node, problems: Problems, where: str) -> list[Entry] | None:
    """Return the keys of a mapping with their lines; None when it is no mapping.

    A second key of one name is a problem.
    """
    if not isinstance(node, yaml.MappingNode):
        problems.add(line_of(node), f"{where}: expected `key: value` lines, got {kind_of(node)}")
        return None
    first: dict[str, Entry] = {}
    for key, value in node.value:
        name = _scalar(key) if isinstance(key, yaml.ScalarNode) else None
        if not isinstance(name, str):
            problems.add(line_of(key), f"{where}: a key must be text; write it in quotes")
        elif name in first:
            problems.add(line_of(key), f"{where}: {name} was said in line {first[name].line} already")
        else:
            first[name] = Entry(key=name, line=line_of(key), node=value)
    return list(first.values())


def items(node: yaml.SequenceNode) -> Iterator[Entry]:
    """Return the items of a list with their lines."""
    for item in node.value:
        yield Entry(key="", line=line_of(item), node=item)


def value_of(node: yaml.Node, problems: Problems, where: str, depth: int = 0) -> Any:
    """Return a node as plain data."""
    if depth > _DEEPEST:
        problems.add(line_of(node), f"{where}: {_TOO_DEEP}")
        return None
    if isinstance(node, yaml.MappingNode):
        below = entries(node, problems, where) or []
        return {e.key: value_of(e.node, problems, f"{where}.{e.key}", depth + 1) for e in below}
    if isinstance(node, yaml.SequenceNode):
        return [value_of(e.node, problems, where, depth + 1) for e in items(node)]
    try:
        return _scalar(node)
    except (ValueError, yaml.YAMLError):
        problems.add(line_of(node), f"{where}: this cannot be read; if it is text, write it in quotes")
        return None


def kind_of(node: yaml.Node) -> str:
    """Return in words what a node is that is no mapping."""
    return "a list" if isinstance(node, yaml.SequenceNode) else "a single value"


def kind_name(value: Any) -> str:
    """Return what a plain value is, in words; never the value."""
    return _KINDS.get(type(value), type(value).__name__)


def line_of(node: yaml.Node) -> int:
    """Return the line in which a node begins, from 1."""
    return _line(node.start_mark)


def write_yaml(data: Any) -> str:
    """Return plain data as YAML that `read_yaml` reads back to the same data."""
    text: str = yaml.dump(
        data, Dumper=_Plain, sort_keys=False, allow_unicode=True, default_flow_style=False, width=100
    )
    return text


def write_line(data: Any) -> str:
    """Return plain data as YAML in one line, as it stands behind a key."""
    text: str = yaml.dump(
        data, Dumper=_Line, sort_keys=False, allow_unicode=True, default_flow_style=True, width=float("inf")
    )
    return text.removesuffix("\n").removesuffix("\n...").removesuffix("\n")


class _Plain(yaml.SafeDumper):
    """Writes out what is the same twice."""

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True

    def represent_str(self, data: str) -> yaml.ScalarNode:
        # Without escapes these would come back as spaces or as other ends of a line.
        style = '"' if set(data) & _BREAKS else None
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_Plain.add_representer(str, _Plain.represent_str)
# Names that come from a database are texts of a kind of their own.
_Plain.add_multi_representer(str, _Plain.represent_str)


class _Line(_Plain):
    """Writes a text in one line, whatever is in it."""

    def represent_str(self, data: str) -> yaml.ScalarNode:
        style = '"' if set(data) & {"\n", *_BREAKS} else None
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_Line.add_representer(str, _Line.represent_str)
_Line.add_multi_representer(str, _Line.represent_str)


def _line(mark: Any) -> int:
    return int(mark.line) + 1 if mark else 1


def _scalar(node: yaml.Node) -> Any:
    return yaml.constructor.SafeConstructor().construct_object(node)


def _syntax(error: yaml.MarkedYAMLError, text: str) -> str:
    place = error.problem_mark
    lines = text.splitlines()
    line = lines[place.line] if place and place.line < len(lines) else ""
    cure = "; text that begins with * must be in quotes" if ": *" in line or "- *" in line else ""
    return f"this is no YAML: {error.problem or error.context}{cure}"
