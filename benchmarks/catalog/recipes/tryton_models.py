"""Tell the tables of all installed Tryton modules from their models; no server is needed.

Arguments: the file to write.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

from trytond.config import config

config.set("database", "uri", "postgresql://")

from trytond.model import ModelSQL, fields  # noqa: E402 - reads the settings
from trytond.modules import create_graph, get_modules  # noqa: E402 - the same
from trytond.pool import Pool  # noqa: E402 - the same
from trytond.transaction import Transaction  # noqa: E402 - the same


def _pool() -> Any:
    """Fill a pool as the server does, without asking a database which modules are active."""
    # Models ask what the database can do while they are set up: index kinds, which are not told here.
    Transaction().database = database = MagicMock()
    database.name = "none"
    Pool.start()
    pool = Pool("none")
    pool._pool["none"] = {kind: {} for kind in pool.classes}  # noqa: SLF001 - no other way without a server
    pool._modules = []  # noqa: SLF001 - the same
    modules = set(get_modules())
    for node in create_graph(modules):
        pool._modules.append(node.name)  # noqa: SLF001 - the same
        pool.setup(pool.fill(node.name, modules))
    pool.setup_mixin()
    return pool


def _lines(model: Any, pool: Any) -> Iterator[list[Any]]:
    for name, field in model._fields.items():
        if isinstance(field, fields.Function | fields.MultiValue) or not field._sql_type:  # noqa: SLF001 - the same
            continue
        target = None
        if isinstance(field, fields.Many2One):
            other = pool.get(field.model_name)
            target = f"{other._table}.id" if issubclass(other, ModelSQL) and other._table else None  # noqa: SLF001 - the same
        kind = "integer" if field._sql_type == "INTEGER" else field._sql_type.lower()  # noqa: SLF001 - the same
        yield [model._table, name, kind, not field.required, name == "id", target]  # noqa: SLF001 - the same


def main(file: str) -> None:
    """Write [table, column, type, nullable, primary key, target] of every column, as JSON."""
    pool = _pool()
    models = [
        model
        for _, model in pool.iterobject()
        if issubclass(model, ModelSQL) and not callable(model.table_query)
    ]
    lines = [line for model in models for line in _lines(model, pool)]
    Path(file).write_text(json.dumps(lines), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
