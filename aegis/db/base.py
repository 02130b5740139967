"""The base of Aegis's own tables in the control database."""

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase

from aegis.db.columns import NAMING


class Base(DeclarativeBase):
    """The control database's metadata."""

    metadata = sa.MetaData(naming_convention=NAMING)
