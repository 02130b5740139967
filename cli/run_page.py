"""What a run did as one page, for whoever must answer for it: no engineer, and perhaps on paper."""

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Final
from xml.etree.ElementTree import Element
from zoneinfo import ZoneInfo

from aegis.operations.states import FINAL, STUCK, State
from aegis.retention.cutoffs import told
from aegis.retention.dossier import Dossier
from cli import masks, output, permits, plots, run_proof
from cli.markup import (
    Content,
    code,
    facts,
    page,
    rows_tile,
    section,
    table,
    tag,
    tiles,
    verdict,
)

_DONE: Final[Mapping[str, str]] = {"delete": "deleted", "anonymize": "anonymized"}
#: What a batch waited for.
_WAITS: Final[Mapping[str, str]] = {
    "lock_waits": "sessions waited for rows of ours",
    "active_sessions": "the database was busy",
    "replica_lag_seconds": "a replica was behind",
    "wal_megabytes_per_second": "much was written to the log of the database",
    "slot_megabytes": "a replication slot held much of the log",
    "snapshot_seconds": "an old transaction was open",
    "vacuums": "a vacuum was at work",
}
_ORIGINS: Final[Mapping[str, str]] = {
    "schedule": "its schedule",
    "call": "a person or a service, by a call or a command",
    "task": "a service, by a message",
    "cli": "a person, by a command",
}
_DAY: Final = 86_400
#: Stretches that are so long can be of several days, in seconds.
_LONG: Final = 1_800
_MOST_TENANTS: Final = 20


def page_of(found: Dossier) -> str:
    """Return the page of a run."""
    run = found.standing.run
    title = f"What a run of policy {run['policy']} did"
    return page(
        f"{title} · {run['datasource']}",
        tag("p", "Aegis · report of a run", class_="kicker"),
        tag("h1", title),
        _verdict(found),
        _totals(found),
        _facts(found),
        _course(found),
        _pace(found),
        *_left(found),
        _holds(found),
        _approval(found),
        *run_proof.proof(found),
        tag("footer", f"As it stood {output.moment(found.read_at)}."),
    )


def _verdict(found: Dossier) -> Element:
    run = found.standing.run
    state, reason = str(run["state"]), f" {run['reason']}." if run["reason"] else ""
    if found.balances is False:
        return verdict("stop", ("The account does not agree: ", "journal, log and report differ, see below."))
    if state in STUCK or state == State.FAILED:
        return verdict("stop", (f"It is {state}: ", (run["reason"] or "no reason is kept") + "."))
    if state == State.DONE and found.balances:
        said = f"what is gone is the same in the journal, the log and the report.{reason}"
        return verdict("go", ("It is done, and its account agrees: ", said))
    if state in FINAL and found.balances:
        return verdict("wait", (f"It is {state}: ", f"what went before that is accounted for.{reason}"))
    if state in FINAL:
        said = f"not everything that its account needs is there, see below.{reason}"
        return verdict("wait", (f"It is {state}: ", said))
    return verdict("wait", (f"It is {state}: ", f"it has not ended, and these numbers move.{reason}"))


def _actions(found: Dossier) -> dict[str, int]:
    """Return the rows by action, in the order in which a run does them."""
    known = (found.standing.run["report"] or {}).get("actions") or dict(found.course.rows)
    return known or {found.standing.run["action"]: 0}


def _along(found: Dossier) -> Mapping[str, int]:
    return (found.standing.run["report"] or {}).get("along") or found.course.along


def _totals(found: Dossier) -> Element:
    now, report = found.standing, found.standing.run["report"] or {}
    counts = {_DONE.get(name, name): rows_tile(rows) for name, rows in _actions(found).items()}
    counts["of other tables went along"] = rows_tile(sum(_along(found).values()))
    if report.get("held") is not None:
        counts["left under a legal hold"] = rows_tile(report["held"])
    counts["each a transaction"] = (output.number(now.batches), "batch," if now.batches == 1 else "batches,")
    if now.rows_per_second is not None:
        counts["a second, pauses included"] = (f"{now.rows_per_second:,.0f}", "rows")
    return tiles(counts)


