"""The application of the fault campaign: its tables in two data sources, its data maps and policies.

The application notes the rows that it inserts and removes in the same transaction (`births`), so that what
is gone besides can be told exactly although its own connections are cut.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa

from tests.canary import Person

#: Stands in every row of a member, and in what is told to the log; nowhere else.
PERSON: Final = Person(role="camp", number=7)
#: Who asks: stands in messages besides.
ASKER: Final = Person(role="desk", number=8)
#: Members, not other people's rows, are numbered; a day is what is young.
MAPS: Final = {
    "app": """
subjects:
  user: {table: members, key: id, tenant: tenant, identifiers: {email: email, name: name}}
tables:
  members: {row: delete}
  visits: {row: delete, via: member}
  letters: {row: delete, via: member}
  notes: {row: delete, via: letter}
""",
    "shop": """
subjects:
  buyer: {table: customers, key: id, same_as: app.members.id, identifiers: {email: email}}
tables:
  customers: {row: delete}
  orders: {row: delete, via: customer}
""",
}
_BIRTHS: Final = "CREATE TABLE births (table_name TEXT, member BIGINT, young BOOLEAN, rows BIGINT)"
TABLES: Final = {
    "app": f"""
{_BIRTHS};
CREATE TABLE members (id BIGINT PRIMARY KEY, tenant TEXT, email TEXT, name TEXT);
CREATE TABLE visits (id BIGINT PRIMARY KEY, member BIGINT REFERENCES members, created_at TIMESTAMPTZ);
CREATE TABLE letters (id BIGINT PRIMARY KEY, member BIGINT REFERENCES members, created_at TIMESTAMPTZ);
CREATE TABLE notes (id BIGINT PRIMARY KEY, letter BIGINT REFERENCES letters ON DELETE CASCADE, body TEXT);
CREATE TABLE probes (id BIGINT PRIMARY KEY, body TEXT, created_at TIMESTAMPTZ);
CREATE INDEX ON visits (created_at);
CREATE INDEX ON visits (member);
CREATE INDEX ON letters (member);
CREATE INDEX ON letters (created_at);
CREATE INDEX ON notes (letter);
CREATE INDEX ON probes (created_at)
""",
    "shop": f"""
{_BIRTHS};
CREATE TABLE customers (id BIGINT PRIMARY KEY, email TEXT);
CREATE TABLE orders (id BIGINT PRIMARY KEY, customer BIGINT REFERENCES customers, created_at TIMESTAMPTZ);
CREATE INDEX ON orders (customer);
CREATE INDEX ON orders (created_at)
""",
}
#: Half of the rows with a time are due.
_AGE: Final = "now() - (CASE WHEN i % 2 = 0 THEN 90 ELSE 1 END) * interval '1 day' + i * interval '1 second'"
_YOUNG: Final = "created_at > now() - interval '20 days'"
#: Table → the rows of member {n} with so many {rows}, whose they are, and whether they are young.
FILL: Final[Mapping[str, Mapping[str, tuple[str, str, str]]]] = {
    "app": {
        "members": ("SELECT {n}, 't' || {n} % 3, {address}, :name", "id", "TRUE"),
        "visits": (
            "SELECT {n}000 + i, {n}, {age} FROM generate_series(1, {rows}) i",
            "member",
            _YOUNG,
        ),
        "letters": (
            "SELECT {n}000 + i, {n}, {age} FROM generate_series(1, {rows} / 4) i",
            "member",
            _YOUNG,
        ),
        "notes": (
            "SELECT {n}000 + i, {n}001 + i % ({rows} / 4), :name FROM generate_series(1, {rows} / 2) i",
            "{n}",
            "FALSE",
        ),
        "probes": (
            "SELECT {n}000 + i, 'raw ' || i, {age} FROM generate_series(1, {rows} / 2) i",
            "{n}",
            _YOUNG,
        ),
    },
    "shop": {
        "customers": ("SELECT {n}, {address}", "id", "TRUE"),
        "orders": (
            "SELECT {n}000 + i, {n}, {age} FROM generate_series(1, {rows} / 2) i",
            "customer",
            _YOUNG,
        ),
    },
}
POLICIES: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "visits_30": ("visits", {"datasource": "app", "parallel": 3, "archive": {"keep_days": 14}}),
    "letters_30": ("letters", {"datasource": "app", "cascades": ("notes",)}),
    "probes_30": (
        "probes",
        {"datasource": "app", "action": "anonymize", "masks": {"body": "surrogate"}, "parallel": 2},
    ),
    # The one that beat fires.
    "orders_30": ("orders", {"datasource": "shop", "archive": {"keep_days": 14}, "cron": "* * * * *"}),
}


def insert(engine: sa.Engine, source: str, number: int, rows: int, *tables: str) -> None:
    """Insert the rows of a member into one data source, in one transaction; only some tables, if named."""
    with engine.begin() as connection:
        for table, (query, member, young) in FILL[source].items():
            if tables and table not in tables:
                continue
            words = {"n": number, "rows": rows, "age": _AGE, "address": f"{number} || '.' || :email"}
            new = f"INSERT INTO {table} {query.format(**words)} RETURNING *"
            noted = f"SELECT '{table}', {member.format(**words)}, {young}, count(*) FROM new GROUP BY 2, 3"  # noqa: S608
            connection.execute(
                sa.text(f"WITH new AS ({new}) INSERT INTO births {noted}"),
                {"email": PERSON.email, "name": PERSON.name},
            )


def remove(engine: sa.Engine, remainder: int) -> None:
    """Remove some visits as the application does, beside everything else, and change some letters."""
    words = {"r": remainder}
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                "WITH gone AS (DELETE FROM visits WHERE id % 97 = :r RETURNING *) INSERT INTO births "  # noqa: S608
                f"SELECT 'visits', member, {_YOUNG}, -count(*) FROM gone GROUP BY 2, 3"
            ),
            words,
        )
        connection.execute(sa.text("UPDATE letters SET created_at = created_at WHERE id % 97 = :r"), words)


def changed(engine: sa.Engine, source: str) -> tuple[Counter[str], Counter[str]]:
    """Return the rows gone and the rows masked that were not the application's doing, by table."""
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        rows = connection.execute(sa.text("SELECT table_name, sum(rows) FROM births GROUP BY 1"))
        gone = Counter({str(table): int(born) for table, born in rows})
        for table in FILL[source]:
            gone[table] -= int(connection.scalar(sa.text(f"SELECT count(*) FROM {table}")) or 0)  # noqa: S608
        masked = 0
        if source == "app":
            masked = connection.scalar(sa.text("SELECT count(*) FROM probes WHERE body NOT LIKE 'raw %'"))
    return +gone, +Counter(probes=int(masked or 0))


def missing(engine: sa.Engine, source: str) -> list[tuple[str, int]]:
    """Return table and member of young rows that are gone although their member was not erased.

    Only the application may have removed them: no cutoff reaches them, whatever the clocks said.
    """
    owners, found = {"app": "members", "shop": "customers"}[source], []
    with engine.connect() as connection:
        for table, (_, member, young) in FILL[source].items():
            if young != _YOUNG or member not in {"member", "customer"}:
                continue
            query = f"""
SELECT owner.id FROM {owners} owner
WHERE (SELECT coalesce(sum(rows), 0) FROM births WHERE table_name = '{table}' AND member = owner.id AND young)
   <> (SELECT count(*) FROM {table} WHERE {member} = owner.id AND {_YOUNG})"""  # noqa: S608
            found += [(table, int(row[0])) for row in connection.execute(sa.text(query))]
        if source == "app":
            masked = f"SELECT id FROM probes WHERE body NOT LIKE 'raw %' AND {_YOUNG}"  # noqa: S608
            found += [("probes", int(row[0])) for row in connection.execute(sa.text(masked))]
    return found
