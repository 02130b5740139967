"""The application of the demo: an AI service's tables, filled with two years of made-up rows.

Three tenants, users, the safety events of their requests, background jobs, sign-ins and refresh tokens,
with foreign keys and indexes as such a service has them.
"""

import datetime as dt
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from cli.demo.stage import Stage

TENANTS: Final = ("acme", "globex", "initech")
USERS: Final = 600
EVENTS: Final = 240_000
JOBS: Final = 30_000
TOKENS: Final = 20_000
SIGN_INS: Final = 15_000
#: How far back the rows reach.
DAYS: Final = 730
_PORTION: Final = 20_000
#: Of a sign-in: it is empty once the row is masked.
DEVICE: Final = "device"
#: Rows by table and tenant.
Standing = Mapping[str, Mapping[str, int]]

metadata = sa.MetaData()

users = sa.Table(
    "users",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("tenant", sa.String(40), nullable=False),
    sa.Column("email", sa.String(200), nullable=False, unique=True),
    sa.Column("display_name", sa.String(200), nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
)
safety_events = sa.Table(
    "safety_events",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("tenant", sa.String(40), nullable=False),
    sa.Column("user_id", sa.ForeignKey("users.id"), nullable=False, index=True),
    sa.Column("kind", sa.String(40), nullable=False),
    sa.Column("prompt", sa.Text, nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, index=True),
)
jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("tenant", sa.String(40), nullable=False),
    sa.Column("user_id", sa.ForeignKey("users.id"), nullable=False, index=True),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("finished_at", sa.DateTime(timezone=True), index=True),
)
refresh_tokens = sa.Table(
    "refresh_tokens",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("tenant", sa.String(40), nullable=False),
    sa.Column("user_id", sa.ForeignKey("users.id"), nullable=False, index=True),
    sa.Column("token_hash", sa.String(64), nullable=False),
    sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False, index=True),
)

sign_ins = sa.Table(
    "sign_ins",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("tenant", sa.String(40), nullable=False),
    sa.Column("user_id", sa.ForeignKey("users.id"), nullable=False, index=True),
    sa.Column("address", sa.String(45)),
    sa.Column(DEVICE, sa.String(80)),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, index=True),
)


def fill(stage: Stage) -> None:
    """Make the tables and their rows."""
    what = "PostgreSQL" if stage.postgres else "SQLite"
    stage.say(f"Filling an application database ({what}): three tenants, two years of rows")
    began = time.monotonic()
    rows = build(stage.application, now=dt.datetime.now(dt.UTC))
    stage.tell(f"{rows:,} rows in {time.monotonic() - began:.0f} s")


def build(engine: sa.Engine, *, now: dt.datetime, seed: int = 7) -> int:
    """Create and fill the tables; return how many rows were written."""
    metadata.create_all(engine)
    chance = random.Random(seed)  # noqa: S311 - made-up rows, the same on every machine
    written = 0
    for table, rows in _rows(chance, now):
        for portion in _portions(rows):
            with engine.begin() as connection:
                connection.execute(sa.insert(table), portion)
            written += len(portion)
    if engine.dialect.name == "postgresql":
        with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")
    return written


def standing(engine: sa.Engine) -> dict[str, dict[str, int]]:
    """Count by tenant the rows of each table; of sign-ins those that are not masked."""
    counts: dict[str, dict[str, int]] = {}
    with engine.connect() as connection:
        for table in metadata.sorted_tables:
            query = sa.select(table.c.tenant, sa.func.count()).group_by(table.c.tenant)
            if table is sign_ins:
                query = query.where(sign_ins.c[DEVICE].is_not(None))
            counts[table.name] = dict.fromkeys(TENANTS, 0)
            counts[table.name] |= {tenant: int(rows) for tenant, rows in connection.execute(query)}
    return counts


def email_of(user: int, tenant: str) -> str:
    """Return the address of a made-up person."""
    return f"person{user}@{tenant}.example"


def _rows(chance: random.Random, now: dt.datetime) -> Iterator[tuple[sa.Table, Iterator[Mapping[str, Any]]]]:
    tenant_of = {user: TENANTS[user * user % 3 if user % 5 else user % 3] for user in range(1, USERS + 1)}
    yield (
        users,
        (
            {
                "id": user,
                "tenant": tenant,
                "email": email_of(user, tenant),
                "display_name": f"Person {user}",
                "created_at": now - dt.timedelta(days=DAYS),
            }
            for user, tenant in tenant_of.items()
        ),
    )
    yield safety_events, _events(chance, now, tenant_of)
    yield jobs, _jobs(chance, now, tenant_of)
    yield refresh_tokens, _tokens(chance, now, tenant_of)
    yield sign_ins, _sign_ins(chance, now, tenant_of)


def _events(
    chance: random.Random, now: dt.datetime, tenant_of: Mapping[int, str]
) -> Iterator[Mapping[str, Any]]:
    for number in range(EVENTS):
        user = chance.randint(1, USERS)
        yield {
            "tenant": tenant_of[user],
            "user_id": user,
            "kind": chance.choice(("toxicity", "self_harm", "jailbreak", "pii_leak")),
            "prompt": f"example prompt {number}; answer to {email_of(user, tenant_of[user])}",
            "created_at": _ago(now, DAYS * (1 - number / EVENTS)),
        }


def _jobs(
    chance: random.Random, now: dt.datetime, tenant_of: Mapping[int, str]
) -> Iterator[Mapping[str, Any]]:
    for number in range(JOBS):
        user = chance.randint(1, USERS)
        status = chance.choice(("done", "done", "done", "failed", "running"))
        ended = None if status == "running" else _ago(now, DAYS * (1 - number / JOBS))
        yield {"tenant": tenant_of[user], "user_id": user, "status": status, "finished_at": ended}


def _tokens(
    chance: random.Random, now: dt.datetime, tenant_of: Mapping[int, str]
) -> Iterator[Mapping[str, Any]]:
    for number in range(TOKENS):
        user = chance.randint(1, USERS)
        yield {
            "tenant": tenant_of[user],
            "user_id": user,
            "token_hash": f"{chance.getrandbits(256):064x}",
            "expires_at": _ago(now, DAYS * (1 - number / TOKENS) - 30),
        }


def _sign_ins(
    chance: random.Random, now: dt.datetime, tenant_of: Mapping[int, str]
) -> Iterator[Mapping[str, Any]]:
    for number in range(SIGN_INS):
        user = chance.randint(1, USERS)
        yield {
            "tenant": tenant_of[user],
            "user_id": user,
            # Of a network that documents may use.
            "address": f"198.51.100.{chance.randint(1, 254)}",
            "device": chance.choice(("phone", "laptop", "tablet")),
            "created_at": _ago(now, DAYS * (1 - number / SIGN_INS)),
        }


def _ago(now: dt.datetime, days: float) -> dt.datetime:
    return now - dt.timedelta(days=days)


def _portions(rows: Iterator[Mapping[str, Any]]) -> Iterator[Sequence[Mapping[str, Any]]]:
    portion: list[Mapping[str, Any]] = []
    for row in rows:
        portion.append(row)
        if len(portion) == _PORTION:
            yield portion
            portion = []
    if portion:
        yield portion