def _facts(found: Dossier) -> Element:
    run, policy = found.standing.run, found.policy
    expected = None if run["rows_expected"] is None else output.counted(run["rows_expected"], "row")
    own = told(run, policy)
    pairs: dict[str, Content] = {
        "Run": code(run["id"]),
        "Policy": f"{policy.name}, version {policy.version}",
        "Purpose": policy.purpose,
        "Legal basis": policy.legal_basis,
        "Table": tag("span", code(run["table_name"]), f" in data source {run['datasource']}"),
        "Action": masks.action(policy),
        "Tenant": run["tenant"] or "all; a batch is one transaction over all of them, and not told apart",
        "Older than": _cutoff(found),
        "But of some tenants": _own(own),
        "Only where": code(policy.filter_sql) if policy.filter_sql else None,
        "Counted before": expected,
        "Not counted in time": (run["report"] or {}).get("uncounted") or None,
        "Started by": _ORIGINS.get(run["origin"], run["origin"]),
        "Scheduled for": None if run["scheduled_for"] is None else output.moment(run["scheduled_for"]),
        "Began": output.moment(run["started_at"]),
        "Ended": output.moment(run["finished_at"]),
    }
    return facts(pairs.items())


def _cutoff(found: Dossier) -> str:
    cutoff, zone = found.standing.run["cutoff"], found.policy.zone
    if cutoff is None:
        return "not fixed yet"
    text = output.moment(cutoff)
    return (
        text
        if zone == "UTC"
        else f"{text}, which is {cutoff.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M:%S} in {zone}"
    )


def _own(cutoffs: Mapping[str, str]) -> str | None:
    each = [f"{tenant} before {output.moment(cutoff)}" for tenant, cutoff in sorted(cutoffs.items())]
    more = [f"{len(each) - _MOST_TENANTS:,} more"] if len(each) > _MOST_TENANTS else []
    return ", ".join(each[:_MOST_TENANTS] + more) or None


# -- over time ----------------------------------------------------------------------------


def _course(found: Dossier) -> Element:
    course = found.course
    if not course.stretches:
        return section("Over time", "", None)
    actions = {name: _DONE.get(name, name) for name in course.rows}
    length = _length(course.seconds)
    names = [_at(stretch.start, course.seconds) for stretch in course.stretches]
    drawn = [
        plots.Column(name=name, values={action: stretch.rows[action] for action in actions})
        for name, stretch in zip(names, course.stretches, strict=True)
    ]
    first = course.stretches[0].start.astimezone(dt.UTC)
    what = f"Rows in each {length} from {names[0]} to {names[-1]}. The table below has the numbers."
    headings = ["Batches", *[word.capitalize() for word in actions.values()], "A second"]
    cells: list[list[Content]] = [
        [
            name,
            output.number(stretch.batches),
            *[output.number(stretch.rows[action]) for action in actions],
            f"{stretch.rows.total() / course.seconds:,.0f}",
        ]
        for name, stretch in zip(names, course.stretches, strict=True)
        if stretch.batches
    ]
    made = table(["From", *headings], cells, right=headings, narrow=len(actions) == 1)
    return section(
        "Over time",
        f"The rows of each {length}, by the time of their batches in the log, from {first:%Y-%m-%d} on, UTC.",
        plots.columns(what, actions, drawn),
        tag("details", tag("summary", "The numbers of this plot"), made, open="open"),
    )


def _at(moment: dt.datetime, seconds: float) -> str:
    """Return when a stretch begins, no finer than it is long."""
    at = moment.astimezone(dt.UTC)
    if seconds >= _DAY:
        return f"{at:%Y-%m-%d}"
    if seconds >= _LONG:
        return f"{at:%m-%d %H:%M}"
    return f"{at:%H:%M:%S}" if seconds >= 1 else f"{at:%H:%M:%S.%f}"[:-5]


