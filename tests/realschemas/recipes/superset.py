"""Superset, dashboards on SQLAlchemy: its tables as its migrations make them."""

import os
import sys
import tempfile
from pathlib import Path

import pymysql
from sqlalchemy.dialects.mysql.base import MySQLDialect  # noqa: TID251 - runs apart from Aegis

_DRIVERS = {"postgresql": "postgresql+psycopg2", "mariadb": "mysql+pymysql"}
_SETTINGS = """
SECRET_KEY = "no secret at all: a database of a test"
SQLALCHEMY_DATABASE_URI = {url!r}
CACHE_CONFIG = DATA_CACHE_CONFIG = THUMBNAIL_CACHE_CONFIG = {{"CACHE_TYPE": "NullCache"}}
FILTER_STATE_CACHE_CONFIG = EXPLORE_FORM_DATA_CACHE_CONFIG = CACHE_CONFIG
"""


def _without_sequences() -> None:
    """MariaDB has sequences, and writes them otherwise than this SQLAlchemy does."""
    initialize = MySQLDialect.initialize

    def plain(self: MySQLDialect, connection: object) -> None:
        initialize(self, connection)  # type: ignore[arg-type]
        self.supports_sequences = False

    MySQLDialect.initialize = plain  # type: ignore[method-assign]


def main(url: str) -> None:
    """Create the tables in an empty database."""
    scheme, _, rest = url.partition(":")
    pymysql.install_as_MySQLdb()
    _without_sequences()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "superset_config.py"
        file.write_text(
            _SETTINGS.format(url=f"{_DRIVERS[scheme]}:{rest.partition('?')[0]}"), encoding="utf-8"
        )
        os.environ |= {"SUPERSET_CONFIG_PATH": str(file), "SUPERSET_HOME": folder}
        from flask_migrate import upgrade  # noqa: PLC0415 - reads the settings
        from superset.app import create_app  # noqa: PLC0415 - the same

        with create_app().app_context():
            upgrade()


if __name__ == "__main__":
    main(sys.argv[1])
