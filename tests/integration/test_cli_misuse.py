"""The command line in the hands of somebody who errs: one line that helps, the exit code, and no secret."""

import contextlib
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest

from aegis import home
from aegis.errors import Conflict
from tests.shells import ADD, APPROVE, EXECUTE, Said, Shell, empty

#: Stands in URLs, and must be seen nowhere.
SECRET: Final = "hunter2"
NAMED: Final = ["policy", "add", "p", "--table", "safety_events", "--days", "9", "--action", "delete"]

#: The words that are typed → the exit code, and what the line says.
TYPED: Final[dict[str, tuple[int, str]]] = {
    "frobnicate": (2, "No such command 'frobnicate'"),
    "policy lst": (2, "Did you mean 'list'?"),
    "policy list --jsn": (2, "Did you mean '--json'?"),
    "policy show nope": (2, "there is no policy nope; `aegis policy list` lists those there are"),
    "policy preview nope": (2, "there is no policy nope"),
    "policy what-if nope --days 3": (2, "there is no policy nope"),
    "policy approve safety_90": (2, "Missing option '--actor'"),
    "policy disable safety_90": (2, "Missing option '--actor'"),
    "policy confirm safety_90 --actor x": (4, "to run it now: aegis retention run --policy safety_90"),
    "policy approve safety_90 --actor x --sign-with /nope": (2, "/nope"),
    "policy apply -f /nope.yaml": (2, "/nope.yaml"),
    "policy apply -f app.db": (2, "app.db is no text in UTF-8"),
    "policy export -o /proc/x": (2, "/proc/x cannot be written: No such file or directory"),
    "policy add p --table safty_events --days 9 --action delete": (2, "it has: safety_events"),
    f"{' '.join(NAMED)} --timestamp-column creatd_at": (2, "it has: id, tenant_id, created_at"),
    f"{' '.join(NAMED)} --datasource nope": (2, "aegis.toml names: app"),
    f"{' '.join(NAMED)} --zone Mars/Olympus": (2, "such as Europe/Berlin"),
    "policy add p --table safety_events --days -9 --action delete": (2, "1 to 36500"),
    "policy add p --table safety_events --days 9 --action anonymize --mask id": (2, "COLUMN=STRATEGY"),
    "retention run --policy nope": (2, "there is no policy nope"),
    "retention run --tenant acme": (2, "safety_90; name those that have one with --policy"),
    "retention run --scheduled --policy p": (2, "leave out --policy"),
    "retention status nope": (2, "there is no run nope; `aegis retention status` lists those there are"),
    "retention resume nope --actor x": (2, "there is no run nope"),
    "retention restore nope --actor x": (2, "there is no archive nope"),
    "retention purge nope": (2, "run nope has nothing to purge"),
    "hold add --table safety_events": (2, "Missing option '--matter'"),
    "hold release nope --actor x": (2, "there is no hold nope; `aegis hold list` lists those there are"),
    "stop": (2, "Missing option '--reason'"),
    "datamap check": (2, "`aegis datamap init --datasource app` writes a first version"),
    "erasure plan 17": (2, "`aegis datamap init --datasource app`"),
    "erasure plan -": (2, "nothing was read from stdin"),
    "erasure status nope": (2, "there is no erasure request nope; `aegis erasure status` lists"),
    "erasure receipt nope": (2, "there is no erasure request nope"),
    "erasure replay --since yesterday --actor x": (2, "such as 2027-01-31"),
    "evidence --out x": (2, "give --from and --to"),
    "evidence --from 2026-02-01 --to 2026-01-01 --out x": (
        2,
        "ends (2026-01-01) before it begins (2026-02-01)",
    ),
    "evidence --from 2026-01-01 --to 2026-02-01 --out /proc/x/y": (2, "/proc/x/y cannot be written"),
    "evidence --from 2026-01-01 --to 2026-02-01 --out keys": (2, "name another folder"),
    "audit prove nope": (2, "there is no event nope"),
    "audit verify --policy /nope": (2, "/nope"),
    f"audit verify --witness http://u:{SECRET}@127.0.0.1:1/x": (2, "http://u:***@127.0.0.1:1/x"),
    "audit check-proof /nope": (2, "/nope"),
    "audit check-proof app.db": (2, "app.db is no text in UTF-8"),
    "audit check-proof -": (1, "expected a proof"),
    "audit export siem": (2, "aegis.toml names: none"),
    "audit export --format jsonl --to /proc/x/y": (2, "/proc/x/y"),
    "audit witness remove nope": (2, "`aegis audit witness list` lists those there are"),
    "federated budget show nope": (2, "`aegis federated budget create nope"),
    "approver remove nope --actor x": (2, "`aegis approver list` lists those there are"),
    "grants nope": (2, "aegis.toml names: app"),
    "catalog scan nope": (2, "aegis.toml names: app"),
    "client-key --new app.db": (4, "is there already; a key is never overwritten"),
    "client-key --new no/k": (4, "make the folder first"),
    "client-key nokey": (4, "is missing; run `aegis client-key --new FILE`"),
    "migrate --datasource nope": (2, "aegis.toml names: app"),
    "init": (4, "a key is never overwritten"),
    "worker dead-letters": (
        3,
        "or refuses (ConnectionError); ask `aegis doctor`",
    ),
}

