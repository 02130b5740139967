"""A running stack whose persons are looked for afterwards: everything that is said to anybody is kept."""

import contextlib
import dataclasses
import datetime as dt
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import sqlalchemy as sa
from celery import Celery

from aegis.embedded.server import free_port
from aegis.errors import AegisError
from aegis.operations.system import System, use
from aegis.operations.table import ROUTES
from aegis.settings import load_settings
from cli.stack import Stack
from tests import worlds
from tests.canary import Person, Place
from tests.starter import starter
from tests.workerkit import ROOT

#: What persons are here.
ROLES: Final = (
    *("row", "key", "actor", "service", "owner", "matter", "reason", "target"),
    *("details", "sent", "denied", "wrong", "typed", "approver", "released", "aggregate"),
)
P: Final = {role: Person(role=role, number=number) for number, role in enumerate(ROLES)}
_HOLDS: Final = {
    "matter": "whoever may look at holds has to know what they are about",
    "reason": "the same for a stop",
}
_CONFIRMED: Final = dict.fromkeys(
    ("actor", "service", "typed"), "whoever looks at a receipt has to know who confirmed the copies"
)
_ITS_OWN: Final = {"aggregate": "the caller's own names of fields, and what it named as public"}
#: Nobody is ever shown these.
_NEVER: Final = {"row", "key", "target"}
#: What the pages of a policy and a run show.
PAGES: Final = dict.fromkeys(
    ("approver", "actor", "service"), "whoever looks at a policy or a run has to know who approved it"
)
#: What a command shows because the person who runs it asked for exactly that.
SHOWN: Final[Mapping[str, Mapping[str, str]]] = {
    "hold list": _HOLDS,
    "policy show": {"approver": "whoever looks at a policy has to know who approved it"},
    "erasure receipt": _CONFIRMED,
    "federated release": _ITS_OWN,
}
#: What a door returns because its caller asked for exactly that.
RETURNED: Final[Mapping[str, Mapping[str, str]]] = {
    "list_holds": _HOLDS,
    "federated_aggregation_protect": _ITS_OWN,
    "erasure_receipt": _CONFIRMED,
    "brief_retention_policy": PAGES,
    "run_dossier": PAGES,
    "export_retention_policies": {"owner": "a policy file names who answers for the policy"},
    "get_audit_events": {
        role: "who may read the log sees names and details, for as long as their keys live"
        for role in P
        if role not in _NEVER
    },
}


@dataclasses.dataclass(kw_only=True)
class Site:
    """A running stack, an application's database with persons in it, and everything that was said."""

    config: Path
    home: Path
    stack: Stack
    sender: Celery
    aegis: System
    app: sa.Engine
    control: sa.Engine
    log: Path
    #: Doors, tasks and commands that were used.
    driven: set[str] = dataclasses.field(default_factory=set)
    said: list[Place] = dataclasses.field(default_factory=list)

    @property
    def private(self) -> Path:
        """The private key of the approver."""
        return self.home.parent / "approver.pem"

    def door(self, door: Callable[..., Any], *args: Any, **words: Any) -> Any:
        """Go through a door; keep what it returns."""
        name = door.__name__
        self.driven.add(name)
        found = door(*args, **words)
        self.keep(f"returned by {name}", _spelled(found), RETURNED.get(name, {}))
        return found

    def refused(self, door: Callable[..., Any], *args: Any, **words: Any) -> None:
        """Go through a door with something wrong; what the caller said himself he may hear again."""
        self.driven.add(door.__name__)
        with pytest.raises((AegisError, ValueError, PermissionError)) as told:
            door(*args, **words)
        self.keep(f"refused by {door.__name__}", str(told.value), {"wrong": "it is the caller's own word"})

    def send(self, task: str, **words: Any) -> None:
        """Send a task as a service does."""
        self.driven.add(task)
        self.sender.send_task(task, kwargs=words, queue=ROUTES[task])

    def command(self, name: str, *words: str, code: int = 0, stdin: str | None = None) -> Any:
        """Run a command; what its user typed himself may stand in its output."""
        environment = {**os.environ, "AEGIS_CONFIG": str(self.config), "NO_COLOR": "1"}
        ended, out, err = starter().run(
            [*name.split(), *words], folder=ROOT, environment=environment, stdin=stdin or ""
        )
        assert ended == code, f"aegis {name}: {ended}\n{out}{err}"
        typed = {role: "typed by the user himself" for role, person in P.items() if _names(person, words)}
        self.driven.add(f"aegis {name}")
        self.keep(f"said by aegis {name}", out + err, {**typed, **SHOWN.get(name, {})})
        with contextlib.suppress(ValueError):
            return json.loads(out)
        return out

    def count(self, table: str, where: str = "1 = 1") -> int:
        """Count rows of the application."""
        with self.app.connect() as connection:
            query = sa.text(f"SELECT count(*) FROM {table} WHERE {where}")  # noqa: S608 - the test's own
            return int(connection.scalar(query) or 0)

    def ask(self, query: str, **values: Any) -> Any:
        """Ask the control database for one value."""
        with self.control.connect() as connection:
            return connection.scalar(sa.text(query), values)

    def keep(self, name: str, text: str, by_design: Mapping[str, str] | None = None) -> None:
        """Keep what was said, to be searched."""
        self.said.append(Place(name=name, content=text.encode(), by_design=by_design or {}))


