"""Alembic's entry: migrates the control database, or the key store when Aegis says so."""

from typing import Any

from alembic import context

from aegis.db.engines import Databases
from aegis.db.keystore import KeyBase
from aegis.db.schema import VERSION_TABLES
from aegis.db.tables import Base
from aegis.settings import load_settings


def run(connection: Any) -> None:
    """Migrate over one connection, in one transaction."""
    store = context.config.attributes.get("store", "control")
    metadata = Base.metadata if store == "control" else KeyBase.metadata
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table=VERSION_TABLES[store],
        render_as_batch=True,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    with Databases(load_settings()).control.begin() as own:
        run(own)
