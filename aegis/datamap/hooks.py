"""Hooks: code of the application that says what a YAML file cannot.

    from aegis.datamap.hooks import anonymizer

    @anonymizer("users")
    def users(table):
        return {"initials": sa.func.substr(table.c.org_name, 1, 1)}

`hooks` in aegis.toml names the modules. One that cannot be imported stops everything that would need
it: without it a column would stay as it is.
"""

import hashlib
import importlib
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import sqlalchemy as sa

from aegis.datamap.findings import Undecided
from aegis.datamap.names import meant
from aegis.db.catalog import Catalog
from aegis.errors import InvalidDataMap, SettingsError

#: From the live table to column → the SQL expression that is written.
Function = Callable[[sa.Table], Mapping[str, sa.ColumnElement[Any]]]
#: What to do about a hook that is wrong.
CURE: Final = "mend it, or take it out of `hooks` in aegis.toml"


@dataclass(frozen=True, kw_only=True)
class Hook:
    """One function of the application."""

    word: ClassVar[str]
    #: The data source; none: in each.
    datasource: str | None
    function: Callable[..., Any]

    @property
    def label(self) -> str:
        """The function as people find it."""
        return f"{self.function.__module__}.{self.function.__qualname__}"

    @property
    def source_hash(self) -> str:
        """SHA-256 of the source of its whole module, in hexadecimal: what it calls there counts too.

        Raises:
            SettingsError: the source is not there.

        """
        try:
            source = inspect.getsource(sys.modules[self.function.__module__])
        except (OSError, TypeError, KeyError):
            what = f"{self.word} {self.label}"
            message = f"the source of {what} cannot be read, so no approval could bind to it"
            raise SettingsError(message) from None
        return hashlib.sha256(f"{self.function.__qualname__}\n{source}".encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Anonymizer(Hook):
    """What is written into some columns of one table; without a data source: in each that has the table."""

    word = "anonymizer"
    #: `table` or `schema.table`.
    table: str
    function: Function

    def expressions(self, table: sa.Table) -> dict[str, sa.ColumnElement[Any]]:
        """Return what is written into which column of a live table.

        Raises:
            InvalidDataMap: the function failed, or names a column that is not there.

        """
        try:
            found: dict[Any, Any] = dict(self.function(table))
        except Exception as error:  # noqa: BLE001 - foreign code; its text may quote anything
            message = f"anonymizer {self.label} of table {self.table} failed ({type(error).__name__}); {CURE}"
            raise InvalidDataMap(message) from None
        for name, expression in found.items():
            what = None
            if name not in table.c:
                what = f"names column {name!r}, which is not there; {meant(str(name), table.c.keys())}"
            elif not isinstance(expression, sa.ColumnElement):
                what = f"gives no SQL expression for column {name}, but a {type(expression).__name__}"
            if what:
                message = f"anonymizer {self.label} of table {self.table} {what}"
                raise InvalidDataMap(message)
        return found


_REGISTERED: Final[dict[tuple[str | None, str], Anonymizer]] = {}


def anonymizer(table: str, *, datasource: str | None = None) -> Callable[[Function], Function]:
    """Register a function that says what is written into some columns of a table.

    Args:
        table: `table` or `schema.table`.
        datasource: the data source; none: each one that has the table.

    Raises:
        SettingsError: another function is registered for it.

    """

    def register(function: Function) -> Function:
        made = Anonymizer(table=table, datasource=datasource, function=function)
        known = _REGISTERED.setdefault((datasource, table), made)
        if known.label != made.label:
            message = f"table {table} has two anonymizers, {known.label} and {made.label}; keep one"
            raise SettingsError(message)
        _REGISTERED[datasource, table] = made
        return function

    return register


def imported(modules: Iterable[str]) -> frozenset[str]:
    """Import modules of hooks; return their names.

    Raises:
        SettingsError: one cannot be imported.

    """
    names = frozenset(modules)
    for module in sorted(names):
        try:
            importlib.import_module(module)
        except SettingsError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever foreign code stumbles over
            message = f"hook module {module} cannot be imported ({type(error).__name__}); {CURE}"
            raise SettingsError(message) from None
    return names


def load_anonymizers(modules: Iterable[str], datasource: str) -> list[Anonymizer]:
    """Import the modules; return their anonymizers for a data source.

    Raises:
        SettingsError: a module cannot be imported.

    """
    names = imported(modules)
    found = [a for a in _REGISTERED.values() if a.function.__module__ in names]
    return [a for a in found if a.datasource in {None, datasource}]


def columns_of(
    anonymizers: Iterable[Anonymizer], catalog: Catalog
) -> tuple[dict[str, frozenset[str]], list[Undecided]]:
    """Return the columns that anonymizers write, by the table's label; and what is wrong with them.

    Raises:
        InvalidDataMap: one fails, or writes what the table does not have.

    """
    written: dict[str, frozenset[str]] = {}
    faults = []
    for each in anonymizers:
        table = catalog.find(each.table)
        if table is not None:
            written[table.label] = frozenset(each.expressions(table.table))
        else:
            near = meant(each.table, catalog.tables)
            why = f"anonymizer {each.label}: there is no table {each.table}; {near}"
            faults.append(Undecided(kind="hook", table=each.table, what=each.label, why=why, cure=CURE))
    return written, faults
