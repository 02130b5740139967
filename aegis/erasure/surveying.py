"""A survey: what an erasure would find and do, in each data source in which the people are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from aegis.erasure import elsewhere, ownrows, plan
from aegis.erasure.elsewhere import Away
from aegis.erasure.ownrows import joined
from aegis.erasure.people import Key
from aegis.erasure.persons import KeptPerson
from aegis.erasure.plan import Plan
from aegis.erasure.rows import HomeRow, Known
from aegis.erasure.tracing import Find, Trace, looking, traced
from aegis.operations.system import System


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What is there of some people in one data source."""

    datasource: str
    #: As its data map calls them.
    subject: str
    plan: Plan
    people: Sequence[KeptPerson]
    #: People of other kinds who go along.
    members: Sequence[KeptPerson]
    #: Their own table, here or at home.
    root: str
    #: What happens to their own rows.
    action: str
    #: The same people elsewhere.
    elsewhere: Sequence["Survey"] = field(default=())

    @property
    def joint(self) -> Plan:
        """The plan for all data sources together: what an approval binds to."""
        return plan.joint(self.plan, [other.plan for other in self.elsewhere])


def survey(
    system: System, keys: Sequence[Key] | Find, *, subject: str, datasource: str, tenant: str | None
) -> Survey:
    """Look at everything that an erasure of some people would do, and change nothing.

    Args:
        system: this process's Aegis.
        keys: for each of them one value for each column of the subject's key; or what finds them.
        subject: the kind of person, as the data map of their home names it.
        datasource: their home.
        tenant: refuse people of any other one, and rows, in each of the sources.

    Raises:
        AegisError: as `traced`, in any of the sources.

    """
    with traced(system, keys, subject=subject, datasource=datasource, tenant=tenant) as trace:
        home = _of(system, trace, datasource, ownrows.found(system, trace))
        kinds = [
            (people, aways, elsewhere.rows_at_home(trace, who, people, aways))
            for who, people in ownrows.kinds(trace, home.people, home.members)
            if (aways := elsewhere.others(system, trace, who, datasource))
        ]
    for people, aways, rows in kinds:
        home = _with_others(system, home, people, aways, rows, tenant=tenant)
    return home


def _with_others(
    system: System,
    home: Survey,
    people: Sequence[KeptPerson],
    aways: Sequence[Away],
    rows: Sequence[HomeRow],
    *,
    tenant: str | None,
) -> Survey:
    """Look at people of one kind in other data sources, and let each know what the others call them."""
    there, keys_there = [], []
    for away in aways:
        own = [row[away.column] for row in rows]
        if any(key is not None for key in own):
            there.append(_there(system, away, people, own, rows, tenant=tenant))
            keys_there.append(own)
    named = [dict(person.identifiers) for person in people]
    for other, own in zip(there, keys_there, strict=True):
        by_key = {str(person.key[0]): person for person in other.people}
        for place, key in enumerate(own):
            if same := by_key.get(str(key)):
                named[place] = joined(named[place], other.datasource, same.identifiers)
    told = [_told(other, own, home.datasource, named) for other, own in zip(there, keys_there, strict=True)]
    known = {
        (one.subject, one.key): replace(one, identifiers=names)
        for one, names in zip(people, named, strict=True)
    }
    return replace(
        home,
        people=[known.get((one.subject, one.key), one) for one in home.people],
        members=[known.get((one.subject, one.key), one) for one in home.members],
        elsewhere=[*home.elsewhere, *told],
    )


def _of(system: System, trace: Trace, datasource: str, people: Sequence[KeptPerson]) -> Survey:
    own = trace.who.own
    entry = trace.coverage.tables[own.label].entry if own else None
    return Survey(
        datasource=datasource,
        subject=trace.who.subject.name,
        plan=plan.of(system, trace, datasource),
        people=people,
        members=list(ownrows.members(system, trace)),
        root=own.label if own else str(trace.who.subject.home),
        action="delete" if entry is not None and entry.action == "delete" else "anonymize",
    )


def _there(
    system: System,
    away: Away,
    people: Sequence[KeptPerson],
    keys: Sequence[Any],
    rows: Sequence[HomeRow],
    *,
    tenant: str | None,
) -> Survey:
    """Look at people in another data source than their home; None is the key of nobody."""
    same = [item for item in zip(people, keys, rows, strict=True) if item[1] is not None]
    known = Known(at_home=[row for *_, row in same])
    with looking(
        system,
        [(key,) for _, key, _ in same],
        subject=away.subject.name,
        datasource=away.datasource,
        tenant=tenant,
        known=known,
    ) as trace:
        return _of(system, trace, away.datasource, ownrows.found_away(system, trace, same))


def _told(survey: Survey, keys: Sequence[Any], home: str, named: Sequence[Mapping[str, str]]) -> Survey:
    """Return what was found in another data source, with what the same people are called in all others."""
    names = {str(person.key[0]): dict(person.identifiers) for person in survey.people}
    for key, more in zip(keys, named, strict=True):
        if key is not None:
            names[str(key)] = joined(names[str(key)], home, more)
    return replace(survey, people=[replace(one, identifiers=names[str(one.key[0])]) for one in survey.people])
