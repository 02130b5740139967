"""How a request for an erasure, its copies and its receipt are shown to people."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from aegis.erasure.copies import Copy
from aegis.erasure.outcomes import Erasure
from aegis.erasure.receipts import Receipt
from cli import output


def show(found: Erasure, *, as_json: bool) -> None:
    """Print where a request stands, with its parts in other data sources."""
    if as_json:
        output.print_json({**asdict(found), "complete": bool(found)})
        return
    facts = [(name, getattr(found, name)) for name in ("request", "digest")]
    facts += [("received", found.received_at and output.moment(found.received_at))]
    facts += [("due", found.due_at and output.moment(found.due_at))]
    _one(found, facts)
    for part in found.elsewhere:
        output.say()
        _one(part, [("request", part.request)])
    if found.status == "dry_run":
        output.say("\nNothing was changed; --execute does it.")


def _one(found: Erasure, facts: Sequence[tuple[str, Any]]) -> None:
    """Print what was done in one data source."""
    output.say(_sentence(found))
    if found.rows:
        output.say()
        output.columns(["action", "table", "rows"], rows_of(found.rows), right=["rows"])
    facts = [*facts, ("closed", found.closed_at and output.moment(found.closed_at))]
    if found.rest:
        facts.append(("what stays", f"goes on {found.rest['on']}, by request {found.rest['request']}"))
    output.say()
    output.facts((name, value) for name, value in facts if value)
    if found.copies:
        output.say()
        told = [(copy.name, copy.kind, _where(copy), _asked(copy)) for copy in found.copies]
        output.columns(["copy", "kind", "stands", "asked"], told)


def _sentence(found: Erasure) -> str:
    who = f"This {found.subject}" if found.persons == 1 else f"{found.persons} of subject {found.subject}"
    rows = output.counted(sum(found.rows.values()), "row")
    why = f": {output.printable(found.reason)}" if found.reason else ""
    stay = sum(count for name, count in found.rows.items() if name.startswith("retain:"))
    would = output.counted(sum(found.rows.values()) - stay, "row")
    sentences = {
        "done": f"{who}: erased from {found.datasource}, {rows} changed.",
        "dry_run": f"{who}: {would} of {found.datasource} would change, {stay} stay{why}.",
        "not_found": f"Nobody was erased{why}.",
    }
    other = f"{who}: {found.status}{why}. {rows} changed until now."
    return sentences.get(found.status, other)


def rows_of(rows: Mapping[str, int]) -> list[tuple[str, str, str]]:
    """Return the lines of a table of rows by action and table."""
    parts = [(*name.partition(":")[::2], count) for name, count in rows.items()]
    return [(action, table, output.number(count)) for action, table, count in parts]


def line(found: Erasure) -> tuple[str, ...]:
    """Return a request as one line among others."""
    return (
        str(found.request),
        found.status,
        output.number(found.persons),
        output.number(sum(found.rows.values())),
        output.moment(found.received_at),
        output.moment(found.due_at),
        _open(found.copies),
        output.printable(found.reason or "-"),
    )


def show_receipt(found: Receipt) -> None:
    """Print what a receipt says, and what is known of its copies now."""
    body = found.body
    people = output.counted(body["persons"], "person", "people")
    output.say(f"Receipt of request {body['request']}: {people} erased from {body['datasource']}.\n")
    output.columns(["action", "table", "rows"], rows_of(body["changed"]), right=["rows"])
    output.say()
    output.facts([*_receipt_facts(body), *(("copy", _told_of(copy)) for copy in found.copies)])
    output.say(f"\nIts SHA-256 stands in the audit log, in event {found.event}:\n  {found.sha256}")


def _receipt_facts(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "received", output.moment(body["received_at"])
    yield "ended", output.moment(body["ended_at"])
    yield "result", body["outcome"]
    for kept in body["retained"]:
        rows = output.counted(kept["rows"], "row")
        yield "stays", output.printable(f"{rows} of {kept['table']}: {kept['reason']}, until {kept['until']}")
    for shared in body["shared"]:
        yield "shared", f"{output.counted(shared['rows'], 'row')} of {shared['table']}: {shared['what']}"
    if rest := body["rest"]:
        yield "then gone", f"on {rest['on']}, by request {rest['request']}"
    for name, count in body["members"].items():
        yield "went along", f"{output.number(count)} of subject {name}"
    yield from _elsewhere_facts(body)
    searched = body["searched"]
    yield "searched for", ", ".join(searched["identifiers"]) or "nothing: the data map names no identifiers"
    for hit in searched["to_look_at"]:
        rows = output.counted(hit["rows"], "row")
        yield "to look at", f"{rows} of {hit['table']}.{hit['column']}: a like {hit['identifier']}"
    for hit in searched["left"]:
        yield "in rows that stay", f"{hit['rows']} of {hit['table']}.{hit['column']} ({hit['identifier']})"
    yield "not searched", ", ".join(searched["not_searched"])
    yield from _files_facts(body)


def _elsewhere_facts(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for other in body["elsewhere"]:
        yield "elsewhere", f"{other['datasource']}: receipt of request {other['request']}"
    for eraser in body["erasers"]:
        what = f"{eraser['name']}: {eraser['erased']} erased, {eraser['retained']} retained"
        yield "eraser", output.printable("; ".join([what, *eraser["messages"]]))


def _files_facts(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    purged = body["purged"]
    for table, moment in purged.items():
        if moment:
            yield "last vacuum", f"of {table}: {output.moment(moment)}"
    if unknown := [table for table, moment in purged.items() if not moment]:
        yield "last vacuum", f"not known of {', '.join(unknown)}"
    until = body["gone_from_backups"]
    yield "in backups", f"until {until}" if until else "nobody has said how long (backup_horizon_days)"
    # A receipt of an older version does not say it.
    if until := body.get("keys_gone"):
        yield "log's keys", f"in backups until {until}, if the epochs' keys are not kept in the same ones"


def _told_of(copy: Copy) -> str:
    if copy.confirmed_at is None:
        return f"{copy.name}: {_where(copy)}"
    return f"{copy.name}: {_where(copy)} by {copy.confirmed_by}, event {copy.event}"


def _where(copy: Copy) -> str:
    """Say in words how far a copy is."""
    if copy.confirmed_at:
        return f"confirmed {output.moment(copy.confirmed_at)}"
    late = f"overdue since {output.moment(copy.due_at)}"
    return late if copy.overdue else f"due {output.moment(copy.due_at)}"


def _asked(copy: Copy) -> str:
    """Say in words whether a copy was asked."""
    if copy.kind == "manual":
        return "by a person: aegis erasure confirm"
    words = output.moment(copy.asked_at) if copy.asked_at else "not yet"
    return f"{words}; {copy.reason}" if copy.reason else words


def _open(copies: Sequence[Copy]) -> str:
    waiting = sum(copy.confirmed_at is None for copy in copies)
    return f"{waiting} of {len(copies)} open" if copies else "-"
