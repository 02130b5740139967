"""What evidence is asked for: a span of time, of all policies or one; or certain requests."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from aegis.db.columns import table_of
from aegis.db.engines import CONTROL, reading
from aegis.db.tables import ErasedPerson, Request, Run
from aegis.erasure.plan import reference
from aegis.errors import UnknownName, UsageError
from aegis.operations.system import System


@dataclass(frozen=True, kw_only=True)
class Scope:
    """A span of time, or requests."""

    #: From its first instant to before its last one.
    start: dt.datetime | None = None
    end: dt.datetime | None = None
    #: Only this policy; none: all, and erasures.
    policy: str | None = None
    #: Instead of a span.
    requests: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            UsageError: neither a span nor requests, or a span that ends before it begins.

        """
        if self.requests:
            return
        if self.start is None or self.end is None:
            message = "say from when to when, or which request or person it is about"
            raise UsageError(message)
        if self.start >= self.end:
            last = self.end - dt.timedelta(days=1)
            message = f"the span ends ({last:%Y-%m-%d}) before it begins ({self.start:%Y-%m-%d})"
            raise UsageError(message)

    @property
    def sentence(self) -> str:
        """What it is, for people."""
        if self.requests:
            return f"request {self.requests[0]}" if len(self.requests) == 1 else "requests about one person"
        what = f"policy {self.policy}" if self.policy else "all policies and erasures"
        return f"{what}, from {self.start:%Y-%m-%d %H:%M} to before {self.end:%Y-%m-%d %H:%M} UTC"

    @property
    def runs(self) -> sa.ColumnElement[bool]:
        """The condition of the runs that are in it: at work in the span, or of the requests."""
        if self.requests:
            return Run.request_id.in_(self.requests)
        ended = sa.or_(Run.finished_at.is_(None), Run.finished_at >= self.start)
        within = sa.and_(Run.created_at < self.end, ended)
        return sa.and_(within, Run.policy == self.policy) if self.policy else within


def of_request(system: System, request: str) -> Scope:
    """Return the scope of one request.

    Raises:
        UnknownName: nobody asked for anything under this id.

    """
    with reading(system.databases.control, CONTROL) as connection:
        known = connection.scalar(sa.select(Request.request_id).where(Request.request_id == request))
    if known is None:
        message = f"there is no request {request}; `aegis erasure status` lists those there are"
        raise UnknownName(message)
    return Scope(requests=(request,))


def of_person(system: System, subject: str, key: Sequence[object]) -> Scope:
    """Return the scope of one person: every erasure that was about them, also long after it.

    Raises:
        UnknownName: none was.

    """
    mine = table_of(ErasedPerson).c.reference == reference(system, subject, tuple(key))
    query = sa.select(Run.request_id).join(ErasedPerson, ErasedPerson.run == Run.id).where(mine).distinct()
    with reading(system.databases.control, CONTROL) as connection:
        found = [str(name) for name in connection.execute(query.order_by(Run.request_id)).scalars()]
    if not found:
        message = f"no erasure was ever asked for that {subject}, as far as this Aegis knows"
        raise UnknownName(message)
    return Scope(requests=tuple(found))
