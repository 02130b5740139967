"""Everything that a data source has of one person, for those who ask for it (access, portability).

The rows are those that an erasure would delete, anonymize or retain. Rows that are another person's too are
written only where that is asked for, and rows that only mention the person never; both are counted. Secrets,
which are the columns that `random_token` would write over, are left out.
"""

import base64
import datetime as dt
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aegis.audit.actions import Action
from aegis.audit.recorder import Note
from aegis.erasure.decisions import another_persons
from aegis.erasure.denials import denials_recorded
from aegis.erasure.people import reference_of
from aegis.erasure.rows import Group
from aegis.erasure.tracing import Trace, traced
from aegis.operations.system import System

#: The strategy of a column that holds a secret.
SECRET: Final = "random_token"  # noqa: S105 - the name of a strategy
#: Rows that are fetched together.
_FETCH: Final = 1_000
#: Is told how many rows were written, and how many there are.
Tell = Callable[[int, int], None]
_Groups = dict[str, list[Group]]


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What an export holds."""

    datasource: str
    subject: str
    #: Table → rows of the person.
    rows: Mapping[str, int]
    #: Table → rows that are another person's too; in the export only where that was asked for.
    shared: Mapping[str, int]
    #: Table → rows of other people that mention the person; they are not in the export.
    mentioned: Mapping[str, int]
    #: Columns that were left out, as `table.column`.
    left_out: tuple[str, ...]


def export(
    system: System,
    key: Sequence[Any],
    *,
    subject: str,
    datasource: str,
    tenant: str | None,
    with_shared: bool,
    actor: str,
    write: Callable[[str], object],
    on_progress: Tell,
) -> Exported:
    """Write everything of one person as one JSON document, and record that it was done.

    Args:
        system: this process's Aegis.
        key: one value for each column of the subject's key.
        subject: the kind of person.
        datasource: the source's own name.
        tenant: refuse a person of any other one.
        with_shared: write rows that are another person's too.
        actor: who asked for it.
        write: takes the text piece by piece; what it got is complete only when this returns.
        on_progress: is told how far it has come.

    Raises:
        AegisError: as `traced`.

    """
    with (
        denials_recorded(system, actor=actor, tenant=tenant, asked="export"),
        traced(system, [key], subject=subject, datasource=datasource, tenant=tenant) as trace,
    ):
        own, shared, mentioned = _sorted(trace)
        found = {
            label: groups
            for label in trace.coverage.tables
            if (groups := own[label] + (shared[label] if with_shared else []))
        }
        told = Exported(
            datasource=datasource,
            subject=subject,
            rows=_counts(found),
            shared=_counts(shared),
            mentioned=_counts(mentioned),
            left_out=tuple(f"{label}.{name}" for label in found for name in _secrets(trace, label)),
        )
        for text in _document(trace, found, told, on_progress):
            write(text)
    details = {"datasource": datasource, "rows": sum(told.rows.values()), "tables": dict(told.rows)}
    system.recorder.record(
        Note(
            action=Action.ERASURE_EXPORT,
            actor=actor,
            target_type=subject,
            target_id=reference_of(trace.who.keys[0]),
            tenant=tenant,
            details=details,
        )
    )
    return told


def _sorted(trace: Trace) -> tuple[_Groups, _Groups, _Groups]:
    """Return the person's own rows, those that are another person's too, and those that mention them."""
    own, shared, mentioned = (defaultdict[str, list[Group]](list) for _ in range(3))
    for label, reached in trace.coverage.tables.items():
        for group in trace.rows.groups(label):
            if not group.followed:
                mentioned[label].append(group)
            elif another_persons(trace.coverage, reached, trace.rows, group):
                shared[label].append(group)
            else:
                own[label].append(group)
    return own, shared, mentioned


def _counts(found: Mapping[str, Sequence[Group]]) -> dict[str, int]:
    return {label: sum(group.rows for group in groups) for label, groups in found.items() if groups}


def _secrets(trace: Trace, label: str) -> list[str]:
    reached = trace.coverage.tables[label]
    entries = [reached.entry, *(way.entry for way in reached.ways)]
    specs = [item for rule in entries if rule is not None for item in rule.columns.items()]
    return sorted({name for name, spec in specs if spec == SECRET})


def _document(
    trace: Trace, found: Mapping[str, Sequence[Group]], told: Exported, tell: Tell
) -> Iterator[str]:
    head = {
        "datasource": told.datasource,
        "subject": told.subject,
        "made_at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "left_out": told.left_out,
        "shared": told.shared,
        "mentioned": told.mentioned,
    }
    yield json.dumps(head, ensure_ascii=False)[:-1] + ', "tables": {'
    done, total = 0, sum(told.rows.values())
    for place, (label, groups) in enumerate(found.items()):
        yield f"{',' if place else ''}\n{json.dumps(label, ensure_ascii=False)}: ["
        for number, row in enumerate(_rows(trace, label, groups)):
            yield f"{',' if number else ''}\n{json.dumps(row, default=_plain, ensure_ascii=False)}"
            done += 1
            if done % _FETCH == 0 or done == total:
                tell(done, total)
        yield "]"
    yield "\n}}\n"


def _rows(trace: Trace, label: str, groups: Iterable[Group]) -> Iterator[Mapping[str, Any]]:
    for query in trace.rows.select(label, groups, _secrets(trace, label)):
        result = trace.connection.execution_options(yield_per=_FETCH).execute(query)
        yield from (dict(row) for row in result.mappings())


def _plain(value: Any) -> Any:
    """Return what JSON has no word for."""
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return {"base64": base64.b64encode(value).decode()}
    return sorted(value, key=str) if isinstance(value, set | frozenset) else str(value)
