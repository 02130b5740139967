"""What a database's errors mean, whichever database it is."""

import enum
import re
from collections.abc import Mapping
from typing import Final

import sqlalchemy as sa

#: MariaDB's number where a unique key is taken.
_DUPLICATE: Final = "1062"


class Fault(enum.Enum):
    """What a database error means to the rooms above."""

    LOCKED = "a lock was not granted in time"
    DEADLOCK = "a deadlock or a serialization failure"
    TOO_LONG = "a statement took longer than its limit"
    GONE = "the connection was lost"
    HIDDEN = "row-level security would hide rows"
    RIGHTS = "a right is missing"
    LOGIN = "the login was refused"
    FULL = "the server has no disk, memory or connection left"
    REFERENCED = "rows of another table still refer to these"
    CONSTRAINT = "a constraint of the table objects"
    MISSING = "a table or column does not exist"
    OTHER = "the database refused a statement"

    @property
    def passes(self) -> bool:
        """Whether trying again later, or with fewer rows, can help."""
        return self in {Fault.LOCKED, Fault.DEADLOCK, Fault.TOO_LONG, Fault.GONE, Fault.FULL}


_CODES: Final[Mapping[str, Fault]] = {
    # PostgreSQL names an error by its SQLSTATE,
    "55P03": Fault.LOCKED,
    "40P01": Fault.DEADLOCK,
    "40001": Fault.DEADLOCK,
    "57014": Fault.TOO_LONG,
    "57P01": Fault.GONE,
    "57P02": Fault.GONE,
    "57P03": Fault.GONE,
    "25006": Fault.GONE,
    "53100": Fault.FULL,
    "53200": Fault.FULL,
    "53300": Fault.FULL,
    "53400": Fault.FULL,
    "58030": Fault.FULL,
    "28P01": Fault.LOGIN,
    "28000": Fault.LOGIN,
    "42501": Fault.RIGHTS,
    "23503": Fault.REFERENCED,
    "23001": Fault.REFERENCED,
    "23502": Fault.CONSTRAINT,
    "23505": Fault.CONSTRAINT,
    "23514": Fault.CONSTRAINT,
    "22001": Fault.CONSTRAINT,
    "22003": Fault.CONSTRAINT,
    "42P01": Fault.MISSING,
    "42703": Fault.MISSING,
    "3F000": Fault.MISSING,
    # MariaDB by a number,
    "1205": Fault.LOCKED,
    "1213": Fault.DEADLOCK,
    "1020": Fault.DEADLOCK,
    "1969": Fault.TOO_LONG,
    "3024": Fault.TOO_LONG,
    "2006": Fault.GONE,
    "2013": Fault.GONE,
    "2003": Fault.GONE,
    "1927": Fault.GONE,
    "1290": Fault.GONE,
    "1021": Fault.FULL,
    "1026": Fault.FULL,
    "1037": Fault.FULL,
    "1040": Fault.FULL,
    "1041": Fault.FULL,
    "1114": Fault.FULL,
    "1203": Fault.FULL,
    "1045": Fault.LOGIN,
    "1044": Fault.RIGHTS,
    "1142": Fault.RIGHTS,
    "1143": Fault.RIGHTS,
    "1227": Fault.RIGHTS,
    "1370": Fault.RIGHTS,
    "1451": Fault.REFERENCED,
    "1452": Fault.REFERENCED,
    "1048": Fault.CONSTRAINT,
    "1062": Fault.CONSTRAINT,
    "4025": Fault.CONSTRAINT,
    "3819": Fault.CONSTRAINT,
    "1264": Fault.CONSTRAINT,
    "1366": Fault.CONSTRAINT,
    "1406": Fault.CONSTRAINT,
    "1146": Fault.MISSING,
    "1054": Fault.MISSING,
    # SQLite by the name of its extended result code.
    "SQLITE_BUSY": Fault.LOCKED,
    "SQLITE_BUSY_SNAPSHOT": Fault.LOCKED,
    "SQLITE_LOCKED": Fault.LOCKED,
    "SQLITE_INTERRUPT": Fault.TOO_LONG,
    "SQLITE_CANTOPEN": Fault.GONE,
    "SQLITE_READONLY": Fault.RIGHTS,
    "SQLITE_CONSTRAINT_FOREIGNKEY": Fault.REFERENCED,
    "SQLITE_CONSTRAINT_TRIGGER": Fault.CONSTRAINT,
    "SQLITE_CONSTRAINT_NOTNULL": Fault.CONSTRAINT,
    "SQLITE_CONSTRAINT_UNIQUE": Fault.CONSTRAINT,
    "SQLITE_CONSTRAINT_CHECK": Fault.CONSTRAINT,
}
#: SQLite names an error by a word, with others behind it.
_SQLITE: Final[Mapping[str, Fault]] = {
    "SQLITE_BUSY": Fault.LOCKED,
    "SQLITE_FULL": Fault.FULL,
    "SQLITE_IOERR": Fault.FULL,
}
#: What PostgreSQL says to a role that may not connect, in whichever language: the privilege keeps its name.
_NO_CONNECT: Final = re.compile(r"FATAL:[^\n]*\n\s*\w+:[^\n]*\bCONNECT\b")


def fault_of(error: sa.exc.DBAPIError) -> Fault:
    """Return what a database error means."""
    if error.connection_invalidated:
        return Fault.GONE
    code = _code(error)
    if code == "42501" and "row-level security" in str(error.orig):
        return Fault.HIDDEN
    if code in _CODES:
        return _CODES[code]
    for family, fault in _SQLITE.items():
        if code.startswith(family):
            return fault
    if code.startswith("08") or (not code and isinstance(error, sa.exc.OperationalError)):
        return Fault.LOGIN if "password" in str(error.orig) else Fault.GONE
    return Fault.MISSING if "no such table" in str(error.orig) else Fault.OTHER


def duplicate(error: sa.exc.IntegrityError) -> bool:
    """Whether MariaDB refused a row because a unique key is taken."""
    return _code(error) == _DUPLICATE


def describe(error: sa.exc.DBAPIError) -> str:
    """Return a sentence about a database error without the data that its text quotes."""
    diagnosis = getattr(error.orig, "diag", None)
    named = getattr(diagnosis, "constraint_name", None) or getattr(diagnosis, "table_name", None)
    parts = [type(error.orig).__name__, _code(error), f"on {named}" if named else ""]
    return f"{fault_of(error).value} ({' '.join(part for part in parts if part)})"


def _code(error: sa.exc.DBAPIError) -> str:
    cause = error.orig
    arguments = getattr(cause, "args", ())
    # MariaDB's number first: its driver also has an SQLSTATE, which is one for many errors.
    if arguments and isinstance(arguments[0], int):
        return str(arguments[0])
    known = getattr(cause, "sqlstate", None) or getattr(cause, "sqlite_errorname", None)
    if known is None and _NO_CONNECT.search(str(cause)):
        # The driver has no SQLSTATE of a connection that was refused.
        return "42501"
    return str(known or "")
