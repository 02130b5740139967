"""The real command, in a folder of its own, as a person and a program use it."""

import datetime as dt
import os
import pty
import shutil
import signal
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from aegis.db import facts
from aegis.embedded import EmbeddedPostgres, EmbeddedRedis
from aegis.retention import definition
from tests.shells import ADD, APPROVE, EXECUTE, Said, Shell, empty
from tests.workerkit import client, wait_until

PASSWORD = "hunter2"


@pytest.fixture
def bare(tmp_path: Path) -> Shell:
    """An empty folder."""
    return empty(tmp_path)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A folder with three rows past 90 days, two within them, and a journal; not to be changed."""
    made = empty(tmp_path_factory.mktemp("prepared"))
    made.make_table([400, 200, 100, 10, 1])
    made.configure()
    assert made("migrate").code == 0
    assert made("migrate", "--datasource", "app").code == 0
    return made


@pytest.fixture
def shell(prepared: Shell, tmp_path: Path) -> Iterator[Shell]:
    """A copy of the prepared folder; after the test its account must balance."""
    copy = empty(Path(shutil.copytree(prepared.folder, tmp_path / "copy")))
    copy.configure()
    copy.born = prepared.born
    yield copy
    copy.balance()


def test_keys_of_services(prepared: Shell, tmp_path: Path) -> None:
    """The workers' public key is printed; a service's own is made once, for its owner, and shown again."""
    workers = prepared("client-key")
    assert (workers.code, workers.out[:16]) == (0, "aegis-workers-1:")
    assert prepared("client-key", "--json").document == {"public_key": workers.out.strip()}
    path = tmp_path / "service.key"
    made = prepared("client-key", "--new", str(path))
    assert (made.code, made.out[:15]) == (0, "aegis-client-1:")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text("ascii").split(":")[1].strip() not in made.out
    again = prepared("client-key", "--new", str(path))
    assert again.code == 4
    assert "never overwritten" in again.err
    assert prepared("client-key", str(path)).out == made.out
    shown = prepared("client-key", str(path), "--json").document
    assert (made.out.splitlines()[0], shown["file"]) == (shown["public_key"], str(path))
    assert prepared("client-key", "--new").code == 2
    assert prepared("client-key", str(tmp_path / "another.key")).code == 4


def test_what_a_service_prints_lets_it_send(shell: Shell, tmp_path: Path) -> None:
    """Its lines pasted into aegis.toml say who may send; before, the doctor notes that everybody may."""
    (before,) = by_check(shell("doctor", "--json"))["producers"]
    assert (before["verdict"], before["text"][:18]) == ("note", "none is configured")
    lines = shell("client-key", "--new", str(tmp_path / "service.key")).out.partition("\n")[2]
    config = shell.folder / "aegis.toml"
    config.write_text(config.read_text() + lines.replace("NAME", "shop"))
    (after,) = by_check(shell("doctor", "--json"))["producers"]
    assert after["verdict"] == "ok"
    assert after["text"].endswith("by Aegis itself and by: shop (every task for services)")
    tasks = {"AEGIS_PRODUCERS__SHOP__TASKS": "aegis.audit.record"}
    assert "shop (1 task)" in by_check(shell("doctor", "--json", **tasks))["producers"][0]["text"]
    tasks = {"AEGIS_PRODUCERS__SHOP__TASKS": "aegis.audit.seal"}
    (fault,) = faults(shell("doctor", "--json", **tasks), "producers")
    assert "aegis.audit.seal is sent by Aegis itself" in fault["text"]


def by_check(said: Said) -> dict[str, list[dict[str, Any]]]:
    """Return the doctor's findings by the name of their check."""
    found: dict[str, list[dict[str, Any]]] = {}
    for finding in said.document["findings"]:
        found.setdefault(finding["check"], []).append(finding)
    return found


def faults(said: Said, check: str) -> list[dict[str, Any]]:
    """Return the faults that a check found; each names its cure."""
    return [finding for finding in by_check(said)[check] if finding["verdict"] == "fault"]


