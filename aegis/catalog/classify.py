"""What each column of a table holds, from names, types, structure and what validators said: pure.

In order: key role, whole words of the name with what stands beside them, type guard, kind of table, values.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from aegis.catalog import roles, voting
from aegis.catalog.context import NOBODYS, PERSONS, Context, Nature
from aegis.catalog.decision import ColumnDecision, Role, Verdict
from aegis.catalog.facts import ColumnFacts, TableFacts
from aegis.catalog.findings import Findings
from aegis.catalog.lexicon import is_known, words_of
from aegis.catalog.matching import Match, Refused, best
from aegis.catalog.names import column_concepts, shared_prefix
from aegis.catalog.types import Family
from aegis.catalog.vocabulary import modifiers

REFERENCE: Final = "user.unique_id"
#: What is written in a patient's record is clinical unless something else is known of it.
_CLINICAL: Final = "user.health_and_medical"
#: From here on a column is personal; from the lower one on a person has to look.
SURE: Final = 0.6
_DOUBTFUL: Final = 0.35
_FREE: Final = frozenset({Family.TEXT, Family.LONG_TEXT, Family.JSON, Family.UNKNOWN, Family.BYTES})
#: Words of bookkeeping.
_BOOKKEEPING: Final = words_of(modifiers.BOOKKEEPING)
_SAID: Final = words_of(modifiers.THINGS) | words_of(modifiers.HEADS) | words_of(modifiers.PREFIXES)


def classify_table(
    facts: TableFacts, context: Context, findings: Mapping[str, Findings] | None = None
) -> list[ColumnDecision]:
    """Decide about every column of a table, in the table's order.

    Args:
        facts: the table.
        context: what kinds of tables the schema has: `Context.of(all the facts)`.
        findings: column → what its sampled values were; none: it is judged without values.

    """
    prefix = shared_prefix(column.name for column in facts.columns)
    nature = context.natures.get(facts.label, Nature.UNKNOWN)
    decided = []
    for column in facts.columns:
        decision = _by_role(facts, column, context, nature) or _by_name(
            facts, column, column_concepts(column.name, prefix), nature
        )
        found = (findings or {}).get(column.name)
        decided.append(voting.with_values(decision, found, nature) if found else decision)
    return decided


def _by_role(
    facts: TableFacts, column: ColumnFacts, context: Context, nature: Nature
) -> ColumnDecision | None:
    """Decide by the column's part in the structure; None: it is one like others."""
    if roles.is_person_reference(column, context.natures, context.persons, context.keys):
        how = (
            f"foreign key to {column.refers_to}"
            if column.refers_to
            else f"'{column.name}' names a person's key"
        )
        sure = 0.95 if column.refers_to else 0.75
        return _decision(
            facts, column, Verdict.PERSONAL, sure, (f"{how}, type {column.type}",), REFERENCE, Role.PERSON
        )
    if roles.is_own_key(column, facts) and column.family is not Family.TEXT:
        if nature is Nature.PERSON:
            why = f"key of a table of persons: {context.reasons.get(facts.label, '')}"
            return _decision(facts, column, Verdict.PERSONAL, 0.9, (why,), REFERENCE, Role.KEY)
        return _decision(
            facts, column, Verdict.NONE, 0.95, ("primary key of a table of no persons",), None, Role.KEY
        )
    if roles.is_tenant(column):
        return _decision(facts, column, Verdict.NONE, 0.85, ("it refers to a tenant",), None, Role.TENANT)
    return None


def _by_name(facts: TableFacts, column: ColumnFacts, name: Sequence[str], nature: Nature) -> ColumnDecision:
    match, refused = best(column, name, nature) if name else (None, None)
    role = Role.REFERENCE if roles.is_reference(column) else None
    if match and (role is None or match.rule.kind in {"value", "code"}):
        return _matched(facts, column, match, nature, role)
    if role:
        to = f"it refers to {column.refers_to}" if column.refers_to else "it is the number of another row"
        return _decision(facts, column, Verdict.NONE, 0.9, (to,), None, role)
    return _unmatched(facts, column, name, nature, refused)


def _matched(
    facts: TableFacts, column: ColumnFacts, match: Match, nature: Nature, role: Role | None
) -> ColumnDecision:
    token = f"'{' '.join(match.words)}' in its name, type {column.type}"
    where = "" if match.rule.where is None else f"in a table of kind {nature}"
    evidence = tuple(part for part in (token, where, *match.doubts) if part)
    verdict = Verdict.PERSONAL if match.strength >= SURE else Verdict.UNKNOWN
    return _decision(facts, column, verdict, match.strength, evidence, match.rule.category, role)


def _unmatched(
    facts: TableFacts, column: ColumnFacts, name: Sequence[str], nature: Nature, refused: Refused | None
) -> ColumnDecision:
    why = (f"'{' '.join(refused.words)}' in its name, but {refused.reason}",) if refused else ()
    handled = bool(_BOOKKEEPING & set(name[-1:])) or bool(
        {"created", "updated", "modified", "deleted"} & set(name)
    )
    if nature is Nature.MEDICAL and not handled and not column.key:
        evidence = ("it stands in a patient's record", *why)
        return _decision(facts, column, Verdict.PERSONAL, SURE, evidence, _CLINICAL, None)
    observed = nature is Nature.ACTIVITY and column.family is not Family.BOOLEAN and not _SAID & set(name)
    if observed and not handled and not column.key and not refused:
        evidence = ("it stands in a record of what a person did",)
        return _decision(facts, column, Verdict.PERSONAL, SURE, evidence, "user.behavior", None)
    if refused or handled or column.family not in _FREE or nature in NOBODYS:
        evidence = why or (f"nothing in its name or type ({column.type}) speaks of a person",)
        return _decision(facts, column, Verdict.NONE, 0.8, evidence, None, None)
    told = [word for word in name if word in _SAID or is_known(word)]
    if nature is Nature.UNKNOWN or (told and nature not in PERSONS):
        evidence = (f"nothing in its name or type ({column.type}) speaks of a person",)
        return _decision(facts, column, Verdict.NONE, 0.6, evidence, None, None)
    evidence = (f"its name says nothing, and the table is of kind {nature}",)
    return _decision(facts, column, Verdict.UNKNOWN, _DOUBTFUL, evidence, None, None)


def _decision(
    facts: TableFacts,
    column: ColumnFacts,
    verdict: Verdict,
    confidence: float,
    evidence: tuple[str, ...],
    category: str | None,
    role: Role | None,
) -> ColumnDecision:
    return ColumnDecision(
        table=facts.label,
        column=column.name,
        type=column.type,
        verdict=verdict,
        category=category,
        confidence=confidence,
        evidence=evidence,
        role=role,
    )
