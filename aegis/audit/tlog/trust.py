"""Whom a verifier trusts: a policy file as C2SP tlog-policy has it, and the keys that were retired.

A checkpoint counts when one of the policy's logs signed it and its quorum of witnesses cosigned it.
Retired keys stand in a file of their own, each with the size of the last tree that it may have
signed: a policy cannot say that, and nobody else needs to accept them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from aegis.audit.tlog.notes import COSIGNATURE, ED25519, Checkpoint, Note, Verifier, checkpoint, verifier
from aegis.errors import Tampered, UsageError

#: The quorum that needs no witness.
NONE: Final = "none"


@dataclass(frozen=True, kw_only=True)
class Witness:
    """A witness of a policy."""

    name: str
    key: Verifier
    url: str | None = None


@dataclass(frozen=True, kw_only=True)
class Group:
    """So many of these members have to have witnessed."""

    name: str
    needed: int
    members: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Logs, witnesses and the rule for them."""

    logs: tuple[Verifier, ...]
    witnesses: tuple[Witness, ...] = ()
    groups: tuple[Group, ...] = ()
    quorum: str = NONE
    #: Keys that sign no more → the size of the largest tree that they may have signed.
    retired: Mapping[Verifier, int] = field(default_factory=dict)

    def check(self, note: Note) -> Checkpoint:
        """Return the checkpoint in a note that this policy accepts.

        Raises:
            Tampered: it does not; the message says what is missing.

        """
        head = checkpoint(note)
        signed = note.signers([*self.logs, *self.retired])
        ours = [key for key in signed if key.name == head.origin]
        if not any(key not in self.retired or head.size <= self.retired[key] for key in ours):
            raise Tampered(self._unsigned(head, ours))
        if not self.witnessed(note):
            message = (
                f"the checkpoint of size {head.size} lacks the cosignatures of the quorum {self.quorum!r}"
            )
            raise Tampered(message)
        return head

    def witnessed(self, note: Note) -> bool:
        """Say whether the quorum of witnesses has cosigned a note."""
        cosigned = set(note.signers(witness.key for witness in self.witnesses))
        reached = {witness.name: witness.key in cosigned for witness in self.witnesses} | {NONE: True}
        for group in self.groups:
            reached[group.name] = sum(reached[name] for name in group.members) >= group.needed
        return reached[self.quorum]

    def __str__(self) -> str:
        """Return the policy file; retired keys are not in it."""
        lines = [f"log {key.vkey}" for key in self.logs]
        lines += [f"witness {w.name} {w.key.vkey}{' ' + w.url if w.url else ''}" for w in self.witnesses]
        lines += [f"group {g.name} {g.needed} {' '.join(g.members)}" for g in self.groups]
        return "\n".join([*lines, f"quorum {self.quorum}"]) + "\n"

    @property
    def retired_text(self) -> str:
        """The file of retired keys: a key and a size on each line."""
        return "".join(f"{key.vkey} {size}\n" for key, size in self.retired.items())

    def _unsigned(self, head: Checkpoint, ours: Sequence[Verifier]) -> str:
        if ours:
            bounds = ", ".join(f"{key.key_id.hex()} at size {self.retired[key]}" for key in ours)
            return f"the checkpoint of size {head.size} is signed by keys only that were retired: {bounds}"
        trusted = ", ".join(f"{key.name}+{key.key_id.hex()}" for key in [*self.logs, *self.retired])
        return (
            f"the checkpoint of {head.origin} of size {head.size} is not signed by a trusted key "
            f"(trusted: {trusted or 'none'})"
        )


def parse(text: str, retired: str = "") -> Policy:
    """Read a policy file, and the file of retired keys.

    Raises:
        UsageError: it has a fault; the message names its line.

    """
    reading = _Reading()
    for number, line in enumerate(text.split("\n"), 1):
        words = line.strip(" \t").split()
        if not words or words[0].startswith("#"):
            continue
        try:
            reading.take(words)
        except (UsageError, ValueError) as fault:
            message = f"line {number} of the policy: {fault}"
            raise UsageError(message) from None
    if reading.quorum is None:
        message = "the policy has no line `quorum`; `quorum none` needs no witness"
        raise UsageError(message)
    return Policy(
        logs=tuple(reading.logs),
        witnesses=tuple(reading.witnesses),
        groups=tuple(reading.groups),
        quorum=reading.quorum,
        retired=_retired(retired),
    )


class _Reading:
    """What was read of a policy file so far."""

    def __init__(self) -> None:
        self.logs: list[Verifier] = []
        self.witnesses: list[Witness] = []
        self.groups: list[Group] = []
        self.quorum: str | None = None
        self._grouped: set[str] = set()

    def take(self, words: Sequence[str]) -> None:
        """Take a line."""
        match words:
            case ["log", vkey] | ["log", vkey, _]:
                self.logs.append(_fresh(vkey, ED25519, self.logs))
            case ["witness", name, vkey, *url] if len(url) <= 1:
                key = _fresh(vkey, COSIGNATURE, [witness.key for witness in self.witnesses])
                self.witnesses.append(Witness(name=self._new(name), key=key, url=url[0] if url else None))
            case ["group", name, needed, *members] if members:
                self._group(name, needed, members)
            case ["quorum", name] if self.quorum is None:
                self.quorum = name if name == NONE else self._known(name)
            case _:
                message = "expected `log`, `witness`, `group` or one `quorum`, with their words"
                raise UsageError(message)

    def _group(self, name: str, needed: str, members: Sequence[str]) -> None:
        for member in members:
            self._known(member)
            if member in self._grouped:
                message = f"{member!r} is a member of a group already"
                raise UsageError(message)
            self._grouped.add(member)
        count = {"any": 1, "all": len(members)}.get(needed) or (int(needed) if needed.isdigit() else 0)
        if not 1 <= count <= len(members):
            message = f"expected `any`, `all` or a number from 1 to {len(members)}, got {needed!r}"
            raise UsageError(message)
        self.groups.append(Group(name=self._new(name), needed=count, members=tuple(members)))

    def _names(self) -> set[str]:
        return {witness.name for witness in self.witnesses} | {group.name for group in self.groups}

    def _known(self, name: str) -> str:
        if name not in self._names():
            message = f"{name!r} is no witness and no group of the lines before"
            raise UsageError(message)
        return name

    def _new(self, name: str) -> str:
        if name in self._names() or name == NONE:
            message = f"the name {name!r} is taken"
            raise UsageError(message)
        return name


def _fresh(vkey: str, algorithm: int, known: Iterable[Verifier]) -> Verifier:
    key = verifier(vkey)
    if key.algorithm != algorithm:
        kinds = {ED25519: "a log", COSIGNATURE: "a witness"}
        message = f"the key {key.name}+{key.key_id.hex()} is that of {kinds[key.algorithm]}"
        raise UsageError(message)
    if any(key.public == other.public for other in known):
        message = f"the key {key.name}+{key.key_id.hex()} stands there twice"
        raise UsageError(message)
    return key


def _retired(text: str) -> dict[Verifier, int]:
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        vkey, _, size = line.partition(" ")
        if not size.isdigit():
            message = f"line {number} of the retired keys: expected a key and the size of its last tree"
            raise UsageError(message)
        found[verifier(vkey)] = int(size)
    return found
