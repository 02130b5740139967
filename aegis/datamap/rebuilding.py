"""Rebuilding: a checked syntax tree becomes an expression over one table's columns."""

import operator
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, NoReturn

import sqlalchemy as sa
from sqlalchemy.sql.elements import Grouping
from sqlglot import exp

from aegis.datamap.literals import Family, Operand, Raw, is_flag, operand, quoted
from aegis.datamap.spelling import refuse
from aegis.db import readings
from aegis.errors import InvalidCondition, UnknownName

#: Node, its sign, the sign with the sides exchanged, and the comparison.
_COMPARISONS: dict[type[exp.Expr], tuple[str, str, Callable[[Any, Any], Any]]] = {
    exp.EQ: ("=", "=", operator.eq),
    exp.NEQ: ("<>", "<>", operator.ne),
    exp.LT: ("<", ">", operator.lt),
    exp.LTE: ("<=", ">=", operator.le),
    exp.GT: (">", "<", operator.gt),
    exp.GTE: (">=", "<=", operator.ge),
}
_BY_SIGN = {sign: compare for sign, _, compare in _COMPARISONS.values()}
_CONSTANTS: dict[str, sa.ColumnElement[Any]] = {"NULL": sa.null(), "TRUE": sa.true(), "FALSE": sa.false()}


class Part(NamedTuple):
    """A piece of the condition, with its canonical text as it is and negated."""

    text: str
    negated: str
    expression: sa.ColumnElement[bool]


class Reader:
    """Walks a checked tree and rebuilds it over one table."""

    def __init__(self, table: sa.Table) -> None:
        self._table = table
        #: The names of the columns that were met.
        self.columns: set[str] = set()
        self._readers: dict[type[exp.Expr], Callable[[Any], Part]] = {
            **dict.fromkeys((exp.And, exp.Or), self._connected),
            **dict.fromkeys(_COMPARISONS, self._comparison),
            exp.Not: lambda node: _negated(self.predicate(node.this)),
            exp.Column: self._flag,
            exp.In: self._in,
            exp.Between: self._between,
            exp.Like: lambda node: self._like(node, "\\"),
            exp.Escape: self._escape,
            exp.Is: self._is,
        }

    def predicate(self, node: exp.Expr) -> Part:
        """Return a condition rebuilt; raise InvalidCondition or UnknownName."""
        node = _bare(node)
        reader = self._readers.get(type(node))
        if reader is None:
            refuse("a value stands where a condition is expected")
        part = reader(node)
        return _negated(part) if node.args.get("negate") else part

    def _connected(self, node: exp.Connector) -> Part:
        word, join = ("AND", sa.and_) if isinstance(node, exp.And) else ("OR", sa.or_)
        parts = [self.predicate(side) for side in _flat(node, type(node))]
        text = "(" + f" {word} ".join(part.text for part in parts) + ")"
        return Part(text, f"NOT {text}", join(*(part.expression for part in parts)))

    def _flag(self, node: exp.Column) -> Part:
        column = self._column(node)
        if not isinstance(column.type, sa.Boolean):
            message = (
                f"condition refused: {column.name} is {type(column.type).__name__}, not a boolean; compare it"
            )
            raise InvalidCondition(message)
        return Part(_name(column), f"NOT {_name(column)}", column)

    def _comparison(self, node: exp.Expr) -> Part:
        left, right = node.this.unnest(), node.expression.unnest()
        sign, mirrored, _ = _COMPARISONS[type(node)]
        if not isinstance(left, exp.Column):
            left, right, sign = right, left, mirrored
        subject = self._operand(left)
        if not subject.family.ordered and sign not in {"=", "<>"}:
            _refuse_order(subject)
        if isinstance(right, exp.Column):
            other = self._operand(right)
            if not subject.same_kind(other):
                refuse(f"{subject.column.name} and {other.column.name} are of different kinds")
            shown, expression = _name(other.column), other.expression
        else:
            value = subject.read(_raw(right))
            shown, expression = value.canonical, value.bound
        text = f"{_name(subject.column)} {sign} {shown}"
        return Part(text, f"NOT {text}", _BY_SIGN[sign](subject.expression, expression))

    def _in(self, node: exp.Expr) -> Part:
        subject = self._operand(node.this)
        if not node.expressions:
            refuse("IN needs a list of literals in parentheses")
        values = {(value := subject.read(_raw(item))).canonical: value for item in node.expressions}
        ordered = [values[key] for key in sorted(values)]
        shown = "(" + ", ".join(value.canonical for value in ordered) + ")"
        name = _name(subject.column)
        expression = subject.expression.in_([value.bound for value in ordered])
        return Part(f"{name} IN {shown}", f"{name} NOT IN {shown}", expression)

    def _between(self, node: exp.Expr) -> Part:
        subject = self._operand(node.this)
        if not subject.family.ordered:
            _refuse_order(subject)
        low, high = (subject.read(_raw(node.args[end])) for end in ("low", "high"))
        shown = f"BETWEEN {low.canonical} AND {high.canonical}"
        name = _name(subject.column)
        expression = subject.expression.between(low.bound, high.bound)
        return Part(f"{name} {shown}", f"{name} NOT {shown}", expression)

    def _escape(self, node: exp.Expr) -> Part:
        inner, escape = node.this.unnest(), node.expression
        if not isinstance(inner, exp.Like) or not escape.is_string or len(escape.this) != 1:
            refuse("ESCAPE belongs to LIKE and takes one character")
        part = self._like(inner, escape.this)
        return _negated(part) if inner.args.get("negate") else part

    def _like(self, node: exp.Like, escape: str) -> Part:
        subject = self._operand(node.this)
        pattern = node.expression.unnest()
        if subject.family is not Family.TEXT or not pattern.is_string:
            refuse(f"LIKE needs a text column and a string, and {subject.column.name} is compared otherwise")
        pieces = _pattern(pattern.this, escape)
        shown = f"LIKE {quoted(readings.like_text(pieces))} ESCAPE '!'"
        name = _name(subject.column)
        return Part(f"{name} {shown}", f"{name} NOT {shown}", readings.matches(subject.expression, pieces))

    def _is(self, node: exp.Expr) -> Part:
        inner, wanted = _bare(node.this), node.expression
        if not isinstance(wanted, exp.Null | exp.Boolean):
            refuse("IS is followed by NULL, TRUE or FALSE, with or without NOT")
        word = _raw(wanted).text
        name, subject = self._subject(inner, word)
        return Part(f"{name} IS {word}", f"{name} IS NOT {word}", subject.is_(_CONSTANTS[word]))

    def _subject(self, node: exp.Expr, word: str) -> tuple[str, sa.ColumnElement[Any]]:
        if not isinstance(node, exp.Column):
            part = self.predicate(node)
            # SQLAlchemy leaves out these parentheses behind NOT, and IS binds more tightly.
            return f"({part.text})", Grouping(part.expression)
        column = self._column(node)
        if word != "NULL" and not is_flag(column):
            message = (
                f"condition refused: {column.name} is {type(column.type).__name__}: IS {word} needs a boolean"
            )
            raise InvalidCondition(message)
        return _name(column), column

    def _operand(self, node: exp.Expr) -> Operand:
        node = node.unnest()
        if not isinstance(node, exp.Column):
            refuse("a comparison needs a column on one side and a literal or a column on the other")
        return operand(self._column(node))

    def _column(self, node: exp.Column) -> sa.Column[Any]:
        table, known = self._table.name, self._table.columns
        if node.table and node.table.lower() != table.lower():
            message = f"condition refused: it names table {node.table!r}, and is on {table!r} only"
            raise UnknownName(message)
        same = [known[node.name]] if node.name in known else []
        found = same or [column for column in known if column.name.lower() == node.name.lower()]
        if len(found) != 1:
            fault = "several columns" if found else "no column"
            message = f"table {table!r} has {fault} {node.name!r}; it has: {', '.join(known.keys())}"
            raise UnknownName(message)
        self.columns.add(found[0].name)
        return found[0]


