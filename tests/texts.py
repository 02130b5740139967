"""Every text of the code: messages, findings, docstrings, help."""

import ast
from collections.abc import Iterator
from typing import Final, NamedTuple

from tests.workerkit import ROOT

_FOLDERS: Final = ("aegis", "api", "cli", "migrations", "schedules", "tasks", "worker")
#: What stands for whatever an f-string puts there.
_HOLE: Final = "X"


class Named(NamedTuple):
    """What a text names, and where the text stands."""

    place: str
    name: str


def texts() -> Iterator[Named]:
    """Yield every text of the code; of an f-string with holes."""
    for folder in _FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
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
