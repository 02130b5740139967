"""The plain query that shows the rows that a policy would take, for an auditor to run on his own.

It has the predicate of the preview and of the runs, its values written out. Aegis prints it and never runs it
itself.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from aegis.db import transactions
from aegis.db.compiling import spelled
from aegis.db.tables import DataRetentionPolicy
from aegis.errors import UsageError
from aegis.operations.system import System
from aegis.retention.cutoffs import cutoffs_for
from aegis.retention.looking import glance
from aegis.retention.sessions import seen_by
from aegis.retention.stages import stages_of


@dataclass(frozen=True, kw_only=True)
class Query:
    """The rows of one action."""

    action: str
    #: One SELECT, without a semicolon.
    sql: str


@dataclass(frozen=True, kw_only=True)
class Queries:
    """What an auditor runs in a session of his own on the data source."""

    policy: DataRetentionPolicy
    #: postgresql, mariadb, mysql or sqlite
    dialect: str
    #: The database's clock when the cutoffs were taken.
    moment: dt.datetime
    #: What his session must be set to first, to read values as Aegis does.
    session: Sequence[str]
    #: One for each action of the policy, in their order.
    queries: Sequence[Query]
    #: Legal holds on single rows of the data source: which rows is sealed, so no query names them.
    row_holds: int


def write(system: System, policy: DataRetentionPolicy, *, tenant: Any = None) -> Queries:
    """Write the queries as of now; only names and holds are read from the database.

    Raises:
        UsageError: a name is not in the database any more, or a value cannot be written out.
        UnsafeTable: rows are hidden from Aegis, or the table must not be touched.

    """
    with glance(system, policy, tenant) as seen:
        connection, target = seen.connection, seen.target
        # A key can be a person's, and is shown nowhere.
        told = [scope for scope in seen.scopes if scope.key is None]
        stages = stages_of(target, policy, cutoffs_for(policy, seen.moment, target, tenant=tenant))
        try:
            queries = [
                Query(
                    action=stage.action.name,
                    sql=spelled(
                        connection,
                        sa.select(target.layout.table).where(
                            stage.ahead.doomed(stage.cutoffs, told, policy.name, tenant)
                        ),
                    ),
                )
                for stage in stages
            ]
        except sa.exc.CompileError as error:
            message = f"policy {policy.name}: a value of it cannot be written out in a query; use the preview"
            raise UsageError(message) from error
        return Queries(
            policy=policy,
            dialect=connection.dialect.name,
            moment=seen.moment,
            session=transactions.session_of_others(connection, seen_by(policy, tenant)),
            queries=queries,
            row_holds=len(seen.scopes) - len(told),
        )
