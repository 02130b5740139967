"""Retention policies for a data source, proposed: what to do with the old rows of each table, and why.

Nothing here is in force. A table that has no clock gets no proposal; one of a kind whose time only the law
or a person can know gets a question.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from aegis.catalog import conditions, periods
from aegis.catalog.branches import Branches, branches_of
from aegis.catalog.clocks import LADDERS, Age, Meaning, ages, best
from aegis.catalog.masks import mask_for
from aegis.catalog.names import concepts, words
from aegis.catalog.natures import Nature
from aegis.catalog.periods import Period
from aegis.catalog.survey import Survey
from aegis.catalog.tenants import tenancy_of
from aegis.datamap.model import PRESERVE, TODO

#: Ways in that stay open until somebody closes them: of age they die only where they say when.
_LASTING: Final = frozenset(
    [
        "api",
        "ssh",
        "pgp",
        "gpg",
        "passkey",
        "webauthn",
        "authenticator",
        "mfa",
        "otp",
        "totp",
        "factor",
        "pat",
        "secret",
        "credential",
        "password",
        "identity",
        "authentication",
        "application",
        "client",
        "device",
        "certificate",
        "key",
    ]
)
_CARTS: Final = frozenset({"cart", "basket"})
_WISHES: Final = frozenset({"wishlist"})
#: What is counted rather than kept: a vote or a favourite stays as long as its person.
_COUNTED: Final = frozenset(
    {
        "view",
        "productview",
        "pageview",
        "hit",
        "click",
        "impression",
        "visit",
        "tracking",
        "swipe",
        "conversion",
    }
    | {"scrobble", "play", "playback", "watch"}
)
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_.:-]+")
_LONGEST: Final = 100
_EVENTS: Final = frozenset({Nature.ACTIVITY, Nature.BEHAVIOUR, Nature.SEARCH})
#: What people did to get in: a log.
_ENTERED: Final = frozenset({"login", "signin", "access", "authentication"})
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


@dataclass(kw_only=True)
class _Draft:
    """A policy while it is put together."""

    survey: Survey
    label: str
    age: Age
    period: Period
    suffix: str
    sure: float = 0.9
    condition: str | None = None
    masks: dict[str, Any] | None = None
    delete_after: int | None = None
    #: What a person is told besides.
    notes: list[str] = field(default_factory=list)


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
    make = {
        Nature.ORDER: _order,
        Nature.PAYMENT: _order,
        Nature.SESSION: _session,
        Nature.LOG: _log,
        Nature.MAIL: _mail,
        Nature.PERSON: _person,
        Nature.CONTENT: _content,
    }.get(nature, _event if nature in _EVENTS else None)
    if make:
        return _finish(make(survey, label, found), survey, label)
    if survey.personal(label) and nature not in {Nature.ORGANISATION, Nature.THING}:
        return Silence(
            table=label, why=f"{nature}: it lives as long as the person whose it is, and goes with them"
        )
    return None


def _session(survey: Survey, label: str, found: list[Age]) -> _Draft | str:
    age = best(found, LADDERS["session"], survey.table(label))
    ends = age is not None and age.meaning is Meaning.END
    said = {*words(survey.facts[label].name), *concepts(survey.facts[label].name)}
    if not ends and said & _LASTING:
        return "no clock: it is a way in that stays open until somebody closes it, and it says no end"
    if age is None:
        return "no clock"
    period = periods.ENDED if ends else periods.UNUSED
    return _Draft(survey=survey, label=label, age=age, period=period, suffix="ended" if ends else "unused")


def _log(survey: Survey, label: str, found: list[Age]) -> _Draft | str:
    age = best(found, LADDERS["event"], survey.table(label))
    if age is None:
        return "no clock"
    device = ("user.device", "user.location")
    named = {n: d for n, d in survey.personal(label).items() if str(d.category).startswith(device)}
    masks = {n: mask_for(survey.table(label), n, d.category) for n, d in named.items()}
    masks = {n: spec for n, spec in masks.items() if spec not in {TODO, PRESERVE} or isinstance(spec, dict)}
    if not masks:
        return _Draft(survey=survey, label=label, age=age, period=periods.LOGS, suffix="old")
    draft = _Draft(
        survey=survey, label=label, age=age, period=periods.ADDRESSES, suffix="addresses", masks=masks
    )
    draft.delete_after = periods.LOGS.days - periods.ADDRESSES.days
    draft.notes.append(f"deleted at {periods.LOGS.evidence}")
    return draft


def _mail(survey: Survey, label: str, found: list[Age]) -> _Draft | str:
    age = best(found, LADDERS["mail"], survey.table(label))
    return (
        _Draft(survey=survey, label=label, age=age, period=periods.MAIL, suffix="sent") if age else "no clock"
    )


def _event(survey: Survey, label: str, found: list[Age]) -> _Draft | str:
    said = {*concepts(survey.facts[label].name), *words(survey.facts[label].name)}
    if survey.natures[label] is Nature.ACTIVITY and said & _ENTERED:
        return _log(survey, label, found)
    if survey.natures[label] is not Nature.SEARCH and not said & _COUNTED:
        return "what somebody marked or chose stays as long as they do, and goes with them"
    age = best(found, LADDERS["event"], survey.table(label))
    if age is None:
        return "no clock"
    return _Draft(
        survey=survey, label=label, age=age, period=periods.BEHAVIOUR, suffix="statistics", sure=0.7
    )


def _person(survey: Survey, label: str, found: list[Age]) -> _Draft | str:
    age = best(found, LADDERS["person"], survey.table(label))
    if age is None:
        return "no clock: nothing says when somebody was last here; who registered long ago may be here today"
    personal = survey.personal(label)
    table = survey.table(label)
    masks = {n: mask_for(table, n, d.category) for n, d in personal.items() if n != age.column}
    draft = _Draft(survey=survey, label=label, age=age, period=periods.INACTIVE, suffix="inactive", sure=0.8)
    draft.masks = masks or {TODO: TODO}
    draft.condition = conditions.of_people(table)
    draft.notes.append(
        "it masks this row alone; `aegis erasure run --group inactive` erases everything of such people"
    )
    return draft


def _content(survey: Survey, label: str, found: list[Age]) -> _Draft | str:
    table = survey.table(label)
    age, condition = best(found, LADDERS["content"], table), None
    if age is None:
        condition = conditions.of_deleted(table)
        age = best(found, (Meaning.CHANGED,), table) if condition else None
    if age is None:
        return "content: it lives as long as its author wants, and goes with them"
    masks = {n: mask_for(table, n, d.category) for n, d in survey.personal(label).items()}
    if not masks:
        return "deleted content in which nothing personal was found"
    draft = _Draft(survey=survey, label=label, age=age, period=periods.DELETED, suffix="deleted", masks=masks)
    draft.condition = condition
    return draft


def _order(survey: Survey, label: str, found: list[Age]) -> _Draft | str:
    name = set(concepts(survey.facts[label].name))
    if name & _CARTS:
        return _cart(survey, label, found)
    if name & _WISHES:
        return "a wish list lives as long as the person whose it is, and goes with them"
    return f"kept: {periods.RECORDS.reason} wants it for a time (a floor, in the data map)"


def _cart(survey: Survey, label: str, found: list[Age]) -> _Draft | str:
    open_ages = [age for age in found if age.meaning is not Meaning.DONE]
    age = best(open_ages, LADDERS["cart"], survey.table(label))
    if age is None:
        return "no clock"
    draft = _Draft(survey=survey, label=label, age=age, period=periods.CARTS, suffix="abandoned", sure=0.6)
    draft.condition = conditions.of_carts(survey.table(label), found) or TODO
    if draft.condition == TODO:
        draft.notes.append("filter: which baskets were never ordered? Nothing in the schema says it")
    return draft


def _finish(made: _Draft | str, survey: Survey, label: str) -> Proposal | Silence:
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


def _written(draft: _Draft, below: Branches) -> Proposal:
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
