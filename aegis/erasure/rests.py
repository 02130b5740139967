"""The retained rest of an erasure: rows that a law keeps for a time are deleted when that is over.

An erasure that leaves such rows ends with a further request, which waits until nothing of the people has to
be retained any longer. Until then what their rows are found by is kept sealed: keys, and whatever else refers
to people. Nothing else of them is.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

import sqlalchemy as sa

from aegis.audit import events
from aegis.datamap.model import Rule
from aegis.datamap.periods import parse_period
from aegis.db import dialects
from aegis.db.engines import CONTROL, reading, writing
from aegis.db.tables import Request, Run
from aegis.erasure import asking, plan
from aegis.erasure.decisions import Decision, decisions
from aegis.erasure.persons import Kept
from aegis.erasure.rows import Group
from aegis.erasure.tracing import Trace, looking
from aegis.operations import requests
from aegis.operations.runs import ERASURE, Order
from aegis.operations.states import State, Wait, Waits
from aegis.operations.system import System

#: The origin of a request that finishes what another one left.
REST: Final = "rest"
_DAY: Final = dt.timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Rest:
    """Rows of some people that stay for a time."""

    #: The entries of the data map that say so.
    rules: frozenset[str]
    #: When the last of them may go; None: nobody can tell.
    ends: dt.datetime | None


@dataclass(frozen=True, kw_only=True)
class Planned:
    """The request that will finish a rest."""

    request: str
    run: str
    ends: dt.datetime

    @property
    def told(self) -> dict[str, Any]:
        """What receipt and report say of it."""
        return {"request": self.request, "on": self.ends.date().isoformat()}


def rest_of(trace: Trace) -> Rest | None:
    """Return what is retained of people's rows, and until when; none where nothing is."""
    groups: dict[tuple[str, str], list[Group]] = defaultdict(list)
    rules: dict[str, Rule] = {}
    for label, group, rule in _retained(trace):
        rules[rule.name] = rule
        groups[label, rule.name].append(group)
    if not groups:
        return None
    ends = [_end(trace, label, rules[name], found) for (label, name), found in groups.items()]
    known = [end for end in ends if end is not None]
    return Rest(rules=frozenset(rules), ends=max(known) if len(known) == len(ends) else None)


def planned(trace: Trace) -> Planned | None:
    """Return the request that will finish a rest; none where there is none, or nobody can tell when."""
    rest = rest_of(trace)
    if rest is None or rest.ends is None:
        return None
    return Planned(request=events.uuid7(), run=events.uuid7(), ends=rest.ends)


def keep(
    system: System,
    connection: sa.Connection,
    later: Planned,
    *,
    run: Mapping[str, Any],
    request: Mapping[str, Any],
    kept: Kept,
) -> None:
    """Accept the request in the transaction that ends the erasure, with what finds the people's rows."""
    subject = request["arguments"]["subject"]
    requests.also(
        system,
        connection,
        request_id=later.request,
        operation=asking.OPERATION,
        arguments={"rest_of": request["request_id"]},
        actor_ref=run["actor_ref"],
        datasource=run["datasource"],
        due_at=later.ends,
        kept={"subject": subject, "rest_of": request["request_id"], "persons": len(kept.people)},
        result=later.run,
    )
    order = Order(
        policy_id=None,
        policy=ERASURE,
        datasource=run["datasource"],
        table=run["table_name"],
        action=run["action"],
        tenant=run["tenant"],
        origin=REST,
        actor="system",
        request_id=later.request,
    )
    people = [replace(person, identifiers={}) for person in kept.people]
    asking.begin(system, connection, later.run, order, run["actor_ref"], subject=subject, people=people)
    waiting = {"state": State.WAITING, "waits_for": Wait.REST, "reason": _until(later.ends)}
    mine = sa.update(Run).where(Run.id == later.run)
    connection.execute(mine.values(**waiting, not_before=later.ends))