#: What stands in `aegis.toml` → what the line says; {app} is the database that there is.
FILED: Final[dict[str, str]] = {
    "[datasources": "is not valid TOML in UTF-8",
    f"x = {SECRET}": "is not valid TOML in UTF-8",
    "[retntion]\nx = 1": "unknown setting retntion; known here: approval",
    "[retention]\nslices = 1": "unknown setting retention.slices; known here: batch_milliseconds",
    "retention = 5": "setting retention: expected a table, got a whole number",
    f"[datasources]\napp = 'postgresql://u:{SECRET}@h/d'": "datasources.app: expected a table, got text",
    "[retention]\nslice_seconds = 'x'": "setting retention.slice_seconds: expected a number, got text",
    "[retention]\nslice_seconds = -3": "retention.slice_seconds (-3) must be above 0",
    "[retention]\nfirst_batch_rows = 0": "retention.first_batch_rows (0) must be above 0",
    "[retention]\npause_share = -0.1": "retention.pause_share (-0.1) must be 0 or more",
    "[throttle]\nlock_waits = nan": "throttle.lock_waits (nan) must be 0 or more",
    "[worker]\nmetrics_port = 'many'": "setting worker.metrics_port: expected a whole number, got text",
    "approval = 'maybe'": "expected one of required, two-person, off",
    f"database_url = '{SECRET}'": "setting database_url: a database URL cannot be read",
    f"keys_url = 'oracle://u:{SECRET}@h/d'": "setting keys_url: a database URL begins with oracle://",
    f"database_url = 'postgresql://u:{SECRET}@127.0.0.1:1/d'": "database at 127.0.0.1:1 does not answer",
}


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A folder with an application's table and a policy that nobody has approved."""
    folder = tmp_path_factory.mktemp("misuse")
    made = empty(folder)
    made.make_table([1, 100, 200])
    made.configure()
    (folder / "keys").mkdir()
    assert made("migrate", "--datasource", "app").code == 0
    assert made(*ADD).code == 0
    yield made
    made.balance()


def line_of(said: Said) -> str:
    """Return the one line of a command that was refused."""
    assert SECRET not in said.err
    return said.refusal


@pytest.mark.parametrize("typed", TYPED)
def test_wrong_words(shell: Shell, typed: str) -> None:
    """One line says what is wrong and what there is, with the exit code of its kind; nothing changes."""
    code, says = TYPED[typed]
    said = shell(*typed.split())
    assert says in line_of(said)
    assert said.code == code
    assert (shell.rows(), shell.policies()) == (3, 1)


@pytest.mark.parametrize("text", FILED)
def test_wrong_settings(shell: Shell, text: str) -> None:
    """The line names the setting as the file has it, and shows no value that could be a secret."""
    (shell.folder / "wrong.toml").write_text(f"{text}\n")
    said = shell("policy", "list", AEGIS_CONFIG="wrong.toml")
    assert FILED[text] in line_of(said)
    assert said.code == (3 if "does not answer" in FILED[text] else 2)


@pytest.mark.parametrize(
    ("url", "code", "says"),
    [
        ("nonsense", 4, "setting datasources.app.url: a database URL cannot be read"),
        (f"postgresql://u:{SECRET}@127.0.0.1:1/d", 3, "data source app at 127.0.0.1:1 does not answer"),
        ("sqlite:////nope/app.db", 3, "SQLite file /nope/app.db does not exist"),
    ],
)
def test_a_data_source_that_is_not_there(shell: Shell, url: str, code: int, says: str) -> None:
    """The report of each policy has the sentence, and the exit code says whether a person is needed."""
    said = shell(*EXECUTE, AEGIS_DATASOURCES__APP__URL=url)
    assert (said.code, "Traceback" in said.err) == (code, False)
    assert says in said.out
    assert SECRET not in said.out + said.err


