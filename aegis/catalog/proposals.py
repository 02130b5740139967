"""Retention policies for a data source, proposed: what to do with the old rows of each table, and why.

Nothing here is in force. A table that has no clock gets no proposal; one of a kind whose time only the law
or a person can know gets a question.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aegis.catalog import conditions, periods
from aegis.catalog.branches import Branches, branches_of
from aegis.catalog.clocks import Meaning, ages, best
from aegis.catalog.drafts import Draft, draft
from aegis.catalog.natures import Nature
from aegis.catalog.survey import Survey
from aegis.catalog.tenants import tenancy_of
from aegis.datamap.model import TODO

_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_.:-]+")
_LONGEST: Final = 100
_ASKED: Final = {
    Nature.MEDICAL: "medical",
    Nature.EMPLOYMENT: "employment",
    Nature.CONSENT: "consent",
    Nature.DEVICE: "device",
    Nature.UNKNOWN: "unknown",
}


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A policy that nobody has accepted; `TODO` stands where a person is asked."""

    name: str
    table: str
    #: The keys of a policy file.
    words: Mapping[str, Any]
    confidence: float
    evidence: tuple[str, ...]

    @property
    def entry(self) -> dict[str, Any]:
        """It as a policy file has it."""
        review = {"status": "proposed", "confidence": self.confidence, "evidence": list(self.evidence)}
        return {**review, **self.words}

    @property
    def asks(self) -> bool:
        """Whether a person has to say something before it could be accepted."""
        return TODO in self.words.values()


@dataclass(frozen=True, kw_only=True)
class Silence:
    """A table for which nothing is proposed, and why."""

    table: str
    why: str


def propose_policies(survey: Survey) -> tuple[list[Proposal], list[Silence]]:
    """Return the policies that are proposed, and of other tables with personal columns why none is."""
    found: list[Proposal] = []
    silent: list[Silence] = []
    for label in sorted(survey.catalog.tables):
        made = _of_table(survey, label)
        if isinstance(made, Proposal):
            found.append(made)
        elif made:
            silent.append(made)
    stuck = _stuck(survey, found)
    silent += [Silence(table=each.table, why=stuck[each.name]) for each in found if each.name in stuck]
    return _in_order(survey, [each for each in found if each.name not in stuck]), silent


def _of_table(survey: Survey, label: str) -> Proposal | Silence | None:
    nature = survey.natures[label]
    kind = "medical" if survey.has_health(label) else _ASKED.get(nature)
    if kind and (survey.personal(label) or nature in {Nature.MEDICAL, Nature.EMPLOYMENT}):
        return _question(survey, label, periods.ASKED[kind])
    found = ages(survey.table(label), survey.dialect, survey.units)
    made = draft(survey, label, found)
    if made is not None:
        return _finish(made, survey, label)
    if survey.personal(label) and nature not in {Nature.ORGANISATION, Nature.THING}:
        return Silence(
            table=label, why=f"{nature}: it lives as long as the person whose it is, and goes with them"
        )
    return None


def _finish(made: Draft | str, survey: Survey, label: str) -> Proposal | Silence:
    """Turn a draft into words, unless its rows cannot go alone."""
    if isinstance(made, str):
        parents = ", ".join(sorted(survey.facts[label].parents))
        hint = f"; its rows are as old as those of {parents}" if made == "no clock" and parents else ""
        return Silence(table=label, why=made + hint)
    below = branches_of(survey, label) if made.period.action == "delete" or made.delete_after else Branches()
    if below.kept:
        return Silence(
            table=label, why=f"with its rows would go rows of {', '.join(below.kept)}, which are to stay"
        )
    return _written(made, below)


