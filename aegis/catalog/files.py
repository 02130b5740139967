"""The two files that are reviewed: a data map with the catalog in it, and retention policies."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aegis.catalog.maps import Map, catalog_entries, propose_map
from aegis.catalog.masks import mask_for
from aegis.catalog.proposals import Proposal, Silence, propose_policies
from aegis.catalog.review import Reviewed, blank
from aegis.catalog.survey import Survey
from aegis.datamap.model import NONE, TODO, DataMap, Holding
from aegis.datamap.reading import parse_map

_MAP_HEAD: Final = (
    "What is personal, and what would happen to it: proposed by `aegis catalog propose`, not legal advice.",
    "Nothing that says `status: proposed` is in force. Change what is wrong, decide each TODO, and say",
    "`status: accepted` or `status: rejected`. `aegis datamap check` lists what is open.",
)
_POLICIES_HEAD: Final = (
    "Retention policies, proposed by `aegis catalog propose`; each number has its source; no legal advice.",
    "Nothing that says `status: proposed` is in force. Change what is wrong, and say accepted or rejected;",
    "`aegis policy apply -f FILE` registers what is accepted; it runs after `aegis policy approve`.",
)


@dataclass(frozen=True, kw_only=True)
class Files:
    """What is to be reviewed, as two texts, and what came new into them."""

    datamap: str
    policies: str
    #: Names of entries that were added: subjects, tables and edges; tables and columns of the catalog;
    #: policies.
    added: Mapping[str, tuple[str, ...]]
    proposals: tuple[Proposal, ...]
    silent: tuple[Silence, ...]

    @property
    def asks(self) -> int:
        """How many TODO a person has to write a decision for."""
        return sum(_todo(text) for text in (self.datamap, self.policies))


def propose_files(
    survey: Survey,
    *,
    datamap: str | None = None,
    policies: str | None = None,
    names: tuple[str, str] = ("", ""),
) -> Files:
    """Return both files with everything proposed that they do not speak of yet.

    Args:
        survey: the data source.
        datamap: the text of a data map, reviewed or not; what stands in it stays. None: a new one.
        policies: the same of a policy file.
        names: what the two are called in a message.

    Raises:
        InvalidFile: one of them has faults.

    """
    map_text = Reviewed(text=datamap or blank(("subjects", "tables", "catalog"), _MAP_HEAD), file=names[0])
    known = parse_map(map_text.text, names[0]) if datamap else DataMap(file=names[0])
    added = _add_map(map_text, known, propose_map(survey))
    added |= _add_catalog(map_text, known, survey)
    proposals, silent = propose_policies(survey)
    policy_text = Reviewed(text=policies or blank(("policies",), _POLICIES_HEAD), file=names[1])
    added["policies"] = _add_policies(policy_text, proposals)
    return Files(
        datamap=map_text.closed("subjects", "tables", "catalog"),
        policies=policy_text.closed("policies"),
        added=added,
        proposals=tuple(proposals),
        silent=tuple(silent),
    )


def _add_map(text: Reviewed, known: DataMap, made: Map) -> dict[str, tuple[str, ...]]:
    """Add subjects, tables and edges that the map does not know; new columns of accepted tables say TODO."""
    added: dict[str, tuple[str, ...]] = {}
    homes = {subject.table for subject in known.subjects.values()}
    for section, proposed in made.entries().items():
        there = set(text.names(section))
        new = {name: body for name, body in proposed.items() if name not in there}
        if section == "subjects":
            new = {name: body for name, body in new.items() if body["table"] not in homes}
        text.add(section, new)
        added[section] = tuple(new)
    added["columns"] = tuple(_add_columns(text, known, made))
    return added


def _add_columns(text: Reviewed, known: DataMap, made: Map) -> list[str]:
    """Add columns that a table of the map got since; in an accepted entry a person decides."""
    found = []
    for name, body in made.tables.items():
        rule = known.rules.get(name)
        if rule is None or rule.action in {"delete", "retain", "fail"}:
            continue
        said = {*rule.columns, *(key.removeprefix("columns.") for key in rule.todo)}
        for column, spec in body.get("columns", {}).items():
            if column not in said:
                decided = rule.status == "proposed"
                note = "" if decided else f"new; proposed: {spec}"
                text.add_below(("tables", name, "columns"), column, spec if decided else TODO, note)
                found.append(f"{name}.{column}")
    return found


def _add_catalog(text: Reviewed, known: DataMap, survey: Survey) -> dict[str, tuple[str, ...]]:
    proposed, columns = catalog_entries(survey), []
    new = {label: body for label, body in proposed.items() if label not in known.catalog}
    text.add("catalog", new)
    for label, said in known.catalog.items():
        for name, holding in proposed.get(label, {"columns": {}})["columns"].items():
            if name not in said.columns:
                text.add_below(("catalog", label, "columns"), name, {"status": "proposed", **holding})
                columns.append(f"{label}.{name}")
    return {"catalog": tuple(new), "catalog columns": tuple(columns)}


def _add_policies(text: Reviewed, proposals: list[Proposal]) -> tuple[str, ...]:
    there = set(text.names("policies"))
    new = [proposal for proposal in proposals if proposal.name not in there]
    text.add("policies", {proposal.name: proposal.entry for proposal in new})
    return tuple(proposal.name for proposal in new)


def import_labels(
    survey: Survey, text: str, file: str, labels: Mapping[tuple[str, str], str], origin: str
) -> tuple[str, int]:
    """Return a data map in which another tool's labels stand where nobody has decided, and how many came in.

    Args:
        survey: the data source.
        text: the data map, with everything proposed.
        file: what it is called in a message.
        labels: (table, column) → category; a column that is gone gets no proposal.
        origin: the tool.

    """
    known, reviewed, count = parse_map(text, file), Reviewed(text=text, file=file), 0
    for (label, column), category in sorted(labels.items()):
        holding = _holding(known, label, column) if column in survey.decisions.get(label, {}) else None
        if holding is None or (holding.decided and holding.status != "proposed"):
            continue
        said = {
            "status": "proposed",
            "type": holding.type,
            "category": category,
            "confidence": 0.9,
            "evidence": [f"{origin} says so", *holding.evidence],
        }
        reviewed.replace(("catalog", label, "columns", column), said)
        _mask_along(reviewed, known, survey, (label, column, category))
        count += 1
    return reviewed.text, count


def _mask_along(text: Reviewed, known: DataMap, survey: Survey, label: tuple[str, str, str]) -> None:
    """Propose what is written over a column that another tool calls personal, where nobody has decided."""
    table, column, category = label
    rule = known.rules.get(table)
    if rule is None or rule.status != "proposed" or category == NONE:
        return
    if column in rule.columns or f"columns.{column}" in rule.todo:
        spec = mask_for(survey.table(table), column, category)
        text.replace(("tables", table, "columns", column), spec)


def _holding(known: DataMap, label: str, column: str) -> Holding | None:
    said = known.catalog.get(label)
    return said.columns.get(column) if said else None


def _todo(text: str) -> int:
    return sum(line.partition("#")[0].rstrip().endswith(f": {TODO}") for line in text.splitlines())
