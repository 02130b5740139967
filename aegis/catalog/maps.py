"""A data map for a data source, proposed: which rows are reached from a person, and what happens to them.

It is put together as a person would do it: the check of `aegis.datamap` is asked what is open, each answer
leads to the next question, until it asks for nothing more or only for what a person has to know. Those
places say TODO.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import yaml

from aegis.catalog import conditions
from aegis.catalog.clocks import LADDERS, ages, best
from aegis.catalog.decision import Role, Verdict
from aegis.catalog.masks import mask_for
from aegis.catalog.names import concepts
from aegis.catalog.natures import Nature
from aegis.catalog.rows import Row, row_for, row_of_person
from aegis.catalog.survey import Survey
from aegis.catalog.tenants import tenancy_of
from aegis.datamap.coverage import Examination, examine
from aegis.datamap.edges import Edge
from aegis.datamap.findings import Undecided
from aegis.datamap.formats import write_yaml
from aegis.datamap.model import NONE, TODO, UNKNOWN, Cataloged, Holding
from aegis.datamap.reading import parse_map
from aegis.datamap.starting import guess_subject

_IDENTIFIERS: Final = {
    "user.contact.email": "email",
    "user.contact.phone_number": "phone",
    "user.account.username": "username",
    "user.name": "name",
}


@dataclass(kw_only=True)
class Map:
    """A data map while it is put together; entries are plain data as YAML has them."""

    subjects: dict[str, dict[str, Any]] = field(default_factory=dict)
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: Name of an entry under `tables` → how sure the proposal is, and why.
    reasons: dict[str, Row] = field(default_factory=dict)
    #: What columns hold, as if it were accepted: whatever is personal in rows that stay needs a strategy.
    holdings: Mapping[str, Cataloged] = field(default_factory=dict)

    def entries(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Return the sections with every entry as it is proposed."""
        subjects = {name: {"status": "proposed", **body} for name, body in self.subjects.items()}
        return {"subjects": subjects, "tables": {name: self._entry(name) for name in self.tables}}

    def _entry(self, name: str) -> dict[str, Any]:
        reason = self.reasons.get(name)
        said = {"confidence": reason.sure, "evidence": reason.why} if reason else {}
        return {"status": "proposed", **said, **self.tables[name]}


def propose_map(survey: Survey) -> Map:
    """Return a data map of everything that is reached from a person."""
    made = Map(subjects=_subjects(survey), holdings=_holdings(survey))
    for subject in made.subjects.values():
        label = subject["table"]
        row = row_of_person(survey, label)
        made.tables[label], made.reasons[label] = {"row": row.word}, row
    before = ""
    # An answer adds something, or keeps rows that were to go; none takes anything back, so this ends.
    while (now := repr(made.tables)) != before:
        before, found = now, _lay(survey, made)
        for item in found.undecided:
            _answer(survey, made, found, item)
        _mend(made, found)
    return made


def _holdings(survey: Survey) -> dict[str, Cataloged]:
    found = {}
    for label, decisions in survey.decisions.items():
        columns = {
            name: Holding(column=name, line=1, category=category_of(each.verdict, each.category))
            for name, each in decisions.items()
        }
        found[label] = Cataloged(name=label, line=1, columns=columns)
    return found


def catalog_entries(survey: Survey) -> dict[str, dict[str, Any]]:
    """Return what every column of every table holds, as the section `catalog` has it."""
    entries: dict[str, dict[str, Any]] = {}
    for label, decisions in sorted(survey.decisions.items()):
        columns = {
            name: {
                "type": decision.type,
                "category": category_of(decision.verdict, decision.category),
                "confidence": round(decision.confidence, 2),
                "evidence": list(decision.evidence),
            }
            for name, decision in decisions.items()
        }
        entries[label] = {"status": "proposed", "kind": str(survey.natures[label]), "columns": columns}
    return entries


def category_of(verdict: Verdict, category: str | None) -> str:
    """Return a decision as the one word that a file has for it."""
    if verdict is Verdict.PERSONAL:
        return str(category)
    return UNKNOWN if verdict is Verdict.UNKNOWN else NONE


def _subjects(survey: Survey) -> dict[str, dict[str, Any]]:
    people = [label for label, nature in survey.natures.items() if nature is Nature.PERSON]
    guess = guess_subject(survey.catalog)
    first = (
        guess if guess in people or not people else max(people, key=lambda p: (len(survey.children(p)), p))
    )
    if first is None:
        return {}
    found = {"user": _subject(survey, first)}
    reached = _below(survey, first)
    for label in sorted(people):
        # Rows of people that nothing leads to from the first kind of person.
        if label != first and label not in reached and survey.personal(label):
            word = (concepts(survey.facts[label].name) or ("person",))[-1]
            found[word if word not in found else label.replace(".", "_")] = _subject(survey, label)
    return found


