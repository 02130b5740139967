"""Whether anything of the people is left, after their rows were changed: every table, and Aegis's own stores.

What the map reaches is followed once more by the executing side. Here the people's identifiers are looked for
everywhere, as texts: nothing is verified while one of them stands where it should not.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final, Protocol

from aegis.db.engines import CONTROL, reading
from aegis.db.journal import Journal
from aegis.erasure.decisions import decisions
from aegis.erasure.residual.finding import Sought
from aegis.erasure.residual.hits import Hit, Hits, Standing, Verdict
from aegis.erasure.residual.needles import needles_of
from aegis.erasure.residual.scanning import Mark, Scan
from aegis.erasure.residual.stores import own_scans, search_redis
from aegis.erasure.tracing import Trace
from aegis.errors import AegisError, Refused
from aegis.operations.brokers import client_of
from aegis.operations.slices import is_over
from aegis.operations.system import System

#: What no scan sees, in words; more is found in each database.
NEVER_SEARCHED: Final = (
    "backups and exports",
    "what deleted rows leave in the files of a database until it reuses the space",
    "compressed or encrypted values",
)


@dataclass(kw_only=True)
class Searched:
    """What a search found, and how far it came."""

    hits: Hits = field(default_factory=Hits)
    #: Where it goes on; none: at the beginning.
    mark: Mark | None = None
    #: Whether nothing is left to search.
    whole: bool = False
    #: In words.
    not_searched: tuple[str, ...] = ()

    @classmethod
    def of(cls, hits: Iterable[Hit]) -> "Searched":
        """Return what these hits mean."""
        made = cls()
        made.hits.add(hits)
        return made

    @property
    def blocking(self) -> list[Hit]:
        """What keeps the erasure from its end."""
        return [hit for hit in self.hits if hit.verdict is Verdict.BLOCKING]

    def take(self, found: "Searched", first: int, people: int) -> None:
        """Take over what a search for more people found of some of them, who are counted from 0 here."""
        mine = (hit for hit in found.hits if first <= hit.person < first + people)
        self.hits.add(replace(hit, person=hit.person - first) for hit in mine)
        self.mark, self.whole, self.not_searched = found.mark, found.whole, found.not_searched

    def plain(self) -> dict[str, Any]:
        """Return it as plain data; no value is in it."""
        return {
            "hits": [hit.plain() for hit in self.hits],
            "mark": self.mark and self.mark.plain(),
            "whole": self.whole,
            "not_searched": list(self.not_searched),
        }

    @classmethod
    def read(cls, plain: Mapping[str, Any] | None) -> "Searched":
        """Return it from plain data; a new one from none."""
        made = cls()
        if plain:
            made.hits.add(Hit.read(hit) for hit in plain["hits"])
            made.mark = Mark.read(plain["mark"]) if plain["mark"] else None
            made.whole, made.not_searched = plain["whole"], tuple(plain["not_searched"])
        return made


#: Columns of a table, and whose a row with such values in them is.
_Known = tuple[tuple[str, ...], dict[tuple[str, ...], Standing]]


class Identified(Protocol):
    """Somebody who is looked for."""

    @property
    def identifiers(self) -> Mapping[str, str]: ...  # noqa: D102


@dataclass(frozen=True, kw_only=True)
class Named:
    """Somebody of whom nothing but identifiers is known."""

    identifiers: Mapping[str, str] = field(repr=False)


class Judge(Protocol):
    """Tells whose a row is."""

    def judge(self, person: int, label: str, row: Mapping[str, str]) -> Standing: ...  # noqa: D102


class Ground:
    """Tells whose a row is, by what was found over the map's edges."""

    def __init__(self, trace: Trace) -> None:
        self._found: dict[str, _Known] = {}
        for label, reached in trace.coverage.tables.items():
            names = tuple(trace.rows.side(label).names)
            known: dict[tuple[str, ...], Standing] = {}
            for group, made in decisions(trace.coverage, reached, trace.rows):
                retained = any(decision.action == "retain" for decision in made)
                standing = Standing.RETAINED if retained else Standing.OWN
                if group.followed or retained:
                    values = trace.rows.side(label).named(group.values)
                    known[tuple(_as_read(values[name]) for name in names)] = standing
            self._found[label] = (names, known)

    def judge(self, person: int, label: str, row: Mapping[str, str]) -> Standing:
        """Return whose a row is."""
        del person
        names, known = self._found.get(label, ((), {}))
        return known.get(tuple(row.get(name, "") for name in names), Standing.OTHER)


