"""Check this folder of evidence. It uses Python and the package `cryptography`, and nothing of Aegis.

    python3 check.py VKEY [FOLDER]

VKEY is the public key of the audit log (C2SP signed-note, `name+hash+base64`). Get it from the operator over
another way than this folder. Exit code 0: everything holds; 1: something does not; 2: wrong use.
"""

import base64
import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class Wrong(Exception):
    """Something that does not hold."""


def sha256(*parts: bytes) -> bytes:
    """Return the SHA-256 of parts."""
    return hashlib.sha256(b"".join(parts)).digest()


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of a leaf (RFC 6962, 2.1)."""
    return sha256(b"\x00", entry)


def signed_head(note: str, vkey: str) -> tuple[int, bytes]:
    """Return size and root of a checkpoint, once the key's signature holds (C2SP tlog-checkpoint)."""
    name, _, rest = vkey.partition("+")
    public = base64.b64decode(rest.partition("+")[2])
    number = sha256(name.encode(), b"\n", public)[:4]
    text, _, signatures = note.partition("\n\n")
    text += "\n"
    origin, size, root = text.split("\n")[:3]
    for line in signatures.splitlines():
        signer, _, encoded = line.removeprefix("\u2014 ").rpartition(" ")
        blob = base64.b64decode(encoded)
        if signer == name == origin and blob[:4] == number:
            Ed25519PublicKey.from_public_bytes(public[1:]).verify(blob[4:], text.encode())
            return int(size), base64.b64decode(root)
    raise Wrong(f"the checkpoint of {origin} at size {size} is not signed with that key")


def split(size: int) -> int:
    """Return the largest power of two below a size."""
    return 1 << (size - 1).bit_length() - 1


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Return the root over leaf hashes (RFC 6962, 2.1)."""
    if len(leaves) == 1:
        return leaves[0]
    middle = split(len(leaves))
    return sha256(b"\x01", root_of(leaves[:middle]), root_of(leaves[middle:]))


def root_with(first: int, last: int, low: int, leaves: Sequence[bytes], others: Iterator[bytes]) -> bytes:
    """Return the root over [first, last) from the leaves from `low` on and all that is beside them."""
    high = low + len(leaves)
    if low <= first and last <= high:
        return root_of(leaves[first - low : last - low])
    if last <= low or high <= first:
        return next(others)
    middle = first + split(last - first)
    left = root_with(first, middle, low, leaves, others)
    return sha256(b"\x01", left, root_with(middle, last, low, leaves, others))


def root_by_path(index: int, size: int, leaf: bytes, path: Sequence[bytes]) -> bytes:
    """Return the root that an audit path leads to (RFC 9162, 2.1.3.2)."""
    place, last, found = index, size - 1, leaf
    for step in path:
        if place & 1 or place == last:
            found = sha256(b"\x01", step, found)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            found = sha256(b"\x01", found, step)
        place, last = place >> 1, last >> 1
    if last or index >= size:
        raise Wrong(f"the audit path of leaf {index} does not fit a log of {size}")
    return found


def check_sums(folder: Path, _: str) -> str:
    """Check that every file is here as it was written, and no other."""
    said = dict(line.split("  ", 1)[::-1] for line in (folder / "SHA256SUMS").read_text("utf-8").splitlines())
    here = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} - {"SHA256SUMS"}
    if here != set(said):
        raise Wrong(f"these files are missing or were added: {', '.join(sorted(here ^ set(said)))}")
    for name, digest in said.items():
        if sha256((folder / name).read_bytes()).hex() != digest:
            raise Wrong(f"{name} is not the file that was written")
    return f"{len(said)} files are as they were written"


def check_log(folder: Path, vkey: str) -> str:
    """Check the lines of the log: each batch leads to a signed checkpoint, and no leaf is left out."""
    path, entries, following, total = folder / "log.jsonl", [], None, 0
    if not path.exists():
        return "no part of the log is in it"
    for line in path.read_bytes().splitlines():
        if line.startswith(b'{"leaf":'):
            # The bytes that were hashed stand between these two words.
            entries.append(leaf_hash(line[line.index(b',"event":') + 9 : line.rindex(b',"sealed":')]))
        elif line.startswith(b'{"pruned":'):
            following = json.loads(line)["pruned"][1] + 1
        else:
            end = json.loads(line)
            if following not in {None, end["first"]} or end["next"] - end["first"] != len(entries):
                raise Wrong(f"leaves before {end['next']} are missing from log.jsonl")
            size, root = signed_head(end["checkpoint"], vkey)
            others = iter([base64.b64decode(step) for step in end["proof"]])
            if root_with(0, size, end["first"], entries, others) != root or next(others, None):
                raise Wrong(f"leaves {end['first']} to {end['next'] - 1} are not those of the log")
            total, following = total + len(entries), end["next"]
            entries = []
    if entries:
        raise Wrong("log.jsonl ends in the middle of a batch")
    return f"{total} events of the log, up to leaf {(following or 0) - 1}"


def proved(path: Path, vkey: str) -> dict[str, Any]:
    """Return the event that a proof is about (C2SP tlog-proof), once it holds."""
    above, _, note = path.read_text("utf-8").partition("\n\n")
    _, extra, index, *steps = above.split("\n")
    entry = json.loads(base64.b64decode(extra.removeprefix("extra ")))["entry"]
    size, root = signed_head(note, vkey)
    path_of = [base64.b64decode(step) for step in steps]
    if root_by_path(int(index.removeprefix("index ")), size, leaf_hash(entry.encode()), path_of) != root:
        raise Wrong(f"{path.name}: its event does not stand in the log")
    found: dict[str, Any] = json.loads(entry)
    return found


def check_proofs(folder: Path, vkey: str) -> str:
    """Check every proof of an event."""
    paths = sorted((folder / "proofs").glob("*"))
    for path in paths:
        if proved(path, vkey)["id"] != path.stem:
            raise Wrong(f"{path.name} is about another event")
    return f"{len(paths)} events with a proof each"


def check_receipts(folder: Path, vkey: str) -> str:
    """Check that the log has the hash of every receipt."""
    paths = sorted((folder / "receipts").glob("*.json"))
    for path in paths:
        event = proved(path.with_suffix(".tlog-proof"), vkey)
        if event["details"].get("receipt") != sha256(path.read_bytes()).hex():
            raise Wrong(f"{path.name} is not the receipt whose hash stands in the log")
    return f"{len(paths)} receipts whose hash stands in the log"


def check_runs(folder: Path, _: str) -> str:
    """Check that each run took as many rows as its batches in the log did, where all of those are here."""
    here, rows = set(), dict[str, int]()
    for event, leaf in events_of(folder):
        here.add(leaf)
        if event["action"] == "retention:batch":
            run = event["correlation"]
            rows[run] = rows.get(run, 0) + event["details"]["rows"]
    compared = 0
    for run in json.loads((folder / "runs.json").read_text("utf-8")):
        first, last = run.get("leaves") or (0, -1)
        if run["state"] != "done" or not {first, last} <= here:
            continue
        if run["rows"] != rows.get(run["id"], 0):
            raise Wrong(f"run {run['id']} says {run['rows']} rows; in the log: {rows.get(run['id'], 0)}")
        compared += 1
    return f"{compared} runs took the rows that the log says"


def events_of(folder: Path) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield every event that is in the folder, with its leaf."""
    path = folder / "log.jsonl"
    for line in path.read_bytes().splitlines() if path.exists() else ():
        if line.startswith(b'{"leaf":'):
            found = json.loads(line)
            yield found["event"], found["leaf"]
    for path in sorted((folder / "proofs").glob("*")):
        _, extra, index, *_ = path.read_text("utf-8").split("\n")
        entry = json.loads(base64.b64decode(extra.removeprefix("extra ")))["entry"]
        yield json.loads(entry), int(index.removeprefix("index "))


