"""What each column of a table holds, from names, types, structure and what validators said: pure.

In order: key role, whole words of the name with what stands beside them, type guard, kind of table, values.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aegis.catalog import roles, voting
from aegis.catalog.context import Context
from aegis.catalog.decision import ColumnDecision, Role, Verdict
from aegis.catalog.facts import ColumnFacts, TableFacts
from aegis.catalog.findings import Findings
from aegis.catalog.lexicon import is_known, words_of
from aegis.catalog.matching import Match, Refused, best
from aegis.catalog.names import column_concepts, concepts, shared_prefix
from aegis.catalog.natures import NOBODYS, PERSONS, Nature
from aegis.catalog.surroundings import CHANGES, Surroundings
from aegis.catalog.types import TEXTS, Family
from aegis.catalog.vocabulary import modifiers

REFERENCE: Final = "user.unique_id"
#: What is written in a patient's record is clinical unless something else is known of it.
_CLINICAL: Final = "user.health_and_medical"
_DONE: Final = "user.behavior"
#: From here on a column is personal; from the lower one on a person has to look.
SURE: Final = 0.6
_DOUBTFUL: Final = 0.35
#: What the names of keys end with that are texts.
_KEYS: Final = frozenset((word,) for word in ("id", "uuid", "code", "number"))
_FREE: Final = frozenset({Family.TEXT, Family.LONG_TEXT, Family.JSON, Family.UNKNOWN, Family.BYTES})
#: Words of bookkeeping.
_BOOKKEEPING: Final = words_of(modifiers.BOOKKEEPING)
#: And those of them that are none in a patient's record, where codes and kinds are facts.
_KEPT: Final = words_of("id uuid version position sort order hash etag revision active voided locked state")
#: What an office does with a record is no finding.
_OFFICE: Final = words_of("validation certification expiration")
_THINGS: Final = words_of(modifiers.THINGS)
#: Said of what an application does with a row.
_HANDLED: Final = words_of("change password sync synced import imported export checked failed emailed")
#: Parts of an address that mean something else where no other part stands beside them.
_PARTS_OF_ADDRESS: Final = frozenset((word,) for word in ("state", "region", "zone", "line", "unit", "block"))
_PAIR: Final = 2
#: What is written about a person who is no patient.
_NOTED: Final = "user.content.private"
#: Tables of what people wrote, and of what is theirs.
_WRITTEN: Final = frozenset({Nature.CONTENT, Nature.FORM, Nature.OWNED})
#: Tables whose rows are values to choose from.
_CATALOGUES: Final = frozenset({Nature.THING, Nature.UNKNOWN})
_LISTS: Final = _CATALOGUES | {Nature.ORGANISATION, Nature.EMPLOYMENT}
#: In their rows the organization is where somebody works.
_EMPLOYED: Final = PERSONS | {Nature.EMPLOYMENT}
_SAID: Final = words_of(modifiers.THINGS) | words_of(modifiers.HEADS) | words_of(modifiers.PREFIXES)


@dataclass(frozen=True, kw_only=True)
class _Vote:
    """A decision about a column, before it is told of which."""

    verdict: Verdict
    confidence: float
    evidence: tuple[str, ...]
    category: str | None = None
    role: Role | None = None


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
    around = Surroundings.of(facts, context)
    decided = []
    for column in facts.columns:
        vote = _by_role(facts, column, context, nature)
        if vote is None:
            vote = _by_pair(column, facts) or _by_name(column, _said(facts, column, prefix, nature), around)
        decision = ColumnDecision(
            table=facts.label,
            column=column.name,
            type=column.type,
            verdict=vote.verdict,
            category=vote.category,
            confidence=vote.confidence,
            evidence=vote.evidence,
            role=vote.role,
        )
        found = (findings or {}).get(column.name)
        decided.append(voting.with_values(decision, found, nature) if found else decision)
    return decided


def _said(facts: TableFacts, column: ColumnFacts, prefix: str, nature: Nature) -> Sequence[str]:
    """Return the concepts of a column's name; `comment_approved` of comments says no more than `approved`."""
    name = column_concepts(column.name, prefix)
    own = concepts(facts.name)[-1:]
    if len(name) > 1 and nature is Nature.CONTENT and name[:1] == own:
        return name[1:]
    # Languages that put the noun first: the `nom_role` of roles that are persons.
    if len(name) > 1 and nature in PERSONS and name[-1:] == own and own[0] in _THINGS:
        return name[:-1]
    return name


