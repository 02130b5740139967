"""Opening an account and changing its limits: each is a recorded act."""

import datetime as dt
import re
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from aegis.audit.actions import Action
from aegis.audit.recorder import Note, store
from aegis.db import dialects
from aegis.db.engines import CONTROL, writing
from aegis.errors import Conflict, UsageError
from aegis.federated.accounts import ACCOUNTS, DEFAULT, Account, account_of, unknown
from aegis.federated.composition import Composition, check_order
from aegis.federated.conversion import check_delta, limit_of
from aegis.operations.system import System

#: Accounts above one: a release is charged to each of them, in one transaction.
DEEPEST: Final = 7
#: For which delta `default-gaussian` says what its rho means.
_DELTA: Final = 1e-6
_DAYS: Final = range(1, 36_501)
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,189}")
_LIMITS: Final = ("window_limit", "lifetime_limit")


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What an account is to be, in the words of people.

    Raises:
        UsageError: it cannot be meant.

    """

    name: str
    parent: str | None = None
    #: Most of each window, or ever where there are no windows.
    epsilon: float | None = None
    delta: float | None = None
    composition: Composition = "pure"
    order: int | None = None
    window_days: int | None = None
    #: Most ever, of an account that has windows.
    lifetime_epsilon: float | None = None
    #: It has no limit, and counts only.
    unlimited: bool = False

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        if not _NAME.fullmatch(self.name):
            message = "a budget's name has letters, digits and . _ : / - only, such as acme/usage"
            raise UsageError(message)
        if self.parent == self.name:
            message = f"budget {self.name} cannot be above itself"
            raise UsageError(message)
        days = self.window_days
        if days is not None and (type(days) is not int or days not in _DAYS):
            message = f"a window has a whole number of days, from {_DAYS[0]} to {_DAYS[-1]:,}"
            raise UsageError(message)
        given = self.epsilon is not None or self.lifetime_epsilon is not None
        if given == self.unlimited:
            message = "give the budget a limit (epsilon), or say that it is unlimited; one of the two"
            raise UsageError(message)
        check_order(self.composition, self.order)
        check_delta(self.composition, self.delta)
        self.columns()

    def columns(self) -> dict[str, Any]:
        """Return what is kept of it."""
        window, lifetime = self.epsilon, self.lifetime_epsilon
        if self.window_days is None:
            if window is not None and lifetime is not None:
                message = "without windows epsilon is for the budget's lifetime already: give one limit"
                raise UsageError(message)
            window, lifetime = None, window if lifetime is None else lifetime
        return {
            "name": self.name,
            "parent": self.parent,
            "composition": self.composition,
            "rdp_order": self.order,
            "delta": None if self.delta is None else repr(float(self.delta)),
            "window_days": self.window_days,
            "window_limit": self._limit(window),
            "lifetime_limit": self._limit(lifetime),
        }

    def _limit(self, epsilon: float | None) -> int | None:
        return None if epsilon is None else limit_of(self.composition, epsilon, self.delta, self.order)


def create(system: System, terms: Terms, *, actor: str) -> Account:
    """Open an account; the same terms again change nothing and return it.

    Raises:
        UnknownName: there is no account of the parent's name.
        UsageError: it is too deep, or its ancestors could not be charged for what it would take.
        Conflict: there is one of that name with other terms.

    """
    columns = terms.columns()
    details = {name: value for name, value in columns.items() if name != "name"}
    event = system.recorder.prepare(_note(Action.BUDGET_CREATE, terms.name, actor, details))
    with writing(system.databases.control, CONTROL) as connection:
        now = dialects.now(connection)
        depth = 0 if terms.parent is None else _depth_below(connection, terms)
        values = columns | fresh(now) | {"depth": depth, "created_by": event.actor_ref}
        if dialects.insert_missing(connection, ACCOUNTS, values):
            store(connection, event)
        row = connection.execute(sa.select(ACCOUNTS).where(ACCOUNTS.c.name == terms.name)).mappings().one()
        other = [name for name, value in columns.items() if row[name] != value]
        if other:
            message = (
                f"there is a budget {terms.name} already, of another {', '.join(other)}; it was not changed. "
                f"`aegis federated budget set {terms.name}` changes its limits, the rest stays as it is"
            )
            raise Conflict(message)
        return account_of(row, now)


def change(
    system: System, name: str, *, epsilon: float | None, lifetime_epsilon: float | None, actor: str
) -> Account:
    """Raise or lower the limits that are given; what is spent stays spent.

    Raises:
        UnknownName: there is no account of that name.
        UsageError: no limit is given, or the account has no windows.

    """
    # The key store is asked before anything is locked.
    system.recorder.actor_ref(actor)
    with writing(system.databases.control, CONTROL) as connection:
        query = sa.select(ACCOUNTS).where(ACCOUNTS.c.name == name)
        row = connection.execute(query.with_for_update()).mappings().first()
        if row is None:
            raise unknown(name)
        terms = Terms(
            name=name,
            epsilon=epsilon,
            lifetime_epsilon=lifetime_epsilon,
            delta=None if row["delta"] is None else float(row["delta"]),
            composition=row["composition"],
            order=row["rdp_order"],
            window_days=row["window_days"],
        )
        given = {limit: value for limit in _LIMITS if (value := terms.columns()[limit]) is not None}
        before = {f"{limit}_before": row[limit] for limit in given}
        note = _note(Action.BUDGET_SET, name, actor, given | before)
        connection.execute(sa.update(ACCOUNTS).where(ACCOUNTS.c.name == name).values(**given))
        store(connection, system.recorder.prepare(note, connection=connection))
        row = connection.execute(query).mappings().one()
        return account_of(row, dialects.now(connection))


def ensure_default(connection: sa.Connection, name: str = DEFAULT) -> None:
    """Make a default account on first use, without a limit: what is charged to it is recorded."""
    query = sa.select(ACCOUNTS.c.name).where(ACCOUNTS.c.name == name)
    if connection.scalar(query) is None:
        gaussian: dict[str, Any] = {"composition": "zcdp", "delta": _DELTA}
        columns = Terms(name=name, unlimited=True, **({} if name == DEFAULT else gaussian)).columns()
        values = columns | fresh(dialects.now(connection)) | {"depth": 0, "created_by": None}
        dialects.insert_missing(connection, ACCOUNTS, values)


def fresh(now: dt.datetime) -> dict[str, Any]:
    """Return the columns of an account from which nothing was taken yet."""
    return {"window_number": 0, "window_spent": 0, "spent": 0, "charges": 0, "created_at": now}


def _depth_below(connection: sa.Connection, terms: Terms) -> int:
    """Return the depth of a new account under its parent.

    A pure account has only pure ones below it: it has no price for what they would take otherwise. So
    the parent speaks for all ancestors.
    """
    columns = sa.select(ACCOUNTS.c.depth, ACCOUNTS.c.composition)
    parent = connection.execute(columns.where(ACCOUNTS.c.name == terms.parent)).first()
    if parent is None:
        raise unknown(str(terms.parent))
    if parent.depth >= DEEPEST:
        message = f"budget {terms.name} would have more than {DEEPEST} others above it; nothing was made"
        raise UsageError(message)
    if parent.composition == "pure" != terms.composition:
        message = (
            f"budget {terms.parent} counts pure epsilon, for which Gaussian noise has no price, so that "
            f"everything below it is pure: make {terms.name} pure, or put it under a budget of zcdp or rdp"
        )
        raise UsageError(message)
    return int(parent.depth) + 1


def _note(action: Action, name: str, actor: str, details: dict[str, Any]) -> Note:
    return Note(action=action, actor=actor, target_type="budget", target_id=name, details=details)
