"""A reviewed file that gets new proposals: what stands there stays, byte for byte; what is missing is added.

A person's decisions, their comments and their spelling survive, because no line of theirs is written anew.
The one value that may be written over is one that still says `proposed`, and only by an import that
somebody asked for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

from aegis.datamap.formats import Problems, entries, read_yaml, write_line
from aegis.datamap.names import spelled

_STEP: Final = 2
#: Keys of an entry whose values stand in one line each.
_LINES: Final = ("columns", "identifiers", "masks", "groups")


@dataclass(kw_only=True)
class Reviewed:
    """A file that people review, as text; entries are added below its sections."""

    text: str
    #: What it is called in a message.
    file: str

    def names(self, section: str) -> list[str]:
        """Return the names that stand in a section."""
        node = self._section(section)
        return [] if node is None else [entry.key for entry in self._entries(node)]

    def add(self, section: str, bodies: Mapping[str, Mapping[str, Any]]) -> None:
        """Add entries at the end of a section, by name.

        Raises:
            InvalidFile: the file is no YAML, or the section is written in one line.

        """
        node = self._section(section)
        lines = [line for name, body in bodies.items() for line in _entry(name, body)]
        if not lines:
            return
        if node is None or not node.value:
            self._begin(section, node)
            node = self._section(section)
        indent = node.value[0][0].start_mark.column if node and node.value else _STEP
        place = self._end_of(section, node)
        self._insert(place, [" " * indent + line for line in lines])

    def add_below(self, path: Sequence[str], name: str, value: Any, note: str = "") -> None:
        """Add `name: value` to a mapping that is there, or is begun.

        Args:
            path: section, entry, and the key of the mapping, such as tables, users, columns.
            name: the key to add.
            value: its value.
            note: a comment behind it.

        """
        mapping, (section, entry, key) = self._at(path), path
        if mapping is not None and name in [each.key for each in self._entries(mapping)]:
            return
        line = f"{_key(name)}: {write_line(value)}"
        if mapping is None:
            owner = self._at((section, entry))
            if owner is None:
                return
            if owner.flow_style:
                self._into_flow(owner, f"{key}: {{{line}}}")
                return
            indent = " " * owner.value[0][0].start_mark.column
            added = [f"{indent}{key}:", f"{indent}{' ' * _STEP}{_noted(line, note)}"]
            self._insert(_last_line(owner) + 1, added)
        elif mapping.flow_style:
            self._into_flow(mapping, line)
        else:
            indent = " " * mapping.value[0][0].start_mark.column
            self._insert(_last_line(mapping) + 1, [indent + _noted(line, note)])

    def replace(self, path: Sequence[str], value: Any) -> None:
        """Write over a value that is there."""
        node = self._node(path)
        if node is not None:
            begin, end = node.start_mark.index, node.end_mark.index
            self.text = f"{self.text[:begin]}{write_line(value)}{self.text[end:]}"

    def closed(self, *sections: str) -> str:
        """Return the text; a section that stayed empty says so."""
        lines = self.text.splitlines(keepends=True)
        empty = {f"{section}:\n" for section in sections if not self.names(section)}
        return "".join(line[:-1] + " {}\n" if line in empty else line for line in lines)

    def _root(self) -> yaml.Node | None:
        if not any(line.strip() and not line.lstrip().startswith("#") for line in self.text.splitlines()):
            return None
        return read_yaml(self.text, Problems(file=self.file))

    def _entries(self, node: yaml.Node) -> list[Any]:
        problems = Problems(file=self.file)
        found = entries(node, problems, self.file)
        problems.refuse()
        return found or []

    def _node(self, path: Sequence[str]) -> yaml.Node | None:
        node = self._root()
        for key in path:
            if not isinstance(node, yaml.MappingNode):
                return None
            node = next((entry.node for entry in self._entries(node) if entry.key == key), None)
        return node

    def _at(self, path: Sequence[str]) -> yaml.MappingNode | None:
        node = self._node(path)
        return node if isinstance(node, yaml.MappingNode) and node.value else None

    def _section(self, section: str) -> yaml.MappingNode | None:
        node = self._node((section,))
        if node is None or (isinstance(node, yaml.ScalarNode) and not node.value):
            return None
        problems = Problems(file=self.file)
        if not isinstance(node, yaml.MappingNode) or (node.flow_style and node.value):
            problems.add(
                node.start_mark.line + 1,
                f"{section}: nothing can be added here; write each entry in lines of its own, by name",
            )
        problems.refuse()
        return node if isinstance(node, yaml.MappingNode) else None

    def _begin(self, section: str, node: yaml.MappingNode | None) -> None:
        """Begin a section; one that says `{}` is opened."""
        if node is not None:
            self.text = self.text[: node.start_mark.index].rstrip(" ") + self.text[node.end_mark.index :]
        elif self._node((section,)) is None:
            self.text += ("" if not self.text or self.text.endswith("\n") else "\n") + f"{section}:\n"

    def _end_of(self, section: str, node: yaml.MappingNode | None) -> int:
        if node is not None and node.value:
            return _last_line(node) + 1
        begins = [
            place for place, line in enumerate(self.text.splitlines()) if line.startswith(f"{section}:")
        ]
        return begins[-1] + 1

    def _insert(self, place: int, lines: Sequence[str]) -> None:
        found = self.text.splitlines()
        self.text = "\n".join([*found[:place], *lines, *found[place:]]) + "\n"

    def _into_flow(self, node: yaml.MappingNode, text: str) -> None:
        place = node.end_mark.index - 1
        self.text = f"{self.text[:place].rstrip()}, {text}{self.text[place:]}"


def _key(name: str) -> str:
    """Return a name as a key."""
    return spelled(name) if name.isprintable() else write_line(name)


def _noted(line: str, note: str) -> str:
    return f"{line}  # {note}" if note else line


def _last_line(node: yaml.Node) -> int:
    """Return the last line, from 0, in which something of a node stands."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        key, value = last if isinstance(last, tuple) else (last, last)
        return max(int(key.end_mark.line), _last_line(value))
    end = node.end_mark
    # What ends at the beginning of a line ended in the one before.
    return int(end.line) - (1 if end.column == 0 and end.line > node.start_mark.line else 0)


def _entry(name: str, body: Mapping[str, Any]) -> list[str]:
    """Return an entry as lines: one for each key, and one for each column below it."""
    lines = [f"{_key(name)}:"]
    for key, value in body.items():
        if key in _LINES and isinstance(value, Mapping) and value:
            lines.append(f"  {key}:")
            lines += [f"    {_key(each)}: {write_line(said)}" for each, said in value.items()]
        elif key == "evidence" and isinstance(value, list) and value:
            lines.append(f"  {key}:")
            lines += [f"    - {write_line(said)}" for said in value]
        else:
            lines.append(f"  {_key(key)}: {write_line(value)}")
    return lines


def blank(sections: Sequence[str], head: Sequence[str]) -> str:
    """Return a new file: comments, and empty sections."""
    return "".join([*(f"# {line}\n" for line in head), *(f"{section}:\n" for section in sections)])
