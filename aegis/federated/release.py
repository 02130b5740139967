"""Releasing an aggregate: once for each id, however often it is asked for, whatever dies in between.

Two transactions of the control database. The first reserves: it charges the budget, keeps the seed of
the noise, sealed, and says in the log what is about to leave. The second releases: it keeps the
output, sealed, destroys the seed and says that it left. Only then does a caller get a value. Whoever
finds a reservation goes on with its seed and gets the same bytes; noise drawn afresh for the same
aggregate would average itself away. Another value under the seed would show the difference of both,
so it is refused; the digest that tells it is keyed by the seed and goes with it.
"""

import datetime as dt
import hashlib
import hmac
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from aegis.audit.actions import Outcome
from aegis.audit.keyring.sealing import seal, unseal
from aegis.audit.recorder import store
from aegis.db import dialects
from aegis.db.columns import table_of
from aegis.db.engines import CONTROL, reading, writing
from aegis.db.tables import Release
from aegis.errors import BudgetSpent, Conflict, Expired, Tampered, TooFew
from aegis.federated import ledger, mechanism, noise, outputs, reports, wire
from aegis.federated.accounts import DEFAULTS
from aegis.federated.calibration import up
from aegis.federated.clipped import Clipped
from aegis.federated.composition import Spend, said
from aegis.federated.mechanism import Plan, subkey
from aegis.federated.reports import Asked
from aegis.federated.terms import Terms
from aegis.federated.values import Flat
from aegis.operations.system import System

_ROWS: Final = table_of(Release)
RESERVED: Final = "reserved"
RELEASED: Final = "released"
REFUSED: Final = "refused"
EXPIRED: Final = "expired"


@dataclass(frozen=True, kw_only=True)
class Aggregate:
    """What is to be released: a value taken apart, or a sum of clipped contributions."""

    content: Flat | Clipped
    #: How many people stand behind it; never said to anybody.
    participants: int
    #: Whether the number of participants gets noise of the same seed.
    counted_with_noise: bool
    plan: Plan

    def digest(self, seed: bytes) -> str:
        """Return a digest that only the seed's holder can compute."""
        hashed = hmac.new(subkey(seed, "value"), digestmod=hashlib.sha256)
        if isinstance(self.content, Clipped):
            hashed.update(wire.encode([self.content.steps, self.content.exponent, self.content.divisor]))
        else:
            for leaf in self.content.leaves:
                hashed.update(wire.encode([leaf.form, list(leaf.shape), leaf.numbers]))
            hashed.update(repr(self.content.around).encode())
        if self.counted_with_noise:
            hashed.update(str(self.participants).encode())
        return hashed.hexdigest()

    def drawn(self, seed: bytes) -> Any:
        """Return it with noise."""
        if isinstance(self.content, Clipped):
            return mechanism.draw_sum(self.content, self.plan, seed)
        return mechanism.draw(self.content, self.plan, seed)


def release(
    system: System, aggregate: Aggregate, terms: Terms, asked: Asked
) -> tuple[Any, Mapping[str, Any]]:
    """Release an aggregate with noise, and return it with its report.

    Raises:
        TooFew: too few people stand behind it.
        BudgetSpent: a budget has too little left.
        Conflict: the id was used for another aggregate, or on other terms.
        Expired: what was released under the id is gone.

    """
    account = terms.account or DEFAULTS[terms.mechanism]
    name = asked.release_id or uuid.uuid4().hex
    row = _find(system, account, name)
    if row is None:
        if terms.threshold_epsilon is None and aggregate.participants < terms.minimum:
            raise refuse(system, terms, asked, account=account)
        try:
            row = _reserve(system, aggregate, terms, asked, account=account, name=name)
        except BudgetSpent:
            denied = reports.note(
                terms, asked, Outcome.DENIED, account=account, of=None, refused="budget spent"
            )
            system.recorder.record(denied)
            raise
    if row.terms_digest != terms.digest(system):
        message = (
            f"release id {name!r} of budget {account} was used on other terms (epsilon, sensitivity, "
            "min_participants, …): give every release an id of its own"
        )
        raise Conflict(message)
    if row.state == RESERVED:
        return _finish(system, row, aggregate, terms, asked)
    return _again(system, row, terms)


def refuse(system: System, terms: Terms, asked: Asked, *, account: str | None) -> TooFew:
    """Record that too few stand behind an aggregate, not how many, and return the error to raise."""
    system.recorder.record(reports.denial(terms, asked, account=account, of=None))
    return reports.too_few(terms)


