"""The account checker: an independent look at rows, journal, log, report and ledger, in plain SQL.

It shares no code with what it checks: its own statements, its own parser, its own MAC.
"""

import base64
import datetime as dt
import hashlib
import hmac
import json
import struct
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

NIL: Final = "00000000-0000-0000-0000-000000000000"
#: Column of audit_logs → field of `entry`.
PROJECTED: Final = {
    "id": "id",
    "action": "action",
    "outcome": "outcome",
    "actor_ref": "actor",
    "target_type": "target_type",
    "target_ref": "target",
    "tenant": "tenant",
    "correlation_id": "correlation",
}
#: Events that stand in a journal row.
JOURNALED: Final = frozenset({"retention:batch", "retention:restore", "erasure:batch"})
#: Tells which batches of a restored source the log has and the source lacks.
RETURNED: Final = "retention:returned"
#: Before the action of what came back with a restored source, in the ledger.
REVERTED: Final = "reverted_"
#: Of these the entries stay when the log is pruned.
NEVER_PRUNED: Final = frozenset(
    {"key:add", "key:retire", "audit:prune", "audit:recover", "approver:add", "retention:restore"}
)
#: After so long the journal of a run that has ended may be removed.
HORIZON: Final = dt.timedelta(days=35)
WIDTH: Final = 256
HASH: Final = 32
Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Account:
    """Everything that must agree, read once."""

    journal: list[Row]
    log: list[Row]
    pending: list[str]
    #: Leaf → event; one that was pruned has neither.
    leaves: dict[int, str]
    #: Number → leaf hashes, side by side.
    tiles: dict[int, bytes]
    #: Leaves of the log, and the first of them whose event has to be there.
    size: int
    minimum: int
    runs: list[Row]
    ledger: Counter[tuple[str, str, str]]
    #: Policy, table and action → rows of events that were pruned.
    pruned: Counter[tuple[str, str, str]]
    #: Runs whose journal was removed after its horizon.
    forgotten: frozenset[str]


def check(
    *,
    control: sa.Engine,
    sources: Mapping[str, sa.Engine],
    home: Path,
    gone: Mapping[str, int],
    masked: Mapping[str, int] | None = None,
    nullified: Mapping[str, int] | None = None,
    restored: Mapping[str, int] | None = None,
    canaries: Iterable[bytes] = (),
) -> None:
    """Assert that rows gone = journal = log = report = ledger, and that every byte is as it was written.

    Relay before; nothing may be at work.

    Args:
        control: the control database.
        sources: the data sources by name.
        home: where the worker key is.
        gone: rows really gone by table, counted by the test.
        masked: rows really anonymized by table; none when it is not given.
        nullified: rows that lost their reference by table; none when it is not given.
        restored: rows that really came back from archives by table; none when it is not given.
        canaries: bytes of persons that must stand nowhere in the log.

    """
    account = read(control, sources)
    check_journal(account, journal_key(home))
    check_log(account)
    changed = {"gone": gone, "masked": masked, "nullified": nullified, "restored": restored}
    check_sums(account, {effect: tables or {} for effect, tables in changed.items()})
    check_silence(account, canaries)


def read(control: sa.Engine, sources: Mapping[str, sa.Engine]) -> Account:
    """Read both sides."""
    journal: list[Row] = []
    for engine in sources.values():
        with engine.connect() as connection:
            journal += _rows(connection, _journal(engine))
    with control.connect() as connection:
        return _read(connection, journal)


