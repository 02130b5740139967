"""What sampled values add to a decision by names and types: agreement, doubt, or what names did not say."""

from dataclasses import replace
from typing import Final

from aegis.catalog.containers import KEYS, PERSONAL_KEYS
from aegis.catalog.decision import ColumnDecision, Verdict
from aegis.catalog.findings import Findings
from aegis.catalog.natures import NOBODYS, Nature
from aegis.catalog.validators import CATEGORIES

#: Fewer values say nothing.
_LEAST: Final = 3
#: From this share on a column holds values of a kind; below the lower one it holds none.
_MOST: Final = 0.8
_NONE: Final = 0.1
#: Check digits of so many different values are no accident.
_ENOUGH: Final = 10
#: So few different words among so many values are a list of them.
_WORDS: Final = 5
_MANY: Final = 30
_FOUND: Final = 0.85
_CONTAINER: Final = 0.75
_REVIEW: Final = 0.5
_SURE: Final = 0.6
#: Kinds that any number of digits may be by accident.
_ACCIDENTAL: Final = frozenset({"national id", "card number"})


def with_values(decision: ColumnDecision, findings: Findings, nature: Nature) -> ColumnDecision:
    """Return a decision that the values of its column have voted on."""
    if findings.values < _LEAST:
        some = f"{findings.values} values in {findings.rows} rows, too few to say anything"
        return _told(decision, some if findings.rows else "no rows to look at")
    if KEYS in findings.valid:
        return _with_keys(decision, findings)
    kind = _kind(findings)
    if kind is not None:
        return _with_kind(decision, findings, kind, nature)
    if decision.verdict is Verdict.PERSONAL:
        return _doubted(decision, findings)
    if decision.verdict is Verdict.UNKNOWN and findings.distinct <= _WORDS and findings.values >= _MANY:
        told = f"{findings.distinct} different words in {findings.values} samples: a list of values"
        return replace(_told(decision, told), verdict=Verdict.NONE, category=None, confidence=_SURE)
    return _told(decision, f"{findings.values} samples, none of a kind that tells a person")


def _kind(findings: Findings) -> str | None:
    """Return the kind that most of the values are valid as."""
    kinds = [
        kind
        for kind in CATEGORIES
        if findings.valid.get(kind, 0) >= _MOST * findings.values
        and (kind not in _ACCIDENTAL or findings.distinct >= _ENOUGH)
    ]
    return kinds[0] if kinds else None


def _with_kind(decision: ColumnDecision, findings: Findings, kind: str, nature: Nature) -> ColumnDecision:
    told = f"{findings.valid[kind]} of {findings.values} samples are valid as {kind}"
    if decision.verdict is Verdict.PERSONAL:
        doubt = (1 - decision.confidence) / 3
        return replace(_told(decision, told), confidence=round(1 - doubt, 3))
    found = replace(_told(decision, told), category=CATEGORIES[kind])
    if nature in NOBODYS and kind != "password hash":
        return replace(found, verdict=Verdict.UNKNOWN, confidence=_REVIEW)
    return replace(found, verdict=Verdict.PERSONAL, confidence=_FOUND)


def _doubted(decision: ColumnDecision, findings: Findings) -> ColumnDecision:
    """Return a decision by the name that values should bear out, and do not."""
    expected = next((kind for kind, category in CATEGORIES.items() if category == decision.category), None)
    if expected not in {"email", "ip address"} or findings.values < _ENOUGH:
        return _told(decision, f"{findings.values} samples of no kind that can be checked")
    valid = findings.valid.get(expected, 0)
    told = f"{valid} of {findings.values} samples are valid as {expected}"
    share = valid / findings.values
    # What was hashed or masked is still what it was made of.
    confidence = decision.confidence * (0.75 if share < _NONE else 0.9)
    verdict = Verdict.PERSONAL if confidence >= _SURE else Verdict.UNKNOWN
    return replace(_told(decision, told), verdict=verdict, confidence=round(confidence, 3))


def _with_keys(decision: ColumnDecision, findings: Findings) -> ColumnDecision:
    keys, personal = findings.valid[KEYS], findings.valid.get(PERSONAL_KEYS)
    if personal is None:
        return _told(decision, f"its documents have {keys} different keys: they are data themselves")
    told = _told(decision, f"{personal} of {keys} keys of its documents read like personal columns")
    if decision.verdict is Verdict.PERSONAL or not personal:
        return told
    category = decision.category or "user.content.private"
    return replace(told, verdict=Verdict.PERSONAL, category=category, confidence=_CONTAINER)


def _told(decision: ColumnDecision, sentence: str) -> ColumnDecision:
    return replace(decision, evidence=(*decision.evidence, sentence))
