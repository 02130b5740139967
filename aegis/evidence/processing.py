"""The record of processing (GDPR, article 30): what is kept of whom, why, for how long, and what ends it."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from aegis.datamap.model import DataMap, Rule
from aegis.datamap.reading import read_map
from aegis.operations.system import System

#: The columns of the table.
COLUMNS: Final = (
    "datasource", "table", "categories", "purpose", "legal_basis", "kept_for", "then", "policy", "version",
    "at_an_erasure", "kept_at_least", "kept_because", "owner", "review_by",
)  # fmt: skip
_IN_FORCE: Final = "approved"


def record(system: System, versions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each policy in force, and for each table of a data map without one.

    What nobody has said is empty: a gap in the record is to be seen, not to be filled.

    Args:
        system: this process's Aegis.
        versions: of the policies, as `decided.policy_versions` gives them.

    """
    in_force = [one for one in versions if one["state"] == _IN_FORCE]
    maps = {
        name: read_map(source.datamap)
        for name, source in sorted(system.settings.sources.items())
        if source.datamap is not None
    }
    rows = [_of_policy(one, maps.get(one["datasource"])) for one in in_force]
    covered = {(one["datasource"], _bare(one["table_name"])) for one in in_force}
    rows += [row for name, found in maps.items() for row in _others(name, found, covered)]
    return sorted(rows, key=lambda row: (row["datasource"], row["table"], row["policy"] or ""))


def _of_policy(one: Mapping[str, Any], datamap: DataMap | None) -> dict[str, Any]:
    table = f"{one['schema_name']}.{one['table_name']}" if one["schema_name"] else one["table_name"]
    found = _categories(datamap, table)
    then = one["action"]
    if one["delete_after_days"]:
        then += f", deleted {one['delete_after_days']} days later"
    return {
        "datasource": one["datasource"],
        "table": table,
        "categories": sorted({*(one["categories"] or ()), *found}),
        "purpose": one["purpose"],
        "legal_basis": one["legal_basis"],
        "kept_for": one["period"] or f"{one['retention_days']} days",
        "then": then,
        "policy": one["name"],
        "version": one["version"],
        "owner": one.get("owner"),
        "review_by": one["review_by"],
        **_erased(_rule(datamap, table)),
    }


def _others(name: str, datamap: DataMap, covered: set[tuple[str, str]]) -> Iterator[dict[str, Any]]:
    tables = {_bare(table): table for table in (*datamap.catalog, *_tables(datamap))}
    for bare, table in tables.items():
        if (name, bare) in covered:
            continue
        rule, categories = _rule(datamap, table), _categories(datamap, table)
        if rule is None and not categories:
            continue
        plain: dict[str, Any] = dict.fromkeys(COLUMNS)
        yield plain | {"datasource": name, "table": table, "categories": sorted(categories)} | _erased(rule)


def _tables(datamap: DataMap) -> Iterator[str]:
    """Yield the tables that have a word of their own: not those of which one edge is decided."""
    yield from (name for name, rule in datamap.rules.items() if rule.erases and not _is_edge(datamap, name))


def _is_edge(datamap: DataMap, name: str) -> bool:
    return name.rpartition(".")[0] in datamap.rules


def _categories(datamap: DataMap | None, table: str) -> set[str]:
    if datamap is None:
        return set()
    return {
        holding.category
        for name, known in datamap.catalog.items()
        if _bare(name) == _bare(table)
        for holding in known.columns.values()
        if holding.decided and holding.is_personal
    }


def _rule(datamap: DataMap | None, table: str) -> Rule | None:
    rules = datamap.rules.items() if datamap else ()
    return next((rule for name, rule in rules if name == table or name == _bare(table)), None)


def _erased(rule: Rule | None) -> dict[str, Any]:
    least = rule.keep_at_least if rule else None
    return {
        "at_an_erasure": rule.action if rule else None,
        "kept_at_least": least and least.period,
        "kept_because": (least and least.basis) or (rule.reason if rule else None),
    }


def _bare(table: str) -> str:
    return table.rpartition(".")[2]