def test_archives_from_the_policy_to_the_restore(shell: Shell) -> None:
    """Without a backup nothing goes; then an archive is listed, tried, refused, and brought back once."""
    assert shell(*ADD, "--archive-days", "--backup-hours", "24").code == 0
    assert shell(*APPROVE).code == 0
    blocked = shell(*EXECUTE)
    assert (blocked.code, shell.rows()) == (4, 5)
    assert "aegis retention attest-backup --datasource app" in blocked.out
    attest = ("retention", "attest-backup", "--actor", "nightly", "--at")
    assert shell(*attest, "yesterday").code == 2
    assert shell(*attest, "2999-01-01T00:00:00+00:00").code == 2
    now = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
    assert "Recorded" in shell(*attest, now.isoformat()).out
    assert shell(*EXECUTE).code == 0
    assert shell.rows() == 2
    (archive,) = shell("retention", "archives", "--json").document
    assert (archive["rows"], archive["state"]) == (3, "complete")
    assert archive["id"] in shell("retention", "archives").out
    restore = ("retention", "restore", archive["id"])
    tried = shell(*restore)
    assert "3 rows would come back into safety_events" in tried.out
    assert "First disable safety_90" in tried.out
    assert "would take the rows again" in shell(*restore, "--execute").refusal
    assert shell("policy", "disable", "safety_90", "--actor", "legal@example.com").code == 0
    assert shell(*restore, "--execute", "--json").document["rows"] == 3
    shell.came_back(3)
    assert shell.rows() == 5
    assert "3 of its rows are in safety_events already" in shell(*restore, "--execute").refusal


def test_the_whole_story_of_a_policy(shell: Shell) -> None:
    """A policy deletes nothing before it is approved, then what its preview said, and then nothing."""
    assert "aegis policy preview safety_90" in shell(*ADD, "--tenant-column", "tenant_id").out
    listed = shell("policy", "list")
    assert (listed.code, listed.err) == (0, "")
    assert "safety_90" in listed.out
    assert "pending" in listed.out

    seen = shell("policy", "preview", "safety_90", "--json").document
    assert (seen["rows"], seen["total"], seen["tenants"]) == (3, 5, {"t0": 2, "t1": 1})

    dry = shell("retention", "run")
    assert dry.code == 0
    assert "Dry run: nothing was changed" in dry.out

    refused = shell(*EXECUTE)
    assert refused.code == 4
    assert "aegis policy approve safety_90 --actor" in refused.out
    assert shell.rows() == 5

    approved = shell(*APPROVE)
    assert approved.code == 0
    assert "3 rows of 5" in approved.out
    assert "as claimed" in approved.out
    assert shell.rows() == 5

    done = shell(*EXECUTE)
    assert done.code == 0
    assert "deleted" in done.out
    assert shell.rows() == 2

    again = shell(*EXECUTE, "--json")
    assert again.code == 0
    assert [(item["rows"], item["applied"]) for item in again.document["results"]] == [(0, True)]

    runs = shell("retention", "status", "--json").document
    assert [(run["state"], run["rows"]) for run in runs] == [("done", 0), ("done", 3)]


def test_a_tenants_run_leaves_the_others_alone(shell: Shell) -> None:
    """With a tenant named, only that tenant's rows are counted and deleted."""
    shell(*ADD, "--tenant-column", "tenant_id")
    shell(*APPROVE)
    assert shell("policy", "preview", "safety_90", "--tenant", "t0", "--json").document["rows"] == 2
    assert shell(*EXECUTE, "--tenant", "t0").code == 0
    assert shell.rows() == 3


def test_an_approval_of_something_else_is_refused(shell: Shell) -> None:
    """An approval that names another digest than the policy has changes nothing."""
    shell(*ADD)
    assert "preview it again" in shell(*APPROVE, "--digest", "0" * 64).refusal
    assert shell("policy", "show", "safety_90", "--json").document["approval"] is None


def test_show_says_what_an_approval_binds_to(shell: Shell) -> None:
    """The shown document hashes to the digest, and the approval names who gave it and for what."""
    shell(*ADD)
    shell(*APPROVE)
    shown = shell("policy", "show", "safety_90", "--json").document
    assert definition.digest(shown["canonical"]) == shown["digest"]
    assert shown["approval"]["actor"] == "legal@example.com"
    assert (shown["approval"]["digest"], shown["approval"]["claimed"]) == (shown["digest"], True)
    assert shown["canonical"] in shell("policy", "show", "safety_90").out


