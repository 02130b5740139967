"""What a policy would do as one page, for whoever approves it: no engineer, and perhaps on paper."""

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any, Final
from xml.etree.ElementTree import Element
from zoneinfo import ZoneInfo

from aegis.masking.words import WORDS
from aegis.operations.scopes import STOP
from aegis.operations.states import PolicyState
from aegis.retention import policies
from aegis.retention.briefing import Briefing
from aegis.retention.guards import USUAL_TIMES, Verdict
from aegis.retention.preview import Preview
from cli import masks, output, permits, preview_rows
from cli.markup import (
    Content,
    code,
    command,
    facts,
    page,
    rows_tile,
    section,
    table,
    tag,
    tiles,
    verdict,
)
from cli.preview import estimate_facts, own_cutoffs, schedule, seen_as, share, triggers

_ALL_ACTIONS: Final[Mapping[str, str]] = {"delete": "would be deleted", "anonymize": "would be anonymized"}


def page_of(found: Briefing) -> str:
    """Return the page of a policy's preview."""
    seen = found.preview
    title = f"What policy {seen.policy.name} would do"
    return page(
        f"{title} · {seen.policy.datasource}",
        tag("p", "Aegis · preview of a policy · nothing was changed", class_="kicker"),
        tag("h1", title),
        _verdict(found),
        _totals(seen),
        _facts(found),
        *preview_rows.months(found),
        *preview_rows.tenants(found),
        _staying(found),
        _guards(found),
        *_along(seen),
        _masks(seen),
        _approval(found),
        tag("footer", f"Made from one snapshot of {seen.policy.datasource}, {_when(seen)}."),
    )


def _when(seen: Preview) -> str:
    return output.moment(seen.cutoffs.moment)


def _verdict(found: Briefing) -> Element:
    policy = found.preview.policy
    if policy.state not in {PolicyState.APPROVED, PolicyState.PENDING}:
        return verdict("stop", ("It does not run: ", f"the policy is {policy.state}."))
    stops = [_broken(each) for each in found.broken]
    if found.changed:
        stops.insert(0, ("It cannot be approved as it stands: ", f"{found.changed}."))
    stops += [("Nothing runs now: ", text) for text in _held_back(found)]
    if stops:
        return verdict("stop", *stops)
    if found.lacking:
        said = f"version {policy.version} waits for approval. How to give it stands at the end of this page."
        return verdict("wait", ("It changes nothing yet: ", said))
    unknown = [each for each in found.guards if not _known(each)]
    if unknown:
        said = (
            "whether its guards hold could not be counted in time, and a run that cannot count either stops."
        )
        return verdict("wait", ("It is approved, but ", said))
    guarded = "no guard would stop it now" if found.guards else "it has no guard"
    return verdict("go", ("It may run: ", f"it is approved, and {guarded}."))


def _broken(each: Verdict) -> tuple[str, str]:
    rows, most = output.counted(each.expected or 0, "row"), output.number(each.most)
    return (
        "A guard would stop it before its first row: ",
        f"{each.guard} {each.limit} lets at most {most} go, and a run would count {rows}.",
    )


def _held_back(found: Briefing) -> Iterator[str]:
    if any(hold["kind"] == STOP for hold in found.holds):
        yield "everything in the data source is stopped (aegis stop)."
    if any(hold["kind"] != STOP and permits.whole(hold) for hold in found.holds):
        yield "a legal hold covers the whole table. A run waits until it is released."


def _totals(seen: Preview) -> Element:
    counts = {_ALL_ACTIONS.get(name, name): rows_tile(rows) for name, rows in seen.actions.items()}
    counts["would stay"] = rows_tile(sum(seen.stays.values()))
    counts["under a legal hold"] = rows_tile(seen.held)
    counts["in the table"] = rows_tile(seen.total)
    counts["of the table would be changed"] = (f"{share(seen)} %", "")
    about = "≈ " if seen.sample else ""
    return tiles({what: (about + figure, noun) for what, (figure, noun) in counts.items()})


