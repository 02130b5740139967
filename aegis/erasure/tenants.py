"""An erasure or an export for one tenant: no row of another one is changed or written out.

Whose a row is, its table's tenant column says: the one that the data map names, or one that is called as the
subject's. It is among the columns by which rows are told apart, so every statement of the erasure says it.
"""

from collections import Counter

from aegis.datamap.reached import Coverage
from aegis.erasure.rows import Rows
from aegis.errors import Denied, Refused


def refuse_other_tenants(coverage: Coverage, rows: Rows, tenant: str) -> None:
    """Refuse people to whom rows of another tenant refer, or of none; their own rows were looked at before.

    Raises:
        Denied: says in which tables, and how many.

    """
    found: Counter[str] = Counter()
    for label, column in coverage.tenants.items():
        side = rows.side(label)
        for group in rows.groups(label):
            owner = side.named(group.values)[column]
            if group.rows and not group.own and (owner is None or str(owner) != tenant):
                found[f"{label}.{column}"] += group.rows
    if found:
        named = ", ".join(f"{rows} by {name}" for name, rows in sorted(found.items()))
        message = (
            f"rows of another tenant, or of none, refer to this {coverage.subject.name} ({named}), and "
            "one tenant was named: they stay as they are. Correct them, or leave the tenant out"
        )
        raise Denied(message)


def refuse_rewritten(coverage: Coverage) -> None:
    """Refuse a data map that writes over what tells tenants apart: a second look could tell nothing.

    Raises:
        Refused: names the columns.

    """
    found = {
        f"{label}.{column}"
        for label, column in coverage.tenants.items()
        if label != coverage.root and column in _written(coverage, label)
    }
    if found:
        message = (
            f"the data map writes over {', '.join(sorted(found))}, which tells tenants apart: say "
            "`preserve`, or leave the tenant out"
        )
        raise Refused(message)


def _written(coverage: Coverage, label: str) -> set[str]:
    reached = coverage.tables[label]
    masks = [edge.masks for edge in reached.ways]
    return {name for mask in [*masks, reached.entry.masks if reached.entry else {}] for name in mask}