def test_show_says_who_approved_however_much_was_logged_since(shell: Shell) -> None:
    """Who approved is read where it is kept, and not looked for among the newest events of the log."""
    shell(*ADD)
    shell(*APPROVE)
    before = shell("policy", "show", "safety_90").out
    assert "approved by legal@example.com" in before
    write(shell, "DELETE FROM audit_logs WHERE action = 'policy:approve'")
    shell.unbalanced = "events are gone"
    assert shell("policy", "show", "safety_90").out == before


def test_show_says_that_nobody_approved(shell: Shell) -> None:
    """A policy that SQL marked as approved has no approval, and one that SQL changed does not hold."""
    shell(*ADD)
    write(shell, "UPDATE data_retention_policies SET state = 'approved', approved_at = created_at")
    assert (
        "Approval: it is marked as approved, and nobody approved it"
        in shell("policy", "show", "safety_90").out
    )
    assert shell("policy", "show", "safety_90", "--json").document["approval"] is None
    write(shell, "UPDATE data_retention_policies SET state = 'pending', approved_at = NULL")
    shell(*APPROVE)
    write(shell, "UPDATE aegis_approvals SET created_at = '2020-01-01'")
    shown = shell("policy", "show", "safety_90")
    assert "does not hold: it was not written by Aegis, or changed since" in shown.out
    fault = shell("policy", "show", "safety_90", "--json").document["approval"]["fault"]
    assert fault == "it was not written by Aegis, or changed since"


def write(shell: Shell, statement: str) -> None:
    """Change the control database behind Aegis's back."""
    with closing(sqlite3.connect(shell.folder / ".aegis" / "aegis.db")) as connection, connection:
        assert connection.execute(statement).rowcount


def test_a_disabled_policy_does_not_run(shell: Shell) -> None:
    """A run leaves a disabled policy out, and says so when it is named."""
    shell(*ADD)
    shell(*APPROVE)
    assert shell("policy", "disable", "safety_90", "--actor", "legal@example.com").code == 0
    assert shell(*EXECUTE).code == 0
    assert shell(*EXECUTE, "--policy", "safety_90").code == 4
    assert shell.rows() == 5


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("policy", "add"), "Missing argument 'NAME'"),
        ((*ADD[:-4], "--days", "soon", "--action", "delete"), "'soon'"),
        ((*ADD[:-4], "--days", "0", "--action", "delete"), "1 to 36500"),
        ((*ADD[:-1], "burn"), "action must be one of anonymize, delete"),
        ((*ADD[:3], "--table", "nothing", *ADD[5:]), "no table 'nothing'"),
        ((*ADD, "--cron", "whenever"), "five fields"),
        ((*ADD, "--period", "P2Y"), "one of them"),
        ((*ADD[:5], *ADD[7:]), "one of them"),
        ((*ADD[:5], *ADD[7:], "--period", "2 years"), "ISO 8601"),
        ((*ADD, "--window", "22-06"), "22:00-06:00"),
        ((*ADD, "--max-run-rows", "0"), "at least 1"),
        ((*ADD, "--tenant-days", "t0=5"), "tenant_column"),
        ((*ADD, "--tenant-days", "t0"), "TENANT=DAYS"),
        ((*ADD, "--tenant-days", "t0=5", "--tenant-days", "t0=6"), "twice"),
        ((*ADD, "--zone", "Mars/Olympus"), "time zone 'Mars/Olympus'"),
        ((*ADD, "--timestamp-zone", "Mars/Olympus"), "time zone 'Mars/Olympus'"),
        ((*ADD, "--filter", "id = (SELECT 1)"), "condition"),
        ((*ADD, "--datasource", "elsewhere"), "no data source 'elsewhere'"),
        (("policy", "show", "nobody"), "no policy nobody"),
        (("retention", "run", "--policy", "nobody"), "no policy nobody"),
        (("migrate", "--sql"), "--datasource"),
        (("polizy",), "polizy"),
    ],
)
def test_wrong_use_is_one_line(prepared: Shell, words: tuple[str, ...], says: str) -> None:
    """Wrong input ends with exit code 2 and one line that names it, and registers nothing."""
    said = prepared(*words)
    assert says in said.refusal
    assert said.code == 2
    assert prepared.policies() == 0


