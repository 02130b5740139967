"""Read a data map from YAML: everything that is wrong with it, each with its line and its cure."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import yaml

from aegis.datamap.bodies import Body, said
from aegis.datamap.cataloged import cataloged
from aegis.datamap.formats import Entry, Problems, read_yaml, value_of
from aegis.datamap.groups import groups_of
from aegis.datamap.keeping import REVIEW, TABLE, TOP, minimum_of, read_text, status_of
from aegis.datamap.model import PRESERVE, ROWS, SHARED, TODO, DataMap, Rule, Subject
from aegis.datamap.names import meant
from aegis.datamap.vias import check_condition, vias_of
from aegis.errors import InvalidPolicy
from aegis.masking.strategies import PLAIN, WITH_ARGUMENT, strategy_of

SUBJECT: Final = ("table", "key", "tenant", "created", "ghost", "identifiers", "groups", "same_as", *REVIEW)
_SAME_AS_PARTS: Final = 3
#: Texts whose data maps are remembered: one erasure asks for its map many times.
_REMEMBERED: Final = 16


def read_map(path: Path) -> DataMap:
    """Read a data map.

    Raises:
        InvalidDataMap: the file cannot be read.
        InvalidFile: has one line for each fault.

    """
    return parse_map(read_text(path), str(path))


@lru_cache(maxsize=_REMEMBERED)
def parse_map(text: str, file: str) -> DataMap:
    """Return the data map that a text is.

    Args:
        text: YAML.
        file: what it is called in a message.

    Raises:
        InvalidFile: has one line for each fault.

    """
    problems = Problems(file=file)
    root = Body(read_yaml(text, problems), "the data map", TOP, problems)
    subjects = {entry.key: _subject(entry, problems) for entry in root.pairs("subjects")}
    rules = {entry.key: _rule(entry, problems) for entry in root.pairs("tables")}
    catalog = {entry.key: cataloged(entry, problems) for entry in root.pairs("catalog")}
    problems.refuse()
    return DataMap(
        file=file,
        subjects={name: subject for name, subject in subjects.items() if subject.status != "rejected"},
        rules={name: rule for name, rule in rules.items() if rule.status != "rejected"},
        catalog=catalog,
        rejected={name: rule for name, rule in rules.items() if rule.status == "rejected"},
    )


def _subject(entry: Entry, problems: Problems) -> Subject:
    body = Body(entry.node, f"subject {entry.key}", SUBJECT, problems)
    made = Subject(
        name=entry.key,
        line=entry.line,
        table=body.text("table"),
        key=body.names("key"),
        tenant=body.text("tenant"),
        created=body.text("created"),
        ghost=body.values("ghost"),
        identifiers=_identifiers(body),
        groups=groups_of(body),
        same_as=body.text("same_as"),
        status=status_of(body),
        todo=body.todo,
    )
    _check_subject(made, body)
    return made


def _identifiers(body: Body) -> Mapping[str, str]:
    found: dict[str, str] = {}
    if "identifiers" in body.parts and body.undecided("identifiers"):
        return found
    for entry in body.pairs("identifiers"):
        column = value_of(entry.node, body.problems, f"{body.where}: identifiers")
        if isinstance(column, str) and column:
            found[entry.key] = column
        else:
            sentence = f"{body.where}: identifiers: {entry.key} must name a column"
            body.problems.add(entry.line, sentence)
    return found


def _check_subject(subject: Subject, body: Body) -> None:
    if subject.same_as is not None and len(subject.same_as.split(".")) < _SAME_AS_PARTS:
        body.complain("same_as", ": expected datasource.table.column, such as app.users.id")
    if "table" in body.parts:
        missing = [key for key in ("key",) if key not in body.parts]
    else:
        missing = ["table", "key"] if "same_as" not in body.parts else []
    for key in missing:
        sentence = f"{body.where}: {key} is missing, such as {{table: users, key: id}}"
        body.problems.add(subject.line, sentence)
    if missing or "table" in body.parts:
        return
    for key in body.parts.keys() & {"key", "tenant", "created", "ghost", "identifiers", "groups"}:
        what = "asks" if key == "groups" else "is a column of"
        body.complain(key, f" {what} the subject's table, and no table is named; name it")


def _rule(entry: Entry, problems: Problems) -> Rule:
    body = Body(entry.node, f"table {entry.key}", TABLE, problems)
    columns, lines = _columns(body)
    made = Rule(
        name=entry.key,
        line=entry.line,
        row=body.choice("row", ROWS),
        columns=columns,
        via=vias_of(body),
        reason=body.text("reason"),
        keep_at_least=minimum_of(body),
        until=body.day("until"),
        shared=body.choice("shared", SHARED),
        hold=body.text("hold"),
        when=body.text("when"),
        tenant=body.text("tenant"),
        status=status_of(body),
        todo=body.todo,
        lines=body.lines | lines,
    )
    _check_rule(made, body)
    return made


def _check_rule(rule: Rule, body: Body) -> None:
    for key, text in (("hold", rule.hold), ("when", rule.when)):
        check_condition(text, f"{body.where}: {key}", rule.line_of(key), body.problems)
    if rule.row != "retain":
        return
    if "reason" not in body.parts:
        body.complain("row", ": retain needs a reason, such as reason: tax law")
    if not {"keep_at_least", "until"} & body.parts.keys():
        body.complain(
            "row",
            ": retain needs an end: keep_at_least: {period: P8Y, from: issued_at}, or until: 2035-12-31",
        )


def _columns(body: Body) -> tuple[dict[str, Any], dict[str, int]]:
    """Return column → strategy, and the line of each."""
    found, lines = {}, {}
    if "columns" in body.parts and body.undecided("columns"):
        return {}, {}
    for entry in body.pairs("columns"):
        key = f"columns.{entry.key}"
        where = f"{body.where}, column {entry.key}"
        lines[key] = entry.line
        if isinstance(entry.node, yaml.ScalarNode) and entry.node.value == TODO:
            body.todo[key] = entry.line
        elif not said(entry.node):
            sentence = f"{where}: it has no strategy; give it one, or {PRESERVE}; to empty it write null"
            body.problems.add(entry.line, sentence)
        else:
            found[entry.key] = _strategy(entry, where, body.problems)
    return found, lines


def _strategy(entry: Entry, where: str, problems: Problems) -> Any:
    before = len(problems.found)
    spec = value_of(entry.node, problems, where)
    if spec == PRESERVE or len(problems.found) > before:
        return spec
    try:
        return strategy_of(spec).spec
    except InvalidPolicy as error:
        problems.add(entry.line, f"{where}: {error}{_nearest(spec)}")
    return spec


def _nearest(spec: Any) -> str:
    name = next(iter(spec), None) if isinstance(spec, dict) else spec
    guess = meant(name, [*PLAIN, *WITH_ARGUMENT, PRESERVE]) if isinstance(name, str) else ""
    return f"; {guess}" if guess.startswith("did you mean") and name not in guess.split() else ""
