"""The policies: whether each could run on its table as it is today."""

import json
from functools import partial

import sqlalchemy as sa

from aegis.db import dialects, facts, transactions
from aegis.db.engines import CONTROL, reading
from aegis.db.journal import Journal
from aegis.db.tables import DataRetentionPolicy
from aegis.doctor.findings import Found, Skipped, careful, fault, note, ok
from aegis.doctor.patient import Patient
from aegis.doctor.work import ACTIVE
from aegis.operations import approvals
from aegis.operations.states import PolicyState
from aegis.operations.system import System
from aegis.retention import definition as definitions
from aegis.retention import inspecting, policies
from aegis.retention.children import refuse_cascades
from aegis.retention.target import read_target


def check_policies(patient: Patient) -> Found:
    """Check every policy that is approved or waits for it."""
    if patient.fresh:
        yield note("policies", "none yet", "aegis policy add NAME --table TABLE --days 90 --action delete")
        return
    if not patient.control_ready:
        message = "cannot be read while the control database is not ready"
        raise Skipped(message)
    active = [policy for policy in policies.newest(patient.system) if policy.state in ACTIVE]
    bad = 0
    for policy in active:
        for finding in careful("policies", partial(_check_policy, patient.system, policy)):
            bad += 1
            yield finding
    if len(active) > bad:
        yield ok("policies", f"{len(active) - bad} approved; their tables are as they were approved")
    elif not active:
        yield ok("policies", "none yet")


def _check_policy(system: System, policy: DataRetentionPolicy) -> Found:
    """Check one policy; nothing is found when it could run."""
    name, definition = policy.name, policies.definition_of(policy)
    text, may_delete = _read_today(system, policy, definition)
    if definitions.digest(text) != policy.digest:
        changed = ", ".join(definitions.changes(json.loads(policy.definition), json.loads(text)))
        text = f"policy {name} stops: the table or its database changed since it was registered ({changed})"
        yield fault("policies", text, f"aegis policy show {name}; add it again and have it approved")
    elif may_delete is False:
        text = f"policy {name} cannot run: its role has no right to remove rows of {definition.table}"
        yield fault("policies", text, f"as the owner: GRANT SELECT, DELETE ON {definition.table} TO the role")
    elif policy.state == PolicyState.PENDING:
        text = f"policy {name} version {policy.version} waits for approval"
        yield note("policies", text, f"aegis policy approve {name} --actor YOU")
    else:
        yield from _check_approval(system, policy)


def _check_approval(system: System, policy: DataRetentionPolicy) -> Found:
    """Check that an approved policy rests on approvals that hold, of people who are still there."""
    if not policies.permitted(system, policy):
        text = f"policy {policy.name} does not run: {policies.why_not_permitted(system, policy)}"
        yield fault("policies", text, f"aegis policy show {policy.name}; find out who wrote to its approval")
        return
    with reading(system.databases.control, CONTROL) as connection:
        moment = dialects.now(connection)
    left = [
        key.name for key in approvals.signers(system, policies.subject_of(policy)) if not key.valid_at(moment)
    ]
    if left:
        text = f"policy {policy.name} rests on the approval of a key that is not valid any more: {left[0]}"
        cure = "it stays approved; to have it approved anew, disable it and add it again"
        yield note("policies", text, cure)


def _read_today(
    system: System, policy: DataRetentionPolicy, definition: definitions.Definition
) -> tuple[str, bool | None]:
    """Return the policy's document as it would be registered now, and whether the role may delete."""
    engine = system.databases.source(policy.datasource)
    journal = Journal(engine.dialect.name)
    limits = system.settings.retention
    with reading(engine, f"policy {policy.name}: data source {policy.datasource}") as connection:
        transactions.begin_work(
            connection,
            lock_ms=limits.lock_timeout_milliseconds,
            statement_ms=limits.statement_timeout_milliseconds,
        )
        keeping = inspecting.keeping_of(system, definition)
        target = read_target(connection, definition.table, definition, keeping=keeping)
        refuse_cascades(target, policy.cascades, policy.name)
        identity = journal.source(connection).identity
        text = definitions.document(
            definition, target, identity=identity, connection=connection, version=policy.digest_version
        )
        if policy.tenant_session is not None:
            # What it sees depends on a tenant, who is named when it runs.
            return text, facts.may_delete(connection, target.layout)
        # With row security off this fails where a row would be hidden.
        connection.execute(sa.select(sa.literal(1)).select_from(target.layout.table).limit(1)).first()
        return text, facts.may_delete(connection, target.layout)