def _written(draft: Draft, below: Branches) -> Proposal:
    survey, label, age = draft.survey, draft.label, draft.age
    tenancy = tenancy_of(survey, label)
    said: dict[str, Any] = {
        "table": label,
        "datasource": survey.datasource,
        "timestamp_column": age.column,
        "timestamp_unit": age.unit,
        "days": draft.period.days,
        "action": draft.period.action,
        "filter": draft.condition,
        "masks": draft.masks,
        "delete_after_days": draft.delete_after,
        "tenant_column": TODO if tenancy.rivals else tenancy.column,
        "cascades": list(below.along) or None,
        "categories": list(survey.categories(label)) or None,
    }
    if draft.masks and any(spec == TODO for spec in draft.masks.values()):
        draft.notes.append("masks: nothing that Aegis writes fits each of these columns: say what")
    evidence = [
        f"a table of kind {survey.natures[label]}",
        f"its age is {age.column}: {age.meaning} ({age.type})",
        draft.period.evidence,
        *([f"only rows with: {draft.condition}"] if draft.condition else []),
        *([tenancy.evidence] if tenancy.evidence else []),
        *([f"rows of {', '.join(below.along)} go along by their foreign keys"] if below.along else []),
        *([f"{', '.join(below.first)} refer to it: their rows have to go first"] if below.first else []),
        *draft.notes,
    ]
    return Proposal(
        name=policy_name(label, draft.suffix),
        table=label,
        words={key: value for key, value in said.items() if value is not None},
        confidence=round(draft.sure * (0.7 if below.first or tenancy.rivals else 1), 2),
        evidence=tuple(evidence),
    )


def _question(survey: Survey, label: str, why: str) -> Proposal:
    age = best(ages(survey.table(label), survey.dialect, survey.units), list(Meaning), survey.table(label))
    condition = conditions.of_refused(survey.table(label))
    said = {
        "table": label,
        "datasource": survey.datasource,
        "timestamp_column": age.column if age else TODO,
        "timestamp_unit": age.unit if age else None,
        "days": TODO,
        "action": TODO,
        "filter": condition,
        "categories": list(survey.categories(label)) or None,
    }
    return Proposal(
        name=policy_name(label, "asked"),
        table=label,
        words={key: value for key, value in said.items() if value is not None},
        confidence=0.0,
        evidence=(f"a table of kind {survey.natures[label]}", f"{why}; {periods.CAVEAT}"),
    )


def policy_name(label: str, suffix: str) -> str:
    """Return the name of a policy for a table: letters that a policy's name can have."""
    plain = _NOT_IN_NAMES.sub("-", label).strip("-_.:") or "table"
    return f"{plain[: _LONGEST - len(suffix) - 1]}_{suffix}"


def _stuck(survey: Survey, found: list[Proposal]) -> dict[str, str]:
    """Return the policies whose rows could not go, for rows that stay refer to them, and why."""
    stuck: dict[str, str] = {}
    while True:
        deleting = {p.table for p in found if p.words.get("action") == "delete" and p.name not in stuck}
        more = {}
        for each in found:
            waits = (
                sorted(set(branches_of(survey, each.table).first) - deleting)
                if each.table in deleting
                else []
            )
            if waits:
                shown = ", ".join(waits)
                more[each.name] = f"no clock for {shown}, which refers to it: its rows would have to go first"
        if not more:
            return stuck
        stuck |= more


def _in_order(survey: Survey, found: list[Proposal]) -> list[Proposal]:
    """Say of each policy which others come first: those of tables that refer to its own."""
    deleting = {each.table: each.name for each in found if each.words.get("action") == "delete"}
    return [_after(survey, each, deleting) for each in found]


def _after(survey: Survey, proposal: Proposal, deleting: Mapping[str, str]) -> Proposal:
    if proposal.table not in deleting:
        return proposal
    first = sorted(set(_first(survey, proposal, deleting)))
    return proposal if not first else _with(proposal, {"after": first})


def _first(survey: Survey, proposal: Proposal, deleting: Mapping[str, str]) -> Iterator[str]:
    for reference in survey.children(proposal.table):
        if reference.child in deleting and reference.child not in proposal.words.get("cascades", ()):
            yield deleting[reference.child]


def _with(proposal: Proposal, words_: Mapping[str, Any]) -> Proposal:
    return Proposal(**(vars(proposal) | {"words": {**proposal.words, **words_}}))
