"""Tell the tables of Indico from its SQLAlchemy models, in the types of PostgreSQL; no server is needed.

Arguments: the file to write.
"""

import json
import sys
from pathlib import Path
from typing import Any

from indico.core.db import db
from indico.web.flask.app import make_app
from sqlalchemy.dialects import postgresql  # noqa: TID251 - runs apart from Aegis


def _name(table: Any) -> str:
    return f"{table.schema}.{table.name}" if table.schema else str(table.name)


def _line(column: Any) -> list[Any]:
    # Of several, the one that is this column alone; their set has no order.
    keys = sorted(column.foreign_keys, key=lambda it: (len(it.constraint.columns), it.target_fullname))
    key = next(iter(keys), None)
    target = f"{_name(key.column.table)}.{key.column.name}" if key else None
    kind = column.type.compile(dialect=postgresql.dialect())  # type: ignore[no-untyped-call]
    return [_name(column.table), column.name, kind.lower(), column.nullable, column.primary_key, target]


def main(file: str) -> None:
    """Write [table, column, type, nullable, primary key, target] of every column, as JSON."""
    make_app(testing=True, config_override={"BASE_URL": "http://localhost", "SECRET_KEY": "none" * 8})
    lines = [_line(column) for table in db.metadata.sorted_tables for column in table.columns]
    Path(file).write_text(json.dumps(lines), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
