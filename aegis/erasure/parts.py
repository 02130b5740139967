"""A request that is about several data sources has a part for each: a request of its own, with its own run.

A person approves, resumes and cancels the whole; the home's part ends last, when all others are done.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from aegis.db import dialects
from aegis.db.tables import Request, Run
from aegis.erasure import asking
from aegis.erasure.plan import joint_digest
from aegis.errors import Refused
from aegis.operations import runs
from aegis.operations.states import FINAL, State, Wait, Waits
from aegis.operations.system import System


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part: the rows of its request and of its run."""

    request: Mapping[str, Any]
    run: Mapping[str, Any]

    @property
    def place(self) -> str:
        """What tells it from the other parts."""
        return f"{self.run['datasource']}/{self.request['arguments']['subject']}"


def part(system: System, request_id: str) -> Part:
    """Return a request with its run.

    Raises:
        UnknownName: there is no such request.

    """
    request = asking.fetch(system, request_id)
    return Part(request=request, run=runs.fetch(system, request["result"]))


def others(system: System, request: Mapping[str, Any]) -> list[Part]:
    """Return the parts of a request in other data sources than the people's home."""
    return [part(system, one) for one in (request["arguments"].get("parts") or {}).values()]


def whole(system: System, request_id: str) -> list[Part]:
    """Return all parts of a request, the home's first.

    Raises:
        UnknownName: there is no such request.
        Refused: it is a part of another one.

    """
    first = part(system, request_id)
    if home := home_of(first.request):
        message = f"request {request_id} is a part of request {home}; say it of that one"
        raise Refused(message)
    return [first, *others(system, first.request)]


def home_of(request: Mapping[str, Any]) -> str | None:
    """Return the request that one is a part of, if any."""
    found = request["arguments"].get("part_of")
    return None if found is None else str(found)


def own_digest(request: Mapping[str, Any]) -> str:
    """Return the digest of the plan for the request's own data source."""
    return str(request["arguments"].get("plan") or request["plan_digest"])


def digest_of(parts: Sequence[Part], new: Mapping[str, str]) -> str:
    """Return the digest of the whole, whose home comes first; `new` has those that changed, by request."""
    digests = [new.get(one.request["request_id"]) or own_digest(one.request) for one in parts]
    elsewhere = zip(parts[1:], digests[1:], strict=True)
    return joint_digest(digests[0], {one.place: digest for one, digest in elsewhere})


def wait_for_others(system: System, request: Mapping[str, Any]) -> None:
    """Let the home's part end only when all others are done.

    Raises:
        Waits: one is not.

    """
    open_ones = [one for one in others(system, request) if one.run["state"] != State.DONE]
    if open_ones:
        raise Waits(Wait.PARTS, "; ".join(map(told, open_ones)))


def told(one: Part) -> str:
    """Say where a part stands."""
    why = f" ({one.run['reason']})" if one.run["reason"] else ""
    return f"{one.run['datasource']} is {one.run['state']}{why}"


def wake_home(connection: sa.Connection, request: Mapping[str, Any]) -> None:
    """Make the home's part due at once, in the transaction that ends one of the others."""
    home = home_of(request)
    if home is None:
        return
    # A home that is about to wait has locked its row: it waits before our look, or looks behind our end.
    connection.execute(sa.select(Run.id).where(Run.request_id == home).with_for_update()).all()
    _wake(connection, home)


def look_again(connection: sa.Connection, request_id: str) -> None:
    """Make the home's part due at once if the last of the others ended before it began to wait."""
    asked = sa.select(Request.arguments).where(Request.request_id == request_id)
    arguments = connection.scalars(asked).one() or {}
    others_of_it = Run.request_id.in_((arguments.get("parts") or {}).values())
    query = sa.select(sa.func.count()).select_from(Run).where(others_of_it, Run.state != State.DONE)
    if not connection.scalar(query):
        _wake(connection, request_id)


def _wake(connection: sa.Connection, home: str) -> None:
    waiting = (Run.request_id == home) & (Run.state == State.WAITING) & (Run.waits_for == Wait.PARTS)
    connection.execute(sa.update(Run).where(waiting).values(not_before=dialects.now(connection)))


def rows(system: System, first: Part) -> int:
    """Return the rows that the plans of a request would change, in all data sources."""
    return sum(one.request["arguments"].get("rows") or 0 for one in [first, *others(system, first.request)])


def unfinished(parts: list[Part]) -> list[Part]:
    """Return those that have not ended, those of other data sources first."""
    return [one for one in reversed(parts) if one.run["state"] not in FINAL]
