"""The end of what releases leave: answers and files go when their time is over."""

import datetime as dt

import sqlalchemy as sa

from aegis.db import dialects
from aegis.db.engines import CONTROL, reading
from aegis.db.tables import Release
from aegis.federated import answers, inputs, outputs
from aegis.operations.system import System


def expire_answers(system: System) -> int:
    """Drop answers, and files that nothing names, once `federated.keep_hours` are over.

    Returns:
        How many rows and files went.

    Raises:
        Unreachable: a place does not answer; the next call goes on.

    """
    with reading(system.databases.control, CONTROL) as connection:
        moment = dialects.now(connection)
    cutoff = moment - dt.timedelta(hours=system.settings.federated.keep_hours)
    gone = answers.expire(system, cutoff)
    gone += outputs.drop_orphans(system, cutoff, lambda: _named(system))
    return gone + inputs.drop_orphans(system, cutoff)


def _named(system: System) -> set[str]:
    with reading(system.databases.control, CONTROL) as connection:
        released = connection.scalars(sa.select(Release.output_at).where(Release.output_at.is_not(None)))
        return answers.named_files(connection) | {str(name) for name in released}