def _below(survey: Survey, label: str) -> set[str]:
    seen, waiting = {label}, [label]
    while waiting:
        further = {reference.child for reference in survey.children(waiting.pop())} - seen
        seen |= further
        waiting += further
    return seen


def _subject(survey: Survey, label: str) -> dict[str, Any]:
    table = survey.table(label)
    found = ages(table, survey.dialect, survey.units)
    created = best(found, LADDERS["event"][:1], table)
    seen = best(found, LADDERS["person"], table)
    made: dict[str, Any] = {"table": label, "key": _list(table.key) if table.key else TODO}
    if column := tenancy_of(survey, label).column:
        made["tenant"] = column
    if created:
        made["created"] = created.column
    made["identifiers"] = _identifiers(survey, label) or TODO
    if seen and not seen.unit:
        group = {"period": "P2Y", "from": seen.column, "when": conditions.of_people(table)}
        made["groups"] = {"inactive": {key: value for key, value in group.items() if value}}
    return made


def _identifiers(survey: Survey, label: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, decision in survey.personal(label).items():
        for begin, kind in _IDENTIFIERS.items():
            if str(decision.category).startswith(begin) and kind not in found:
                found[kind] = name
                break
    return found


def _list(names: Sequence[str]) -> Any:
    return names[0] if len(names) == 1 else list(names)


def _lay(survey: Survey, made: Map) -> Examination:
    text = write_yaml({"subjects": made.subjects, "tables": made.tables})
    return examine(replace(parse_map(text, "proposal"), catalog=made.holdings), survey.catalog)


def _answer(survey: Survey, made: Map, found: Examination, item: Undecided) -> None:
    """Write what the check asks for, with an answer where there is one."""
    if not item.cure or item.kind in {"subject", "name", "strategy", "hook", "unreached"}:
        return
    read = yaml.safe_load(item.cure)
    for name, body in read.items() if isinstance(read, dict) else ():
        _write(survey, made, (found, item), name, body)


def _write(
    survey: Survey, made: Map, asked: tuple[Examination, Undecided], name: str, body: Mapping[str, Any]
) -> None:
    found, item = asked
    entry, edge = made.tables.setdefault(name, {}), _edge(found, item)
    if "row" in body and edge is not None and "row" not in entry:
        row = row_for(survey, edge, kept=_is_kept(found, edge.parent))
        made.reasons[name] = row
        entry |= {"row": row.word, **({"via": body["via"]} if "via" in body else {}), **row.more}
    if "shared" in body and "shared" not in entry:
        entry["shared"] = "mask_own_columns"
    for column in body.get("columns", {}):
        entry.setdefault("columns", {}).setdefault(column, _mask(survey, item.table, column))


def _mask(survey: Survey, label: str, column: str) -> Any:
    decision = survey.decisions[label][column]
    if decision.role in {Role.KEY, Role.REFERENCE, Role.TENANT}:
        return "preserve"
    return mask_for(survey.table(label), column, category_of(decision.verdict, decision.category))


def _is_kept(found: Examination, label: str) -> bool:
    reached = [each.tables[label] for each in found.coverages.values() if label in each.tables]
    return any("retain" in each.rows for each in reached)


def _edge(found: Examination, item: Undecided) -> Edge | None:
    edges = (edge for coverage in found.coverages.values() for edge in coverage.edges)
    return next((edge for edge in edges if edge.label == item.what), None)


def _mend(made: Map, found: Examination) -> None:
    """Keep the rows to which rows that stay refer: their parent is anonymized and does not go."""
    for coverage in found.coverages.values():
        for edge in coverage.edges:
            parent = coverage.tables.get(edge.parent)
            stays = edge.row in {"anonymize", "retain"} and edge.on_delete not in {None, "SET NULL"}
            if not stays or parent is None or "delete" not in parent.rows:
                continue
            for name in _deciding(coverage.tables[edge.parent].ways, edge.parent):
                entry = made.tables.get(name)
                if entry and entry.get("row") == "delete":
                    entry["row"] = "anonymize"
                    why = f"rows of {edge.child} stay and refer to it, so it stays too, without the person"
                    made.reasons[name] = Row(word="anonymize", sure=0.6, why=why)


def _deciding(ways: Sequence[Edge], label: str) -> Iterator[str]:
    yield label
    yield from (edge.entry.name for edge in ways if edge.entry)
