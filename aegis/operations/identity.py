"""A physical copy of a data source becomes a database of its own, without what is the original's."""

from dataclasses import dataclass

import sqlalchemy as sa

from aegis.db.engines import CONTROL, reading, writing
from aegis.db.journal import Journal
from aegis.db.tables import Source
from aegis.errors import Refused
from aegis.operations.system import System


@dataclass(frozen=True, kw_only=True)
class Renewed:
    """What became of a copy."""

    datasource: str
    identity: str
    #: Batches and legal holds of the original that were removed from the copy's journal.
    batches: int
    holds: int


def renew(system: System, datasource: str) -> Renewed:
    """Give a copy an identity of its own; no approval of the original fires on it any more.

    The original's batches are removed from the copy's journal: they stand in the log already, or the
    original brings them there. So are its holds: they belong to the original's rows.

    Raises:
        Refused: it is the original itself, as far as the control database knows.
        NotPrepared: it has no journal, or there is no control database yet.

    """
    name = system.settings.source_name(datasource)
    system.migrations.check("control")
    before = system.source_row(name)
    _refuse_original(system, name, before.identity)
    engine = system.databases.source(name)
    with writing(engine, f"data source {name}") as connection:
        batches, holds = Journal(engine.dialect.name).begin_anew(connection)
    identity = system.source_row(name).identity
    return Renewed(datasource=name, identity=identity, batches=batches, holds=holds)


def _refuse_original(system: System, name: str, identity: str) -> None:
    query = sa.select(Source.identity).where(Source.name == name)
    with reading(system.databases.control, CONTROL) as connection:
        known = connection.scalar(query)
    if known == identity:
        message = (
            f"data source {name} is the database that policies of that name were approved for: its journal "
            "is needed. Give the copy a name of its own in aegis.toml, and name that one. Nothing was changed"
        )
        raise Refused(message)