def begin(
    system: System, run: Mapping[str, Any], request: Mapping[str, Any], kept: Kept
) -> Mapping[str, Any]:
    """Make the plan of a request that finishes a rest, when its time has come; others have theirs.

    Returns:
        The request's row.

    Raises:
        Waits: something has to be retained for longer.
        AegisError: as `looking`.

    """
    # One that was blocked before, and resumed, has a plan that does not know what has ended.
    if run["origin"] != REST or "ended" in request["arguments"]:
        return request
    subject, source = str(request["arguments"]["subject"]), run["datasource"]
    people = {"subject": subject, "datasource": source, "tenant": run["tenant"]}
    with looking(system, kept.keys, **people, known=kept.known(request["arguments"])) as trace:
        rest = rest_of(trace)
    with reading(system.databases.control, CONTROL) as connection:
        moment = dialects.now(connection)
    if rest is not None and (rest.ends is None or rest.ends > moment):
        until = rest.ends or moment + _DAY
        with writing(system.databases.control, CONTROL) as connection:
            mine = sa.update(Request).where(Request.request_id == request["request_id"])
            connection.execute(mine.values(due_at=until))
        raise Waits(Wait.REST, _until(until), seconds=(until - moment).total_seconds())
    arguments = {**request["arguments"], "ended": sorted(rest.rules) if rest else []}
    with looking(system, kept.keys, **people, known=kept.known(arguments)) as trace:
        made = plan.of(system, trace, source)
    arguments |= {"plan": made.digest, "rows": made.rows}
    with writing(system.databases.control, CONTROL) as connection:
        mine = sa.update(Request).where(Request.request_id == request["request_id"])
        values = {"plan_digest": made.digest, "planned_at": moment, "arguments": arguments}
        connection.execute(mine.values(**values))
    return asking.fetch(system, request["request_id"])


def waits(request: Mapping[str, Any]) -> bool:
    """Whether a request finishes a rest whose time has not come."""
    return "rest_of" in request["arguments"] and "ended" not in request["arguments"]


def _until(moment: dt.datetime) -> str:
    return f"until {moment.date().isoformat()}"


def _retained(trace: Trace) -> Iterator[tuple[str, Group, Rule]]:
    """Yield each group that is retained, with the entries that say so."""
    for label, reached in trace.coverage.tables.items():
        for group, made in decisions(trace.coverage, reached, trace.rows):
            for decision in made:
                if decision.action == "retain":
                    own = reached.entry if group.own else None
                    for rule in _rules(trace, decision, own):
                        yield label, group, rule


def _rules(trace: Trace, decision: Decision, own: Rule | None) -> Iterator[Rule]:
    entries = [trace.coverage.edges[way].entry for way in sorted(decision.ways)]
    for rule in [own, *entries]:
        if rule is not None and rule.action == "retain":
            yield rule


def _end(trace: Trace, label: str, rule: Rule, groups: Sequence[Group]) -> dt.datetime | None:
    """Return when the rows that an entry retains may go; None where nobody can tell."""
    ends = []
    if rule.until is not None:
        ends.append(_at_midnight(rule.until) + _DAY)
    if rule.keep_at_least is not None:
        newest = _newest(trace, label, rule.keep_at_least.column, groups)
        if newest is None:
            return None
        ends.append(newest + parse_period(rule.keep_at_least.period).most_days * _DAY)
    return max(ends, default=None)


def _newest(trace: Trace, label: str, column: str, groups: Sequence[Group]) -> dt.datetime | None:
    """Return the newest time in a column of some rows; None where one has none, or none that can be read."""
    table, side = trace.catalog.tables[label].table, trace.rows.side(label)
    clock, found = table.c[column], list[dt.datetime]()
    for some in side.portions(groups):
        query = sa.select(sa.func.max(clock), sa.func.count() - sa.func.count(clock)).select_from(table)
        value, without = trace.connection.execute(query.where(side.among([g.values for g in some]))).one()
        moment = _moment(value)
        if without or moment is None:
            return None
        found.append(moment)
    return max(found, default=None)


def _moment(value: Any) -> dt.datetime | None:
    """Return a time as an instant: one without a zone is UTC, and a day ends at its midnight."""
    if isinstance(value, str):
        value = _read(value)
    if isinstance(value, dt.datetime):
        return value if value.tzinfo else value.replace(tzinfo=dt.UTC)
    return _at_midnight(value) + _DAY if isinstance(value, dt.date) else None


def _read(text: str) -> dt.date | None:
    """Return the day, or the time, that a text says; None where it says none."""
    for reader in (dt.date.fromisoformat, dt.datetime.fromisoformat):
        with suppress(ValueError):
            return reader(text)
    return None


def _at_midnight(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), dt.UTC)
