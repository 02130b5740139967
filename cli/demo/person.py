"""One person: erased everywhere, and proved."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from aegis.audit.tlog.trust import Policy
from aegis.erasure.outcomes import Erasure
from aegis.erasure.receipts import Receipt
from aegis.errors import OperationFailed
from api import audit, erasure, log
from cli.demo.database import metadata, users
from cli.demo.stage import SOURCE, Stage

#: Whom it is about.
USER: Final = 417
_ACTOR: Final = "support@example.com"


@dataclass(frozen=True, kw_only=True)
class Proved:
    """What became of the person."""

    #: Rows that were theirs and are so no more, counted in the application's own tables.
    rows: int
    #: Whether nothing is left of them, and the receipt stands in the log.
    sound: bool


def erased_and_proved(stage: Stage) -> Proved:
    """Erase the person, and look for them in every way."""
    known = _identifiers(stage.application)
    theirs, mentions = (count(stage.application, known) for count in (_theirs, _mentions))
    done = _erase(stage)
    stage.say("The proof: a receipt that can be checked offline, and another search")
    audit.seal_audit_log()
    receipt = erasure.erasure_receipt(str(done.request))
    stage.tell(f"receipt  sha256:{receipt.sha256}")
    proved = _stands_in_log(receipt, stage.aegis.published.policy())
    leaf = "its event stands in the signed log, by an inclusion proof that needs no database"
    stage.tell(f"proof    {leaf if proved else 'DOES NOT HOLD'}")
    found = erasure.verify_erasure([str(USER)], datasource=SOURCE, identifiers=known)
    where = "in any text of the database, in Aegis's own and in Redis"
    stage.tell(f"search   {' and '.join(sorted(known))}, {where}: {'nothing' if found.clean else 'FOUND'}")
    stage.tell(f"         not searched: {', '.join(found.not_searched)}", hang=23)
    left = _mentions(stage.application, known)
    stage.tell(f"SQL      in every table for both: {mentions:,} rows before, {left:,} now")
    return Proved(
        rows=theirs - _theirs(stage.application, known),
        sound=proved and found.clean and mentions > 0 and not left,
    )


def _erase(stage: Stage) -> Erasure:
    stage.say(f"User {USER} asks to be erased: every table, as the data map says, in one transaction")
    done = erasure.anonymize_user(USER, actor=_ACTOR, datasource=SOURCE)
    if not done:
        message = f"the erasure is {done.status}: {done.reason}"
        raise OperationFailed(message)
    rows = [(*name.partition(":")[::2], f"{count:,}") for name, count in done.rows.items()]
    stage.table(["action", "table", "rows"], rows, numbers_from=2)
    return done


def _stands_in_log(receipt: Receipt, trusted: Policy) -> bool:
    """Check it as somebody would who has nothing but the receipt, its proof and the log's public key."""
    entry = log.check_proof(receipt.proof, trusted)
    computed = hashlib.sha256(receipt.receipt.encode()).hexdigest()
    return bool(entry["id"] == receipt.event and entry["details"]["receipt"] == computed == receipt.sha256)


def _identifiers(application: sa.Engine) -> dict[str, str]:
    """Return what the person is known by, before it is gone."""
    query = sa.select(users.c.email, users.c.display_name).where(users.c.id == USER)
    with application.connect() as connection:
        email, name = connection.execute(query).one()
    return {"email": email, "name": name}


def _theirs(application: sa.Engine, known: Mapping[str, Any]) -> int:
    """Count the rows that are the person's."""
    queries = [
        sa.select(sa.func.count()).select_from(table).where(table.c.user_id == USER)
        for table in metadata.sorted_tables
        if table is not users
    ]
    queries.append(sa.select(sa.func.count()).select_from(users).where(users.c.email == known["email"]))
    with application.connect() as connection:
        return sum(int(connection.scalar(query) or 0) for query in queries)


def _mentions(application: sa.Engine, known: Mapping[str, Any]) -> int:
    """Count the rows that hold the person's address or name, as anybody would look for them."""
    found = 0
    with application.connect() as connection:
        for table in metadata.sorted_tables:
            query = sa.select(sa.func.count()).select_from(table).where(_speaks(table, known))
            found += int(connection.scalar(query) or 0)
    return found


def _speaks(table: sa.Table, known: Mapping[str, Any]) -> sa.ColumnElement[bool]:
    texts = [column for column in table.c if isinstance(column.type, sa.String)]
    return sa.or_(
        *[column.contains(known["email"], autoescape=True) for column in texts],
        *[column == known["name"] for column in texts],
    )
