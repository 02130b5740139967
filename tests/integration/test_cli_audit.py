"""`aegis audit`, as an operator, an auditor and a program use it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from aegis.audit.recorder import store
from aegis.db.engines import Databases, writing
from aegis.settings import Settings
from tests import sealedlog
from tests.shells import ADD, APPROVE, EXECUTE, Shell, empty

PRUNE = ("audit", "prune", "--before", "2020-01-01", "--actor", "ops@example.com")


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """A folder in which a policy has run once; its account must balance."""
    made = empty(tmp_path)
    made.make_table([400, 200, 100, 10, 1])
    made.configure()
    assert made("migrate", "--datasource", "app").code == 0
    assert made(*ADD).code == 0
    assert made(*APPROVE).code == 0
    assert made(*EXECUTE).code == 0
    yield made
    made.balance()


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A folder with a log of its first key."""
    made = empty(tmp_path_factory.mktemp("logged"))
    made.make_table([1])
    made.configure()
    assert made("policy", "list").code == 0
    assert made("audit", "seal").code == 0
    return made


def sql(shell: Shell, statement: str) -> list[tuple[str, ...]]:
    """Run SQL in the control database."""
    with closing(sqlite3.connect(shell.folder / ".aegis" / "aegis.db")) as connection, connection:
        return connection.execute(statement).fetchall()


def test_from_an_event_to_its_proof(shell: Shell) -> None:
    """Sealed, verified, proved, exported; an auditor checks both with the public key and nothing else."""
    said = shell("audit", "seal").out
    assert "events sealed; the log has " in said
    assert shell("audit", "seal", "--json").document["leaves"] == 0
    assert shell("audit", "verify").out.startswith("Intact: ")
    report = shell("audit", "verify", "--json").document
    assert (report["intact"], report["findings"]) == (True, [])
    ((event,),) = sql(shell, "SELECT id FROM audit_logs WHERE action = 'retention:run'")
    (key,) = shell("audit", "keys", "list", "--json").document
    assert "aegis audit check-proof" in shell("audit", "prove", event, "--out", "proof").out
    assert shell("audit", "export", "--format", "jsonl", "--to", "log.jsonl").code == 0
    auditor = empty(shell.folder / "auditor")
    auditor.folder.mkdir()
    for words, says in (
        (("audit", "check-proof", "../proof"), "this stands in the log"),
        (("audit", "verify", "--export", "../log.jsonl"), "Intact: "),
    ):
        checked = auditor(*words, "--key", key["vkey"])
        assert (checked.code, says in checked.out) == (0, True)
    assert not (auditor.folder / ".aegis").exists()


def test_what_was_changed_is_found(shell: Shell) -> None:
    """Exit code 1, and for each finding one line with the leaf and what was expected; in JSON the same."""
    assert shell("audit", "seal").code == 0
    sql(shell, "UPDATE audit_logs SET outcome = 'failure' WHERE action = 'retention:run'")
    shell.unbalanced = "the log was changed by hand"
    said = shell("audit", "verify")
    assert said.code == 1
    assert "outcome" in said.out
    assert "1 finding in a log of" in said.out
    report = shell("audit", "verify", "--json")
    assert report.code == 1
    assert [finding["column"] for finding in report.document["findings"]] == ["outcome"]


def test_a_forged_proof_and_export_are_findings(shell: Shell) -> None:
    """One changed byte: exit code 1."""
    assert shell("audit", "seal").code == 0
    assert shell("audit", "export", "--format", "jsonl", "--to", "log.jsonl").code == 0
    ((event,),) = sql(shell, "SELECT id FROM audit_logs WHERE action = 'retention:run'")
    proof = shell.folder / "proof"
    proof.write_text(other_letter(shell("audit", "prove", event).out))
    export = shell.folder / "log.jsonl"
    export.write_text(export.read_text().replace("retention:run", "retention:ran"))
    assert shell("audit", "check-proof", "proof").code == 1
    assert shell("audit", "verify", "--export", "log.jsonl").code == 1


