"""Migrations of Aegis's own databases, run by alembic: up only, never by themselves.

The one exception is the default SQLite database, which is made on first use.
"""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

import alembic.command
import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory

from aegis.db.engines import CONTROL, Databases, reading, translated
from aegis.errors import NotPrepared

Store = Literal["control", "keys"]
STORES: Final[tuple[Store, ...]] = get_args(Store)

_LABELS: Final[dict[Store, str]] = {"control": CONTROL, "keys": "key store"}
_FOLDERS: Final[dict[Store, str]] = {"control": "versions", "keys": "keystore"}
#: Where alembic notes the revision; an application's own `alembic_version` may stand beside it.
VERSION_TABLES: Final[dict[Store, str]] = {"control": "aegis_version", "keys": "aegis_keys_version"}


@dataclass(frozen=True, kw_only=True)
class Revision:
    """Where a database stands and where it should stand."""

    store: Store
    found: str | None
    wanted: str

    @property
    def current(self) -> bool:
        """Whether nothing is to be done."""
        return self.found == self.wanted


class Migrations:
    """The migrations of the control database and of the key store."""

    def __init__(self, databases: Databases) -> None:
        self._databases = databases

    def revision(self, store: Store) -> Revision:
        """Return the database's revision."""
        name = VERSION_TABLES[store]
        with reading(self._engine(store), _LABELS[store]) as connection:
            noted = sa.select(sa.column("version_num", sa.String)).select_from(sa.table(name))
            found = connection.scalar(noted) if sa.inspect(connection).has_table(name) else None
        return Revision(store=store, found=found, wanted=_newest(store))

    def upgrade(self, store: Store) -> Revision:
        """Bring the database to the newest revision."""
        config = _config(store)
        with translated(_LABELS[store]), self._engine(store).begin() as connection:
            config.attributes["connection"] = connection
            alembic.command.upgrade(config, "head")
        return self.revision(store)

    def check(self, store: Store) -> None:
        """Raise NotPrepared unless the database stands at the newest revision."""
        revision = self.revision(store)
        if revision.current:
            return
        found = revision.found or "no tables of Aegis"
        message = (
            f"the {_LABELS[store]} is not prepared: found {found}, expected {revision.wanted}; "
            "run `aegis migrate`"
        )
        raise NotPrepared(message)

    def _engine(self, store: Store) -> sa.Engine:
        return self._databases.control if store == "control" else self._databases.keys


def migrations_folder() -> Path:
    """Return the folder `migrations` of this checkout or of the installed wheel."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "_app" / "migrations"
    return installed if installed.exists() else package.parent / "migrations"


@functools.cache
def _newest(store: Store) -> str:
    return str(ScriptDirectory.from_config(_config(store)).get_current_head())


def _config(store: Store) -> Config:
    folder = migrations_folder()
    config = Config()
    config.set_main_option("script_location", str(folder))
    config.set_main_option("version_locations", str(folder / _FOLDERS[store]))
    config.set_main_option("path_separator", "os")
    config.attributes["store"] = store
    return config
