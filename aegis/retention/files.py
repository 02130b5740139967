"""Policies as a YAML file: what people keep in git.

A file is read as a whole or refused as a whole, with the file, the line, the policy, the key and
the cure of everything that is wrong. What `write` writes, `read` reads back to the same policies.
"""

import dataclasses
import datetime as dt
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import yaml

from aegis.datamap.formats import (
    Entry,
    Problems,
    entries,
    items,
    kind_name,
    kind_of,
    line_of,
    read_yaml,
    value_of,
    write_yaml,
)
from aegis.datamap.model import STATUSES, TODO, Status
from aegis.errors import InvalidFile, UsageError
from aegis.retention.definition import Definition
from aegis.retention.words import KEY_OF, LENGTHS, OWNER, REQUIRED, REVIEW, STATUS, WORDS, Word, nearest

_ROOT: Final = "policies"
_EXPECTED: Final = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "date": "a date such as 2027-01-31",
    "mapping": "`key: value` lines",
    "list": "a list",
}
_PYTHON: Final[Mapping[str, Any]] = {
    "string": str,
    "integer": int,
    "number": int | float,
    "date": dt.date,
    "mapping": dict,
    "list": list,
    "any": object,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Filed:
    """One policy of a file."""

    definition: Definition
    owner: str | None = None
    #: The line in which it begins, and the line of each key.
    line: int = 1
    lines: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def line_for(self, message: str) -> int:
        """Return the line of the key that a message speaks of; the policy's own when it names none."""
        spoken = set(re.findall("[a-z_]+", message.replace("data source", "datasource")))
        for field, key in KEY_OF.items():
            if key in self.lines and spoken & {field, key}:
                return self.lines[key]
        return self.line


@dataclasses.dataclass(frozen=True, kw_only=True)
class Waiting:
    """A policy of a file that is not in force: proposed and not decided, or rejected."""

    name: str
    status: Status
    line: int


def read(text: str, file: str) -> list[Filed]:
    """Return the policies of a file that are accepted, each fit to be registered as far as its words tell.

    Args:
        text: the file's content.
        file: what it is called in a message.

    Raises:
        InvalidFile: has one line for each fault.

    """
    problems = Problems(file=file)
    found = parse(text, problems)
    for item in found:
        try:
            item.definition.check()
        except UsageError as error:
            problems.add(item.line_for(str(error)), _about(item.definition.name, str(error)))
    problems.refuse()
    return found


def parse(text: str, problems: Problems) -> list[Filed]:
    """Return the policies of a file as they are written; what is wrong with it is added to the problems.

    Raises:
        InvalidFile: it is no YAML.

    """
    root = entries(read_yaml(text, problems), problems, "the file") or []
    for entry in root:
        if entry.key != _ROOT:
            problems.add(entry.line, f"{entry.key}: there is no such key here; policies stand under {_ROOT}:")
    if not any(entry.key == _ROOT for entry in root) and not problems.found:
        problems.add(1, f"expected policies under {_ROOT}:, found none")
    return [item for entry in root if entry.key == _ROOT for item in _policies(entry, problems)]


def waiting(text: str, file: str) -> list[Waiting]:
    """Return the policies of a file that nobody accepted.

    Raises:
        InvalidFile: it is no such file.

    """
    problems = Problems(file=file)
    root = entries(read_yaml(text, problems), problems, "the file") or []
    named = [found for entry in root if entry.key == _ROOT for found in _named(entry, problems)]
    found = [(name, line, _status(keys, problems, name)) for name, line, keys in named]
    problems.refuse()
    return [
        Waiting(name=name, status=status, line=line) for name, line, status in found if status != "accepted"
    ]


def write(filed: Sequence[Filed]) -> str:
    """Return a file of these policies, by name; a key that has its default is left out."""
    return write_yaml({_ROOT: {item.definition.name: _written(item) for item in filed}})


def _policies(root: Entry, problems: Problems) -> list[Filed]:
    named: dict[str, int] = {}
    found: list[Filed] = []
    for name, line, keys in _named(root, problems):
        if name in named:
            problems.add(line, f"policy {name}: it stands in line {named[name]} already")
        named.setdefault(name, line)
        made = _policy(name, line, keys, problems)
        found += [made] if made else []
    return found


def _named(root: Entry, problems: Problems) -> list[tuple[str, int, list[Entry]]]:
    """Return name, line and keys of each policy, from a mapping by name or from a list."""
    if isinstance(root.node, yaml.SequenceNode):
        below = [(item.line, entries(item.node, problems, _ROOT)) for item in items(root.node)]
        return [_taken_name(line, keys, problems) for line, keys in below if keys is not None]
    if not isinstance(root.node, yaml.MappingNode):
        problems.add(root.line, f"{_ROOT}: expected policies by name, or a list; got {kind_of(root.node)}")
        return []
    by_name = entries(root.node, problems, _ROOT) or []
    read = [(entry, entries(entry.node, problems, f"policy {entry.key}")) for entry in by_name]
    return [(entry.key, entry.line, keys) for entry, keys in read if keys is not None]


def _taken_name(line: int, keys: list[Entry], problems: Problems) -> tuple[str, int, list[Entry]]:
    for entry in keys:
        if entry.key == "name":
            name = value_of(entry.node, problems, "name")
            if isinstance(name, str):
                return name, line, [other for other in keys if other is not entry]
    problems.add(line, "a policy in a list needs a name: text")
    return f"in line {line}", line, [entry for entry in keys if entry.key != "name"]


def _policy(name: str, line: int, keys: Sequence[Entry], problems: Problems) -> Filed | None:
    before = len(problems.found)
    status = _status(keys, problems, name)
    todo = [entry for entry in keys if STATUS in (other.key for other in keys) and _is_todo(entry)]
    values = {entry.key: _value(name, entry, problems) for entry in keys if entry not in todo}
    if status != "accepted":
        return None
    for entry in todo:
        problems.add(
            entry.line, f"policy {name}, key {entry.key}: it says {TODO}: write it, or reject the policy"
        )
    _check_presence(name, line, dict.fromkeys(entry.key for entry in todo) | values, problems)
    if len(problems.found) > before:
        return None
    words = {word.field: values[key] for key, word in WORDS.items() if word.field and key in values}
    lines = {entry.key: entry.line for entry in keys}
    try:
        made = Definition(name=name, **words)
    except UsageError as error:
        problems.add(lines.get("period", line), _about(name, str(error)))
        return None
    return Filed(definition=made, owner=values.get(OWNER), line=line, lines=lines)


def _status(keys: Sequence[Entry], problems: Problems, name: str) -> Status:
    """Return whether a person has accepted a policy; one without a status was written by a person."""
    entry = next((entry for entry in keys if entry.key == STATUS), None)
    value = value_of(entry.node, problems, name) if entry else "accepted"
    if value in STATUSES:
        return value
    problems.add(entry.line if entry else 1, f"policy {name}, key {STATUS}: expected {', '.join(STATUSES)}")
    return "rejected"


def _is_todo(entry: Entry) -> bool:
    return isinstance(entry.node, yaml.ScalarNode) and entry.node.value == TODO


def _value(name: str, entry: Entry, problems: Problems) -> Any:
    word, where = WORDS.get(entry.key) or REVIEW.get(entry.key), f"policy {name}, key {entry.key}"
    if word is None:
        meant = nearest(entry.key)
        cure = f"did you mean {meant}?" if meant else f"known: {', '.join(WORDS)}"
        problems.add(entry.line, f"{where}: there is no such key; {cure}")
        return None
    before = len(problems.found)
    value = value_of(entry.node, problems, where)
    wrong = _misfit(word, value)
    if wrong and len(problems.found) == before:
        problems.add(line_of(entry.node), f"{where}: {wrong}")
    return tuple(value) if isinstance(value, list) else value


def _misfit(word: Word, value: Any) -> str | None:
    """Return what is wrong with a value, and the cure; None when it fits."""
    if value is None:
        return "it has no value; give it one, or take the key out"
    if not _is(word.kind, value):
        quotes = (
            "; write it in quotes" if word.kind == "string" and not isinstance(value, dict | list) else ""
        )
        return f"expected {_EXPECTED[word.kind]}, got {kind_name(value)}{quotes}"
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if not all(_is(word.inner, item) and item is not None for item in inside):
        return f"expected only {_EXPECTED.get(word.inner, 'values')} in it"
    return None


def _is(kind: str, value: Any) -> bool:
    if isinstance(value, bool) and kind != "any":
        return False
    return isinstance(value, _PYTHON[kind]) and not isinstance(value, dt.datetime)


def _check_presence(name: str, line: int, values: Mapping[str, Any], problems: Problems) -> None:
    for key in REQUIRED:
        if key not in values:
            problems.add(line, f"policy {name}: {key} is missing")
    given = [key for key in LENGTHS if key in values]
    if len(given) != 1:
        problems.add(line, f"policy {name}: give either {' or '.join(LENGTHS)}")


def _about(name: str, message: str) -> str:
    return message if message.startswith(f"policy {name}") else f"policy {name}: {message}"


def refused(file: str, faults: Sequence[tuple[Filed, Exception]]) -> InvalidFile:
    """Return the error for policies that the live database does not bear out."""
    return InvalidFile(
        [
            f"{file}:{filed.line_for(str(error))}: {_about(filed.definition.name, str(error))}"
            for filed, error in faults
        ]
    )


def _written(item: Filed) -> dict[str, Any]:
    body = {key: plain(getattr(item.definition, word.field)) for key, word in WORDS.items() if word.field}
    left_out = "days" if body["period"] else "period"
    kept = {
        key: value
        for key, value in body.items()
        if key != left_out and (key in {*REQUIRED, *LENGTHS} or value != plain(WORDS[key].default))
    }
    return kept | ({OWNER: item.owner} if item.owner else {})


def plain(value: Any) -> Any:
    """Return a field's value as YAML has it; what is empty is not said."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()} or None
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(item) for item in value] or None
    return value