class LateGround:
    """A ground that is looked at when the first row has to be judged: mostly nothing is found.

    Args:
        look: opens a snapshot in which the people's rows are found.

    """

    def __init__(self, look: Callable[[], AbstractContextManager[Trace]]) -> None:
        self._look = look

    @cached_property
    def _ground(self) -> Ground:
        with self._look() as trace:
            return Ground(trace)

    def judge(self, person: int, label: str, row: Mapping[str, str]) -> Standing:
        """Return whose a row is."""
        return self._ground.judge(person, label, row)


def _as_read(value: Any) -> str:
    """Return a value as the scan reads it: of NULL nothing is there."""
    return "" if value is None else str(value)


def search(
    system: System,
    datasource: str,
    people: Sequence[Identified],
    ground: Judge,
    *,
    so_far: Searched,
    deadline: float,
    on_stretch: Callable[[], None] = lambda: None,
) -> Searched:
    """Look for people's identifiers until all is searched, or the time is up.

    Args:
        system: this process's Aegis.
        datasource: the source's own name.
        people: as they were before.
        ground: tells whose a row is.
        so_far: what an earlier slice found.
        deadline: of `time.monotonic`; at least one stretch is read.
        on_stretch: is called after each stretch.

    Raises:
        AegisError: something cannot be read; that is no zero.

    """
    needles = [n for number, person in enumerate(people) for n in needles_of(number, person.identifiers)]
    if not needles:
        so_far.whole = True
        return so_far
    _refuse_another_database(system, datasource)
    limits, sought = system.settings.retention, Sought(needles)
    scan = Scan(
        system.databases.verifier(datasource),
        f"data source {datasource}",
        sought,
        judge=ground.judge,
        digest=_digest(system),
        lock_ms=limits.lock_timeout_milliseconds,
        statement_ms=limits.statement_timeout_milliseconds,
    )
    for part in scan.run(so_far.mark):
        so_far.hits.add(part.hits)
        so_far.mark = part.mark
        on_stretch()
        if is_over(deadline):
            return so_far
    so_far.hits.add(_own(system, datasource, sought, on_stretch))
    found, unread = _in_redis(system, sought, on_stretch)
    so_far.hits.add(found)
    so_far.not_searched = (*scan.ground().left_out, *unread, *NEVER_SEARCHED)
    so_far.whole = True
    return so_far


def _refuse_another_database(system: System, datasource: str) -> None:
    """Refuse to search another database than the one whose rows were changed: nothing would be found there.

    Raises:
        Refused: the login for what only looks leads to another one.

    """
    if system.settings.source(datasource).verify is None:
        return
    engine = system.databases.verifier(datasource)
    with reading(engine, f"data source {datasource}") as connection:
        identity = Journal(engine.dialect.name).source(connection).identity
    if identity != system.source_row(datasource).identity:
        message = (
            f"[datasources.{datasource}.verify] is another database than [datasources.{datasource}]: nothing "
            "would be found there; correct its url"
        )
        raise Refused(message)


def _own(system: System, datasource: str, sought: Sought, on_stretch: Callable[[], None]) -> Iterator[Hit]:
    """Search Aegis's own databases; where one is the data source it was searched already."""
    here = system.databases.source(datasource).url
    for label, scan in own_scans(system.databases, sought, _digest(system)).items():
        engine = system.databases.control if label == CONTROL else system.databases.keys
        if engine.url != here:
            for part in scan.run():
                yield from part.hits
                on_stretch()


def _in_redis(
    system: System, sought: Sought, on_stretch: Callable[[], None]
) -> tuple[tuple[Hit, ...], tuple[str, ...]]:
    try:
        client = client_of(system.settings, decoded=False)
        try:
            found = search_redis(client, sought, _digest(system), on_stretch)
        finally:
            client.close()
    except (AegisError, ValueError, OSError):
        return (), ("Redis, which does not answer here",)
    return found.hits, found.left_out


def _digest(system: System) -> Any:
    key = system.worker_key.subkey("erasure-subject")
    return lambda text: hmac.new(key, text.encode(), hashlib.sha256).hexdigest()[:16]
