"""Persons go through every operation that exists; afterwards they stand nowhere but where they belong.

They are rows of the application, actors, owners, targets and details of events, matters of holds,
reasons, names that are asked for in error. Where one of them may stand all the same, the reason is
written beside it.

Nobody here is a tenant, a policy, a table, a request id, an action of `record_audit`, the name of an
approver's key or a policy's purpose: these are words of the configuration and stand in clear by
design. The guide tells so.
"""

import base64
import dataclasses
import datetime as dt
import inspect
import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import click
import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aegis.audit.exports.formats.table import NAMES
from aegis.audit.tlog import notes
from aegis.audit.tlog.notes import FileSigner
from aegis.operations.table import ROUTES, TABLE
from api import (
    archives,
    audit,
    budgets,
    catalog,
    erasure,
    evidence,
    federated,
    letters,
    log,
    privacy,
    standing,
)
from cli.main import main
from tests import canary, worlds
from tests.canary import Place
from tests.canaryservice import asked_by_a_service
from tests.canarysite import PAGES, TABLES, P, Site, fill, running
from tests.workerkit import client, wait_until

DAY: Final = dt.timedelta(days=1)
#: Before everything here.
LONG_AGO: Final = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
DOORS: Final = (
    privacy,
    audit,
    archives,
    budgets,
    catalog,
    erasure,
    evidence,
    federated,
    letters,
    log,
    standing,
)
ACTOR: Final = P["actor"].email
TYPED: Final = ("--actor", P["typed"].email, "--json")
#: The key of a witness who does not answer.
VKEY: Final = notes.Verifier(
    name="witness.example.com",
    public=FileSigner(name="w", seed=bytes(32)).verifier.public,
    algorithm=notes.COSIGNATURE,
).vkey

#: Doors that are driven in another way, or do nothing that could tell of a person.
OTHERWISE: Final = {
    "anonymize_users": "the door of anonymize_user, and of aegis.users.anonymize_many",
    "carry_out_erasure": "asked for by `aegis erasure run`",
    "due_erasures": "asked by beat, each few seconds",
    "ask_due_copies": "the same",
    "retention_policy_schema": "the JSON Schema of a policy file: the same everywhere",
    "recover_log": "asked for by its command; it refuses, for the log is not behind",
    "resume_source": "asked for by its command; it refuses, for the source is in order",
    "record_audit_once": "the door of aegis.audit.record, which is sent to the worker",
    "register_policy_once": "the door of aegis.retention.register, which is sent to the worker",
    "prepare_epoch": "makes a key file; nobody is named",
}
#: Commands that are no operation of an installation in use.
NOT_RUN: Final = {
    "demo": "makes an installation of its own; it has its own test",
    "up": "the same processes as here, in one command",
    "worker": "runs all the time here",
    "beat": "runs all the time here",
    "init": "refuses where keys are",
}
#: Redis writes down what services send before a worker has taken it, and keeps it until it rewrites its file.
MESSAGES: Final = dict.fromkeys(
    ("denied", "key", "sent", "service", "target", "wrong"),
    "the arguments of messages, as they were sent: Redis's own file, to be guarded like the queue",
)
#: A regulator is told who decided and who asked; nobody whose data it was.
EVIDENCE: Final = dict.fromkeys(
    ("actor", "approver", "matter", "owner", "reason", "released", "service", "typed"),
    "who approved a policy, asked for an erasure, placed a hold and why",
)