def test_a_tenant_is_refused_before_anything_runs(shell: Shell) -> None:
    """A run for a tenant stops before its first policy when another one cannot tell tenants apart."""
    shell(*ADD, "--tenant-column", "tenant_id")
    shell("policy", "add", "whole", *ADD[3:])
    shell(*APPROVE)
    said = shell(*EXECUTE, "--tenant", "t0")
    assert (said.code, "whole" in said.refusal, shell.rows()) == (2, True, 5)
    assert "name those that have one with --policy" in said.refusal


def test_a_period_and_tenants_of_their_own(shell: Shell) -> None:
    """A policy by the calendar, with other days for a tenant, is previewed with both cutoffs."""
    shell(*ADD[:5], *ADD[7:], "--period", "P1Y", "--tenant-column", "tenant_id", "--tenant-days", "t=0=5")
    seen = shell("policy", "preview", "safety_90", "--json").document
    assert (seen["period"], seen["retention_days"], list(seen["cutoffs"])) == ("P1Y", 365, ["t=0"])
    assert "P1Y: before" in shell("policy", "preview", "safety_90").out
    assert "t=0 before" in shell("policy", "preview", "safety_90").out
    assert "P1Y" in shell("policy", "list").out


def test_first_use_in_an_empty_folder(bare: Shell) -> None:
    """With nothing configured the list works, says what it made, and names the next command."""
    first = bare("policy", "list", "--json")
    assert (first.code, first.document) == (0, [])
    assert len(first.err.splitlines()) == 1
    assert (bare.folder / ".aegis" / "aegis.db").exists()
    again = bare("policy", "list")
    assert again.err == ""
    assert "aegis policy add NAME" in again.out


def test_keys_are_made_once(bare: Shell) -> None:
    """`init` makes the keys and refuses to replace them; `migrate` without keys names `init`."""
    control = f"sqlite:///{bare.folder / 'control.db'}"
    assert "aegis init" in bare("migrate", AEGIS_DATABASE_URL=control).refusal
    assert not (bare.folder / "control.db").exists()
    assert bare("init").code == 0
    keys = {path: path.read_bytes() for path in (bare.folder / ".aegis" / "keys").iterdir()}
    refused = bare("init")
    assert (refused.code, "never overwritten" in refused.refusal) == (4, True)
    assert {path: path.read_bytes() for path in keys} == keys
    assert bare("migrate", AEGIS_DATABASE_URL=control).code == 0
    assert bare("policy", "list", AEGIS_DATABASE_URL=control).code == 0


def test_a_named_database_is_not_migrated_by_itself(bare: Shell) -> None:
    """A control database that was named and not prepared is refused with the command that prepares it."""
    bare("init")
    said = bare("policy", "list", AEGIS_DATABASE_URL=f"sqlite:///{bare.folder / 'control.db'}")
    assert (said.code, "aegis migrate" in said.refusal) == (4, True)


def test_the_journals_statements_make_the_journal(bare: Shell) -> None:
    """What `migrate --sql` prints changes nothing by itself, and run by the owner it is what is needed."""
    bare.make_table([1])
    url = f"sqlite:///{bare.folder / 'app.db'}"
    said = bare("migrate", "--datasource", "app", "--sql", AEGIS_DATASOURCES__APP__URL=url)
    with closing(sqlite3.connect(bare.folder / "app.db")) as connection:
        count = "SELECT count(*) FROM sqlite_master WHERE name = 'aegis_journal'"
        assert connection.execute(count).fetchone() == (0,)
        connection.executescript(said.out)
        assert connection.execute(count).fetchone() == (1,)
    assert bare("migrate", "--datasource", "app", AEGIS_DATASOURCES__APP__URL=url).code == 0


