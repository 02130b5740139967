"""Whose customer a row is: a declared foreign key first, then names, then the way through parents."""

from dataclasses import dataclass
from typing import Final

from aegis.catalog import roles
from aegis.catalog.lexicon import words_of
from aegis.catalog.names import concepts
from aegis.catalog.natures import Nature
from aegis.catalog.survey import Survey
from aegis.catalog.vocabulary import modifiers

_TENANTS: Final = words_of(modifiers.TENANTS)
#: Steps from child to parent that are gone.
_FURTHEST: Final = 3


@dataclass(frozen=True, kw_only=True)
class Tenancy:
    """What was found; without a column either nothing was, or two columns were, and a person is asked."""

    column: str | None = None
    #: Columns that speak against each other.
    rivals: tuple[str, ...] = ()
    #: A sentence; empty: there is no sign of tenants.
    evidence: str = ""


def tenancy_of(survey: Survey, label: str) -> Tenancy:
    """Return the tenant column of a table."""
    tables = tenant_tables(survey)
    facts = survey.facts[label]
    if label in tables:
        return Tenancy()
    declared = {c.name: c.refers_to for c in facts.columns if c.refers_to in tables}
    named = {c.name: None for c in facts.columns if c.refers_to is None and _is_named(c.name)}
    found: dict[str, str | None] = {**declared, **named}
    if len(found) > 1:
        rivals = tuple(sorted(found))
        return Tenancy(rivals=rivals, evidence=f"{' and '.join(rivals)} could each be the tenant")
    for column, parent in found.items():
        how = f"its foreign key leads to {parent}" if parent else "its name says so"
        return Tenancy(column=column, evidence=f"tenant column {column}: {how}")
    return _through_parents(survey, label, tables)


def tenant_tables(survey: Survey) -> frozenset[str]:
    """Return the tables of which a row is a tenant."""
    return frozenset(
        label
        for label, facts in survey.facts.items()
        if concepts(facts.name)[-1:] and concepts(facts.name)[-1] in _TENANTS
        if survey.natures[label] not in {Nature.PERSON, Nature.PROFILE}
    )


def _is_named(column: str) -> bool:
    name = concepts(column)
    return name == ("tenant",) or (len(name) > 1 and name[-1] == "id" and name[-2] in _TENANTS)


def _through_parents(survey: Survey, label: str, tables: frozenset[str]) -> Tenancy:
    seen, near = {label}, [(label, label)]
    for _ in range(_FURTHEST):
        further = []
        for way, table in near:
            for parent in sorted(survey.facts[table].parents - seen):
                columns = [
                    c.name
                    for c in survey.facts[parent].columns
                    if c.refers_to in tables or roles.is_tenant(c)
                ]
                if len(columns) == 1 and parent not in tables:
                    text = f"its tenant is {way} → {parent}.{columns[0]}: a policy reads its own table only"
                    return Tenancy(evidence=text)
                seen.add(parent)
                further.append((f"{way} → {parent}", parent))
        near = further
    return Tenancy()