def check_policies(folder: Path, _: str) -> str:
    """Check that each digest is that of the policy's words, and every signature of an approver over it."""
    if not (folder / "policies.json").exists():
        return "no policy belongs to it"
    keys = {
        key["name"]: base64.b64decode(key["public_key"])
        for key in json.loads((folder / "approvers.json").read_text("utf-8"))
    }
    policies = json.loads((folder / "policies.json").read_text("utf-8"))
    signed = 0
    for policy in policies:
        name = f"policy {policy['name']}, version {policy['version']}"
        if sha256(policy["definition"].encode()).hex() != policy["digest"]:
            raise Wrong(f"{name}: its digest is not that of its definition")
        message = f"aegis-approve-v1:policy:{policy['id']}:{policy['digest']}"
        for approval in policy["approvals"]:
            if approval["signature"]:
                check_approval(approval, keys[approval["key"]], message.encode())
                signed += 1
    return f"{len(policies)} versions of policies, {signed} signatures of approvers"


def check_approval(approval: Mapping[str, Any], key: bytes, message: bytes) -> None:
    """Check the signature of an approver: Ed25519, or what `ssh-keygen -Y sign -n aegis` made."""
    signature = base64.b64decode(approval["signature"])
    if approval["scheme"] == "ssh":
        _, rest = text_of(signature[10:])
        namespace, rest = text_of(rest)
        reserved, rest = text_of(rest)
        hashing, rest = text_of(rest)
        signature = text_of(text_of(text_of(rest)[0])[1])[0]
        if namespace != b"aegis":
            raise Wrong("an approver's signature was made for something else")
        digest = hashlib.new(hashing.decode(), message).digest()
        pieces = (namespace, reserved, hashing, digest)
        message = b"SSHSIG" + b"".join(len(piece).to_bytes(4, "big") + piece for piece in pieces)
    Ed25519PublicKey.from_public_bytes(key).verify(signature, message)


def text_of(blob: bytes) -> tuple[bytes, bytes]:
    """Return the first text of a blob of OpenSSH, and what follows it."""
    size = int.from_bytes(blob[:4], "big")
    return blob[4 : 4 + size], blob[4 + size :]


CHECKS: tuple[tuple[str, Callable[[Path, str], str]], ...] = (
    ("files", check_sums),
    ("log", check_log),
    ("proofs", check_proofs),
    ("receipts", check_receipts),
    ("runs", check_runs),
    ("policies", check_policies),
)


def main(arguments: Sequence[str]) -> int:
    """Check a folder, and say so."""
    if not 1 <= len(arguments) <= 2:
        print(__doc__)
        return 2
    folder, wrong = Path(arguments[1] if len(arguments) > 1 else Path(__file__).parent), False
    for name, check in CHECKS:
        try:
            print(f"ok     {name}: {check(folder, arguments[0])}")
        except InvalidSignature:
            wrong = True
            print(f"WRONG  {name}: a signature does not hold")
        except (Wrong, OSError, ValueError, LookupError, TypeError, AttributeError, StopIteration) as fault:
            wrong = True
            print(f"WRONG  {name}: {fault if isinstance(fault, Wrong) else f'cannot be read ({fault!r})'}")
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