def _names(person: Person, words: tuple[str, ...]) -> bool:
    return any(value in word for value in person.values for word in words)


def _spelled(found: Any) -> str:
    if hasattr(found, "__table__"):
        return repr({column.name: getattr(found, column.name) for column in found.__table__.columns})
    return "\n".join(map(_spelled, found)) if isinstance(found, list) else repr(found)


#: The application's tables; `notes` goes along with `letters`.
TABLES: Final = ("visits", "members", "letters", "notes")
_PERSON: Final = "name {text}, phone {text}, tenant {text}, created_at {instant}"
_REFERS: Final = "FOREIGN KEY (letter) REFERENCES letters (id) ON DELETE CASCADE"
_INTO: Final = "VALUES (:email, :name, :phone, :tenant, :created_at"


def create(app: sa.Engine) -> None:
    """Make the application's tables."""
    types = worlds.TYPES[app.dialect.name]
    statements = [
        f"CREATE TABLE members (email {{text}} PRIMARY KEY, {_PERSON})",
        f"CREATE TABLE visits (email {{text}}, {_PERSON}, id BIGINT PRIMARY KEY)",
        f"CREATE TABLE letters (email {{text}}, {_PERSON}, id BIGINT PRIMARY KEY)",
        f"CREATE TABLE notes (id BIGINT PRIMARY KEY, body {{text}}, letter BIGINT, {_REFERS})",
    ]
    with app.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement.format_map(types))


def fill(app: sa.Engine, numbers: range) -> None:
    """Insert persons into every table: one as a primary key, one in a child table."""
    moment = dt.datetime.now(dt.UTC) - 90 * dt.timedelta(days=1)
    old = moment.isoformat(sep=" ") if app.dialect.name == "sqlite" else moment
    with app.begin() as connection:
        for number in numbers:
            row = {"email": P["row"].email, "name": P["row"].name, "phone": P["row"].phone, "id": number}
            row |= {"tenant": "acme" if number % 2 else "globex", "created_at": old, "body": P["row"].text}
            keyed = row | {"email": f"{number}.{P['key'].email}", "name": P["key"].name}
            for table in ("visits", "letters"):
                connection.execute(sa.text(f"INSERT INTO {table} {_INTO}, :id)"), row)
            connection.execute(sa.text(f"INSERT INTO members {_INTO})"), keyed)
            connection.execute(sa.text("INSERT INTO notes VALUES (:id, :body, :id)"), row)


CONFIG: Final = """
home = "{home}"
{control}
[datasources.app]
url = "{app}"
datamap = "{datamap}"
[datasources.app.copies.lake]
task = "lake.forget"
queue = "lake"
[datasources.app.copies.away]
url = "http://127.0.0.1:1/forget"
[datasources.app.copies.agency]
[retention]
soft_landing_hours = 0
first_batch_rows = 20
largest_batch_rows = 20
[operations]
resend_seconds = 3.0
[worker]
metrics_port = {one}
beat_metrics_port = {two}
log_format = "{form}"
[audit.exports.siem]
format = "ecs"
to = "{home}/siem.ecs"
"""


#: What is personal in the application's database; a person's key is an e-mail address.
MAP: Final = """
subjects:
  user:
    table: members
    key: email
    tenant: tenant
    identifiers: {email: email, name: name}
    groups: {old: {period: P1D, from: created_at, when: "email LIKE '3011.%'"}}
tables:
  members: {row: delete}
  visits: {row: delete, via: {email: members.email}}
  letters: {row: delete, via: {email: members.email}}
  notes: {row: delete, via: letter}
"""


@contextlib.contextmanager
def running(folder: Path, app: str, control: str | None) -> Iterator[Site]:
    """Run Redis, worker and beat on a fresh home while the block runs.

    Args:
        folder: an empty one; `AEGIS_CONFIG` names `aegis.toml` in it.
        app: the URL of an empty database.
        control: the same; none: the default SQLite file.

    """
    home, config, logged = folder / "home", folder / "aegis.toml", folder / "processes.log"
    named = f'database_url = "{control}"' if control else ""
    form = "text" if control else "json"
    ports = {"one": free_port(), "two": free_port()}
    (folder / "app.datamap.yaml").write_text(MAP, "utf-8")
    places = {"home": home, "app": app, "datamap": folder / "app.datamap.yaml"}
    config.write_text(CONFIG.format(control=named, form=form, **places, **ports), "utf-8")
    if control:
        _prepare()
    aegis = use(load_settings())
    aegis.migrate_source("app")
    engines = worlds.engine(app), worlds.engine(aegis.settings.control.url)
    create(engines[0])
    fill(engines[0], range(120))
    with Stack(aegis.settings, log=logged, environment=os.environ) as stack:
        sender = Celery("sender", broker=stack.redis.url, set_as_current=False)
        yield Site(
            config=config,
            home=home,
            stack=stack,
            sender=sender,
            aegis=aegis,
            app=engines[0],
            control=engines[1],
            log=logged,
        )
        sender.close()
    aegis.close()
    for engine in engines:
        engine.dispose()


def _prepare() -> None:
    """Prepare a control database that is named by its URL."""
    system = System(load_settings())
    system.init_keys()
    system.migrate()
    system.signing_keys.begin("logs.example.com/canary", actor="tests")
    system.close()
