"""Evidence: a folder that somebody outside checks without Aegis, and in which no person is named."""

import base64
import csv
import datetime as dt
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
import sqlalchemy as sa
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aegis.errors import Refused, UnknownName, UsageError
from aegis.evidence import check, logged
from aegis.evidence.folder import Gathered
from aegis.evidence.scope import Scope
from aegis.operations import approvers
from aegis.operations.signatures import ED25519, PublicKey, read_public_key, read_signature
from api import evidence, privacy
from api.audit import get_audit_events, seal_audit_log, verify_audit_log
from api.erasure import anonymize_user
from api.log import check_export, rotate_signing_key, signing_keys, trusted
from api.privacy import place_hold
from tests.oneperson import begin, expect
from tests.shells import ADD, APPROVE, EXECUTE, empty
from tests.worlds import ACTOR, CANARY, World, on

TWO: Final = ("sqlite+sqlite", "sqlite+postgresql")
DAY: Final = dt.timedelta(days=1)


def hold(matter: str, table: str) -> None:
    """Place a hold on a table."""
    place_hold(matter=matter, owner=ACTOR, review_by=dt.date(2099, 1, 1), table=table)


@pytest.fixture
def busy(world: World, tmp_path: Path) -> World:
    """A system that has erased a person, run an approved policy, and has a hold; all of it sealed."""
    begin(world, tmp_path)
    world.safety_events()
    world.events(range(20), 60)
    world.events(range(20, 30), 1)
    world.policy(
        "safety_30", purpose="safety of riders", legal_basis="Art. 6(1)(f)", categories=["user.contact"]
    )
    world.enforce("safety_30")
    done = anonymize_user(7, ACTOR)
    assert done
    expect(world, done.rows)
    hold("matter 12", "invoices")
    seal_audit_log()
    return world


def key() -> str:
    """Return the public key of the log."""
    return signing_keys()[-1].verifier.vkey


def gathered(folder: Path, **words: Any) -> Gathered:
    """Gather the evidence of today."""
    now = dt.datetime.now(dt.UTC)
    return evidence.gather_evidence(folder, start=now - DAY, end=now + DAY, actor=ACTOR, **words)


def checked(folder: Path, vkey: str | None = None) -> tuple[int, str]:
    """Run the folder's own check as an auditor does, in a Python that cannot see Aegis."""
    command = [sys.executable, "-I", "-S", str(folder / "check.py"), vkey or key(), str(folder)]
    # Only the packages beside Python: -S leaves out the checkout, which is installed by a .pth file.
    site = str(Path(pytest.__file__).parents[1])
    program = f"import sys; sys.path.append({site!r}); sys.argv = {command[3:]!r}; "
    program += "import runpy; runpy.run_path(sys.argv[0], run_name='__main__')"
    done = subprocess.run([*command[:3], "-c", program], capture_output=True, text=True, check=False)
    assert "aegis" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def read(folder: Path, name: str) -> Any:
    """Return a JSON file of a folder."""
    return json.loads((folder / name).read_text("utf-8"))