def _negated(part: Part) -> Part:
    return Part(part.negated, part.text, sa.not_(part.expression))


def _flat(node: exp.Expr, kind: type[exp.Expr]) -> Iterator[exp.Expr]:
    pending = [node]
    while pending:
        item = _bare(pending.pop())
        if type(item) is kind:
            pending += [item.expression, item.this]
        else:
            yield item


def _bare(node: exp.Expr) -> exp.Expr:
    """Take away parentheses and pairs of NOT."""
    node = node.unnest()
    inner = node.this.unnest() if isinstance(node, exp.Not) else node
    return _bare(inner.this) if inner is not node and isinstance(inner, exp.Not) else node


def _raw(node: exp.Expr) -> Raw:
    node = node.unnest()
    inner = node.this.unnest() if isinstance(node, exp.Neg) else node
    if isinstance(inner, exp.Literal) and not (inner.is_string and inner is not node):
        sign = "" if inner is node else "-"
        return Raw(kind="string" if inner.is_string else "number", text=sign + inner.this)
    if inner is not node or not isinstance(node, exp.Boolean | exp.Null):
        refuse("a comparison needs a column on one side and a literal or a column on the other")
    if isinstance(node, exp.Boolean):
        return Raw(kind="boolean", text="TRUE" if node.this else "FALSE")
    return Raw(kind="null", text="NULL")


def _pattern(text: str, escape: str) -> list[tuple[str, bool]]:
    pieces, characters = [], iter(text)
    for character in characters:
        if character != escape:
            pieces.append((character, character in "%_"))
            continue
        escaped = next(characters, None)
        if escaped is None:
            refuse("a LIKE pattern ends with its escape character")
        pieces.append((escaped, False))
    return pieces


def _name(column: sa.Column[Any]) -> str:
    return '"' + column.name.replace('"', '""') + '"'


def _refuse_order(subject: Operand) -> NoReturn:
    kind = type(subject.column.type).__name__
    refuse(f"{subject.column.name} is {kind}, which is compared with =, <> and IN only")