def _read(control: sa.Connection, journal: Iterable[Row]) -> Account:
    state = next(iter(_rows(control, "SELECT * FROM aegis_audit_state")), {"size": 0, "minimum": 0})
    runs = _rows(control, "SELECT * FROM aegis_runs")
    marked = {row["run"] for row in _rows(control, "SELECT run FROM aegis_relay_marks")}
    tiles = _rows(control, "SELECT number, hashes FROM aegis_audit_tiles WHERE level = 0")
    return Account(
        journal=sorted(
            (row for row in journal if row["run"] != NIL and row["number"] > 0),
            key=lambda row: (row["run"], row["shard"], row["number"]),
        ),
        log=_rows(control, "SELECT * FROM audit_logs"),
        pending=[row["id"] for row in _rows(control, "SELECT id FROM audit_pending")],
        leaves={row["leaf"]: row["id"] for row in _rows(control, "SELECT * FROM aegis_audit_leaves")},
        tiles={row["number"]: bytes(row["hashes"]) for row in tiles},
        size=state["size"],
        minimum=state["minimum"],
        runs=runs,
        ledger=_counted(control, "SELECT * FROM aegis_ledger"),
        pruned=_counted(control, "SELECT * FROM aegis_audit_pruned"),
        forgotten=frozenset(row["id"] for row in runs if row["id"] not in marked and _old(row)),
    )


def _counted(control: sa.Connection, query: str) -> Counter[tuple[str, str, str]]:
    """Return policy, table and action → rows."""
    rows = _rows(control, query)
    return Counter({(row["policy"], row["table_name"], row["action"]): int(row["rows"]) for row in rows})


def _old(run: Row) -> bool:
    """Say whether a run ended before the horizon."""
    return run["finished_at"] is not None and moment(run["finished_at"]) < dt.datetime.now(dt.UTC) - HORIZON


def check_journal(account: Account, key: bytes) -> None:
    """Numbers run from 1 without a gap in every shard, and every MAC fits."""
    shards: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
    for row in account.journal:
        assert row["run"] not in account.forgotten, "a row of a run whose marks were removed"
        shards[row["run"], row["shard"]].append(row["number"])
        assert hmac.compare_digest(row["mac"], mac(row, key)), "a journal row does not fit its MAC"
        assert row["relayed_at"] is not None, "a journal row is not relayed"
        touched = row["rows"] > 0 or any(json.loads(row["counts"]).values())
        assert touched == (row["entry"] is not None), "a batch of rows without an event, or reverse"
        if row["entry"] is not None:
            assert json.loads(row["entry"])["id"] == row["event_id"]
    for shard, numbers in shards.items():
        assert numbers == list(range(1, len(numbers) + 1)), f"numbers of shard {shard}: {numbers}"


def check_log(account: Account) -> None:
    """Each event stands in the log once, has one leaf or waits for it, and every column repeats its bytes."""
    ids = [row["id"] for row in account.log]
    assert len(ids) == len(set(ids))
    places = [*account.pending, *account.leaves.values()]
    assert sorted(ids) == sorted(places), "every event has its leaf or waits for it, exactly once"
    check_leaves(account)
    batches = [
        row["id"] for row in account.log if row["action"] in JOURNALED and not _forgotten(account, row)
    ]
    kept = [row["event_id"] for row in account.journal if row["event_id"]]
    assert sorted(batches) == sorted([*kept, *check_returned(account)])
    written = {row["event_id"]: (row["entry"], row["sealed"]) for row in account.journal if row["event_id"]}
    for row in account.log:
        check_event(row)
        if row["id"] in written:
            assert (row["entry"], row["sealed"]) == written[row["id"]], (
                "the log has other bytes than the journal"
            )