def test_secrets_are_masked(bare: Shell) -> None:
    """Neither the settings nor the doctor show a password."""
    url = f"postgresql://aegis:{PASSWORD}@127.0.0.1:1/app"
    for words in (["config"], ["config", "--json"], ["doctor", "--json"], ["policy", "list"]):
        said = bare(*words, AEGIS_DATASOURCES__APP__URL=url, AEGIS_DATABASE_URL=url)
        assert "127.0.0.1:1" in said.out or words[0] == "policy"
        assert PASSWORD not in said.out + said.err


def test_config_says_what_is_in_force(bare: Shell) -> None:
    """The environment's value is what `config` prints, for people and for programs."""
    assert (
        bare("config", "--json", AEGIS_RETENTION__BATCH_MILLISECONDS="70").document["retention"][
            "batch_milliseconds"
        ]
        == 70
    )
    assert (
        "batch_milliseconds             = 70" in bare("config", AEGIS_RETENTION__BATCH_MILLISECONDS="70").out
    )
    assert bare("config", AEGIS_NONSENSE="1").code == 2


def test_a_fault_of_aegis_shows_no_data(bare: Shell) -> None:
    """An unexpected error is told by its kind alone; `--debug` shows where it comes from."""
    code = (
        "from aegis.home import activate; activate(); import cli.main, cli.output, sys\n"
        "def broken(*a, **k): raise RuntimeError('a row of somebody')\n"
        "cli.output.print_json = broken\n"
        "cli.main.main(sys.argv[1:])"
    )
    for words, shown in ((("config", "--json"), False), (("--debug", "config", "--json"), True)):
        done = subprocess.run(
            [sys.executable, "-c", code, *words],
            cwd=bare.folder,
            env=bare.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 5
        assert "aegis: RuntimeError: this is a fault of Aegis" in done.stderr
        assert ("Traceback" in done.stderr, "a row of somebody" in done.stderr) == (shown, shown)


def test_the_overview_fits_one_screen(bare: Shell) -> None:
    """`aegis --help` has at most 40 lines of 100 columns and names every command with its help."""
    lines = bare("--help").out.splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 100
    for name in ("policy", "retention", "init", "migrate", "config", "doctor"):
        assert any(line.startswith(f"  {name} ") for line in lines)
    assert "--timestamp-zone" in bare("policy", "add", "--help").out
    assert bare("--version").out.startswith("aegis ")


def test_ctrl_c_stops_between_slices_and_the_rest_goes_later(shell: Shell) -> None:
    """A run that is stopped keeps what is gone, says how to go on, and the next call finishes it."""
    with closing(sqlite3.connect(shell.folder / "app.db")) as connection, connection:
        connection.execute(
            "INSERT INTO safety_events (created_at) WITH RECURSIVE made(n) AS "
            "(SELECT 1 UNION ALL SELECT n + 1 FROM made LIMIT 20000) SELECT '2020-01-01 00:00:00' FROM made"
        )
    shell.born += 20_000
    shell(*ADD)
    shell(*APPROVE)
    # Small batches with long pauses: the first slice cannot be the last one.
    slow = {"AEGIS_RETENTION__LARGEST_BATCH_ROWS": "200", "AEGIS_RETENTION__PAUSE_SHARE": "20"}
    process = subprocess.Popen(
        [sys.executable, "-m", "aegis.home", *EXECUTE],
        cwd=shell.folder,
        env={**shell.environment, **slow},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: shell.rows() < 20_005, "the first rows are gone")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 3
    assert "Traceback" not in err
    assert "goes on with what is left" in out
    left = shell.rows()
    assert 2 < left < 20_003
    assert shell(*EXECUTE).code == 0
    assert shell.rows() == 2
    (run,) = shell("retention", "status", "--json").document
    assert (run["state"], run["rows"]) == ("done", 20_003), "the stopped run itself goes on"


def test_a_terminal_sees_a_bar_and_the_result(shell: Shell) -> None:
    """On a terminal the run shows its progress, and the table stands alone at the end."""
    shell(*ADD)
    shell(*APPROVE)
    said = on_terminal(shell, *EXECUTE)
    assert "\x1b[?25l" in said
    assert "safety_90" in said.partition("\x1b[?25h")[0]
    assert "deleted" in said.rpartition("\x1b[?25h")[2]


def on_terminal(shell: Shell, *words: str) -> str:
    """Return everything that a command writes to a pseudo-terminal."""
    inner, outer = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "aegis.home", *words],
        cwd=shell.folder,
        env={**shell.environment, "TERM": "xterm", "COLUMNS": "100"},
        stdin=outer,
        stdout=outer,
        stderr=outer,
    ):
        os.close(outer)
        parts = []
        # The end of a pseudo-terminal is an error of the reader.
        with suppress(OSError):
            while part := os.read(inner, 65_536):
                parts.append(part)
    os.close(inner)
    return b"".join(parts).decode()


