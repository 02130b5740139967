"""Ask a peer about column names: its name as argument, names as JSON on standard input, answers on output.

Only the part of a peer that looks at names runs. What it imports beside that (catalogs of databases, models
of language) is not installed, and stand-ins take its place.
"""

import json
import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import Any

_ABSENT = {
    "piicatcher": ("crim", "dbcat", "tqdm", "goog_stats", "sqlalchemy", "typer", "click", "tabulate"),
    "openmetadata": ("metadata.generated", "metadata.utils", "pydantic"),
    "datahub": ("numpy", "phonenumbers", "schwifty", "spacy", "stdnum", "vininfo"),
}
Ask = Callable[[str], str | None]


class _Empty:
    """Stands for any class: can be derived from, made and nothing else."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __init_subclass__(cls, **_: object) -> None:
        pass


class _StandIn(ModuleType):
    """A module in which every name is an empty class."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (_Empty,), {})


class _Absent(MetaPathFinder, Loader):
    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        del path, target
        if any(fullname == name or fullname.startswith(f"{name}.") for name in self._names):
            return ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        del module


def _piicatcher() -> Ask:
    from piicatcher.scanner import ColumnNameRegexDetector  # noqa: PLC0415 - one peer is there at a time

    detector = ColumnNameRegexDetector()

    def ask(name: str) -> str | None:
        found = detector.detect(SimpleNamespace(name=name))
        return type(found).__name__ if found else None

    return ask


def _openmetadata() -> Ask:
    from metadata.pii.scanners.column_name_scanner import ColumnNameScanner as Scanner  # noqa: PLC0415 - the same

    patterns = {**Scanner.sensitive_regex, **Scanner.non_sensitive_regex}

    def ask(name: str) -> str | None:
        return next((kind for kind, pattern in patterns.items() if pattern.match(name)), None)

    return ask


def _datahub() -> Ask:
    from datahub_classify.infotype_utils import match_regex  # noqa: PLC0415 - the same
    from datahub_classify.reference_input import input1  # noqa: PLC0415 - the same

    def ask(name: str) -> str | None:
        scores = {kind: match_regex(name.strip(), config["Name"]["regex"]) for kind, config in input1.items()}
        best = max(scores, key=lambda kind: scores[kind])
        return best if scores[best] > 0 else None

    return ask


def main(peer: str) -> None:
    """Answer for every name: the peer's own class, or null."""
    sys.meta_path.insert(0, _Absent(_ABSENT[peer]))
    ask = {"piicatcher": _piicatcher, "openmetadata": _openmetadata, "datahub": _datahub}[peer]()
    json.dump({name: ask(name) for name in json.load(sys.stdin)}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