def check_leaves(account: Account) -> None:
    """Leaves have no gap, but for those that were pruned; each is the hash of its event's entry."""
    there = sorted(account.leaves)
    assert [leaf for leaf in there if leaf >= account.minimum] == [*range(account.minimum, account.size)]
    events = {row["id"]: row for row in account.log}
    for leaf, event in account.leaves.items():
        if leaf < account.minimum:
            assert events[event]["action"] in NEVER_PRUNED, f"leaf {leaf} was to be pruned"
        place = leaf % WIDTH * HASH
        found = account.tiles[leaf // WIDTH][place : place + HASH]
        made = hashlib.sha256(b"\x00" + bytes(events[event]["entry"])).digest()
        assert found == made, f"leaf {leaf} is not the hash of its entry"


def _forgotten(account: Account, row: Row) -> bool:
    """Say whether the journal has no more to say of this event of the log."""
    return json.loads(row["entry"])["details"].get("run") in account.forgotten


def check_returned(account: Account) -> set[str]:
    """Return the events whose batches a restored source lacks; the log has told of each exactly once."""
    here = {row["event_id"] for row in account.journal}
    log = [row for row in account.log if not _forgotten(account, row)]
    lacking = {row["id"] for row in log if row["action"] in JOURNALED} - here
    lost: Counter[tuple[Any, ...]] = Counter()
    told: Counter[tuple[Any, ...]] = Counter()
    for row in log:
        entry = json.loads(row["entry"])
        details = entry["details"]
        if row["id"] in lacking or row["action"] == RETURNED:
            told_or_lost = told if row["action"] == RETURNED else lost
            shard = (entry["target"], details["run"], details.get("shard", 0))
            told_or_lost[*shard, "batches"] += details.get("batches", 1)
            for name, rows in _all_rows(details):
                told_or_lost[*shard, name] += rows
    assert +lost == +told, "what came back with a restored source is not what the log says"
    return lacking


def _all_rows(details: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Return `action:table` → rows, those of other tables included."""
    return [(f"{details['action']}:{details['table']}", details["rows"]), *details["along"].items()]


def check_event(row: Row) -> None:
    """One row of the log repeats its own entry, and the entry commits to what is sealed."""
    entry = json.loads(row["entry"])
    spelled = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert spelled == bytes(row["entry"]), "an entry is not canonical"
    for column, field in PROJECTED.items():
        assert row[column] == entry[field], f"audit_logs.{column} differs from its entry"
    assert moment(row["time"]) == dt.datetime.fromisoformat(entry["time"])
    digest = row["sealed"] and hashlib.sha256(row["sealed"]).hexdigest()
    assert digest == (entry["sealed"] and entry["sealed"]["sha256"]), (
        "sealed bytes differ from the entry's word"
    )


#: Action of the ledger → what it does to rows.
EFFECTS: Final = {
    "delete": "gone",
    "cascade": "gone",
    "anonymize": "masked",
    "nullify": "nullified",
    "reassign": "nullified",
    "decorrelate": "nullified",
    "restore": "restored",
}


def check_sums(account: Account, changed: Mapping[str, Mapping[str, int]]) -> None:
    """Rows gone (masked, nullified, restored) = journal = log = report = ledger."""
    journal: Counter[str] = Counter()
    along: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in account.journal:
        journal[row["run"]] += row["rows"]
        along[row["run"]].update(json.loads(row["counts"]))
    told: Counter[str] = Counter()
    told_along: defaultdict[str, Counter[str]] = defaultdict(Counter)
    ledger: Counter[tuple[str, str, str]] = Counter(account.pruned)
    effects = _effects(account, changed)
    ended: dict[str, int] = {}
    lost = check_returned(account)
    for row in account.log:
        entry = json.loads(row["entry"])
        details = entry["details"]
        if row["action"] in JOURNALED:
            told[details["run"]] += details["rows"]
            told_along[details["run"]].update(details["along"])
            if row["id"] in lost:
                journal[details["run"]] += details["rows"]
                along[details["run"]].update(details["along"])
        if row["action"] in {*JOURNALED, RETURNED}:
            for name, rows in _all_rows(details):
                action, _, table = name.partition(":")
                back = row["action"] == RETURNED
                ledger[entry["target"], table, f"{REVERTED}{action}" if back else action] += rows
                effects[EFFECTS[action]][table.rpartition(".")[2]] += -rows if back else rows
        if row["action"] in {"retention:run", "erasure:run"} and details.get("state") == "done":
            assert details["run"] not in ended, "a run ended twice"
            ended[details["run"]] = details["rows"]
    known = {run: rows for run, rows in told.items() if run not in account.forgotten}
    assert +journal == +Counter(known), "journal and log differ"
    told_besides = {k: +v for k, v in told_along.items() if +v and k not in account.forgotten}
    assert {k: +v for k, v in along.items() if +v} == told_besides
    assert +ledger == +account.ledger, "log and ledger differ"
    check_reports(account, told, told_along, ended)
    for effect, tables in effects.items():
        assert min(tables.values(), default=0) >= 0, f"{effect}: more came back than had gone: {tables}"
        real: Counter[str] = Counter()
        for name, rows in changed[effect].items():
            real[name.rpartition(".")[2].strip('"`')] += rows
        real = +real
        assert +tables == real, f"{effect} in the tables: {dict(real)}; in the log: {dict(tables)}"


def _effects(account: Account, changed: Mapping[str, Mapping[str, int]]) -> dict[str, Counter[str]]:
    """Return what the pruned events had done: effect → table → rows."""
    effects: dict[str, Counter[str]] = {effect: Counter() for effect in changed}
    for (_, table, action), rows in account.pruned.items():
        back = action.startswith(REVERTED)
        effect = effects[EFFECTS[action.removeprefix(REVERTED)]]
        effect[table.rpartition(".")[2]] += -rows if back else rows
    return effects


def check_reports(
    account: Account, told: Counter[str], along: Mapping[str, Counter[str]], ended: Mapping[str, int]
) -> None:
    """What each run says of itself is what the log has of its batches."""
    pruned: Counter[str] = Counter()
    for (policy, _, action), rows in account.pruned.items():
        if action != "restore" and not action.startswith(REVERTED):
            pruned[policy] += rows
    for run in account.runs:
        if run["id"] in account.forgotten and run["policy"] in pruned:
            # Of its batches some are sums now: the policy's runs are compared together.
            reported = (run["rows"] or 0) + sum(json.loads(run["report"] or "{}").get("along", {}).values())
            pruned[run["policy"]] -= reported - told[run["id"]] - along.get(run["id"], Counter()).total()
            continue
        if run["rows"] is not None:
            assert run["rows"] == told[run["id"]], "a run's rows differ from the log"
        if run["state"] == "done":
            assert run["rows"] == told[run["id"]] == ended[run["id"]], "a run's report differs from the log"
            report = json.loads(run["report"])
            assert report["rows"] == run["rows"]
            assert +Counter(report["along"]) == +along.get(run["id"], Counter())
    assert not any(pruned.values()), f"pruned rows differ from the reports: {dict(pruned)}"


def check_silence(account: Account, canaries: Iterable[bytes]) -> None:
    """No byte of a person stands in the log or in what goes into it."""
    blobs = [_bytes(value) for row in (*account.log, *account.journal) for value in row.values()]
    for canary in canaries:
        found = [blob for blob in blobs if canary in blob]
        assert not found, f"the log holds personal data: {canary!r}"


def journal_key(home: Path) -> bytes:
    """Derive the key of the journal's MACs from the worker's key file."""
    material = base64.b64decode((home / "keys" / "worker.key").read_text().strip().partition(":")[2])
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"aegis/v1/journal-mac").derive(material)


def mac(row: Row, key: bytes) -> bytes:
    """Return the MAC of a journal row: HMAC-SHA256 over length-prefixed fields."""
    counts = json.dumps(json.loads(row["counts"]), sort_keys=True, separators=(",", ":")).encode()
    event = row["event_id"] and row["event_id"].encode()
    numbers = struct.pack(">qqq", row["shard"], row["number"], row["rows"])
    fields = [row["run"].encode(), numbers, counts, event, row["entry"], row["sealed"]]
    tagged = [b"\x00" if part is None else b"\x01" + bytes(part) for part in fields]
    message = b"".join(struct.pack(">q", len(part)) + part for part in tagged)
    return hmac.digest(key, message, "sha256")


def moment(value: Any) -> dt.datetime:
    """Return a stored time as an instant; without a zone it is UTC."""
    stored = dt.datetime.fromisoformat(value) if isinstance(value, str) else value
    return stored.astimezone(dt.UTC) if stored.tzinfo else stored.replace(tzinfo=dt.UTC)


def _journal(engine: sa.Engine) -> str:
    schema = "aegis." if engine.dialect.name == "postgresql" else ""
    return f"SELECT * FROM {schema}aegis_journal"  # noqa: S608 - one of two names


def _rows(connection: sa.Connection, query: str) -> list[Row]:
    return [dict(row) for row in connection.execute(sa.text(query)).mappings()]


def _bytes(value: Any) -> bytes:
    return bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()
