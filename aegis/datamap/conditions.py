"""Conditions: a small part of SQL, parsed, checked against the table, rebuilt with bound literals.

The syntax is PostgreSQL's, on every database. Nothing of the text reaches SQL as text. What
a condition means:

- Three-valued logic, as in SQL: a row for which the condition is UNKNOWN is not selected.
- LIKE is case-sensitive everywhere (GLOB on SQLite, a binary collation on MariaDB); without
  ESCAPE the backslash escapes.
- Text is otherwise compared as the column's collation says: on MariaDB most collations take
  upper and lower case, accents and trailing blanks as equal, and < and > follow the collation
  on every database.
- A time zone is needed in a literal exactly where the column has one. SQLite's text times are
  compared as times, not as text; a text that is no time is UNKNOWN. MariaDB's TIMESTAMP is
  compared as UTC, in which our sessions run.
- JSON extracts are refused: no spelling of them means the same on all databases.
"""

import dataclasses

import sqlalchemy as sa
import sqlglot
from sqlglot import exp

from aegis.datamap.rebuilding import Reader
from aegis.datamap.spelling import ALLOWED, check_spelling, refuse
from aegis.errors import InvalidCondition

_PAIR = frozenset({"this", "expression"})
#: Each kind of node that a condition may have, and its parts; any other is refused.
_ALLOWED: dict[type[exp.Expr], frozenset[str]] = {
    **dict.fromkeys((exp.And, exp.Or, exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.Escape), _PAIR),
    **dict.fromkeys((exp.Not, exp.Paren, exp.Neg, exp.Boolean), frozenset({"this"})),
    **dict.fromkeys((exp.Is, exp.Like), _PAIR | {"negate"}),
    exp.In: frozenset({"this", "expressions"}),
    exp.Between: frozenset({"this", "low", "high"}),
    exp.Column: frozenset({"this", "table"}),
    exp.Identifier: frozenset({"this", "quoted"}),
    exp.Literal: frozenset({"this", "is_string"}),
    exp.Null: frozenset(),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Condition:
    """A condition that was read, checked and rebuilt."""

    #: Stable text for digests: blanks, case of keywords and redundant parentheses make no difference.
    canonical: str
    #: The names of the columns that it reads.
    columns: frozenset[str]
    #: The same condition over the table's columns, every literal bound.
    expression: sa.ColumnElement[bool]


def parse_condition(text: str, table: sa.Table) -> Condition:
    """Read a condition on a table.

    Args:
        text: the condition, in PostgreSQL's syntax.
        table: the reflected table.

    Raises:
        InvalidCondition: it has what is not allowed, or compares what cannot be compared.
        UnknownName: it names a column that the table does not have.

    """
    names = check_spelling(text)
    tree = _parsed(text)
    for node in tree.walk():
        _check_node(node)
    if names != len(list(tree.find_all(exp.Identifier))):
        refuse("it has a word that is neither a column nor a keyword")
    reader = Reader(table)
    part = reader.predicate(tree)
    return Condition(canonical=part.text, columns=frozenset(reader.columns), expression=part.expression)


def _parsed(text: str) -> exp.Expr:
    try:
        return sqlglot.parse_one(text, read="postgres", into=exp.Condition)
    except Exception:  # noqa: BLE001 -- whatever the parser stumbles over; its message quotes the text
        message = f"condition refused: it cannot be read; {ALLOWED}"
    raise InvalidCondition(message)


def _check_node(node: exp.Expr) -> None:
    allowed = _ALLOWED.get(type(node))
    if allowed is None:
        refuse(f"it has {node.key.upper()}")
    extra = sorted(name for name, part in node.args.items() if part and name not in allowed)
    if extra:
        refuse(f"it has {node.key.upper()} with {extra[0].upper()}")
