"""Who permitted something, and what holds it back, as the pages of policies and runs have it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from xml.etree.ElementTree import Element

from aegis.operations.approvals import Word
from aegis.operations.scopes import STOP
from cli import output
from cli.markup import code, table, tag

#: What a guard compares with.
_GUARDS: Final[Mapping[str, str]] = {
    "max_rows": "so many rows",
    "max_share": "this share of the rows that the policy looks at",
    "usual_times": "so many times the rows of a usual run",
}
#: Why rows stay, and when that ends.
ENDS: Final[Mapping[str, tuple[str, str]]] = {
    "due": ("past their time, arrived too late for the run", "the next run takes them"),
    "held": ("under a legal hold", "until the hold is released; then the next run takes them"),
    "kept": ("under a minimum period", "until that period is over"),
    "null_clock": ("without a timestamp", "they never go: nobody can tell how old they are"),
    "younger": ("not past their time", "until they are"),
    "condition": ("outside the policy's condition", "this policy never takes them"),
    "other_tenant": ("of other tenants", "they were left out here"),
    "condition_or_other_tenant": ("outside the condition or of other tenants", "they were left out here"),
    "done": ("masked already", "nothing of them is left to mask"),
}


def guard(name: str) -> Element:
    """Return a guard with what it compares."""
    return tag("span", code(name), f", {_GUARDS.get(name, name)}")


def approvals(words: Sequence[Word]) -> Element | None:
    """Return who approved, when, and what proves it; None when nobody did."""
    cells = [
        [
            word.actor or "somebody whose name was erased",
            output.moment(word.at),
            "claimed: no key proves it" if word.claimed else f"signed with key {word.key_name}",
            "no: " + word.fault if word.fault else "yes",
        ]
        for word in words
    ]
    return table(["Who", "When", "Proof", "Stands"], cells) if cells else None


def holds(found: Sequence[Mapping[str, Any]]) -> Element | None:
    """Return holds and stops by what they cover; what they are about is not told."""
    cells = [
        [
            code(hold["id"]),
            "stop of everything" if hold["kind"] == STOP else "legal hold",
            _covers(hold),
            _in_force(hold),
            str(hold["review_by"]),
        ]
        for hold in found
    ]
    return table(["Id", "Kind", "Covers", "In force", "Review by"], cells) if cells else None


def whole(hold: Mapping[str, Any]) -> bool:
    """Whether a hold covers everything that it touches."""
    return not (hold["tenant"] or hold["from_time"] or hold["until_time"] or hold["by_key"])


def stays(reasons: Mapping[str, int | None]) -> Element | None:
    """Return why rows stay, how many, and when that ends; None when none do."""
    cells = [
        [ENDS.get(reason, (reason, ""))[0], output.number(rows), ENDS.get(reason, ("", "-"))[1]]
        for reason, rows in reasons.items()
        if rows
    ]
    return table(["Why", "Rows", "Until when"], cells, right=["Rows"]) if cells else None


def _covers(hold: Mapping[str, Any]) -> str:
    parts = [f"{what} {hold[name]}" for name, what in _PARTS.items() if hold[name]]
    parts += [f"{what} {output.moment(hold[name])}" for name, what in _TIMES.items() if hold[name]]
    parts += ["one row"] if hold["by_key"] else []
    return ", ".join(parts) or "everything in the data source"


_PARTS: Final = {"policy": "policy", "table_name": "table", "tenant": "tenant"}
_TIMES: Final = {"from_time": "rows since", "until_time": "rows until"}


def _in_force(hold: Mapping[str, Any]) -> str:
    if hold["in_force_at"] is None:
        return "not yet: the data source did not answer"
    since = f"since {output.moment(hold['in_force_at'])}"
    return since if hold["released_at"] is None else f"{since}, released {output.moment(hold['released_at'])}"
