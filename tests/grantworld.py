"""An application whose policies and data map ask for every kind of right, and roles that have just those."""

import contextlib
import datetime as dt
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from aegis.grants import Grants, Need, Purpose, needed
from aegis.grants import script as scripts
from aegis.settings import ThrottleSettings, VerifySettings
from tests import oneperson
from tests.worlds import DAY, World

#: Figures are looked at, and none of them is ever reached.
WATCHFUL: Final = ThrottleSettings(
    lock_waits=10_000,
    active_sessions=10_000,
    replica_lag_seconds=10_000,
    wal_megabytes_per_second=1_000_000,
    slot_megabytes=1_000_000,
    look_milliseconds=0,
    longest_pause_seconds=0.1,
)
#: Rows of each table that are due, and the key of one that is not.
DUE: Final = 30
YOUNG: Final = 1000
#: More than one page of the heap.
FILLER: Final = "-" * 1500
RETENTION: Final = {
    "calls": "id INT PRIMARY KEY, tenant {text}, seen_at {wall}, kind {text}, made_at {wall}, hold INT, "
    "body VARCHAR(2000), secret {text}",
    "rings": "id INT PRIMARY KEY, call_id INT REFERENCES calls (id) ON DELETE CASCADE, tenant {text}, "
    "seen_at {instant}, what {text}",
    "marks": "id INT PRIMARY KEY, call_id INT REFERENCES calls (id) ON DELETE SET NULL, what {text}",
    "bills": "id INT PRIMARY KEY, ring_id INT REFERENCES rings (id), what {text}",
    "members": "id INT PRIMARY KEY, seen_at {wall}, email {text}, name {text}, city VARCHAR(2000)",
    "letters": "id INT PRIMARY KEY, seen_at {wall}, body {text}, tags {text}",
    "tasks": "id INT PRIMARY KEY, owner INT REFERENCES users (id), slot INT, UNIQUE (owner, slot)",
    "clicks": "id INT PRIMARY KEY, who VARCHAR(90), flag BOOLEAN, at {instant}",
    "notes": "id INT PRIMARY KEY, a INT REFERENCES users (id), b INT REFERENCES users (id), body {text}",
    "drafts": "id INT PRIMARY KEY, a INT REFERENCES users (id), b INT REFERENCES users (id), body {text}",
    "vault": "id INT PRIMARY KEY, value {text}",
}
MAP: Final = (
    oneperson.MAP.replace("tenant: org,", 'tenant: org, ghost: "9",')
    + """
  tasks: {row: reassign, via: owner}
  clicks: {row: decorrelate, via: {who: users.id, when: "flag = TRUE"}}
  notes: {row: anonymize, via: [a, b], columns: {body: null}, shared: delete}
  drafts: {row: delete, via: [a, b], columns: {body: null}, shared: mask_own_columns}
  calls: {keep_at_least: {period: P1D, from: made_at}, hold: "hold = 1"}
"""
)


@dataclass(kw_only=True)
class Granted:
    """A world whose data source is open to two roles, to each for what it needs."""

    world: World
    run: Grants
    verify: Grants
    _logins: dict[str, str]

    def revoke(self, grants: Grants, need: Need, column: str | None = None) -> None:
        """Take a right, or that on one of its columns, away from the role that has it."""
        self._change(self._without(grants, need, column), need)

    def give_back(self, grants: Grants, need: Need) -> None:
        """Grant it again."""
        self._change(grants.statements[grants.needs.index(need)], need)

    def _without(self, grants: Grants, need: Need, column: str | None) -> str:
        text = grants.statements[grants.needs.index(need)]
        if need.right.kind == "attribute":
            return f"{text.rpartition(' ')[0]} NO{need.right.privilege}"
        if column is not None:
            quote = self.world.app.dialect.identifier_preparer.quote_identifier
            text = f"{text[: text.index('(')]}({quote(column)}){text[text.index(')') + 1 :]}"
        head, _, role = text.rpartition(" TO ")
        return f"REVOKE{head.removeprefix('GRANT')} FROM {role}"

    def _change(self, statement: str, need: Need) -> None:
        with self.world.app.begin() as connection:
            connection.exec_driver_sql(statement)
        if need.right.kind != "table":
            # What was granted on a database is looked up when somebody connects.
            self.world.system.databases.close()

    def connect(self, purpose: Purpose) -> contextlib.AbstractContextManager[sa.Connection]:
        """Open a connection as a role, without Aegis."""
        return _connected(self._logins[purpose])


@contextlib.contextmanager
def _connected(url: str) -> Iterator[sa.Connection]:
    made = sa.create_engine(url, poolclass=sa.NullPool)
    with made.connect() as connection:
        yield connection


