"""A data source for one command that looks at its columns and needs no control database."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import click

from aegis.db.engines import Databases
from aegis.errors import Unreachable
from aegis.settings import load_settings

_CANNOT_TELL: Final = 5


@contextmanager
def opened(datasource: str) -> Iterator[tuple[Databases, str]]:
    """Open the databases, and find the source's name; where it does not answer the command cannot tell."""
    databases = Databases(load_settings())
    try:
        yield databases, databases.settings.source_name(datasource)
    except Unreachable as error:
        click.echo(f"aegis: {error}", err=True)
        raise click.exceptions.Exit(_CANNOT_TELL) from None
    finally:
        databases.close()