def other_letter(proof: str) -> str:
    """Change one letter of the entry that a proof holds, in base64 on its second line."""
    entry = proof.splitlines()[1]
    place = proof.index(entry) + len(entry) // 2
    return f"{proof[:place]}{'A' if proof[place] != 'A' else 'B'}{proof[place + 1 :]}"


def test_keys_overlap(shell: Shell) -> None:
    """A new key, then the old one's end; the only key cannot be retired."""
    assert shell("audit", "seal").code == 0
    (first,) = shell("audit", "keys", "list", "--json").document
    retire = ("audit", "keys", "retire", first["key_id"], "--actor", "ops@example.com")
    assert shell(*retire).code == 4
    assert shell("audit", "keys", "rotate", "--actor", "ops@example.com").code == 0
    assert shell("audit", "seal").code == 0
    assert shell(*retire).code == 0
    listed = shell("audit", "keys", "list", "--json").document
    assert [key["retired_size"] is None for key in listed] == [False, True]
    assert shell("audit", "seal").code == 0
    assert shell("audit", "verify").code == 0


def test_a_prune(logged: Shell) -> None:
    """Nothing is old enough; then a dry run, and a prune which is in the log and leaves it intact."""
    assert "no whole tile of 256 sealed events is that old" in logged(*PRUNE).out
    grow_old(logged)
    assert logged("audit", "seal").code == 0
    seen = logged(*PRUNE).out
    assert "entries of leaves 0 to 255 would go." in seen
    assert "Dry run: nothing was changed." in seen
    assert logged("migrate", "--datasource", "app").code == 0
    assert logged("stop", "--all", "--reason", "a restore", "--actor", "ops@example.com").code == 0
    refused = logged(*PRUNE, "--execute")
    assert (refused.code, "stopped" in refused.refusal) == (4, True)
    assert logged("start", "--all", "--actor", "ops@example.com").code == 0
    assert "entries of leaves 0 to 255 were pruned." in logged(*PRUNE, "--execute").out
    done = logged(*PRUNE, "--execute", "--json").document
    assert (done["first"], done["last"], done["events"]) == (256, None, 0)
    assert logged("audit", "verify").out.startswith("Intact: ")
    assert len(sql(logged, "SELECT id FROM audit_logs WHERE action = 'audit:prune'")) == 1


def grow_old(shell: Shell) -> None:
    """Let the log have some hundred events of 2001."""
    databases = Databases(Settings(home=shell.folder / ".aegis"))
    old = sealedlog.NOW.replace(year=2001, month=2, day=3)
    with writing(databases.control, "control database") as connection:
        store(connection, *sealedlog.make(300, age=sealedlog.NOW - old))
    databases.close()


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("verify", "--full", "--since", "5"), 2, "--full"),
        (("verify", "--key", "nonsense"), 2, "key"),
        (("verify", "--export", "no-such-file"), 2, "no-such-file"),
        (("prove", "00000000-0000-7000-8000-000000000000"), 2, "no event"),
        (("export", "--format", "xml", "--to", "x"), 2, "xml"),
        (("prune", "--before", "soon", "--actor", "me"), 2, "soon"),
        (("prune", "--before", "2099-01-01", "--actor", "me"), 4, "35 days"),
        (("recover", "--actor", "me"), 2, "--new-incarnation"),
        (("recover", "--new-incarnation", "--actor", "me"), 4, "missing"),
        (("keys", "retire", "00000000", "--actor", "me"), 2, "00000000"),
        (("witness", "remove", "nobody", "--actor", "me"), 2, "nobody"),
        (("witness", "add", "w", "nonsense", "https://w.example.org/", "--actor", "me"), 2, "key"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, tuple) else "",
)
def test_wrong_use_is_one_line(logged: Shell, words: tuple[str, ...], code: int, says: str) -> None:
    """It names what is wrong, and nothing is done."""
    said = logged("audit", *words)
    assert said.code == code, said
    assert says in said.refusal