@pytest.fixture(params=["sqlite", "postgresql"])
def site(
    request: pytest.FixtureRequest,
    new_database: Callable[[str, str], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Site]:
    """A site whose databases are SQLite files, and one on PostgreSQL."""
    monkeypatch.setenv("AEGIS_CONFIG", str(tmp_path / "aegis.toml"))
    app, control = f"sqlite:///{tmp_path / 'app.db'}", None
    if request.param == "postgresql":
        app, control = (new_database("postgresql", "empty") for _ in range(2))
    worlds.engine(app).connect().close()
    with running(tmp_path, app, control) as made:
        yield made


def policies(site: Site) -> None:
    """Register, look at, compare, approve."""
    masks = {"email": "surrogate", "name": "null", "phone": {"constant": "none"}}
    words: dict[str, Any] = {"retention_days": 30, "actor": ACTOR}
    register = privacy.register_retention_policy
    archived = {"tenant_column": "tenant", "archive": {"keep_days": 1}, "owner": P["owner"].email}
    masked = {"tenant_column": "tenant", "action": "anonymize", "masks": masks}
    site.door(register, "visits", "visits", **words, **archived)
    site.door(register, "members", "members", **words, parallel=2)
    site.door(register, "letters", "letters", **words, **masked)
    for name in ("visits", "members", "letters"):
        site.door(privacy.approve_retention_policy, name, ACTOR)
        site.door(privacy.preview_retention_policy, name)
        site.door(privacy.brief_retention_policy, name)
        site.door(privacy.what_if_retention_policy, name, days=7)
        site.door(privacy.show_retention_queries, name)
    text = site.door(privacy.export_retention_policies)
    site.door(privacy.apply_retention_policies, text, check=True, actor=ACTOR)
    site.door(privacy.apply_retention_policies, text, actor=ACTOR)
    site.door(privacy.list_retention_policies)
    site.door(privacy.scheduled_policies)


def held(site: Site) -> None:
    """Hold, run into the hold, release; past its review date it alarms."""
    words: dict[str, Any] = {"owner": P["owner"].email, "review_by": dt.date(2020, 1, 1)}
    first = site.door(privacy.place_hold, matter=P["matter"].text, tenant="acme", **words)
    site.door(privacy.place_hold, matter=P["matter"].name, policy="members", **words)
    one = {"email": f"0.{P['key'].email}"}
    site.door(privacy.place_hold, matter=P["matter"].email, table="members", key=one, **words)
    site.door(privacy.enforce_retention_policies, dry_run=True)
    site.door(privacy.preview_retention_policy, "members")
    assert site.door(privacy.show_retention_queries, "members").row_holds == 1
    site.door(privacy.enforce_retention_policies, dry_run=False, policies=["members"], actor=ACTOR)
    site.door(privacy.due_runs)
    found = site.door(privacy.list_holds)
    assert {item["matter"] for item in found} == {P["matter"].text, P["matter"].name, P["matter"].email}
    for item in found:
        site.door(privacy.release_hold, item["id"], P["released"].email)
    assert first in {item["id"] for item in site.door(privacy.list_holds, everything=True)}


def stopped(site: Site) -> None:
    """Stop everything, try, and start again."""
    site.door(privacy.stop_operations, P["reason"].text, ACTOR, everywhere=True)
    words: dict[str, Any] = {"policies": ["visits"], "tenant_id": "globex", "actor": ACTOR}
    site.door(privacy.enforce_retention_policies, dry_run=False, **words)
    site.door(privacy.start_operations, ACTOR, everywhere=True)


def worked(site: Site) -> None:
    """Runs in this process: slices, pauses, guards, and what is told of them."""
    words: dict[str, Any] = {"policies": ["visits"], "tenant_id": "acme", "actor": ACTOR}
    (run,) = site.door(privacy.create_retention_runs, str(uuid.uuid4()), **words)
    site.door(privacy.pause_run, run, ACTOR)
    site.door(privacy.advance_run, run)
    site.door(privacy.resume_run, run, ACTOR)
    site.door(privacy.carry_out_unfinished)
    await_done(site, run)
    for look in (privacy.run_standing, privacy.run_dossier, privacy.purge_run):
        site.door(look, run)
    site.door(privacy.purge_run, run, execute=True)
    site.door(privacy.retention_progress, "visits")
    for door in (privacy.look_after_purges, privacy.retention_purges, privacy.retention_forecasts):
        site.door(door)
    site.door(privacy.policy_figures)
    gauges = (standing.unfinished_runs, standing.open_requests, standing.policy_agenda)
    for gauge in (*gauges, standing.source_standings, standing.overdue_copies, standing.overdue_purges):
        site.door(gauge)
    site.door(standing.ended_requests, None)
    for process in ("worker", "beat"):
        site.command(f"{process} health")
    guarded(site)


def guarded(site: Site) -> None:
    """A guard stops a run, a person lets it go on; instants come and are missed."""
    limits: dict[str, Any] = {"cascades": ["notes"], "guards": {"max_rows": 1}, "cron": "0 0 1 1 *"}
    site.door(
        privacy.register_retention_policy, "guarded", "letters", retention_days=30, actor=ACTOR, **limits
    )
    policy = site.door(privacy.approve_retention_policy, "guarded", ACTOR)
    (blocked,) = site.door(
        privacy.enforce_retention_policies, dry_run=False, policies=["guarded"], actor=ACTOR
    )
    site.door(privacy.approve_stopped_run, "guarded", blocked["run"], ACTOR)
    await_done(site, blocked["run"])
    instant = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    scheduled = site.door(privacy.create_scheduled_run, policy.id, instant)
    site.door(privacy.note_missed_runs, policy.id, instant, instant, 1)
    site.refused(privacy.confirm_retention_policy, "guarded", ACTOR)
    # It finds nothing to do, if a worker was faster than this.
    await_done(site, scheduled)
    site.door(privacy.disable_retention_policy, "guarded", ACTOR)


def budgeted(site: Site) -> None:
    """Budgets: opened, changed, looked at, and refused to somebody's name."""
    words: dict[str, Any] = {"epsilon": 5.0, "window_days": 30}
    site.door(budgets.create_budget, "acme", **words, actor=ACTOR)
    site.door(budgets.create_budget, "acme/usage", **words, parent="acme", actor=ACTOR)
    site.door(budgets.set_budget, "acme", epsilon=7.0, actor=ACTOR)
    site.door(budgets.show_budgets)
    site.door(budgets.budget_history, "acme")
    for person in (P["wrong"].email, P["wrong"].name):
        site.refused(budgets.create_budget, person, epsilon=1.0)
        site.refused(budgets.create_budget, "x", epsilon=1.0, parent=person)
        site.refused(budgets.budget_history, person)


def await_done(site: Site, run: str) -> None:
    """Wait until a run is done."""
    state = "SELECT state FROM aegis_runs WHERE id = :run"
    wait_until(lambda: site.ask(state, run=run) == "done", "the run is done")


def by_tasks(site: Site) -> None:
    """The same through Redis, a worker and beat."""
    fill(site.app, range(1000, 1060))
    who = {"actor": P["service"].email}
    site.send("aegis.retention.register", name="by_task", table="visits", retention_days=30, **who)
    wait_until(lambda: site.ask("SELECT count(*) FROM data_retention_policies WHERE name = 'by_task'"), "it")
    site.send("aegis.retention.enforce", dry_run=True, **who)
    for name in ("visits", "members", "letters"):
        site.send("aegis.retention.enforce", dry_run=False, policies=[name], request_id=f"all-{name}", **who)
    wait_until(lambda: site.count("visits") + site.count("members") == 0, "rows are gone")
    wait_until(lambda: site.count("letters", "name IS NOT NULL") == 0, "rows are masked")
    (run,) = privacy.create_retention_runs("again", policies=["members"], actor=P["service"].email)
    site.send("aegis.retention.run", run_id=run)
    about = {"target_type": "user", "target_id": P["target"].email}
    site.send("aegis.audit.record", action="note", actor=P["sent"].email, **about, request_id="note")
    site.send("aegis.tenancy.check", requesting_tenant=P["denied"].email, resource_tenant="acme")
    for task in ("aegis.audit.relay", "aegis.audit.seal", "aegis.operations.reconcile", "aegis.catalog.scan"):
        site.send(task)
    site.send("aegis.audit.export", name="siem")
    counted = "SELECT count(DISTINCT action) FROM audit_logs WHERE action IN (:a, :b, :c)"
    expected = {"a": "custom:note", "b": "tenant:deny", "c": "audit:export"}
    wait_until(lambda: site.ask(counted, **expected) == len(expected), "each of them has happened")


def restored(site: Site) -> None:
    """Archives: listed, read, brought back, attested, expired."""
    for name in ("visits", "by_task"):
        site.door(privacy.disable_retention_policy, name, ACTOR)
    found = [item for item in site.door(archives.list_archives) if item["state"] == "complete"]
    assert len(found) >= 2
    for item in found:
        site.door(archives.restore_archive, item["id"], actor=ACTOR)
    done = site.door(archives.restore_archive, found[0]["id"], actor=ACTOR, dry_run=False)
    assert site.count("visits") == done["rows"] > 0
    site.refused(archives.restore_archive, found[0]["id"], actor=ACTOR, dry_run=False)
    site.door(archives.attest_backup, "app", dt.datetime.now(dt.UTC) - DAY, actor=ACTOR)
    with site.control.begin() as connection:
        past = "UPDATE aegis_archives SET expires_at = created_at WHERE id = :id"
        connection.execute(sa.text(past), {"id": found[1]["id"]})
    site.door(archives.tend_archives)


def tenants(site: Site) -> None:
    """Denials; what was asked for is sealed, for nobody knows that it is a tenant."""
    site.door(privacy.tenant_isolation_check, "acme", "acme")
    with pytest.raises(PermissionError) as told:
        privacy.tenant_isolation_check(P["denied"].email, P["denied"].name)
    site.keep("a denial", str(told.value))
    with pytest.raises(ValueError, match="missing") as missing:
        privacy.tenant_isolation_check(P["denied"].email, None)
    site.keep("a missing tenant", str(missing.value))


def recorded(site: Site) -> None:
    """Events of the application, alone and inside a transaction, and everything that reads them."""
    details = {"why": P["details"].text, "who": {"phone": [P["details"].phone]}}
    event = site.door(audit.record_audit, "note", P["actor"].name, "user", P["target"].email, details)
    site.door(audit.record_audit, "note", ACTOR, "policy", "visits", details)
    about = ("note", ACTOR, "phone", P["target"].phone, details)
    with site.aegis.databases.control.begin() as connection:
        site.door(audit.record_audit, *about, connection=connection)
    found = {item["id"]: item for item in site.door(audit.get_audit_events, 1000)}
    assert (found[event]["details"], found[event]["actor"]) == (details, P["actor"].name)
    for door in (audit.relay_journals, audit.prune_journals, audit.ledger, audit.audit_backlog):
        site.door(door)
    site.door(audit.account_of, "visits")


def approved(site: Site) -> None:
    """Approver keys: the owner is a person, the key's name is a word of the configuration."""
    key = Ed25519PrivateKey.generate()
    public = site.home.parent / "approver.pub"
    public.write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    site.private.touch(mode=0o600)
    site.private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    owner = P["approver"].email
    site.command("approver add", "laptop-7", str(public), "--owner", owner, *TYPED)
    site.command("approver list", "--json")
    site.door(privacy.register_retention_policy, "signed", "members", retention_days=40, actor=ACTOR)
    message = site.door(privacy.approval_message, "signed")
    site.refused(privacy.approve_retention_policy, "signed", P["wrong"].email, signature=bytes(64))
    site.door(privacy.approve_retention_policy, "signed", owner, signature=key.sign(message))


def sealed(site: Site) -> None:
    """The log: sealed, verified, proved, exported in every format, its keys changed, its witness away."""
    site.door(audit.seal_audit_log)
    assert site.door(audit.verify_audit_log).intact
    site.door(log.prune_log, dt.date(2020, 1, 1), ACTOR, execute=True)
    site.refused(log.prune_log, dt.date(2099, 1, 1), P["wrong"].email, execute=True)
    events = site.door(audit.get_audit_events, 1000, after=-1)
    for event in events[:3] + events[-3:]:
        proof = site.door(log.prove_event, event["id"])
        site.keep("a proof", str(proof))
        site.door(log.check_proof, str(proof), site.door(log.trusted))
    for name in NAMES:
        site.door(audit.export_audit_log, name, str(site.home / f"export.{name}"), actor=ACTOR)
    assert (site.home / "export.jsonl").stat().st_size > 1000
    site.door(log.check_export, site.home / "export.jsonl", site.door(log.trusted))
    site.door(audit.export_as_configured, "siem", actor=ACTOR)
    site.door(log.rotate_signing_key, ACTOR)
    site.door(audit.seal_audit_log)
    site.door(log.retire_signing_key, site.door(log.signing_keys)[0].verifier.key_id.hex(), ACTOR)
    site.door(log.add_witness, "away", VKEY, "http://127.0.0.1:1", ACTOR)
    site.door(log.push_checkpoint)
    site.door(log.witnesses)
    site.door(log.remove_witness, "away", ACTOR)
    site.refused(log.begin_log, "logs.example.com/again", actor=ACTOR)


def went_wrong(site: Site) -> None:
    """Persons where names belong: callers hear what they said; logs and tables do not."""
    wrong, register = P["wrong"].email, privacy.register_retention_policy
    site.refused(register, wrong, "visits", retention_days=-1)
    site.refused(register, "w", wrong)
    site.refused(register, "w", "visits", timestamp_column=wrong)
    site.refused(register, "w", "visits", filter_sql=f"lower(email) = '{wrong}'")
    site.refused(register, "w", "visits", datasource=wrong)
    site.refused(privacy.enforce_retention_policies, policies=[wrong])
    site.refused(privacy.preview_retention_policy, wrong)
    site.refused(privacy.approve_retention_policy, wrong, ACTOR)
    site.refused(privacy.release_hold, wrong, ACTOR)
    site.refused(privacy.advance_run, wrong)
    site.refused(privacy.apply_retention_policies, f"policies: {{{wrong}: {{table: {wrong}}}}}")
    site.refused(archives.restore_archive, wrong)
    site.refused(audit.record_audit, "note", ACTOR, "user", wrong, {wrong: object()})
    site.refused(audit.record_audit, "note", ACTOR, "user", wrong, {"text": wrong * 2000})
    site.refused(log.prove_event, wrong)
    site.refused(log.check_proof, wrong, log.trusted())
    site.refused(log.give_up_epoch, 1, wrong)


def sent_wrong(site: Site) -> None:
    """The same in messages: neither the worker's log nor any table has them."""
    for person in (P["wrong"].email, P["wrong"].name, P["wrong"].phone):
        words: list[dict[str, Any]] = [
            {"policies": [person]},
            {"policies": person},
            {"policies": ["members"], "tenant_id": person},
            {"policies": ["members"], "unknown": person},
            {"dry_run": person},
        ]
        for word in words:
            site.send("aegis.retention.enforce", **word)
        site.send("aegis.retention.register", name=person, table=person)
        site.send("aegis.retention.register", name="w", table="visits", timestamp_column=person)
        for condition in (f"email = {person}", f"lower(email) = '{person}'", f"email = '{person}' AND id"):
            site.send("aegis.retention.register", name="w", table="visits", filter_sql=condition)
        site.send("aegis.retention.run", run_id=person)
        about = {"actor": person, "target_type": "user", "target_id": person}
        site.send("aegis.audit.record", action="note", **about, details={"who": person})
        site.send("aegis.audit.record", action="", **about)
        site.send("aegis.audit.record", action="last", **about | {"target_id": [person]})
        site.send("aegis.tenancy.check", requesting_tenant={"who": person}, resource_tenant=None)
        site.send("aegis.audit.export", name=person)


def forged(site: Site) -> None:
    """What is no message is put aside; of what is in it nothing is said, and dropped it is gone."""
    url = site.stack.redis.url
    with pytest.MonkeyPatch.context() as patched, client(url) as redis:
        patched.setenv("AEGIS_BROKER_URL", url)
        patched.setattr(site.aegis, "settings", dataclasses.replace(site.aegis.settings, broker_url=url))
        forge(site, redis)


def forge(site: Site, redis: Any) -> None:
    """Put what is no message into a queue, and look after it."""
    person = P["wrong"]
    redis.lpush("audit", person.email, json.dumps({"headers": {"task": person.name}, "who": person.phone}))
    wait_until(lambda: len(letters.dead_letters()) == 2, "both are put aside")
    load = site.door(letters.broker_load)
    assert (set(load.messages), load.dead_letters) == (set(ROUTES.values()), 2)
    one, other = (letter.id for letter in letters.dead_letters())
    site.command("worker dead-letters", "--json", code=1)
    site.command("worker dead-letters", "--requeue", one, "--actor", P["typed"].email)
    wait_until(lambda: len(letters.dead_letters()) == 2, "it is put aside again")
    site.command("worker dead-letters", "--drop", other, *TYPED)
    (last,) = (letter.id for letter in letters.dead_letters())
    site.refused(letters.requeue_dead_letter, other, actor=P["wrong"].email)
    site.door(letters.requeue_dead_letter, last, actor=ACTOR)
    wait_until(lambda: len(letters.dead_letters()) == 1, "it is put aside once more")
    site.door(letters.drop_dead_letter, site.door(letters.dead_letters)[0].id, actor=ACTOR)
    site.door(letters.tend_dead_letters)


def commanded(site: Site) -> None:
    """Every command, by a person who says who they are."""
    commanded_policies(site)
    commanded_runs(site)
    commanded_log(site)
    commanded_erasures(site)
    commanded_budgets(site)
    commanded_catalog(site)
    site.command("config", "--json")
    site.command("grants", "app")
    site.command("migrate", "--json")
    site.command("doctor", "--json", code=1)


def commanded_policies(site: Site) -> None:
    """`aegis policy`, `approver` and `hold`."""
    fill(site.app, range(2000, 2005))
    add = ("--days", "300", "--action", "delete")
    site.command("policy add", "typed", "--table", "letters", "--cascade", "notes", *add, *TYPED)
    site.command("policy add", "typed", "--table", P["wrong"].name, *add, code=2)
    signed = ("--sign-with", str(site.private), "--actor", P["approver"].email)
    site.command("policy approve", "typed", *signed, "--json")
    site.command("approver remove", "laptop-7", *TYPED)
    for name in ("list", "status"):
        site.command(f"policy {name}", "--json")
    site.command("policy schema")
    for name in ("show", "preview"):
        site.command(f"policy {name}", "typed", "--json")
    paged(site, "policy preview", "typed")
    site.command("policy what-if", "typed", "--days", "30", "--json")
    site.command("policy confirm", "typed", *TYPED, code=4)
    text = site.command("policy export", "typed")
    site.command("policy apply", "-f", "-", *TYPED, stdin=text)
    words = ("--matter", P["matter"].text, "--owner", P["typed"].email, "--review", "2099-01-01")
    key = ("--table", "members", "--key", "email=-", "--json")
    one = site.command("hold add", *words, *key, stdin=f"2000.{P['key'].email}\n")["id"]
    hold = site.command("hold add", *words, "--table", "letters", "--json")["id"]
    site.command("hold list", "--json")
    site.command("policy show", "typed", "--sql")
    site.command("retention run", "--policy", "typed", "--execute", *TYPED, code=4)
    for item in (one, hold):
        site.command("hold release", item, *TYPED)


def paged(site: Site, command: str, about: str) -> None:
    """Have a command write its page; keep what it says."""
    file = site.home.parent / "page.html"
    site.command(command, about, "--html", str(file))
    site.keep(f"the page of aegis {command}", file.read_text(encoding="utf-8"), PAGES)
    file.unlink()


def commanded_runs(site: Site) -> None:
    """`aegis retention`, `stop` and `start`."""
    site.command("retention run", "--policy", "typed", *TYPED)
    site.command("retention run", "--policy", P["wrong"].email, *TYPED, code=2)
    # While everything stands still no worker takes the run away.
    site.command("stop", "--reason", P["reason"].text, "--all", *TYPED)
    site.command("hold list", "--all", "--json")
    (run,) = privacy.create_retention_runs("typed", policies=["typed"], actor=P["typed"].email)
    for name in ("pause", "resume", "cancel"):
        site.command(f"retention {name}", run, *TYPED)
    site.door(privacy.cancel_run, privacy.create_retention_runs("2", policies=["typed"])[0], ACTOR)
    site.command("start", "--all", *TYPED)
    site.command("policy disable", "typed", *TYPED)
    site.command("retention resume", "--datasource", "app", *TYPED, code=4)
    site.command("retention status", "--json")
    site.command("retention status", run, "--json")
    paged(site, "retention status", run)
    site.command("retention purge", "--json")
    archive = site.command("retention archives", "--json")[0]["id"]
    site.command("retention restore", archive, *TYPED, code=4)
    at = f"{dt.datetime.now(dt.UTC) - DAY:%Y-%m-%dT%H:%M:%S+00:00}"
    site.command("retention attest-backup", "--datasource", "app", "--at", at, *TYPED)


def commanded_log(site: Site) -> None:
    """`aegis audit`."""
    site.command("audit seal", "--json")
    site.command("audit verify", "--json")
    event = audit.get_audit_events(1000, after=-1)[0]["id"]
    file = str(site.home / "typed.tlog-proof")
    site.command("audit prove", event, "--out", file)
    site.command("audit check-proof", file, "--json")
    site.command("audit prove", P["wrong"].email, code=2)
    site.command("audit export", "siem", *TYPED)
    site.command("audit verify", "--export", str(site.home / "export.tiles"))
    site.command("audit prune", "--before", "2020-01-01", "--execute", *TYPED)
    site.command("audit keys init", *TYPED, code=4)
    site.command("audit keys rotate", *TYPED)
    site.command("audit seal", "--json")
    signing = [key for key in site.command("audit keys list", "--json") if key["file"]]
    site.command("audit keys retire", signing[0]["key_id"], *TYPED)
    site.command("audit keys turn", *TYPED)
    site.command("audit witness add", "away", VKEY, "http://127.0.0.1:1", *TYPED[:2])
    site.command("audit witness push", code=5)
    site.command("audit witness list", "--json")
    site.command("audit witness remove", "away", *TYPED[:2])
    site.command("audit recover", "--new-incarnation", *TYPED, code=4)


def erased(site: Site) -> None:
    """What a person has is planned for and exported, by an e-mail address that is their key."""
    fill(site.app, range(3000, 3003))
    key, folder = [f"3000.{P['key'].email}"], site.home.parent
    assert site.door(erasure.plan_erasure, key, tenant="globex").rows == 1
    site.door(erasure.export_person, key, folder / "person.json", actor=ACTOR)
    site.refused(erasure.plan_erasure, [P["wrong"].email])
    site.refused(erasure.plan_erasure, key, tenant="acme")
    words: dict[str, Any] = {"actor": ACTOR}
    done = site.door(erasure.anonymize_user, key, tenant_id="globex", **words)
    assert done, done.reason
    assert not site.door(erasure.anonymize_user, key, **words)
    site.refused(erasure.anonymize_user, [P["wrong"].email, P["wrong"].email], **words)
    run = site.door(erasure.request_erasure, [f"3001.{P['key'].email}"], "asked", **words)
    site.door(erasure.erasure_message, "asked")
    site.refused(erasure.approve_erasure, "asked", ACTOR)
    assert site.door(erasure.advance_erasure, run)["outcome"] == "done"
    assert site.door(erasure.erasure_status, "asked")
    assert site.door(erasure.erasure_runs, "asked") == [run]
    site.door(erasure.recent_erasures)
    site.door(erasure.verify_erasure, key, identifiers={"email": P["row"].email})
    site.door(audit.relay_journals)
    wait_until(lambda: site.ask("SELECT count(*) FROM audit_pending") == 0, "all is sealed")
    site.door(erasure.confirm_copy, "asked", "away", ACTOR)
    site.refused(erasure.confirm_copy, "asked", P["wrong"].name, ACTOR)
    site.door(erasure.overdue_copies)
    site.door(erasure.erasure_receipt, "asked")
    today = {"start": LONG_AGO, "end": dt.datetime.now(dt.UTC), "actor": ACTOR}
    site.door(evidence.gather_evidence, site.home / "evidence-2", **today)
    site.door(evidence.gather_evidence_of_request, site.home / "evidence-3", "asked", actor=ACTOR)
    site.door(evidence.gather_evidence_of_person, site.home / "evidence-4", key, actor=ACTOR)
    site.refused(erasure.resume_erasure, "asked", ACTOR)
    site.refused(erasure.cancel_erasure, "asked", ACTOR)
    site.door(erasure.replay_erasures, LONG_AGO, actor=ACTOR, execute=True)
    who = {"actor": P["service"].email}
    site.send("aegis.users.anonymize", user_id=f"3002.{P['key'].email}", request_id="sent", **who)
    site.send("aegis.users.anonymize_many", user_ids=[P["wrong"].email], **who)
    site.send("aegis.users.anonymize_many", group="old", **who)
    wait_until(lambda: site.ask("SELECT count(*) FROM aegis_tombstones") == 3, "it is erased")
    site.send("aegis.erasure.run", run_id=run)
    for name in ("agency", "lake"):
        site.send("aegis.erasure.confirm", request="sent", copy=name, **who)
    site.send("aegis.erasure.confirm", request="sent", copy=P["wrong"].name, **who)
    site.send("aegis.erasure.confirm", request="sent", copy="away", actor=P["wrong"].email)
    closed = "SELECT count(*) FROM aegis_requests WHERE request_id = 'sent' AND closed_at IS NOT NULL"
    wait_until(lambda: site.ask(closed) == 1, "its copies are confirmed")
    site.send("aegis.erasure.replay", since=LONG_AGO.isoformat(), **who)


def commanded_erasures(site: Site) -> None:
    """`aegis datamap`, `catalog` and `erasure`."""
    fill(site.app, range(3010, 3011))
    folder, person = site.home.parent, f"3010.{P['key'].email}\n"
    site.command("datamap init", "--output", str(folder / "first.yaml"), "--json")
    site.command("datamap check", "--json")
    site.command("datamap schema")
    site.command("catalog scan", "--all")
    site.command("catalog scan", "--json")
    site.command("datamap export", "--format", "fides")
    site.command("erasure plan", "-", stdin=person)
    site.command("erasure plan", "-", "--json", stdin=person)
    site.command("erasure plan", "-", "--html", str(site.home / "plan.html"), stdin=person)
    site.command("erasure plan", "-", code=2, stdin=P["wrong"].email)
    site.command("erasure export", "-", "--output", str(folder / "more.json"), *TYPED, stdin=person)
    site.command("erasure run", "-", *TYPED, stdin=person)
    site.command("erasure run", "-", "--execute", "--request", "by-command", *TYPED, stdin=person)
    site.command("erasure run", "-", *TYPED, code=2, stdin=P["wrong"].email)
    site.command("erasure status", "--json")
    site.command("erasure status", "by-command")
    site.command("erasure confirm", "by-command", "agency", *TYPED)
    site.command("erasure confirm", "by-command", P["wrong"].name, *TYPED, code=2)
    for verb in ("approve", "resume", "cancel"):
        site.command(f"erasure {verb}", "by-command", *TYPED, code=4)
    site.door(audit.relay_journals)
    site.door(audit.seal_audit_log)
    site.command("erasure receipt", "by-command")
    site.command("evidence", "--person", "-", "--out", str(site.home / "evidence-0"), *TYPED, stdin=person)
    days = ("--from", "2020-01-01", "--to", "2099-12-31")
    site.command("evidence", *days, "--out", str(site.home / "evidence-1"), "--json", *TYPED)
    site.command("evidence", "--person", "-", "--out", "none", *TYPED, code=2, stdin=P["wrong"].email)
    site.command("erasure verify", "-", "--json", stdin=person)
    site.command("erasure receipt", "by-command", "--json")
    site.command("erasure replay", "--since", "2020-01-01", *TYPED)
    fill(site.app, range(3011, 3012))
    site.command("erasure run", "--group", "old", *TYPED)
    site.command("erasure run", "--group", "old", "--limit", "1", "--execute", *TYPED)
    assert site.count("members", "email LIKE '3011.%'") == 0


def commanded_budgets(site: Site) -> None:
    """`aegis federated budget`."""
    site.command("federated budget create", "typed", "--epsilon", "1", "--parent", "acme", *TYPED)
    site.command("federated budget create", P["wrong"].email, "--epsilon", "1", *TYPED, code=2)
    site.command("federated budget set", "typed", "--epsilon", "2", *TYPED)
    site.command("federated budget show")
    site.command("federated budget charge-history", "typed", "--json")


def commanded_catalog(site: Site) -> None:
    """`aegis catalog`: rows with persons are sampled; the files say columns, and nobody."""
    fill(site.app, range(4000, 4010))
    site.command("catalog scan", "--json")
    site.command("catalog diff", "--json", code=1)
    site.command("catalog propose", "-o", str(site.home), "--json")
    labels = site.home / "labels.csv"
    reviewed = ("--datamap", str(site.home / "app.datamap.proposed.yaml"), "--proposed")
    site.command("catalog export", *reviewed, "--format", "csv", "-o", str(labels))
    site.command("catalog import", str(labels), "--format", "csv", "-o", str(site.home), "--json")
    labels.write_text(P["wrong"].text, "utf-8")
    site.command("catalog import", str(labels), "--format", "csv", code=2)
    site.door(catalog.look_at_catalogs)
    site.door(catalog.catalog_reviews)
    labels.unlink()


def destroyed(site: Site) -> None:
    """Keys of persons are destroyed, the key store is turned, and what is left is read."""
    store = site.aegis.keystore
    store.destroy("subject", "", "user", P["target"].email)
    store.destroy("actor", P["service"].email)
    site.door(log.turn_key_store, ACTOR)
    site.door(log.tend_key_store)
    site.keep("epochs", repr(site.aegis.epochs.listed()))
    found = site.door(audit.get_audit_events, 1000)
    assert {"sealed": "its key was destroyed"} in [event["details"] for event in found]
    assert None in {event["actor"] for event in found}


def settled(site: Site) -> None:
    """Wait until every message was worked on and every event has its leaf."""
    with client(site.stack.redis.url) as redis:
        # Beat goes on sending to the other two.
        queues = {entry.queue for entry in TABLE} - {"seal", "maintenance"}
        wait_until(lambda: not any(redis.llen(queue) for queue in queues), "the queues are empty")
        wait_until(lambda: redis.hlen("unacked") <= 1, "the last messages are done")
        open_task = "kind = 'task' AND asked_at IS NULL AND confirmed_at IS NULL"
        unasked = f"SELECT count(*) FROM aegis_erasure_copies WHERE {open_task}"  # noqa: S608 - its own words
        wait_until(lambda: site.ask(unasked) == 0, "the lake is asked")
        # The lake takes what it was sent: of a person their key, to forget them by.
        messages = [json.loads(message) for message in redis.lrange("lake", 0, -1)]
        bodies = [json.loads(base64.b64decode(message["body"]))[1] for message in messages]
        assert all(set(body) == {"request", "copy", "subject", "key", "datasource"} for body in bodies)
        assert f"3010.{P['key'].email}" in {body["key"] for body in bodies}
        redis.delete("lake")
    site.door(audit.seal_audit_log)


def commands(group: click.Command, name: str = "aegis") -> Iterator[str]:
    """Yield every command there is."""
    if not isinstance(group, click.Group):
        yield name
        return
    for word in group.list_commands(click.Context(group)):
        found = group.get_command(click.Context(group), word)
        assert found is not None
        yield from commands(found, f"{name} {word}")


def check_everything_was_driven(site: Site) -> None:
    """A door, a task or a command that is new has to be driven here, or to say why not."""
    doors = {
        name
        for module in DOORS
        for name, door in inspect.getmembers(module, inspect.isfunction)
        if door.__module__ == module.__name__ and not name.startswith("_")
    }
    assert doors - site.driven - OTHERWISE.keys() == set()
    assert {entry.name for entry in TABLE} - site.driven == set()
    ran = {name for name in commands(main) if name.removeprefix("aegis ") not in NOT_RUN}
    assert ran - site.driven == set()


def everywhere(site: Site) -> Iterator[Place]:
    """Yield everything that Aegis wrote or said, but not the application's own tables."""
    keys = worlds.engine(site.aegis.settings.keys.url)
    yield from canary.of_database("control", site.control)
    yield from canary.of_database("keys", keys)
    yield from canary.of_database("journal", site.app, leave_out=TABLES)
    keys.dispose()
    redis = site.home / "redis"
    for place in canary.of_folder("home", site.home):
        by_design = MESSAGES if place.name.startswith(f"home/{redis.name}/") else {}
        by_design = EVIDENCE if place.name.startswith("home/evidence-") else by_design
        yield Place(name=place.name, content=place.content, by_design=by_design)
    yield from canary.of_redis("redis", site.stack.redis.url)
    yield Place(name="log of worker and beat", content=site.log.read_bytes())
    for process in ("worker", "beat"):
        yield Place(name=f"metrics of {process}", content=site.stack.metrics(process).encode())
    yield from site.said


STEPS: Final = (
    *(policies, held, stopped, worked, by_tasks, restored, tenants, recorded, approved, sealed, erased),
    *(budgeted, asked_by_a_service, went_wrong, sent_wrong, forged, commanded, destroyed, settled),
)


@pytest.mark.timeout(1200)
def test_persons_stand_nowhere(site: Site) -> None:
    """After everything that Aegis can do, not one hit in any place, in any spelling."""
    for step in STEPS:
        step(site)
    check_everything_was_driven(site)
    application = canary.of_database("application", site.app)
    assert canary.search(application, [P["row"]]), "the search finds persons where they are"
    found = canary.search(everywhere(site), P.values())
    assert not found, "\n".join(["persons stand where they must not:", *found])