def expire(system: System, *, most: int = 500) -> int:
    """Destroy outputs whose time is over, and seeds of reservations that nobody came back for.

    Their ids stay used up, and what they cost stays charged. Returns how many there were.
    """
    kept = dt.timedelta(hours=system.settings.federated.keep_hours)
    with reading(system.databases.control, CONTROL) as connection:
        moment = dialects.now(connection)
        over = (_ROWS.c.state == RELEASED) & (_ROWS.c.expires_at <= moment)
        left = (_ROWS.c.state == RESERVED) & (_ROWS.c.reserved_at <= moment - kept)
        due = sa.select(_ROWS.c.id, _ROWS.c.output_at).where(over | left)
        rows = connection.execute(due.order_by(_ROWS.c.reserved_at).limit(most)).all()
    if not rows:
        return 0
    for row in rows:
        if row.output_at:
            outputs.drop(system, row.output_at)
    with writing(system.databases.control, CONTROL) as connection:
        gone: dict[str, Any] = {"state": EXPIRED, "output": None, "output_at": None}
        gone |= {"seed_sealed": None, "value_digest": None}
        named = _ROWS.c.id.in_([row.id for row in rows])
        # One that is released at this moment was just kept: it has its whole time.
        mine = named & ((_ROWS.c.state == RESERVED) | (_ROWS.c.expires_at <= moment))
        connection.execute(sa.update(_ROWS).where(mine).values(**gone))
    return len(rows)


def _find(system: System, account: str, name: str) -> sa.Row[Any] | None:
    with reading(system.databases.control, CONTROL) as connection:
        query = sa.select(_ROWS).where(_ROWS.c.account == account, _ROWS.c.release_id == name)
        return connection.execute(query).one_or_none()


def _reserve(
    system: System, aggregate: Aggregate, terms: Terms, asked: Asked, *, account: str, name: str
) -> sa.Row[Any]:
    """Charge, keep the seed and record the intent: all, or nothing where somebody else did it before."""
    seed, own = secrets.token_bytes(32), str(uuid.uuid4())
    spends = [aggregate.plan.spend, *threshold_spend(terms)]
    event = system.recorder.prepare(
        reports.note(terms, asked, Outcome.INTENT, account=account, of=own, plan=aggregate.plan)
    )
    values: dict[str, Any] = {
        "id": own,
        "account": account,
        "release_id": name,
        "terms_digest": terms.digest(system),
        "state": RESERVED,
        "seed_sealed": seal(_key(system), seed, _about(own, "seed")),
        "value_digest": aggregate.digest(seed),
        "actor_ref": system.recorder.actor_ref(asked.actor),
        "tenant": asked.tenant,
    }
    with writing(system.databases.control, CONTROL) as connection:
        moment = dialects.now(connection)
        if account in DEFAULTS.values():
            ledger.ensure_default(connection, account)
        if dialects.insert_missing(connection, _ROWS, {**values, "reserved_at": moment}):
            charged = ledger.charge(connection, account, spends, release=name, moment=moment)
            report = reports.report(terms, aggregate.plan, charged, name=name)
            connection.execute(sa.update(_ROWS).where(_ROWS.c.id == own).values(report=report))
            store(connection, event)
    found = _find(system, account, name)
    if found is None:
        message = f"the row of release {name!r} went while it was reserved: look who changes aegis_releases"
        raise Tampered(message)
    return found


def _finish(
    system: System, row: sa.Row[Any], aggregate: Aggregate, terms: Terms, asked: Asked
) -> tuple[Any, Mapping[str, Any]]:
    """Draw the noise of a reservation and release what it gives."""
    seed = unseal(_key(system), row.seed_sealed, _about(row.id, "seed"), name="the worker key")
    if not hmac.compare_digest(row.value_digest, aggregate.digest(seed)):
        message = (
            f"release id {row.release_id!r} of budget {row.account} is reserved for another aggregate: noise "
            "that two aggregates share would show their difference. Give every release an id of its own"
        )
        raise Conflict(message)
    if not _passes(aggregate, terms, seed):
        return _turn_down(system, row, terms, asked)
    value = aggregate.drawn(seed)
    kept = {}
    if asked.release_id:
        plain = wire.encode(value)
        kept = _kept(system, row, plain)
        # Whoever asks again gets the keys in the order of these bytes.
        value = wire.decode(plain) if isinstance(value, dict | list | tuple) else value
    hours = system.settings.federated.keep_hours if asked.release_id else 0
    event = system.recorder.prepare(
        reports.note(terms, asked, Outcome.SUCCESS, account=row.account, of=row.id, plan=aggregate.plan)
    )
    with writing(system.databases.control, CONTROL) as connection:
        moment = dialects.now(connection)
        report = {**row.report, "expires_at": (moment + dt.timedelta(hours=hours)).isoformat()}
        values: dict[str, Any] = {
            **_without_seed(RELEASED, moment),
            "expires_at": moment + dt.timedelta(hours=hours),
            "report": report,
            **kept,
        }
        if _ended(connection, row.id, values):
            store(connection, event)
            return value, report
    return _released_by_another(system, row, terms)