def test_a_release_that_could_not_be_written_is_none(shell: Shell) -> None:
    """Its noise would be drawn and charged for nobody: the file is tried first."""
    (shell.folder / "sum.json").write_text("5")
    words = [
        "federated",
        "release",
        "sum.json",
        "--participants",
        "10",
        "--epsilon",
        "1",
        "--budget",
        "spent",
        "--execute",
    ]
    made = ["federated", "budget", "create", "spent", "--epsilon", "2", "--days", "30", "--actor", "x"]
    assert shell(*made).code == 0
    said = shell(*words, "--out", "/proc/x")
    assert (
        line_of(said) == "aegis: /proc/x cannot be written: No such file or directory. Nothing was released"
    )
    assert said.code == 2
    assert '"spent": 0' in shell("federated", "budget", "show", "spent", "--json").out


def test_keys_that_are_not_as_they_should_be(shell: Shell) -> None:
    """Open to others, garbage, or gone: named, with the cure."""
    key = shell.folder / ".aegis" / "keys" / "worker.key"
    good = key.read_bytes()
    try:
        key.chmod(0o644)
        assert f"run `chmod 600 {key}`" in line_of(shell("policy", "list"))
        key.chmod(0o600)
        key.write_text(f"{SECRET}\n")
        assert "is not a key of the role 'worker'" in line_of(shell("policy", "list"))
        key.unlink()
        assert "restore it from the backup of the key files" in line_of(shell("policy", "list"))
    finally:
        key.write_bytes(good)
        key.chmod(0o600)


def test_a_data_source_that_changed(tmp_path: Path) -> None:
    """Its journal, its column or its table is gone, or it is locked: said with its name and what to do."""
    shell = empty(tmp_path)
    shell.make_table([1, 100])
    shell.configure()
    shell("migrate", "--datasource", "app")
    assert [shell(*words).code for words in (ADD, APPROVE)] == [0, 0]

    def executed() -> str:
        said = shell(*EXECUTE)
        assert (said.code in {3, 4}, "Traceback" in said.err) == (True, False)
        return said.out

    with contextlib.closing(sqlite3.connect(tmp_path / "app.db", isolation_level=None)) as database:
        for change, back, says in (
            (
                "ALTER TABLE aegis_journal RENAME TO away",
                "ALTER TABLE away RENAME TO aegis_journal",
                "run `aegis migrate --datasource app`",
            ),
            (
                "ALTER TABLE safety_events RENAME COLUMN created_at TO made_at",
                "ALTER TABLE safety_events RENAME COLUMN made_at TO created_at",
                "table safety_events has no column 'created_at'",
            ),
            (
                "ALTER TABLE safety_events RENAME TO gone",
                "ALTER TABLE gone RENAME TO safety_events",
                "there is no table 'safety_events'",
            ),
        ):
            database.execute(change)
            assert says in executed()
            database.execute(back)
            assert shell.rows() == 2


def piped(shell: Shell, line: str) -> Said:
    """Run a line of a shell, in which `aegis` is the command, with nothing on stdin."""
    done = subprocess.run(
        ["/bin/bash", "-c", f'aegis() {{ "{sys.executable}" -m aegis.home "$@"; }}; {line}'],
        cwd=shell.folder,
        env=shell.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return Said(code=done.returncode, out=done.stdout, err=done.stderr)


def test_streams_that_are_closed_or_full(shell: Shell) -> None:
    """Nobody reads, nobody writes, the disk is full: no traceback, and no word about a fault of Aegis."""
    assert piped(shell, "aegis --version >&-").code == 0
    assert piped(shell, "aegis frobnicate 2>&-") == Said(code=2, out="", err="")
    assert "nothing was read from stdin" in piped(shell, "aegis erasure plan - <&-").refusal
    cut = piped(shell, "set -o pipefail; aegis --help | head -c 1")
    assert (cut.code in {0, 141}, cut.err) == (True, "")
    if Path("/dev/full").exists():
        full = piped(shell, "aegis --version > /dev/full")
        assert full.code == 4
        assert full.refusal == "aegis: the output cannot be written: No space left on device"


@pytest.mark.parametrize("file", ["/srv/shop/tasks.py", None], ids=["a file", "no file"])
def test_a_program_that_has_a_module_of_the_same_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], file: str | None
) -> None:
    """The command does not take it for its own: it says where it is from and what to import, and ends."""
    strange = ModuleType("tasks")
    strange.__file__ = file
    path = list(sys.path)
    monkeypatch.setitem(sys.modules, "tasks", strange)
    with pytest.raises(SystemExit) as ended:
        home.main()
    said = capsys.readouterr().err
    assert said.startswith(f"aegis: a module 'tasks' from {file or 'elsewhere'} was imported before Aegis")
    assert "import aegis.privacy" in said
    assert ended.value.code == Conflict.exit_code
    assert sys.path == path