def test_the_doctor_changes_nothing_in_a_fresh_folder(bare: Shell) -> None:
    """In a fresh folder the doctor says what is not made yet, and makes nothing."""
    said = bare("doctor", "--json")
    assert {finding["verdict"] for finding in by_check(said)["control database"]} == {"note"}
    assert list(bare.folder.iterdir()) == []


def test_the_doctor_finds_a_missing_migration(bare: Shell) -> None:
    """A control database without tables, or without a file, is a fault with `aegis migrate` as its cure."""
    bare("init")
    path = bare.folder / "control.db"
    for made in (False, True):
        if made:
            path.touch()
        said = bare("doctor", "--json", AEGIS_DATABASE_URL=f"sqlite:///{path}")
        assert said.code == 1
        assert [fault["cure"] for fault in faults(said, "control database")] == ["aegis migrate"]


def test_the_doctor_finds_a_key_that_others_can_read(shell: Shell) -> None:
    """A key file with loose rights is a fault, with the command that tightens it."""
    key = shell.folder / ".aegis" / "keys" / "worker.key"
    key.chmod(0o644)
    said = shell("doctor", "--json")
    assert said.code == 1
    assert "chmod 600" in faults(said, "keys")[0]["text"]


def test_the_doctor_finds_a_missing_journal_and_a_foreign_database(shell: Shell) -> None:
    """A data source without a journal is a fault; so is one whose identity is not the registered one."""
    shell(*ADD)
    app = shell.folder / "app.db"
    with closing(sqlite3.connect(app)) as connection, connection:
        connection.execute("ALTER TABLE aegis_journal RENAME TO kept")
    assert faults(shell("doctor", "--json"), "data source app")[0]["cure"] == "aegis migrate --datasource app"
    assert shell("migrate", "--datasource", "app").code == 0
    assert "another database" in faults(shell("doctor", "--json"), "data source app")[0]["text"]


def test_the_doctor_finds_a_policy_that_no_longer_fits(shell: Shell) -> None:
    """A policy whose table changed since its approval is a fault that names what changed."""
    shell(*ADD)
    shell(*APPROVE)
    assert faults(shell("doctor", "--json"), "policies") == []
    with closing(sqlite3.connect(shell.folder / "app.db")) as connection, connection:
        connection.execute("CREATE TRIGGER gone AFTER DELETE ON safety_events BEGIN SELECT 1; END")
    (fault,) = faults(shell("doctor", "--json"), "policies")
    assert "(triggers)" in fault["text"]


def test_the_doctor_finds_rows_that_nobody_relays(shell: Shell) -> None:
    """Journal rows that have waited for the log for long are a fault; fresh ones are not."""
    assert faults(shell("doctor", "--json"), "data source app") == []
    shell.unbalanced = "the test writes a journal row of nobody's"
    with closing(sqlite3.connect(shell.folder / "app.db")) as connection, connection:
        connection.execute(
            "INSERT INTO aegis_journal (run, shard, number, rows, counts, event_id) VALUES "
            "('0191a0b0-0000-7000-8000-000000000000', 0, 1, 5, '{}', '0191a0b0-0000-7000-8000-000000000001')"
        )
    (fault,) = faults(shell("doctor", "--json"), "data source app")
    assert fault["text"].startswith("1 journal rows are not in the log")