def _turn_down(system: System, row: sa.Row[Any], terms: Terms, asked: Asked) -> tuple[Any, Mapping[str, Any]]:
    event = system.recorder.prepare(reports.denial(terms, asked, account=row.account, of=row.id))
    with writing(system.databases.control, CONTROL) as connection:
        if _ended(connection, row.id, _without_seed(REFUSED, dialects.now(connection))):
            store(connection, event)
    raise reports.too_few(terms)


def _released_by_another(system: System, row: sa.Row[Any], terms: Terms) -> tuple[Any, Mapping[str, Any]]:
    ended = _find(system, row.account, row.release_id)
    if ended is None or ended.state == RESERVED:
        message = (
            f"the row of release {row.release_id!r} of budget {row.account} was changed while its noise was "
            "drawn, and not by a release: look who changes aegis_releases"
        )
        raise Tampered(message)
    return _again(system, ended, terms)


def _again(system: System, row: sa.Row[Any], terms: Terms) -> tuple[Any, Mapping[str, Any]]:
    """Return what was released under an id before."""
    if row.state == REFUSED:
        raise reports.too_few(terms)
    with reading(system.databases.control, CONTROL) as connection:
        over = row.state != RELEASED or row.expires_at <= dialects.now(connection)
    if over:
        message = (
            f"what was released under id {row.release_id!r} of budget {row.account} has expired, and the id "
            "is used up: the same aggregate is never given new noise. Keep what you fetch, or raise "
            "federated.keep_hours"
        )
        raise Expired(message)
    sealed = row.output if row.output_at is None else outputs.fetch(system, row.output_at)
    if hashlib.sha256(sealed).hexdigest() != row.output_digest:
        message = f"the output of release {row.release_id!r} is not what was kept"
        raise Tampered(message)
    plain = unseal(_key(system), sealed, _about(row.id, "output"), name="the worker key")
    return wire.decode(plain), row.report


def _kept(system: System, row: sa.Row[Any], plain: bytes) -> dict[str, Any]:
    sealed = seal(_key(system), plain, _about(row.id, "output"))
    kept: dict[str, Any] = {"output_digest": hashlib.sha256(sealed).hexdigest()}
    if len(sealed) <= outputs.INLINE_BYTES:
        return {**kept, "output": sealed}
    # A name for each try: of two who finish at the same time only one is named by the row.
    file = f"{row.id}-{secrets.token_hex(4)}"
    outputs.keep(system, file, sealed)
    return {**kept, "output_at": file}


def _without_seed(state: str, moment: dt.datetime) -> dict[str, Any]:
    return {"state": state, "seed_sealed": None, "value_digest": None, "released_at": moment}


def _ended(connection: sa.Connection, own: str, values: Mapping[str, Any]) -> bool:
    mine = sa.update(_ROWS).where(_ROWS.c.id == own, _ROWS.c.state == RESERVED)
    return connection.execute(mine.values(**values)).rowcount == 1


def _passes(aggregate: Aggregate, terms: Terms, seed: bytes) -> bool:
    if terms.threshold_epsilon is None:
        return aggregate.participants >= terms.minimum
    scale = up(1 / said(terms.threshold_epsilon))
    noisy = aggregate.participants + int(noise.laplace(subkey(seed, "threshold"), scale, 1)[0])
    return noisy >= terms.threshold


def threshold_spend(terms: Terms) -> list[Spend]:
    """Return what counting participants with noise costs, if that is asked for."""
    if terms.threshold_epsilon is None:
        return []
    scale = up(1 / said(terms.threshold_epsilon))
    return [Spend(mechanism="laplace", epsilon=terms.threshold_epsilon, delta=None, noise=scale)]


def _key(system: System) -> bytes:
    return system.worker_key.subkey("release")


def _about(own: str, what: str) -> bytes:
    return f"release:{what}:{own}".encode()
