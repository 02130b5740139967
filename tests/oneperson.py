"""One person in a small application: tables, a data map, rows, and what an erasure of them is about."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from tests.worlds import World

TABLES: Final = """
CREATE TABLE users (id INT PRIMARY KEY, org VARCHAR(9), email VARCHAR(90), boss INT REFERENCES users (id));
CREATE TABLE visits (user_id INT REFERENCES users (id), page VARCHAR(90));
CREATE TABLE messages (id INT PRIMARY KEY, sender INT REFERENCES users (id),
    receiver INT REFERENCES users (id), body VARCHAR(90));
CREATE TABLE posts (id INT PRIMARY KEY, author INT REFERENCES users (id), parent INT REFERENCES posts (id),
    body VARCHAR(90));
CREATE TABLE issues (id INT PRIMARY KEY, solver INT REFERENCES users (id), title VARCHAR(90));
CREATE TABLE invoices (region INT, id INT, buyer INT REFERENCES users (id), PRIMARY KEY (region, id));
CREATE TABLE items (region INT, invoice INT, what VARCHAR(90), FOREIGN KEY (region, invoice)
    REFERENCES invoices (region, id));
CREATE TABLE owners (id INT PRIMARY KEY, kind INT, owner VARCHAR(20));
CREATE TABLE jobs (id INT PRIMARY KEY, payload {json})
"""
MAP: Final = """
subjects:
  user: {table: users, key: id, tenant: org, identifiers: {email: email}}
tables:
  users: {row: anonymize, columns: {org: preserve, email: surrogate}}
  users.boss: {row: nullify}
  visits: {row: delete, via: user_id}
  messages: {row: anonymize, via: [sender, receiver], columns: {body: null}, shared: mask_own_columns}
  posts: {row: delete, via: author, shared: delete}
  posts.parent: {row: delete, shared: delete}
  issues: {row: nullify, via: solver, columns: {title: preserve}}
  invoices: {row: retain, via: buyer, reason: tax law, until: 2040-01-01}
  items: {row: retain, via: region, reason: tax law, until: 2040-01-01}
  owners:
    row: delete
    via: [{owner: users.id, when: "kind = 1"}, {owner: users.id, when: "kind > 1"}]
    shared: delete
  jobs: {row: delete, via: {"payload->'by'->>'user'": users.id}}
"""
ROWS: Final[dict[str, list[tuple[Any, ...]]]] = {
    "users": [(7, "acme", "a@example.com", None), (8, "acme", "b@example.com", 7), (9, "beta", "c@x.org", 8)],
    "visits": [(7, "/"), (7, "/"), (7, "/me"), (8, "/"), (None, "/")],
    "messages": [(1, 7, 8, "x"), (2, 8, 7, "x"), (3, 7, 7, "x"), (4, 8, 9, "x"), (5, 7, None, "x")],
    # A circle through another person's post, which goes as a reply of this one's.
    "posts": [
        (1, 7, None, "x"),
        (2, 8, 1, "x"),
        (3, 7, 2, "x"),
        (4, 8, None, "x"),
        (5, 9, 4, "x"),
        (6, 9, 2, "x"),
    ],
    "issues": [(1, 7, "x"), (2, 7, "x"), (3, 8, "x")],
    "invoices": [(1, 1, 7), (1, 2, 8), (2, 1, 7)],
    "items": [(1, 1, "x"), (1, 1, "x"), (1, 2, "x"), (2, 1, "x"), (2, None, "x")],
    "owners": [(1, 1, "7"), (2, 0, "7"), (3, 1, "77"), (4, None, "7"), (5, 2, "7")],
    "jobs": [(1, '{"by": {"user": 7}}'), (2, '{"by": {"user": "7"}}'), (3, '{"by": {"user": 8}}'), (4, "{}")],
}
#: Columns of tables to which a test may add one.
COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {"users": ("id", "org", "email", "boss")}
#: table, action → rows of person 7.
EXPECTED: Final = {
    ("visits", "delete"): 3,
    ("posts", "delete"): 4,
    ("owners", "delete"): 2,
    ("jobs", "delete"): 2,
    ("users", "nullify"): 1,
    ("issues", "nullify"): 2,
    ("messages", "anonymize"): 4,
    ("users", "anonymize"): 1,
    ("invoices", "retain"): 2,
    ("items", "retain"): 3,
}
#: What an erasure of each of the further people changes.
EACH: Final = {
    "delete:visits": 2,
    "delete:posts": 2,
    "nullify:issues": 1,
    "anonymize:messages": 2,
    "anonymize:users": 1,
}
Write = Callable[[str], None]


def begin(world: World, folder: Path) -> Write:
    """Create the application with its rows and its data map; return what goes on with another map."""
    path = folder / "app.datamap.yaml"
    kind = {"postgresql": "jsonb", "mariadb": "JSON", "sqlite": "JSON"}[world.dialect]
    for statement in TABLES.format(json=kind).split(";"):
        world.execute(statement)
    insert(world)

    def use(text: str) -> None:
        path.write_text(text, encoding="utf-8")
        source = world.settings.sources[world.datasource]
        world.configure(datasources={world.datasource: replace(source, datamap=path)})

    use(MAP)
    return use


def insert(world: World) -> None:
    """Insert the rows, as the application."""
    with world.app.begin() as connection:
        for name, rows in ROWS.items():
            names = ", ".join(COLUMNS.get(name, ()))
            marks = ", ".join(["?" if world.dialect == "sqlite" else "%s"] * len(rows[0]))
            for row in rows:
                head = f"INSERT INTO {name} ({names})" if names else f"INSERT INTO {name}"
                connection.exec_driver_sql(f"{head} VALUES ({marks})", row)
            world.watch(name)
            world.born(name, len(rows))


def people(world: World, ids: range) -> None:
    """Insert further people, who have rows in several tables."""
    for person in ids:
        for table, rows in (
            ("users", [(person, "acme", f"{person}@example.com", None)]),
            ("visits", [(person, "/"), (person, "/me")]),
            ("messages", [(10 * person, person, None, "x"), (10 * person + 1, 8, person, "x")]),
            ("posts", [(10 * person, person, None, "x"), (10 * person + 1, 9, 10 * person, "x")]),
            ("issues", [(person, person, "x")]),
        ):
            marks = ", ".join(["?" if world.dialect == "sqlite" else "%s"] * len(rows[0]))
            with world.app.begin() as connection:
                for row in rows:
                    connection.exec_driver_sql(f"INSERT INTO {table} VALUES ({marks})", row)  # noqa: S608
            world.born(table, len(rows))


def put_back(world: World) -> None:
    """Make the application's tables what they were in the beginning, as a restore of them would."""
    # MariaDB looks at each row's references at once.
    world.execute("UPDATE posts SET parent = NULL")
    world.execute("UPDATE users SET boss = NULL")
    for name in reversed(ROWS):
        world.remove(name)
    insert(world)


def expect(world: World, rows: Mapping[str, int]) -> None:
    """Account for rows that an erasure changed without deleting them."""
    for name, count in rows.items():
        action, _, table = name.partition(":")
        if action == "anonymize":
            world.masked[table] += count
        elif action != "delete":
            world.nullified[table] += count


def content(world: World, table: str) -> list[tuple[Any, ...]]:
    """Return a table's rows, in the order of their first column."""
    with world.app.connect() as connection:
        found = connection.execute(sa.text(f"SELECT * FROM {table}"))  # noqa: S608
        return sorted((tuple(row) for row in found), key=lambda row: str(row[0]))