@on(*TWO)
@pytest.mark.usefixtures("busy")
def test_a_span_is_complete_and_names_nobody(tmp_path: Path) -> None:
    """Policies, runs, receipts, holds and the log of today; its own check and Aegis's find it right."""
    folder = tmp_path / "evidence"
    found = gathered(folder)
    assert (found.policies, found.runs, found.receipts, found.holds) == (1, 1, 1, 1)
    # What must be retained is an erasure of its own, which waits.
    assert (found.erasures, found.waiting, found.folder) == (2, 0, folder)

    (policy,) = read(folder, "policies.json")
    (approval,) = policy["approvals"]
    assert (policy["name"], policy["state"], policy["purpose"]) == (
        "safety_30", "approved", "safety of riders",
    )  # fmt: skip
    assert (approval["by"], approval["claimed"], approval["fault"]) == (ACTOR, True, None)
    (run,) = read(folder, "runs.json")
    assert (run["rows"], run["actions"], run["digest"]) == (20, {"delete": 20}, policy["digest"])
    events = [json.loads(line) for line in (folder / "log.jsonl").read_text("utf-8").splitlines()]
    mine = [line["leaf"] for line in events if line.get("event", {}).get("correlation") == run["id"]]
    assert (run["leaves"], run["events"]) == ([mine[0], mine[-1]], len(mine))
    (hold,) = read(folder, "holds.json")
    assert (hold["matter"], hold["table_name"], hold["owner"]) == ("matter 12", "invoices", ACTOR)
    with (folder / "processing.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    safety = next(row for row in rows if row["table"] == "safety_events")
    assert (safety["kept_for"], safety["then"], safety["legal_basis"]) == (
        "30 days",
        "delete",
        "Art. 6(1)(f)",
    )
    invoices = next(row for row in rows if row["table"] == "invoices")
    assert (invoices["policy"], invoices["at_an_erasure"]) == ("", "retain")

    assert checked(folder)[0] == 0, checked(folder)[1]
    report = check_export(folder / "log.jsonl", trusted(vkey=key()), start=events[0]["leaf"])
    assert report.intact
    # Of the canary only the approver's name is there, as the privacy officer needs it.
    for path in folder.rglob("*"):
        if path.is_file():
            text = path.read_text("utf-8").replace(ACTOR, "")
            assert CANARY not in text
            assert "a@example.com" not in text
            assert path.stat().st_mode & 0o077 == 0
    (told,) = get_audit_events(1)
    assert (told["action"], told["details"]["format"]) == ("audit:export", "evidence")
    assert verify_audit_log().intact


def _change(name: str, old: bytes, new: bytes) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = next(folder.glob(name))
        content = path.read_bytes()
        assert old in content
        path.write_bytes(content.replace(old, new, 1))

    return change


def _drop_line(folder: Path) -> None:
    path = folder / "log.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[1:]))


def _remove(folder: Path) -> None:
    (folder / "holds.json").unlink()


def _add(folder: Path) -> None:
    (folder / "more.json").write_text("{}")


#: What somebody does to a folder → the part of the check that says so.
TAMPERED: Final[dict[str, tuple[Callable[[Path], None], str]]] = {
    "a file is taken away": (_remove, "files"),
    "a file is added": (_add, "files"),
    "a figure is changed": (_change("runs.json", b'"rows": 20', b'"rows": 21'), "runs"),
    "an event is changed": (_change("log.jsonl", b'"rows":20', b'"rows":21'), "log"),
    "an event is left out": (_drop_line, "log"),
    "a receipt is changed": (_change("receipts/*.json", b'"persons":1', b'"persons":2'), "receipts"),
    "a policy says other words": (_change("policies.json", b'\\"days\\":30', b'\\"days\\":31'), "policies"),
}


@on("sqlite+sqlite")
@pytest.mark.usefixtures("busy")
def test_what_was_changed_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each part of the check finds what is its own, and says so beside what the others find."""
    folder = tmp_path / "evidence"
    gathered(folder)
    for number, (what, (change, part)) in enumerate(TAMPERED.items()):
        copy = tmp_path / str(number)
        shutil.copytree(folder, copy)
        change(copy)
        code, said = check.main([key(), str(copy)]), capsys.readouterr().out
        assert (code, f"WRONG  {part}:" in said) == (1, True), (what, said)
    mine = key()
    other = rotate_signing_key(ACTOR).verifier.vkey
    assert checked(folder, mine)[0] == 0
    code, said = checked(folder, other)
    assert (code, "is not signed with that key" in said) == (1, True)


@on(*TWO)
@pytest.mark.usefixtures("busy")
def test_a_person_long_after_their_erasure(tmp_path: Path) -> None:
    """Whoever knows the key finds every erasure of that person, with proofs; nobody else's, and no span."""
    folder = tmp_path / "person"
    found = evidence.gather_evidence_of_person(folder, ["7"], actor=ACTOR)
    # What must be retained is finished by a second request, about the same person.
    assert (found.receipts, found.runs) == (1, 0)
    requests = {one["request_id"] for one in read(folder, "erasures.json")["requests"]}
    assert checked(folder)[0] == 0, checked(folder)[1]
    assert not (folder / "log.jsonl").exists()
    assert len(list((folder / "proofs").iterdir())) == found.events > 0

    (request,) = [
        run["request_id"] for run in read(folder, "erasures.json")["runs"] if run["state"] == "done"
    ]
    assert request in requests
    again = evidence.gather_evidence_of_request(tmp_path / "request", request, actor=ACTOR)
    assert again.receipts == 1
    _change("proofs/*", b"index ", b"index 9")(tmp_path / "request")
    assert "WRONG  proofs:" in checked(tmp_path / "request")[1]
    with pytest.raises(UnknownName, match="no erasure was ever asked for"):
        evidence.gather_evidence_of_person(tmp_path / "nobody", ["8"], actor=ACTOR)


@on("sqlite+sqlite")
@pytest.mark.usefixtures("busy")
def test_what_cannot_be_meant_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is there, a wrong span, an unknown policy or request, too many proofs: no folder."""
    now, folder = dt.datetime.now(dt.UTC), tmp_path / "evidence"
    with pytest.raises(UnknownName, match="no policy nothing"):
        gathered(folder, policy="nothing")
    with pytest.raises(UsageError, match="ends"):
        evidence.gather_evidence(folder, start=now, end=now - DAY, actor=ACTOR)
    with pytest.raises(UnknownName, match="no request"):
        evidence.gather_evidence_of_request(folder, "nothing", actor=ACTOR)
    with pytest.raises(UsageError, match="say from when to when, or which request or person"):
        Scope(start=now)
    with monkeypatch.context() as few:
        few.setattr(logged, "MOST_PROOFS", 1)
        many = r"more than the 1 that are proved.*--from"
        with pytest.raises(Refused, match=many):
            evidence.gather_evidence_of_person(folder, ["7"], actor=ACTOR)
    assert list(tmp_path.glob("*evidence*")) == []
    folder.mkdir()
    with pytest.raises(UsageError, match="name another folder"):
        gathered(folder)
    assert gathered(tmp_path / "one", policy="safety_30").erasures == 0


@on("sqlite-one")
def test_what_is_masked_first_and_deleted_later(world: World, tmp_path: Path) -> None:
    """The table of art. 30 says both, and when."""
    world.safety_events()
    masks = {"email": "null"}
    world.policy("p", action="anonymize", masks=masks, delete_after_days=400)
    seal_audit_log()
    gathered(tmp_path / "evidence")
    (file,) = [path for path in (tmp_path / "evidence").rglob("*.csv") if "processing" in path.name]
    with file.open(encoding="utf-8", newline="") as lines:
        (row,) = csv.DictReader(lines)
    assert row["then"] == "anonymize, deleted 400 days later"


@on("sqlite-one")
def test_signatures_of_approvers_are_checked(world: World, tmp_path: Path) -> None:
    """Ed25519 and OpenSSH signatures hold; one that was made for other words is found."""
    world.safety_events()
    world.policy("p", approve=False)
    raw = Ed25519PrivateKey.generate()
    approvers.add(
        world.system, "anna", PublicKey(scheme=ED25519, raw=raw.public_key().public_bytes_raw()),
        owner=ACTOR, actor=ACTOR,
    )  # fmt: skip
    privacy.approve_retention_policy("p", ACTOR, signature=raw.sign(privacy.approval_message("p")))
    seal_audit_log()
    gathered(tmp_path / "evidence")
    code, said = checked(tmp_path / "evidence")
    assert (code, "1 versions of policies, 1 signatures" in said) == (0, True)
    (policy,) = read(tmp_path / "evidence", "policies.json")
    other = base64.b64encode(raw.sign(b"other words")).decode()
    mine = policy["approvals"][0]["signature"]
    _change("policies.json", mine.encode(), other.encode())(tmp_path / "evidence")
    assert "WRONG  policies: a signature does not hold" in checked(tmp_path / "evidence")[1]


def test_a_signature_of_openssh_is_checked() -> None:
    """The check reads what `ssh-keygen -Y sign` wrote; of another message it does not hold."""
    golden = Path(__file__).parents[1] / "golden" / "sshsig.json"
    known = {name: text.encode() for name, text in json.loads(golden.read_text("utf-8")).items()}
    approval = {
        "scheme": "ssh",
        "signature": base64.b64encode(read_signature(known["signature"]).body).decode(),
    }
    public = read_public_key(known["public_key"]).raw
    check.check_approval(approval, public, known["message"])
    with pytest.raises(InvalidSignature):
        check.check_approval(approval, public, known["message"] + b"1")


@on("sqlite-one")
def test_an_approval_that_somebody_changed_is_shown_as_one_that_does_not_count(
    world: World, tmp_path: Path
) -> None:
    """A folder for a regulator says why, and not only who."""
    world.safety_events()
    world.policy("p")
    with world.control.begin() as connection:
        connection.execute(sa.text("UPDATE aegis_approvals SET digest_version = 1"))
    seal_audit_log()
    gathered(tmp_path / "evidence")
    (policy,) = read(tmp_path / "evidence", "policies.json")
    assert "not written by Aegis, or changed since" in policy["approvals"][0]["fault"]


@on("sqlite+sqlite")
@pytest.mark.usefixtures("busy")
def test_events_that_wait_are_told(tmp_path: Path) -> None:
    """An event without a leaf is not in it, and the folder says so."""
    hold("matter 13", "posts")
    found = gathered(tmp_path / "evidence")
    assert found.waiting >= 1
    assert "had no place in the log yet" in (tmp_path / "evidence" / "README.md").read_text("utf-8")


def test_the_command(tmp_path: Path) -> None:
    """A folder in one command, said in words and as JSON; wrong options are refused and leave nothing."""
    shell = empty(tmp_path)
    shell.make_table([400, 200, 1])
    shell.configure()
    assert shell("migrate", "--datasource", "app").code == 0
    assert shell(*ADD).code == 0
    assert shell(*APPROVE).code == 0
    assert shell(*EXECUTE).code == 0
    assert shell("audit", "seal").code == 0
    days = ("--from", "2020-01-01", "--to", "2099-12-31")
    said = shell("evidence", *days, "--policy", "safety_90", "--out", "evidence")
    assert (said.code, "evidence is complete" in said.out) == (0, True)
    (vkey,) = shell("audit", "keys", "list", "--json").document
    assert checked(shell.folder / "evidence", vkey["vkey"])[0] == 0
    verified = shell("audit", "verify", "--export", "evidence/log.jsonl", "--key", vkey["vkey"])
    assert (verified.code, verified.out.startswith("Intact: ")) == (0, True)
    assert shell("evidence", *days, "--out", "more", "--json").document["runs"] == 1
    assert "name another folder" in shell("evidence", *days, "--out", "more").refusal
    for wrong in (
        (),
        ("--from", "2020-01-01"),
        (*days, "--request", "x"),
        ("--policy", "p", "--person", "-"),
    ):
        refused = shell("evidence", *wrong, "--out", "none")
        assert (refused.code, "give" in refused.refusal) == (2, True)
    assert "from when to when" not in shell("evidence", "--request", "x", "--out", "none").refusal
    assert not (shell.folder / "none").exists()
    shell.balance()