def test_the_doctor_finds_an_unreachable_broker(shell: Shell) -> None:
    """A broker that does not answer is a finding; the rest is fine."""
    said = shell("doctor", "--json")
    assert said.code == 1
    assert [finding["check"] for finding in said.document["findings"] if finding["verdict"] == "fault"] == [
        "broker"
    ]
    text = shell("doctor")
    assert "\n✗  broker " in text.out
    assert "\n✓  keys " in text.out
    plain = shell("doctor", PYTHONIOENCODING="ascii")
    assert "\nX   broker " in plain.out
    assert "\nok  keys " in plain.out


def test_the_doctor_finds_wrong_settings(bare: Shell) -> None:
    """Settings that cannot be read are the one finding."""
    (bare.folder / "aegis.toml").write_text("nonsense = 1\n")
    said = bare("doctor", "--json")
    assert (said.code, [finding["check"] for finding in said.document["findings"]]) == (1, ["settings"])


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    """A real broker with a password."""
    with EmbeddedRedis(tmp_path_factory.mktemp("redis")) as server:
        yield server


def test_the_doctor_looks_into_the_broker(shell: Shell, broker: EmbeddedRedis, tmp_path: Path) -> None:
    """A good broker is fine; a wrong password, eviction or a missing append-only file is not."""
    assert shell("doctor", "--json", AEGIS_BROKER_URL=broker.url).code == 0
    wrong = broker.url.replace(broker.password, "wrong")
    assert (
        "refuses the login" in faults(shell("doctor", "--json", AEGIS_BROKER_URL=wrong), "broker")[0]["text"]
    )
    password = tmp_path / "broker.password"
    password.write_text(broker.password)
    filed = {"AEGIS_BROKER_URL": wrong, "AEGIS_BROKER_PASSWORD_FILE": str(password)}
    assert shell("doctor", "--json", **filed).code == 0
    with EmbeddedRedis(tmp_path / "careless", append_only=False) as careless:
        with closing(client(careless.url)) as connection:
            connection.config_set("maxmemory-policy", "allkeys-lru")
        evicting = shell("doctor", "--json", AEGIS_BROKER_URL=careless.url)
        assert [finding["verdict"] for finding in by_check(evicting)["broker"]] == ["ok", "fault", "note"]