def begin(world: World, folder: Path) -> None:
    """Create the application with its rows, its data map, and its policies."""
    oneperson.begin(world, folder)
    # A circle, which MariaDB opens by emptying the references in it.
    world.execute("UPDATE posts SET parent = 3 WHERE id = 1")
    for name, columns in RETENTION.items():
        world.create(name, columns)
    fill(world, range(1, DUE + 1))
    fill(world, [YOUNG], age=0)
    world.insert("tasks", [{"id": n, "owner": o, "slot": s} for n, o, s in ((1, 7, 1), (2, 9, 1), (3, 7, 2))])
    world.insert("clicks", [{"id": 1, "who": "7", "flag": True, "at": None}])
    for name in ("notes", "drafts"):
        rows = ((1, 7, 8), (2, 7, None))
        world.insert(name, [{"id": n, "a": w, "b": r, "body": "x"} for n, w, r in rows])
    world.insert("vault", [{"id": 1, "value": "x"}])
    (folder / "app.datamap.yaml").write_text(MAP, encoding="utf-8")
    source = world.settings.sources["app"]
    world.configure(
        throttle=WATCHFUL, datasources={"app": replace(source, datamap=folder / "app.datamap.yaml")}
    )
    narrow: dict[str, Any] = {"tenant_column": "tenant", "filter_sql": "kind = 'low'"}
    world.policy("calls", "calls", timestamp_column="seen_at", cascades=["rings", "marks"], **narrow)
    masks = {"email": "surrogate", "name": "null"}
    world.policy("members", "members", timestamp_column="seen_at", action="anonymize", masks=masks)
    world.policy("letters", "letters", timestamp_column="seen_at", archive={"keep_days": 9})


def fill(world: World, ids: Iterable[int], age: float = 90) -> None:
    """Insert rows of that age in days, with what hangs on them."""
    at = dt.datetime.now(dt.UTC) - age * DAY
    common = {"tenant": "acme", "seen_at": at}
    calls = {"kind": "low", "made_at": at, "hold": 0, "body": FILLER, "secret": "x"}
    for n in ids:
        world.insert("calls", [{"id": n, **common, **calls}])
        world.insert("rings", [{"id": n, "call_id": n, **common}])
        world.insert("marks", [{"id": n, "call_id": n}])
        world.insert(
            "members", [{"id": n, "seen_at": at, "email": f"{n}@x.org", "name": "x", "city": FILLER}]
        )
        world.insert("letters", [{"id": n, "seen_at": at, "body": "x"}])


def script(world: World, grants: Grants) -> None:
    """Run what `aegis grants` prints, as the owner."""
    text = "\n".join(scripts.script(grants))
    with world.app.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        driver: Any = connection.connection.driver_connection
        if world.dialect == "postgresql":
            driver.execute(text)
            return
        for statement in text.split(";\n"):
            connection.exec_driver_sql(statement.rstrip(";").replace("%", "%%"))


@contextlib.contextmanager
def granted(world: World) -> Iterator[Granted]:
    """Make the two roles, grant them what they need, and go on as they; later as the owner again."""
    owner, made = world.settings.sources["app"], uuid.uuid4().hex[:8]
    names = {purpose: f"{purpose}_{made}" for purpose in ("run", "verify")}
    url = sa.make_url(owner.url)
    if world.dialect == "postgresql":
        for what in ("CONNECT, TEMPORARY ON DATABASE " + str(url.database), "ALL ON SCHEMA public"):
            world.execute(f"REVOKE {what} FROM PUBLIC")
    # A password is hashed at each login, and need not be hashed 4,096 times.
    made_by = "SET scram_iterations = 1; CREATE ROLE {} LOGIN PASSWORD 'x'"
    if world.dialect != "postgresql":
        made_by = "CREATE USER {} IDENTIFIED BY 'x'"
    logins = {}
    for purpose, name in names.items():
        world.execute(made_by.format(name))
        logins[purpose] = url.set(username=name, password="x").render_as_string(hide_password=False)
    as_roles = replace(owner, url=logins["run"], verify=VerifySettings(url=logins["verify"]))
    # Only who has rights sees what there is to grant: the owner asks, with the roles' settings.
    world.configure(datasources={"app": replace(as_roles, url=owner.url)})
    found: dict[str, Any] = {
        purpose: needed(world.system, "app", purpose=purpose, role=names[purpose])  # type: ignore[arg-type]
        for purpose in names
    }
    for each in found.values():
        script(world, each)
    world.configure(datasources={"app": as_roles})
    try:
        yield Granted(world=world, **found, _logins={p: _driver(login) for p, login in logins.items()})
    finally:
        world.configure(datasources={"app": owner})
        world.system.databases.close()
        for name in names.values():
            if world.dialect == "postgresql":
                world.execute(f"DROP OWNED BY {name}")
                world.execute(f"DROP ROLE {name}")
            else:
                world.execute(f"DROP USER {name}")


def _driver(url: str) -> str:
    from tests.worlds import with_driver  # noqa: PLC0415

    return with_driver(url).render_as_string(hide_password=False)