def _length(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds:g} of a second"
    for unit, length in (("day", _DAY), ("hour", 3_600), ("minute", 60)):
        if seconds >= length:
            return unit if seconds == length else f"{seconds / length:,.0f} {unit}s"
    return "second" if seconds == 1 else f"{seconds:.0f} seconds"


def _pace(found: Dossier) -> Element:
    run, report = found.standing.run, found.standing.run["report"] or {}
    tally = run["tally"] or {}
    worked = report.get("seconds", -(-tally.get("worked_ms", 0) // 1000))
    throttled: Mapping[str, int] = report.get("throttled") or {
        reason: -(-ms // 1000) for reason, ms in tally.get("throttled_ms", {}).items()
    }
    cells: list[list[Content]] = [["work in the database", output.counted(worked, "second")]]
    cells += [
        [_held_back(reason), output.counted(seconds, "second")] for reason, seconds in throttled.items()
    ]
    if run["started_at"] and run["finished_at"]:
        took = (run["finished_at"] - run["started_at"]).total_seconds()
        cells.append(["from its begin to its end", f"{took:,.1f} seconds"])
    unmeasured = report.get("unmeasured")
    return section(
        "Work and waiting",
        "A run rests between batches, and holds back while the database is over a threshold of the settings.",
        table(["What", "How long"], cells, right=["How long"]),
        tag("p", "The database did not let Aegis measure: ", code(unmeasured), class_="note")
        if unmeasured
        else None,
    )


def _held_back(reason: str) -> Element:
    return tag("span", f"held back: {_WAITS.get(reason, reason)} (", code(reason), ")")


# -- what is left, and who permitted it ---------------------------------------------------


def _left(found: Dossier) -> Iterator[Element]:
    report = found.standing.run["report"] or {}
    reasons = {reason: report.get(reason) for reason in ("held", "kept", "null_clock")}
    total: Mapping[str, int] = found.left.get("", {})
    reasons = {"due": total.get("due", report.get("left"))} | reasons
    intro = "Rows that are past the cutoff and still there when it ended, and why."
    made = permits.stays(reasons)
    ended = "left" not in str(report.get("uncounted") or "") and found.standing.run["state"] == State.DONE
    if made is None and not ended:
        made = tag("p", "It was not counted: the run has not ended, or counting took too long.")
    tenants = sorted(
        ((name, left) for name, left in found.left.items() if name),
        key=lambda item: (-sum(item[1].values()), item[0]),
    )
    cells: list[list[Content]] = [
        [name, output.number(rows), permits.ENDS.get(reason, (reason,))[0]]
        for name, left in tenants[:_MOST_TENANTS]
        for reason, rows in left.items()
    ]
    yield section("What stayed", intro, made)
    if cells:
        rest = len(tenants) - _MOST_TENANTS
        yield tag(
            "section",
            tag("h3", "By tenant"),
            table(["Tenant", "Rows", "Why"], cells, right=["Rows"]),
            tag("p", f"and {output.counted(rest, 'tenant')} more", class_="note") if rest > 0 else None,
        )


def _holds(found: Dossier) -> Element:
    intro = "Those that could cover its rows between its begin and its end; what they are about is not told."
    return section("Legal holds and stops", intro, permits.holds(found.holds))


def _approval(found: Dossier) -> Element:
    given, lifted = permits.approvals(found.approvals), permits.approvals(found.lifted)
    return tag(
        "section",
        tag("h2", "Approval"),
        tag(
            "p",
            "The run did what this digest stands for, and nothing else: it is compared before every slice.",
        ),
        tag("code", found.policy.digest, class_="digest"),
        given if given is not None else tag("p", "Nobody approved this version.", class_="plainly"),
        tag("h3", "Of this one run, after a guard had stopped it") if lifted is not None else None,
        lifted,
    )
