"""The script that the owner of a database runs."""

from collections.abc import Iterator

from aegis.db import dialects
from aegis.grants.needed import Grants


def script(grants: Grants) -> list[str]:
    """Return its lines; it grants what is needed, may be run again, and revokes nothing."""
    if not grants.grantable:
        return [
            "-- SQLite knows no roles and no rights: whoever can read the file can read everything in it.",
            "-- Give the file to the user that Aegis runs as, and to the application.",
        ]
    postgresql = grants.dialect == dialects.POSTGRESQL
    login = f"CREATE ROLE {grants.role} LOGIN" if postgresql else f"CREATE USER {grants.role} IDENTIFIED BY …"
    head = [
        _comment(
            f"What Aegis's role for `{grants.purpose}` needs in data source {grants.datasource}, no more."
        ),
        _comment(
            f"Run it as the owner in database {grants.database}; it may be run again, and revokes nothing."
        ),
        _comment(f"The role, if it is not there yet: {login};"),
    ]
    body = list(_statements(grants))
    return [*head, "", "BEGIN;", *body, "", "COMMIT;"] if postgresql else [*head, *body]


def _statements(grants: Grants) -> Iterator[str]:
    for function in grants.functions:
        yield ""
        yield _comment("What only the owner of the partitions may do: create it as their owner.")
        yield function.strip()
    for need, statement in zip(grants.needs, grants.statements, strict=True):
        yield ""
        yield from map(_comment, need.why)
        yield f"{statement};"


def _comment(text: str) -> str:
    # A name may have a line break in it, and what follows it would be a statement.
    return f"-- {' '.join(text.split())}"
