"""What the expressions of our own have in common when they are compiled."""

from typing import Any

from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


def parts(element: FunctionElement[Any], compiler: SQLCompiler, options: dict[str, Any]) -> list[str]:
    """Return the SQL of each argument of an expression."""
    return [compiler.process(part, **options) for part in element.clauses]
