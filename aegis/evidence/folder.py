"""The folder itself: written beside its place, complete or not at all."""

import csv
import datetime as dt
import hashlib
import importlib.resources
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aegis.audit.actions import Action
from aegis.audit.events import stamp
from aegis.audit.recorder import Note
from aegis.errors import UsageError
from aegis.evidence import decided, done, logged, processing
from aegis.evidence.logged import Span
from aegis.evidence.readme import Facts, readme
from aegis.evidence.scope import Scope
from aegis.operations.system import System

SUMS: Final = "SHA256SUMS"
CHECK: Final = "check.py"


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """What a folder of evidence has in it."""

    folder: Path
    policies: int
    runs: int
    erasures: int
    receipts: int
    holds: int
    #: Events of the log that are in it.
    events: int
    #: Events of that time that have no place in the log yet, and so are not in it.
    waiting: int


def gather(system: System, scope: Scope, folder: Path, *, actor: str) -> Gathered:
    """Write the evidence of a scope into a new folder that only its owner can read, and record that.

    Args:
        system: this process's Aegis.
        scope: of what.
        folder: must not be there; nothing is left of it when something fails.
        actor: who asks for it.

    Raises:
        UsageError: the folder is there.
        aegis.errors.Tampered: the log is not what was sealed.
        aegis.errors.Busy: a receipt's event has no place in the log yet.

    """
    with _new(folder) as fresh:
        facts = _write(system, scope, fresh)
        (fresh / CHECK).write_text(_check(), "utf-8")
        text = readme(facts, {path.name for path in fresh.iterdir()})
        (fresh / "README.md").write_text(text, "utf-8")
        _sum(fresh)
        _record(system, actor)
    return Gathered(folder=folder, **facts.counts)


def _write(system: System, scope: Scope, fresh: Path) -> Facts:
    keys, versions = logged.keys(system), decided.policy_versions(system, scope)
    runs, erasures = done.retention_runs(system, scope), done.erasure_runs(system, scope)
    # Of one request nobody needs to know what else was decided.
    holds = [] if scope.requests else decided.legal_holds(system, scope)
    if versions:
        _json(fresh / "policies.json", versions)
        _json(fresh / "approvers.json", decided.approver_keys(system))
    _json(fresh / "runs.json", runs)
    _json(fresh / "erasures.json", {"requests": done.requests(system, scope), "runs": erasures})
    if not scope.requests:
        _json(fresh / "holds.json", holds)
        _table(fresh / "processing.csv", processing.COLUMNS, processing.record(system, versions))
    given = done.receipts_of(system, erasures)
    if given:
        (fresh / "receipts").mkdir()
    for run, receipt in given.items():
        (fresh / "receipts" / f"{run}.json").write_text(receipt.receipt, "utf-8")
        (fresh / "receipts" / f"{run}.tlog-proof").write_text(receipt.proof, "utf-8")
    span = _span(system, scope)
    events = _log(system, scope, [*runs, *erasures], span, fresh)
    _json(fresh / "log-keys.json", keys)
    counts = {
        "policies": len(versions),
        "runs": len(runs),
        "erasures": len(erasures),
        "receipts": len(given),
        "holds": len(holds),
        "events": events,
        "waiting": span.waiting if span else 0,
    }
    return Facts(
        scope=scope, vkeys=[key["vkey"] for key in keys if key["retired_size"] is None], counts=counts
    )


def _span(system: System, scope: Scope) -> Span | None:
    return logged.span(system, scope.start, scope.end) if scope.start and scope.end else None


def _log(system: System, scope: Scope, runs: list[dict[str, Any]], span: Span | None, fresh: Path) -> int:
    """Write what proves the rest; return how many events it has."""
    if span is not None:
        return logged.write_span(system, span, fresh / "log.jsonl")
    events = done.events_of(system, runs, scope) if scope.requests else []
    logged.write_proofs(system, events, fresh / "proofs")
    return len(events)


@contextmanager
def _new(folder: Path) -> Iterator[Path]:
    """Make a folder under another name, which becomes its own when everything is in it."""
    if folder.exists():
        message = f"{folder} exists; it is not overwritten: name another folder"
        raise UsageError(message)
    try:
        fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.absolute().parent))
    except OSError as error:
        message = f"{folder} cannot be written: {error.strerror}"
        raise UsageError(message) from None
    try:
        yield fresh
        # Onto a folder that appeared meanwhile it would fail, unless that is empty.
        fresh.rename(folder)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def _json(path: Path, document: Any) -> None:
    text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False, default=_plain)
    path.write_text(text + "\n", "utf-8")


def _plain(value: Any) -> str:
    return stamp(value) if isinstance(value, dt.datetime) else str(value)


def _table(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows([_cell(row.get(column)) for column in columns] for row in rows)


def _cell(value: Any) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    if value is None:
        return ""
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text


def _sum(fresh: Path) -> None:
    """Write the hash of every other file, as `sha256sum -c` reads it."""
    files = sorted(path for path in fresh.rglob("*") if path.is_file())
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(fresh)}" for path in files]
    (fresh / SUMS).write_text("\n".join(lines) + "\n", "utf-8")
    for path in fresh.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)


def _check() -> str:
    return importlib.resources.files("aegis.evidence").joinpath(CHECK).read_text("utf-8")


def _record(system: System, actor: str) -> None:
    origin = system.signing_keys.listed()[-1].verifier.name
    note = Note(
        action=Action.AUDIT_EXPORT,
        actor=actor,
        target_type="log",
        target_id=origin,
        details={"format": "evidence"},
    )
    system.recorder.record(note)
