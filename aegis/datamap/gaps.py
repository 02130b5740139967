"""Gaps: everything that a data map leaves open in the tables that a person reaches."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from aegis.datamap.cataloged import unmasked
from aegis.datamap.closure import CUT, names_columns, open_edge
from aegis.datamap.edges import Edge
from aegis.datamap.findings import Undecided
from aegis.datamap.model import TODO, DataMap, Row, Rule
from aegis.datamap.names import meant, spelled
from aegis.datamap.reached import Coverage, Reached, View
from aegis.db.catalog import CatalogTable

#: Rows that are gone, or stay whole for a reason that was given: their columns need no decision.
_WHOLE: Final[frozenset[Row]] = frozenset({"delete", "retain", "fail"})
#: What can happen to the row that stands for the person.
_OF_A_SUBJECT: Final = ("anonymize", "delete", "retain")
_ON_DELETE: Final[Mapping[str, str]] = {"CASCADE": "deletes them too", "SET DEFAULT": "changes them"}
_TAKEN: Final[frozenset[Row]] = frozenset({"delete", "anonymize"})


def gaps(view: View, coverage: Coverage) -> Iterator[Undecided]:
    """Find what is open about the tables that one subject reaches."""
    if coverage.root:
        yield from _open_root(view, coverage.root)
    for edge in coverage.edges:
        yield from _open_way(view, coverage, edge)
    for reached in coverage.tables.values():
        yield from _shared(view, reached)
        if reached.rows - _WHOLE and reached.table in view.catalog.tables:
            yield from _open_columns(view, view.catalog.tables[reached.table])


def _open_root(view: View, root: str) -> Iterator[Undecided]:
    rule = view.rules.tables.get(root)
    action = rule.action if rule else None
    if action in _OF_A_SUBJECT:
        return
    choices = " or ".join(_OF_A_SUBJECT)
    why = f"nobody has decided what happens to the row of the person itself: {choices}"
    if action:
        why = f"{action} cannot happen to the row of the person itself; write {choices}"
    line = rule.line_of("row") if rule else None
    cure = "" if rule and "row" in rule.todo else f"{spelled(root)}: {{row: {TODO}}}"
    yield Undecided(kind="row", table=root, what="", why=why, cure=cure, line=line)


def _open_way(view: View, coverage: Coverage, edge: Edge) -> Iterator[Undecided]:
    table = view.catalog.tables.get(edge.child)
    cure = f"{spelled(view.edges.entry_name(edge))}: {{row: {TODO}}}"
    if edge.row is None:
        alone = len(coverage.tables[edge.child].ways) == 1 and edge.child != coverage.root
        yield open_edge(edge, view.edges, view.rules, alone=alone)
    if edge.on_delete and edge.entry and edge.entry.when:
        why = "the condition leaves its other rows without a decision, and the foreign key is on every row"
        yield _of_edge(edge, why, f"take `when` out of {edge.entry.name}")
    if edge.row == "nullify" and table and not any(table.table.c[c].nullable for c in edge.columns):
        why = "it cannot be nullified: the column is NOT NULL; reassign, delete or anonymize the rows"
        yield _of_edge(edge, why, cure)
    if edge.row == "reassign" and (edge.parent != coverage.root or not coverage.subject.ghost):
        yield _of_edge(edge, _no_ghost(coverage, edge), f"{coverage.subject.name}: {{ghost: {TODO}}}")
    if edge.row == "decorrelate" and edge.on_delete:
        why = "a row per reference would have to be invented; reassign moves them all to the subject's ghost"
        yield _of_edge(edge, why, cure)
    if _left_dangling(coverage, edge):
        yield _of_edge(edge, _dangling(edge), cure)
    if edge.child != coverage.root:
        yield from _unsaid(view, edge, coverage.tables[edge.child])
    if table is None:
        why = "the table cannot be described (no right to it, or a kind that is not read)"
        yield _of_edge(edge, why, "give Aegis's role the right to read it")


def _no_ghost(coverage: Coverage, edge: Edge) -> str:
    if edge.parent != coverage.root:
        return f"only what refers to the person's own row can be reassigned, and this refers to {edge.parent}"
    return f"nobody has said to which row of {edge.parent} they are moved; name the key of one as `ghost`"


def _dangling(edge: Edge) -> str:
    then = _ON_DELETE.get(str(edge.on_delete), "stops that")
    return (
        f"rows of {edge.parent} are deleted, and rows that stay refer to them: the foreign key "
        f"(ON DELETE {edge.on_delete}) {then}; nullify, reassign or delete these rows, or anonymize "
        f"{edge.parent}"
    )


def _unsaid(view: View, edge: Edge, reached: Reached) -> Iterator[Undecided]:
    """Ask which columns of other people's rows name the person, where the table's are meant for its own."""
    rule = view.rules.tables.get(edge.child)
    if edge.row not in CUT or edge.entry is None or edge.masks or names_columns(edge):
        return
    if rule is None or rule is edge.entry:
        return
    hooked = view.hooked.get(edge.child, frozenset()) if reached.owned else frozenset()
    masked = [*rule.masks, *sorted(hooked - rule.masks.keys())]
    if not masked:
        return
    columns = ", ".join(f"{spelled(name)}: {TODO}" for name in masked)
    why = (
        f"these rows are other people's, and nothing is said of columns that {rule.name} masks in the "
        "person's own; give each a strategy, or `preserve`"
    )
    yield _of_edge(edge, why, f"{spelled(edge.entry.name)}: {{columns: {{{columns}}}}}")


def _left_dangling(coverage: Coverage, edge: Edge) -> bool:
    """Whether a row is to stay as it is although the row that its foreign key names goes."""
    parent = coverage.tables.get(edge.parent)
    goes = parent is not None and "delete" in parent.rows
    stays = edge.row in {"anonymize", "retain"} and edge.on_delete not in {None, "SET NULL"}
    return goes and stays and not any(edge.masks.get(column) == "null" for column in edge.columns)


def _of_edge(edge: Edge, why: str, cure: str) -> Undecided:
    line = edge.entry.line_of("row") if edge.entry else None
    return Undecided(kind="edge", table=edge.child, what=edge.label, why=why, cure=cure, line=line)


def _shared(view: View, reached: Reached) -> Iterator[Undecided]:
    """Ask about rows that two living people can own: several ways in that take the row."""
    taken = {edge.columns for edge in reached.ways if edge.row in _TAKEN}
    entries = view.entries(reached.table)
    if len(taken) < 2 or any(entry.shared for entry in entries):  # noqa: PLR2004 - two people
        return
    line = next((entry.todo["shared"] for entry in entries if "shared" in entry.todo), None)
    why = (
        f"a row can belong to two people ({', '.join(sorted(edge.source for edge in reached.ways))}): "
        "decide what happens to it while one of them stays: mask_own_columns, keep or delete"
    )
    cure = "" if line else f"{spelled(reached.table)}: {{shared: {TODO}}}"
    yield Undecided(kind="shared", table=reached.table, what="", why=why, cure=cure, line=line)


def _open_columns(view: View, table: CatalogTable) -> Iterator[Undecided]:
    entries = view.entries(table.label)
    decided = {name for entry in entries for name in entry.columns} | set(view.hooked.get(table.label, ()))
    # A value that refers to another table is decided by its edge, or is that table's own.
    decided |= {name for e in view.edges.of(table.label) if not e.path for name in e.columns}
    todo = {name: line for entry in entries for name, line in entry.todo.items()}
    free = set(table.free_columns) - decided
    for column in table.table.columns:
        name, line = column.name, todo.get(f"columns.{column.name}")
        if line or name in free:
            kind = column.type.__visit_name__
            why = "it has neither a strategy nor `preserve`"
            if line:
                why = f"it says {TODO}; give it a strategy, or `preserve`"
            yield Undecided(
                kind="column",
                table=table.label,
                what=f"column {name}",
                why=f"{kind}: {why}",
                cure="" if line else f"{spelled(table.label)}: {{columns: {{{spelled(name)}: {TODO}}}}}",
                line=line,
            )
    decided |= {name.removeprefix("columns.") for name in todo} | {*table.free_columns, *table.key}
    yield from unmasked(view.datamap, view.catalog, table, decided)


def no_subject(datamap: DataMap) -> Iterator[Undecided]:
    """Find a map without a subject."""
    if not datamap.subjects:
        yield Undecided(
            kind="subject",
            table="user",
            what="",
            why="the map names no subject, so that nobody can be erased by it",
            cure="user: {table: users, key: id, identifiers: {email: email}}",
        )


def unreached(view: View, coverages: Iterable[Coverage]) -> Iterator[Undecided]:
    """Find entries by which nothing would ever be done."""
    ways = [edge for coverage in coverages for edge in coverage.edges]
    roots = {coverage.root for coverage in coverages}
    reached = {edge.child for edge in ways} | roots
    for label, rule in view.rules.tables.items():
        if rule.erases and label not in reached:
            why = (
                "no way leads to it from a person, so nothing would be done to it; add `via`, or take it out"
            )
            yield _idle(rule, label, "", why, f"{rule.name}: {{via: {TODO}}}")
    for label, own in view.rules.edges.items():
        columns = {name for edge in ways if edge.child == label for name in edge.columns}
        for column, rule in own.items():
            if column not in columns:
                why = f"no way leads through {column} from a person; {meant(column, columns)}"
                yield _idle(rule, label, column, why, f"take {rule.name} out, or mend its column")


def _idle(rule: Rule, label: str, what: str, why: str, cure: str) -> Undecided:
    return Undecided(kind="unreached", table=label, what=what, why=why, cure=cure, line=rule.line)
