"""Places in which pages of the documentation are read."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests import oneperson, worlds
from tests.postgres import Postgres
from tests.shells import Shell, empty

WHO: Final = ("--actor", "you@example.com")
#: A table with a row of each of the last 200 days.
EVENTS: Final = """
CREATE TABLE safety_events (id bigserial PRIMARY KEY, tenant text, kind text, email text,
    created_at timestamptz NOT NULL);
INSERT INTO safety_events (tenant, kind, created_at)
    SELECT 'acme', 'low', now() - i * interval '1 day' FROM generate_series(1, 200) AS i;
"""
#: One person's map, with a group of those who have not been there for long.
MAP: Final = oneperson.MAP.replace(
    "identifiers: {email: email}",
    "identifiers: {email: email}, groups: {inactive: {period: P3Y, from: last_seen_at}}",
)


@contextlib.contextmanager
def at(
    folder: Path, postgres: Postgres, script: str, *, more: str = "", migrated: bool = True
) -> Iterator[tuple[Shell, str]]:
    """Give a folder whose data source `app` is a PostgreSQL in which a script ran; and its URL."""
    name = f"page_{folder.name}"[:60].lower()
    url = postgres.create_database(name)
    own(url, script)
    (folder / "aegis.toml").write_text(f'[datasources.app]\nurl = "{url}"\n{more}\n', "utf-8")
    shell = empty(folder)
    assert not migrated or shell("migrate", "--datasource", "app").code == 0
    yield shell, url
    postgres.drop_database(name)


def own(url: str, script: str) -> None:
    """Run SQL as the owner of the application's database."""
    owner = worlds.engine(url)
    with owner.begin() as connection:
        connection.exec_driver_sql(script)
    owner.dispose()


def people() -> str:
    """Return the script that makes one small application with its people."""
    made = [oneperson.TABLES.format(json="jsonb")]
    for name, rows in oneperson.ROWS.items():
        made += [f"INSERT INTO {name} VALUES ({', '.join(map(literal, row))})" for row in rows]  # noqa: S608
    made += ["ALTER TABLE users ADD COLUMN last_seen_at timestamptz DEFAULT now() - interval '9 years'"]
    return ";\n".join(made)


def literal(value: object) -> str:
    """Return a value as SQL."""
    return "NULL" if value is None else f"'{value}'"


def erased(shell: Shell) -> str:
    """Return the newest request."""
    return str(shell("erasure", "status", "--json").document[0]["request"])


def sending(broker: str) -> str:
    """Return the Celery application of a service."""
    return f"from celery import Celery\napp = Celery(broker={broker!r})\n"
