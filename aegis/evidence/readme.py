"""What a folder of evidence says of itself: what is in it, how it is checked, and what it cannot show."""

import importlib.resources
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aegis.evidence.scope import Scope


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What stands in it."""

    scope: Scope
    #: The public keys that sign the log now.
    vkeys: Sequence[str]
    counts: Mapping[str, int]
    #: The first leaf of the span, where it is one.
    first: int = 0


#: Its text, with names in braces for what differs.
_TEMPLATE: Final = "readme.md"
#: What can be in it.
_FILES: Final[Mapping[str, str]] = {
    "policies.json": "each version of a policy ({policies}): its words (`definition`), their SHA-256 "
    "(`digest`), who approved it",
    "approvers.json": "the public keys of those who approve",
    "runs.json": "runs of policies ({runs}): under which digest, up to which cutoff, how many rows, and "
    "where each stands in the log (`leaves`)",
    "erasures.json": "erasures ({erasures}), with the clock that runs from the receipt of the request",
    "receipts": "receipts of erasures ({receipts}), each with the proof that it stands in the log",
    "holds.json": "legal holds and stops ({holds})",
    "processing.csv": "the record of processing (GDPR, article 30); what nobody has said is empty",
    "log.jsonl": "events of the audit log ({events}), none left out between the first and the last",
    "proofs": "the events of the audit log that belong to it ({events}), each with its proof",
    "log-keys.json": "the public keys that sign the audit log, or did",
    "check.py": "a check of all of it: some 250 lines for you to read, which use nothing of Aegis",
}


def readme(facts: Facts, present: Collection[str]) -> str:
    """Return the text, with a line for each file that is there."""
    counts = {name: f"{count:,}" for name, count in facts.counts.items()}
    files = [f"| `{name}` | {text.format(**counts)} |" for name, text in _FILES.items() if name in present]
    late = facts.counts["waiting"]
    missing = f"\n**{late:,} events of that time had no place in the log yet and are missing.**\n"
    key, since = facts.vkeys[-1], f" --since {facts.first}" if facts.first else ""
    with_aegis = (
        f"aegis audit verify --export log.jsonl{since} --key '{key}'"
        if "log.jsonl" in present
        else f"for proof in proofs/*; do aegis audit check-proof \"$proof\" --key '{key}'; done"
    )
    text = importlib.resources.files("aegis.evidence").joinpath(_TEMPLATE).read_text("utf-8")
    return text.format(
        what=facts.scope.sentence,
        files="\n".join(files),
        vkeys="\n".join(facts.vkeys),
        vkey=key,
        with_aegis=with_aegis,
        waiting=missing if late else "",
    )