def _facts(found: Briefing) -> Element:
    seen = found.preview
    policy = seen.policy
    days = policy.period or output.counted(policy.retention_days, "day")
    budget = ", ".join(f"{number:,} {name}" for name, number in (policy.budget or {}).items())
    pairs: dict[str, Content] = {
        "Table": tag("span", code(seen.target.layout.label), f" in data source {policy.datasource}"),
        "Action": masks.action(policy),
        "Purpose": policy.purpose,
        "Legal basis": policy.legal_basis,
        "Categories": ", ".join(policy.categories or ()) or None,
        "Rows are kept for": days,
        "Goes when older than": _cutoff(seen),
        "But of some tenants": own_cutoffs(seen),
        "Age is told by": seen.target.clock.meaning(),
        "Only where": code(policy.filter_sql) if policy.filter_sql else None,
        "Only tenant": found.tenant,
        "Seen": seen_as(seen, found.tenant),
        "Tables that may go along": ", ".join(policy.cascades or ()) or "none",
        "Written to files first": _archive(policy.archive),
        "Only after": ", ".join(policy.after or ()) or None,
        "Runs": schedule(seen),
        "Windows": f"{', '.join(policy.windows)}, {policy.cron_zone}"
        if policy.windows
        else "none: at any time",
        "At most in one run": budget or None,
        "To be looked at again by": str(policy.review_by) if policy.review_by else None,
        "Counted": f"{_when(seen)} by the data source's clock, {_how(seen)}",
        "Version": f"{policy.version}, registered {output.moment(policy.created_at)}",
    }
    words = {"would take": "A run would take", "would free": "It would free", "would log": "It would log"}
    pairs |= {words.get(name, name): text for name, text in estimate_facts(seen.estimate)}
    return facts(pairs.items())


def _cutoff(seen: Preview) -> str:
    zone, text = seen.target.clock.calendar, output.moment(seen.cutoff)
    if zone == "UTC":
        return text
    return f"{text}, which is {seen.cutoff.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M:%S} in {zone}"


def _how(seen: Preview) -> str:
    if seen.sample is None:
        return "every row, all in one snapshot"
    read = 100 * seen.sample.share
    return f"from {read:.1f} % of the table's blocks: what would go is right to ± {seen.sample.margin:,} rows"


def _archive(archive: Mapping[str, Any] | None) -> str:
    if not archive:
        return "no: what goes is in backups only"
    days, hours = archive.get("keep_days"), archive.get("backup_hours")
    parts = [f"kept for {output.counted(days, 'day')}"] if days else []
    parts += [f"a backup must be younger than {output.counted(hours, 'hour')}"] if hours else []
    return ", ".join(parts)


# -- why rows stay, and what hangs on those that go --------------------------------------


def _staying(found: Briefing) -> Element:
    seen, stays = found.preview, permits.stays(found.preview.stays)
    minimums = [
        tag(
            "li",
            f"at least {item['period']} from ",
            code(item["column"]),
            f" ({item['basis'] or 'no basis given'})",
        )
        for item in json.loads(seen.policy.definition).get("minimum", ())
    ]
    own = [tag("li", "rows with ", code(text)) for text in json.loads(seen.policy.definition).get("hold", ())]
    held = permits.holds(found.holds)
    return section(
        "What would stay, and why",
        "Every row of the table goes or has one of these reasons.",
        tag("p", "Every row would go.") if stays is None else stays,
        tag("h3", "Legal holds and stops"),
        tag("p", "What they are about and who answers for them stands in aegis hold list.")
        if held is not None
        else tag("p", "None is in force for this table."),
        held,
        *([tag("h3", "Minimum periods of the data map"), tag("ul", *minimums)] if minimums else []),
        *([tag("h3", "Holds that are columns of the table"), tag("ul", *own)] if own else []),
    )


def _known(each: Verdict) -> bool:
    return each.expected is not None and (each.most is not None or each.guard == USUAL_TIMES)


