"""The doors of those who keep the audit log: its keys, witnesses and proofs, and its recovery.

Recording, reading and verifying are in `api.audit`.
"""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aegis.arguments import door
from aegis.audit import proofs, proving, pruning, recovery
from aegis.audit.epochs import Turned
from aegis.audit.exported import checking
from aegis.audit.exported.report import Report as ExportReport
from aegis.audit.proofs import Proof
from aegis.audit.pruning import Pruned
from aegis.audit.published import Published
from aegis.audit.recovery import Recovered
from aegis.audit.signing import Key
from aegis.audit.tlog import notes, trust
from aegis.audit.tlog.notes import Checkpoint
from aegis.audit.tlog.trust import Policy
from aegis.audit.verification.findings import Tell
from aegis.audit.witnesses import Known, Witnesses
from aegis.errors import NotPrepared, SettingsError
from aegis.operations import stops
from aegis.operations.system import System, current
from aegis.settings import load_settings


def begin_log(origin: str | None = None, *, actor: str) -> Key:
    """Make the log's first signing key on this machine, and give the log its name for ever.

    Args:
        origin: like a URL without its scheme; default: the setting `audit.origin`, or a random one.
        actor: who does it.

    Raises:
        aegis.errors.Conflict: the log has a key already.

    """
    system = current()
    return system.signing_keys.begin(origin or system.settings.audit.new_origin(), actor=actor)


def signing_keys() -> list[Key]:
    """Return every key that ever signed checkpoints, the oldest first."""
    return current().signing_keys.listed()


def rotate_signing_key(actor: str) -> Key:
    """Add a key; checkpoints carry both signatures until the old one is retired."""
    return current().signing_keys.rotate(actor=actor)


def retire_signing_key(key_id: str, actor: str, *, lost: bool = False) -> Key:
    """End a key at the present size of the log; its private half is removed from this machine.

    Raises:
        ValueError: no key that signs has this id.
        aegis.errors.Refused: it is the only one.

    """
    return current().signing_keys.retire(key_id, actor=actor, lost=lost)


def turn_key_store(actor: str) -> Turned:
    """Begin a new epoch of the key store: everything is wrapped under a new key, old ones end in their time.

    Raises:
        aegis.errors.NotPrepared: keys of an older epoch cannot be opened here; everything else was done.

    """
    return current().epochs.turn(dt.datetime.now(dt.UTC), actor=actor)


def tend_key_store() -> Turned | None:
    """Turn the default key store when that is due, and destroy old epochs' keys when their time is over.

    Where the databases were named there may be several machines, each of which needs the new key file
    before the turn: a person does it there.
    """
    system = current()
    if not system.settings.embedded_control:
        return None
    return system.epochs.tend(dt.datetime.now(dt.UTC))


def prepare_epoch() -> Path:
    """Make the next epoch's key file and nothing else, to be copied to other machines before the turn."""
    return current().epochs.prepare()


def give_up_epoch(number: int, actor: str) -> int:
    """Remove the keys that only a lost epoch key could open; return how many.

    Raises:
        ValueError: there was no such epoch.
        aegis.errors.Refused: its key is here, or was destroyed in its time.

    """
    return current().epochs.give_up(number, dt.datetime.now(dt.UTC), actor=actor)


def prove_event(event_id: str) -> Proof:
    """Return a proof that an event stands in the log, to be checked offline, years later.

    Raises:
        ValueError: there is no such event, or it was pruned.
        aegis.errors.Busy: it has no place in the log yet.

    """
    return proving.prove(current().databases, event_id)


def check_proof(text: str, policy: Policy) -> dict[str, Any]:
    """Return the entry that a proof is about; reads no database and no network.

    Raises:
        aegis.errors.Tampered: the proof does not hold.

    """
    return proofs.parse(text).check(policy)


def check_export(path: Path, policy: Policy, *, start: int = 0) -> ExportReport:
    """Check an export alone; reads no database and no network."""
    return checking.check(path, policy, start=start)


def trusted(*, policy: Path | None = None, retired: Path | None = None, vkey: str | None = None) -> Policy:
    """Return whom to trust; with nothing named, what was published from this machine.

    Args:
        policy: a C2SP tlog-policy file.
        retired: the file of keys that sign no more, each with the size of its last tree.
        vkey: the only key to trust, without any witness.

    Raises:
        ValueError: a file or the key cannot be read as that.
        aegis.errors.NotPrepared: nothing was named, and nothing was published here.

    """
    if vkey is not None:
        return Policy(logs=(notes.verifier(vkey),))
    if policy is None:
        return Published(load_settings().home).policy()
    try:
        old = retired.read_text("utf-8") if retired else ""
        return trust.parse(policy.read_text("utf-8"), old)
    except UnicodeDecodeError:
        message = f"{policy} is no policy: it is not UTF-8"
        raise SettingsError(message) from None


def witnesses() -> list[Known]:
    """Return the witnesses of this log."""
    return _witnesses(current()).listed()


def add_witness(name: str, vkey: str, url: str, actor: str) -> None:
    """Show every checkpoint to a witness from now on, and name it in the policy.

    Raises:
        ValueError: the name, the key or the URL cannot be that of a witness.

    """
    _witnesses(current()).add(name, vkey, url, actor=actor)


def remove_witness(name: str, actor: str) -> None:
    """Show a witness nothing any more."""
    _witnesses(current()).remove(name, actor=actor)


def push_checkpoint() -> Sequence[str]:
    """Show the newest checkpoint to every witness now; return who cosigned it.

    Raises:
        aegis.errors.Refused: one of them has seen more of the log than there is, or another one.

    """
    return current().sequencer.push(patient=False)


@door
def prune_log(
    before: dt.date, actor: str, *, execute: bool = False, on_progress: Tell | None = None
) -> Pruned:
    """Let the entries of old events go, in whole tiles; their hashes stay, and so does every proof.

    Args:
        before: events of that day, UTC, and later ones stay.
        actor: who decided it.
        execute: do it; otherwise only say what would go.
        on_progress: is told how far it has come.

    Raises:
        aegis.errors.Refused: the day is too young, or the kill switch is held.
        aegis.errors.Tampered: the log was changed: nothing goes that shows it.
        aegis.errors.Busy: somebody else prunes.

    """
    system = current()
    return pruning.prune(
        system.databases,
        system.recorder,
        system.sequencer,
        before=dt.datetime.combine(before, dt.time(), dt.UTC),
        actor=actor,
        execute=execute,
        permitted=lambda: stops.refuse_if_stopped(system),
        on_progress=on_progress,
    )


def recover_log(actor: str, *, seen: Checkpoint | None = None) -> Recovered:
    """Go on under a new name, after the control database was restored from a backup on purpose.

    Args:
        actor: who decided it.
        seen: the last checkpoint that anybody saw; default: the one that was published from here.

    Raises:
        aegis.errors.Refused: nothing of the log is missing.

    """
    system = current()
    if seen is None:
        note = system.published.checkpoint()
        if note is None:
            message = "no checkpoint was published from here: name the last one that anybody saw"
            raise NotPrepared(message)
        seen = notes.checkpoint(note)
    return recovery.recover(
        system.databases, system.key_files, system.signing_keys, system.recorder, seen, actor=actor
    )


def _witnesses(system: System) -> Witnesses:
    return Witnesses(system.databases, system.recorder, system.signing_keys)