def _by_role(facts: TableFacts, column: ColumnFacts, context: Context, nature: Nature) -> _Vote | None:
    """Decide by the column's part in the structure; None: it is one like others."""
    if roles.is_person_reference(column, context.natures, context.persons, context.keys):
        declared = f"foreign key to {column.refers_to}, type {column.type}"
        named = f"'{column.name}' is called like the key of a person, type {column.type}"
        return _Vote(
            verdict=Verdict.PERSONAL,
            confidence=0.95 if column.refers_to else 0.75,
            evidence=(declared if column.refers_to else named,),
            category=REFERENCE,
            role=Role.PERSON,
        )
    keyed = nature is Nature.PERSON and concepts(column.name)[-1:] in _KEYS
    if roles.is_own_key(column, facts) and (column.family not in TEXTS or keyed):
        return _key(context.reasons.get(facts.label, ""), nature)
    if roles.is_tenant(column):
        evidence = ("it refers to a tenant",)
        return _Vote(verdict=Verdict.NONE, confidence=0.85, evidence=evidence, role=Role.TENANT)
    return None


def _key(reason: str, nature: Nature) -> _Vote:
    if nature is Nature.PERSON:
        return _Vote(
            verdict=Verdict.PERSONAL,
            confidence=0.9,
            evidence=(f"key of a table of persons: {reason}",),
            category=REFERENCE,
            role=Role.KEY,
        )
    evidence = ("primary key of a table of no persons",)
    return _Vote(verdict=Verdict.NONE, confidence=0.95, evidence=evidence, role=Role.KEY)


def _by_pair(column: ColumnFacts, facts: TableFacts) -> _Vote | None:
    """Decide about the `target_type` that says what kind of row `target_id` refers to; None: it is none."""
    name = concepts(column.name)
    if len(name) < _PAIR or name[-1] != "type":
        return None
    for other in facts.columns:
        if concepts(other.name) in {(*name[:-1], "id"), (*name[:-1], "object", "id")}:
            evidence = (f"it says of what kind the row is that {other.name} refers to",)
            return _Vote(verdict=Verdict.NONE, confidence=0.85, evidence=evidence)
    return None


def _by_name(column: ColumnFacts, name: Sequence[str], around: Surroundings) -> _Vote:
    match, refused = best(column, name, around.nature) if name else (None, None)
    if match and match.rule.phrase in _PARTS_OF_ADDRESS and not around.placed:
        match = None
    if match and around.clinical and match.strength < SURE:
        # What the table says is surer.
        match = None
    role = Role.REFERENCE if roles.is_reference(column) else None
    if match and (role is None or _is_value(column, match, around)):
        return _matched(column, match, around, role)
    if role:
        return _referring(column, around, role)
    return _unmatched(column, name, around, refused)


def _is_value(column: ColumnFacts, match: Match, around: Surroundings) -> bool:
    """Whether a reference chooses from a list of values (genders, countries), which may be by number."""
    if column.refers_to is None:
        return match.rule.kind in {"value", "code"}
    if match.rule.category.startswith("user.workplace") and around.nature not in _EMPLOYED:
        return False
    return match.rule.kind == "value" and around.natures.get(column.refers_to) in _LISTS


def _referring(column: ColumnFacts, around: Surroundings, role: Role) -> _Vote:
    if around.clinical and not column.key and around.natures.get(column.refers_to or "") in _CATALOGUES:
        evidence = (f"it chooses from {column.refers_to} in a patient's record",)
        return _Vote(
            verdict=Verdict.PERSONAL, confidence=SURE, evidence=evidence, category=_CLINICAL, role=role
        )
    to = f"it refers to {column.refers_to}" if column.refers_to else "it is the number of another row"
    return _Vote(verdict=Verdict.NONE, confidence=0.9, evidence=(to,), role=role)


