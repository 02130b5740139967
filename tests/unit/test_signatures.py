"""Signatures of approvers: plain Ed25519 and OpenSSH's, over exactly one message with exactly one key."""

import base64
import json
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from aegis.errors import SettingsError, UsageError
from aegis.operations.signatures import fingerprint, read_public_key, read_signature, sign

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parents[1] / "golden" / "sshsig.json").read_text())
MESSAGE = GOLDEN["message"].encode()
KEYGEN = shutil.which("ssh-keygen")


def pem(key: Ed25519PrivateKey) -> bytes:
    """Return a private key as `openssl genpkey` writes it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def private_file(folder: Path, content: bytes) -> Path:
    """Write a key that only its owner can read."""
    path = folder / "key"
    path.touch(mode=0o600)
    path.write_bytes(content)
    return path


def blob(namespace: bytes = b"aegis", name: bytes = b"sha512", version: int = 1, tail: bytes = b"") -> bytes:
    """Return the golden SSHSIG taken apart and put together with a change, as a file."""
    body = read_signature(GOLDEN["signature"].encode()).body
    fields, rest = [], body[10:]
    while rest:
        size = int.from_bytes(rest[:4], "big")
        fields.append(rest[4 : 4 + size])
        rest = rest[4 + size :]
    fields[1], fields[3] = namespace, name
    made = b"SSHSIG" + struct.pack(">I", version)
    made += b"".join(struct.pack(">I", len(field)) + field for field in fields) + tail
    lines = base64.b64encode(made)
    return b"-----BEGIN SSH SIGNATURE-----\n" + lines + b"\n-----END SSH SIGNATURE-----\n"


def test_one_that_ssh_keygen_made_is_verified_for_ever() -> None:
    """A key and a signature of OpenSSH 9 or 10, kept as files, verify over their message and no other."""
    key, signature = (
        read_public_key(GOLDEN["public_key"].encode()),
        read_signature(GOLDEN["signature"].encode()),
    )
    assert (key.scheme, signature.scheme, key.fingerprint) == ("ssh", "ssh", GOLDEN["fingerprint"])
    assert signature.verifies(MESSAGE, key.raw)
    assert not signature.verifies(MESSAGE + b"\n", key.raw)
    assert not signature.verifies(MESSAGE, Ed25519PrivateKey.generate().public_key().public_bytes_raw())


@pytest.mark.parametrize(
    "change", [{"namespace": b"git"}, {"name": b"md5"}, {"version": 2}, {"tail": b"\0"}], ids=str
)
def test_one_for_something_else_does_not_verify(change: dict[str, Any]) -> None:
    """Another namespace, hash or version, or bytes behind the end: no signature of an approval."""
    key = read_public_key(GOLDEN["public_key"].encode())
    assert read_signature(blob()).verifies(MESSAGE, key.raw)
    assert not read_signature(blob(**change)).verifies(MESSAGE, key.raw)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_no_flipped_byte_verifies(place: int, change: int) -> None:
    """Whatever byte of an SSHSIG is another one, it does not verify and nothing fails."""
    key = read_public_key(GOLDEN["public_key"].encode())
    body = bytearray(read_signature(GOLDEN["signature"].encode()).body)
    body[place % len(body)] ^= change
    # The four bytes that length-prefix the reserved field are covered as well.
    changed = b"-----BEGIN SSH SIGNATURE-----" + base64.b64encode(body) + b"-----END SSH SIGNATURE-----"
    assert not read_signature(changed).verifies(MESSAGE, key.raw)


@pytest.mark.skipif(KEYGEN is None, reason="no ssh-keygen on PATH")
def test_what_ssh_keygen_makes_here_verifies(tmp_path: Path) -> None:
    """A key and a signature of the OpenSSH on this machine, made as `policy show` prints it."""
    assert KEYGEN
    file = tmp_path / "id"
    subprocess.run([KEYGEN, "-q", "-t", "ed25519", "-N", "", "-f", str(file)], check=True)
    made = subprocess.run(
        [KEYGEN, "-q", "-Y", "sign", "-n", "aegis", "-f", str(file)],
        input=MESSAGE,
        stdout=subprocess.PIPE,
        check=True,
    )
    key = read_public_key(file.with_suffix(".pub").read_bytes())
    assert read_signature(made.stdout).verifies(MESSAGE, key.raw)
    # The same private key signs here as well.
    assert read_signature(sign(file, MESSAGE)).verifies(MESSAGE, key.raw)


@pytest.mark.parametrize("form", ["pem", "raw"])
def test_plain_keys_and_signatures(tmp_path: Path, form: str) -> None:
    """PEM and base64 of 32 bytes are the same key; its signature may be raw or base64."""
    private = Ed25519PrivateKey.generate()
    raw = private.public_key().public_bytes_raw()
    encoded = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    key = read_public_key(encoded if form == "pem" else base64.b64encode(raw))
    assert (key.raw, key.scheme, key.fingerprint) == (raw, "ed25519", fingerprint(raw))
    made = sign(private_file(tmp_path, pem(private)), MESSAGE)
    assert read_signature(made).verifies(MESSAGE, raw)
    assert read_signature(base64.b64encode(made) + b"\n").verifies(MESSAGE, raw)
    assert not read_signature(made).verifies(MESSAGE + b" ", raw)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC7 me",
        b"ssh-ed25519 AAAA me",
        base64.b64encode(b"x" * 31),
        pem(Ed25519PrivateKey.generate()),
        generate_private_key(SECP256R1())
        .public_key()
        .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    ],
)
def test_other_keys_are_refused(content: bytes) -> None:
    """Another kind of key, a broken one, a private one: refused with what is expected."""
    with pytest.raises(UsageError, match=r"Ed25519 public key|private key"):
        read_public_key(content)


@pytest.mark.parametrize(
    "content", [b"", b"x" * 63, b"-----BEGIN SSH SIGNATURE-----\n!\n-----END SSH SIGNATURE-----"]
)
def test_what_is_no_signature_is_refused(content: bytes) -> None:
    """The message says which two forms there are."""
    with pytest.raises(UsageError, match="ssh-keygen -Y sign"):
        read_signature(content)


def test_a_private_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """With the command that mends it."""
    file = private_file(tmp_path, pem(Ed25519PrivateKey.generate()))
    file.chmod(0o640)
    with pytest.raises(SettingsError, match="chmod 600"):
        sign(file, MESSAGE)


def test_what_is_no_private_key_is_refused(tmp_path: Path) -> None:
    """With the way to sign elsewhere."""
    with pytest.raises(UsageError, match="--signature"):
        sign(private_file(tmp_path, b"nothing"), MESSAGE)
