"""`aegis approver`, and signed approvals by the real command."""

import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tests.integration.test_cli import by_check, prepared, shell
from tests.shells import ADD, EXECUTE, Shell

__all__ = ["prepared", "shell"]
KEYGEN = shutil.which("ssh-keygen")
APPROVE = ("policy", "approve", "safety_90", "--actor")


def keys(folder: Path, name: str) -> tuple[str, str]:
    """Write a key pair in PEM; return the paths of the private and the public file."""
    key = Ed25519PrivateKey.generate()
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    private.touch(mode=0o600)
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return str(private), str(public)


def add(shell: Shell, name: str, public: str) -> None:
    """Register a key."""
    said = shell("approver", "add", name, public, "--owner", f"{name}@example.com", "--actor", "admin")
    assert said.code == 0, said.err


def test_signed_with_a_key_file(shell: Shell) -> None:
    """A claim is refused with the way to sign; with the key it is approved, shown as signed, and runs."""
    private, public = keys(shell.folder, "anna")
    shell(*ADD)
    assert "No approver key" in shell("approver", "list").out
    add(shell, "anna", public)
    refused = shell(*APPROVE, "anna@example.com")
    assert refused.code == 4
    assert "ssh-keygen -Y sign -n aegis" in refused.refusal
    approved = shell(*APPROVE, "anna@example.com", "--sign-with", private)
    assert approved.code == 0, approved.err
    assert "signed" in approved.out
    shown = shell("policy", "show", "safety_90")
    assert "approved by anna@example.com (signed)" in shown.out
    assert shell(*EXECUTE).code == 0
    (listed,) = shell("approver", "list", "--json").document
    assert (listed["name"], listed["genuine"], listed["removed_at"]) == ("anna", True, None)


@pytest.mark.skipif(KEYGEN is None, reason="no ssh-keygen on PATH")
def test_signed_as_show_prints_it(shell: Shell) -> None:
    """The command that `policy show` prints, typed into a shell as it stands, makes a valid signature."""
    assert KEYGEN
    make = (KEYGEN, "-q", "-t", "ed25519", "-N", "", "-f", str(shell.folder / "KEY"))
    subprocess.run(make, check=True)
    shell(*ADD)
    add(shell, "anna", str(shell.folder / "KEY.pub"))
    command, _, hand_in = shell("policy", "show", "safety_90").out.splitlines()[-1].partition("; ")
    subprocess.run(["/bin/sh", "-c", command], cwd=shell.folder, check=True, capture_output=True)
    words = hand_in.replace("NAME", "anna@example.com").replace(
        "approval.sig", str(shell.folder / "approval.sig")
    )
    assert shell(*words.split()[1:]).code == 0
    assert shell(*EXECUTE).code == 0
    assert shell.rows() == 2


def test_two_people(shell: Shell) -> None:
    """The first leaves it pending and is told so; the second approves it."""
    two = {"AEGIS_APPROVAL": "two-person"}
    people = {name: keys(shell.folder, name) for name in ("anna", "berta")}
    shell(*ADD)
    for name, (private, public) in people.items():
        add(shell, name, public)
        said = shell(*APPROVE, f"{name}@example.com", "--sign-with", private, **two)
        assert said.code == 0, said.err
        assert ("somebody else" in said.out) == (name == "anna")
    assert shell(*EXECUTE, **two).code == 0


def test_the_doctor_names_approvals_of_people_who_left(shell: Shell) -> None:
    """The policy goes on; that its approver's key was removed is reported."""
    private, public = keys(shell.folder, "anna")
    shell(*ADD)
    add(shell, "anna", public)
    shell(*APPROVE, "anna@example.com", "--sign-with", private)
    assert shell("approver", "remove", "anna", "--actor", "admin").code == 0
    found = [item["text"] for item in by_check(shell("doctor", "--json"))["policies"]]
    assert any("not valid any more: anna" in text for text in found), found
    assert shell(*EXECUTE).code == 0


def test_a_private_key_is_not_registered(shell: Shell) -> None:
    """Who gives the wrong file is told, and nothing is kept of it."""
    private, _ = keys(shell.folder, "anna")
    said = shell("approver", "add", "anna", private, "--actor", "admin")
    assert said.code == 2
    assert "private key" in said.refusal
    assert shell("approver", "list", "--json").document == []
