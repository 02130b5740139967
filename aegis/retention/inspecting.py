"""A policy against the live database: what its digest says, and whether that still holds."""

import json
from collections.abc import Mapping
from dataclasses import replace

import sqlalchemy as sa

from aegis.datamap.keeping import keeping as keeping_in_map
from aegis.datamap.model import Keeping, Minimum
from aegis.db import transactions
from aegis.db.engines import CONTROL, reading
from aegis.db.tables import DataRetentionPolicy
from aegis.errors import Refused
from aegis.operations.system import System
from aegis.retention import definition as definitions
from aegis.retention.anonymizing import deletes, refuse_unfit_masks
from aegis.retention.branches import every
from aegis.retention.children import refuse_cascades
from aegis.retention.cutoffs import refuse_same_tenant
from aegis.retention.definition import Definition
from aegis.retention.minimums import refuse_kept_along, refuse_shorter
from aegis.retention.policies import definition_of
from aegis.retention.sessions import refuse_without_sessions
from aegis.retention.target import Rule, Target, read_target


def inspect(
    system: System,
    definition: Definition,
    *,
    census: bool = True,
    version: int = definitions.DIGEST_VERSION,
) -> tuple[str, Target]:
    """Check a definition against the live database; return its digest's document, and its table.

    Args:
        system: this process's Aegis.
        definition: the policy.
        census: read a text clock's column to see that it has one form.
        version: of the document.

    """
    source = system.source_row(definition.datasource)
    system.relay.register(definition.datasource)
    engine = system.databases.source(definition.datasource)
    with reading(engine, f"data source {definition.datasource}") as connection:
        refuse_without_sessions(connection, definition)
        # A clock that is text is read: rows that nobody sees would have any form.
        transactions.see_every_row(connection)
        keeping = keeping_of(system, definition)
        target = read_target(
            connection, definition.table, definition, keeping=keeping, forms=None if census else {}
        )
        refuse_shorter(definition.name, definition, target.clock_column, target.floors)
        along = [branch.layout.label for branch in every(target.branches)]
        refuse_kept_along(definition.name, {label: keeping_of(system, definition, label) for label in along})
        refuse_unfit_masks(connection, target, definition)
        if deletes(definition):
            refuse_cascades(target, definition.cascades, definition.name)
        refuse_same_tenant(definition.name, definition.tenant_days, target)
        text = definitions.document(
            definition, target, identity=source.identity, connection=connection, version=version
        )
        return text, target


def refuse_changed(system: System, policy: DataRetentionPolicy) -> Target:
    """Refuse a policy whose table is not what it was when its digest was made; return the table.

    Raises:
        Refused: names what changed.

    """
    text, target = inspect(system, definition_of(policy), census=False, version=policy.digest_version)
    if definitions.digest(text) != policy.digest:
        changed = definitions.changes(json.loads(policy.definition), json.loads(text))
        message = (
            f"policy {policy.name} version {policy.version}: the table or its database changed since it was "
            f"registered ({', '.join(changed)}). Register it again and have it approved"
        )
        raise Refused(message)
    return target


def read_policy_target(
    connection: sa.Connection,
    policy: DataRetentionPolicy,
    system: System | None = None,
    forms: Mapping[str, str] | None = None,
    known: Target | None = None,
) -> Target:
    """Read the policy's table from the live database, with what must be kept as it was approved.

    That the data map still says the same is a part of the digest, and looked at before every slice.

    Args:
        connection: the data source.
        policy: as it is stored.
        system: knows the policies of other tables; without it a hold on any of them is obeyed.
        forms: of the text clocks, where they are known.
        known: the table as it was read a moment ago.

    """
    rule: Rule = definition_of(policy)
    approved = json.loads(policy.definition)
    minimums = [
        Minimum(period=item["period"], column=item["column"], basis=item["basis"])
        for item in approved.get("minimum", ())
    ]
    keeping = Keeping(minimums=tuple(minimums), holds=tuple(approved.get("hold", ())))
    label = definition_of(policy).table
    target = read_target(connection, label, rule, keeping=keeping, forms=forms, known=known)
    if system is None or not target.branches:
        return target
    return replace(target, owners=_owners(system, policy.datasource))


def _owners(system: System, datasource: str) -> dict[str, frozenset[str]]:
    """Return the policies on each table of a data source, of whatever version."""
    table = DataRetentionPolicy
    query = sa.select(table.schema_name, table.table_name, table.name).where(table.datasource == datasource)
    found: dict[str, set[str]] = {}
    with reading(system.databases.control, CONTROL) as connection:
        for schema, name, policy in connection.execute(query.distinct()):
            found.setdefault(f"{schema}.{name}" if schema else name, set()).add(policy)
    return {label: frozenset(names) for label, names in found.items()}


def keeping_of(system: System, definition: Definition, table: str | None = None) -> Keeping:
    """Return what the data map of a policy's source says about keeping its table, or another one."""
    path = system.settings.source(definition.datasource).datamap
    return keeping_in_map(path, table or definition.table)