def test_a_check_that_crashes_is_told(shell: Shell) -> None:
    """An error that no check expects becomes "cannot tell", with exit code 5 when it is the worst."""
    code = (
        "from aegis.home import activate; activate(); import aegis.doctor, cli.main, sys\n"
        "def broken(*a, **k): raise RuntimeError('a row of somebody')\n"
        "aegis.db.facts.read_server = broken\n"
        "aegis.doctor.broker.client_of = broken\n"
        "cli.main.main(sys.argv[1:])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "doctor", "--json"],
        cwd=shell.folder,
        env=shell.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    said = Said(code=done.returncode, out=done.stdout, err=done.stderr)
    unknown = {f["check"] for f in said.document["findings"] if f["verdict"] == "unknown"}
    needed = {"control database", "key store", "data source app", "clocks", "policies", "broker"}
    assert unknown == needed | {
        "beat",
        "holds",
        "backlogs",
        "runs",
        "purges",
        "erasures",
        "audit log",
        "budgets",
    }
    assert said.code == 5
    assert "somebody" not in said.out + said.err


def test_a_network_file_system_is_recognized(tmp_path: Path) -> None:
    """The mount that holds the path decides, not the longest text that looks like it."""
    mounts = tmp_path / "mounts"
    mounts.write_text("/dev/a / ext4 rw 0 0\nhost:/x /data nfs4 rw 0 0\n/dev/b /data/local ext4 rw 0 0\n")
    found = {
        path: facts.remote_file_system(Path(path), mounts)
        for path in ("/data/x", "/database", "/data/local/x")
    }
    assert found == {"/data/x": "nfs4", "/database": None, "/data/local/x": None}


def test_the_doctor_asks_postgresql_for_rights_and_hidden_rows(
    bare: Shell, postgres_server: EmbeddedPostgres
) -> None:
    """A role that may not delete, rows that row security hides, and a read-only server are faults."""
    name = f"doctor_{uuid.uuid4().hex}"
    owner = {"AEGIS_DATASOURCES__APP__URL": postgres_server.create_database(name)}
    guest = {"AEGIS_DATASOURCES__APP__URL": f"postgresql://{name}:x@127.0.0.1:{postgres_server.port}/{name}"}
    with psycopg.connect(postgres_server.url(name), autocommit=True) as connection:

        def change(*statements: str) -> None:
            for statement in statements:
                connection.execute(sql.SQL(statement).format(name=sql.Identifier(name)))

        change("CREATE TABLE safety_events (id int PRIMARY KEY, created_at timestamptz)")
        assert bare("migrate").code == 0
        assert bare("migrate", "--datasource", "app", **owner).code == 0
        assert bare(*ADD, **owner).code == 0
        assert faults(bare("doctor", "--json", **owner), "policies") == []

        change(
            "CREATE ROLE {name} LOGIN PASSWORD 'x'",
            "GRANT USAGE ON SCHEMA aegis TO {name}",
            "GRANT SELECT ON aegis.aegis_journal, safety_events TO {name}",
        )
        (fault,) = faults(bare("doctor", "--json", **guest), "policies")
        assert str(fault["cure"]).startswith("as the owner: GRANT SELECT, DELETE ON safety_events")

        change(
            "GRANT DELETE ON safety_events TO {name}", "ALTER TABLE safety_events ENABLE ROW LEVEL SECURITY"
        )
        (fault,) = faults(bare("doctor", "--json", **guest), "policies")
        assert "row-level security" in fault["text"]

        change("ALTER DATABASE {name} SET default_transaction_read_only = on")
        (fault,) = faults(bare("doctor", "--json", **owner), "data source app")
        assert "read only" in fault["text"]


class TestPolicyFiles:
    """`apply`, `export` and `schema`, as a pipeline uses them."""

    TEXT = """policies:
  safety_90:
    table: safety_events
    days: 90
    action: delete
"""

    def test_check_apply_and_export(self, shell: Shell) -> None:
        """A difference is exit 1 and changes nothing; applied and exported, the file is as it was."""
        file = shell.folder / "policies.yaml"
        file.write_text(self.TEXT)
        words = ("policy", "apply", "-f", "policies.yaml")
        seen = shell(*words, "--check")
        assert (seen.code, shell.policies()) == (1, 0)
        assert "+ safety_90  new: waits for approval" in seen.out
        assert "Nothing was changed." in seen.out
        assert shell(*words).code == 0
        assert "aegis policy preview safety_90" not in shell(*words).out
        assert "Nothing to do." in shell(*words, "--check").out
        file.write_text(self.TEXT.replace("90\n    action", "30\n    action"))
        changed = shell(*words, "--check", "--json")
        assert (changed.code, shell.policies()) == (1, 1)
        assert changed.document["policies"][0]["changes"] == [{"key": "days", "old": 90, "new": 30}]
        assert "    days: 90 → 30" in shell(*words, "--check").out
        assert shell("policy", "export", "-o", "policies.yaml").code == 0
        assert shell(*words, "--check").code == 0
        assert "    datasource: app\n" in file.read_text()

    def test_every_fault_has_its_line(self, shell: Shell) -> None:
        """Faults are told one a line, and nothing is changed."""
        (shell.folder / "policies.yaml").write_text(self.TEXT.replace("days", "retention_days"))
        said = shell("policy", "apply", "-f", "policies.yaml")
        assert (said.code, said.out, shell.policies()) == (2, "", 0)
        where = "policy safety_90, key retention_days"
        assert said.err.splitlines() == [
            "aegis: policies.yaml:2: policy safety_90: give either days or period",
            f"aegis: policies.yaml:4: {where}: there is no such key; did you mean days?",
            "aegis: nothing was changed",
        ]

    def test_the_schema_is_a_document(self, shell: Shell) -> None:
        """An editor gets the schema from the command."""
        assert shell("policy", "schema").document["title"] == "Retention policies of Aegis"
