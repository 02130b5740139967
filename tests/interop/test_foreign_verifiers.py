"""Trees, checkpoints, tiles and proofs of ours, checked with libraries of others."""

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from aegis.audit.tlog import merkle, notes
from api import log
from api.audit import export_audit_log, record_audit, seal_audit_log
from tests import worlds
from tests.worlds import World, on

#: A full tile of level 0, a partial one, and a partial one of level 1.
EVENTS = 280

PYMERKLE = """
import json, sys
from pymerkle import InmemoryTree
given = json.load(sys.stdin)
tree = InmemoryTree(algorithm="sha256")
for entry in given["entries"]:
    tree.append_entry(entry.encode())
print(json.dumps({str(size): tree.get_state(size).hex() for size in given["sizes"]}))
"""
SCALES = """
import json, sys
from pathlib import Path
from tlog_scales.backend import LocalBackend
from tlog_scales.reader import TilesReader
from tlog_scales.signing import Vkey
from tlog_scales.utils import sha256
folder, vkey, olds = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
reader = TilesReader(LocalBackend(Path(folder)))
head = reader.get_checkpoint()
head.verify(Vkey.from_string(vkey))
root = reader.calculate_root_hash()
assert root == head.root_hash, "another root"
for index in range(head.size):
    leaf = sha256(b"\\0" + reader.get_entry(index))
    reader.get_inclusion_proof(index, head.size).check(leaf, root)
for old in olds:
    reader.get_consistency_proof(old, head.size).check(reader.mth(0, old), root)
print(json.dumps({"origin": head.origin, "size": head.size}))
"""


@pytest.fixture
def sealed(world: World) -> World:
    """A world whose log has some hundred leaves."""
    for number in range(EVENTS):
        record_audit("custom:note", worlds.ACTOR, "policy", f"p{number % 7}")
    seal_audit_log()
    return world


def run(python: Path, *words: str, text: str | None = None) -> Any:
    """Run a foreign program; return what it printed as JSON."""
    done = subprocess.run(
        [python, *words], input=text, capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@on("sqlite-one")
def test_roots(sealed: World, foreign: Path) -> None:
    """The same entries have the same root at every size: pymerkle."""
    with sealed.control.connect() as connection:
        query = "SELECT entry FROM audit_logs JOIN aegis_audit_leaves USING (id) ORDER BY leaf"
        entries = [row[0].decode() for row in connection.exec_driver_sql(query)]
    sizes = [1, 2, 3, 255, 256, 257, len(entries)]
    given = json.dumps({"entries": entries, "sizes": sizes})
    leaves = [merkle.leaf_hash(entry.encode()) for entry in entries]
    theirs = run(foreign / "python", "-c", PYMERKLE, text=given)
    assert theirs == {str(size): merkle.root_of(leaves[:size]).hex() for size in sizes}


@on("sqlite-one")
def test_tiles_and_proofs(sealed: World, foreign: Path, tmp_path: Path) -> None:
    """A reader of tiles follows the log from its key alone to every leaf: tlog-scales."""
    folder = tmp_path / "tiles"
    size = export_audit_log("tiles", str(folder)).size
    vkey = log.signing_keys()[0].verifier
    olds = json.dumps([1, 255, 256, 270, size])
    told = run(foreign / "python", "-c", SCALES, str(folder), vkey.vkey, olds)
    assert told == {"origin": vkey.name, "size": size}
    assert sealed.layout == "sqlite-one"


@on("sqlite-one")
def test_checkpoints(sealed: World, foreign: Path, tmp_path: Path) -> None:
    """A checkpoint is taken under its own key and refused under another's: aics-tlog."""
    file, right, wrong = (tmp_path / name for name in ("checkpoint", "right.vkey", "wrong.vkey"))
    published = sealed.system.published.checkpoint()
    assert published is not None
    file.write_text(str(published))
    key = log.signing_keys()[0].verifier
    right.write_text(key.vkey)
    wrong.write_text(notes.FileSigner(name=key.name, seed=bytes(32)).verifier.vkey)
    told = run(foreign / "aics-tlog", "verify-checkpoint", "--note", str(file), "--vkey-file", str(right))
    assert told["ok"] is True
    done = subprocess.run(
        [foreign / "aics-tlog", "verify-checkpoint", "--note", file, "--vkey-file", wrong],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1


@on("sqlite-one")
def test_inclusion(sealed: World, foreign: Path, tmp_path: Path) -> None:
    """The path of our own proof leads a foreign verifier to the root: aics-tlog."""
    with sealed.control.connect() as connection:
        event = connection.exec_driver_sql("SELECT id FROM aegis_audit_leaves WHERE leaf = 270").scalar_one()
    proof = log.prove_event(event)
    entry = json.loads(proof.extra)["entry"]
    for name, content in (
        ("leaf", entry),
        ("proof", "".join(base64.b64encode(step).decode() + "\n" for step in proof.path)),
        ("checkpoint", str(proof.note)),
        ("vkey", log.signing_keys()[0].verifier.vkey),
    ):
        (tmp_path / name).write_text(content)
    words = ["--leaf", str(tmp_path / "leaf"), "--index", "270", "--proof", str(tmp_path / "proof")]
    words += ["--checkpoint", str(tmp_path / "checkpoint"), "--vkey-file", str(tmp_path / "vkey")]
    told = run(foreign / "aics-tlog", "verify-inclusion", *words)
    assert told["ok"] is True