def _guards(found: Briefing) -> Element:
    cells: list[list[Content]] = [
        [
            permits.guard(each.guard),
            each.limit,
            output.number(each.expected),
            output.number(each.most),
            _word(each),
        ]
        for each in found.guards
    ]
    made = table(["Guard", "Limit", "Would go", "May go", "Verdict"], cells, right=["Would go", "May go"])
    return section(
        "Guards",
        "Before its first row a run counts what is past its time, rows under a hold included, and stops "
        "when that is more than a guard lets go.",
        made if cells else None,
    )


def _word(each: Verdict) -> Element:
    if each.broken:
        return tag("span", "would stop it", class_="badge bad")
    if each.expected is None:
        return tag("span", "not counted: it takes too long", class_="badge unsure")
    if each.most is None:
        why = "no usual run yet" if each.guard == USUAL_TIMES else "not counted: it takes too long"
        return tag("span", why, class_="badge unsure")
    return tag("span", "holds", class_="badge good")


def _along(seen: Preview) -> Iterator[Element]:
    words = {"cascade": "deleted too", "nullify": "lose their reference"}
    cells: list[list[Content]] = []
    for name, rows in sorted(seen.along.items()):
        action, _, label = name.partition(":")
        cells.append([code(label), output.number(rows), words.get(action, action)])
    made = table(["Table", "Rows", "What becomes of them"], cells, right=["Rows"]) if cells else None
    if seen.sample:
        made = tag("p", "Not counted: a sample of some rows tells nothing of other tables.", class_="note")
    yield section("Rows of other tables", "These refer to rows that would go.", made)
    refers = [
        tag("li", code(item.label), f", ON DELETE {item.on_delete}") for item in seen.target.layout.references
    ]
    fired, hidden = triggers(seen), seen.target.layout.row_security
    more: dict[str, Content] = {
        "Referred to by": tag("ul", *refers, class_="plain") if refers else "no foreign key",
        "Triggers that a run fires": ", ".join(fired) or "none",
        "Row security": ", ".join(hidden) or "none",
        "Way through the table": seen.walker,
        "Partitions": seen.partitions,
        "No index on": ", ".join(seen.unindexed) or None,
    }
    yield section("In the database", "What a database's owner may want to know before.", facts(more.items()))


def _masks(seen: Preview) -> Element | None:
    found = seen.target.masks
    if found is None:
        return None
    cells: list[list[Content]] = [
        [code(column), tag("span", WORDS.get(strategy.name, strategy.name), " (", code(strategy.name), ")")]
        for column, strategy in sorted(found.strategies.items())
    ]
    intro = "What stands in these columns afterwards."
    if found.marker:
        intro += f" Column {found.marker} says that it was done."
    return section("Masks", intro, table(["Column", "Afterwards"], cells))


# -- approving it -------------------------------------------------------------------------


def _approval(found: Briefing) -> Element:
    policy = found.preview.policy
    given = permits.approvals(found.approvals)
    return tag(
        "section",
        tag("h2", "Approval"),
        tag(
            "p",
            "The digest stands for everything that the policy says, and for this database. An approval binds "
            "to it: with another digest the policy stops and waits for a new one. Rows that are written "
            "meanwhile do not change it.",
        ),
        tag("code", policy.digest, class_="digest"),
        given if given is not None else tag("p", "Nobody has approved it yet.", class_="plainly"),
        *_next(found),
    )


def _next(found: Briefing) -> Iterator[Element]:
    policy = found.preview.policy
    words = ["aegis", "policy", "approve", policy.name, "--actor", "YOU", "--digest", policy.digest]
    approve = command(shlex.join(words))
    if found.changed or policy.state not in {PolicyState.APPROVED, PolicyState.PENDING}:
        yield tag("p", "As it stands nobody can approve it: register it again first.")
    elif found.lacking:
        yield tag("p", "To approve exactly this; YOU is your name in the audit log:")
        yield approve
        yield tag("p", "Where approvers have keys, sign it with yours, for example with OpenSSH:")
        yield command(policies.subject_of(policy).signing)
    else:
        yield tag("p", "It is approved. It runs by its schedule; or at once:")
        yield command(shlex.join(["aegis", "retention", "run", "--policy", policy.name, "--execute"]))