def _matched(column: ColumnFacts, match: Match, around: Surroundings, role: Role | None) -> _Vote:
    token = f"'{' '.join(match.words)}' in its name, type {column.type}"
    where = "" if match.rule.where is None else f"in a table of kind {around.nature}"
    noted = around.nature is Nature.MEDICAL and match.rule.category == _NOTED
    return _Vote(
        verdict=Verdict.PERSONAL if match.strength >= SURE else Verdict.UNKNOWN,
        confidence=match.strength,
        evidence=tuple(part for part in (token, where, *match.doubts) if part),
        category=_CLINICAL if noted else match.rule.category,
        role=role,
    )


def _unmatched(
    column: ColumnFacts, name: Sequence[str], around: Surroundings, refused: Refused | None
) -> _Vote:
    nature = around.nature
    why = (f"'{' '.join(refused.words)}' in its name, but {refused.reason}",) if refused else ()
    if by_table := _by_table(column, name, around, why):
        return by_table
    nothing = f"nothing in its name or type ({column.type}) speaks of a person"
    if refused or _is_bookkeeping(name) or column.family not in _FREE or nature in NOBODYS:
        return _Vote(verdict=Verdict.NONE, confidence=0.8, evidence=why or (nothing,))
    known = any(word in _SAID or is_known(word) for word in name)
    if nature is Nature.UNKNOWN or (known and nature not in PERSONS):
        return _Vote(verdict=Verdict.NONE, confidence=0.6, evidence=(nothing,))
    silent = f"its name says nothing, and the table is of kind {nature}"
    return _Vote(verdict=Verdict.UNKNOWN, confidence=_DOUBTFUL, evidence=(silent,))


def _by_table(
    column: ColumnFacts, name: Sequence[str], around: Surroundings, why: tuple[str, ...]
) -> _Vote | None:
    """Decide by the table alone: everything in a patient's record is clinical, and so on."""
    if column.key:
        return None
    if around.clinical and not (CHANGES | _OFFICE) & set(name) and not _KEPT & set(name[-1:]):
        evidence = ("it stands in a patient's record", *why)
        return _Vote(verdict=Verdict.PERSONAL, confidence=SURE, evidence=evidence, category=_CLINICAL)
    if column.name == around.observed or _is_last(column, name, around.nature):
        evidence = ("it says when a person did something",)
        return _Vote(verdict=Verdict.PERSONAL, confidence=0.65, evidence=evidence, category=_DONE)
    if _is_text(column, name, around.nature) and not why:
        evidence = (f"long text in a table of kind {around.nature}",)
        return _Vote(verdict=Verdict.PERSONAL, confidence=SURE, evidence=evidence, category=_NOTED)
    known = _SAID & set(name) or _is_bookkeeping(name) or why
    if around.nature is Nature.ACTIVITY and column.family is not Family.BOOLEAN and not known:
        evidence = ("it stands in a record of what a person did",)
        return _Vote(verdict=Verdict.PERSONAL, confidence=SURE, evidence=evidence, category=_DONE)
    return None


def _is_text(column: ColumnFacts, name: Sequence[str], nature: Nature) -> bool:
    """Whether a column has room for what people write, in a table of what they write or of what is theirs."""
    return nature in _WRITTEN and column.family is Family.LONG_TEXT and not _is_bookkeeping(name)


def _is_last(column: ColumnFacts, name: Sequence[str], nature: Nature) -> bool:
    """Whether a column says when a person did something for the last time: `last_commented_at`."""
    when = nature is Nature.PERSON and column.family is Family.MOMENT
    return when and name[:1] == ("last",) and not (CHANGES | _HANDLED) & set(name)


def _is_bookkeeping(name: Sequence[str]) -> bool:
    return bool(_BOOKKEEPING & set(name[-1:]) or CHANGES & set(name))
