"""What the role that Aegis logs in with lacks of what it needs, and what it has besides."""

from dataclasses import dataclass

from aegis.db import held
from aegis.db.engines import reading
from aegis.db.rights import grant_of
from aegis.grants.needed import needed
from aegis.grants.needs import Purpose
from aegis.operations.system import System


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A role's rights beside those that it needs."""

    datasource: str
    purpose: Purpose
    #: As they stand behind GRANT.
    missing: tuple[str, ...]
    beyond: tuple[str, ...]

    @property
    def exact(self) -> bool:
        """Whether the role may do what it needs, and nothing else."""
        return not self.missing and not self.beyond


def check(system: System, datasource: str, *, purpose: Purpose = "run") -> Checked:
    """Compare the rights of the role that Aegis logs in with, and change nothing.

    Args:
        system: this process's Aegis.
        datasource: the source's own name.
        purpose: `verify` logs in as the source's own connection for that, where it names one.

    Raises:
        AegisError: as `needed`.

    """
    wanted = [need.right for need in needed(system, datasource, purpose=purpose).needs]
    databases = system.databases
    engine = databases.verifier(datasource) if purpose == "verify" else databases.source(datasource)
    if not wanted:
        return Checked(datasource=datasource, purpose=purpose, missing=(), beyond=())
    with reading(engine, f"data source {datasource}") as connection:
        lacks, has = held.missing(connection, wanted), held.beyond(connection, wanted)
    return Checked(
        datasource=datasource,
        purpose=purpose,
        missing=tuple(grant_of(engine.dialect, right) for right in lacks),
        beyond=tuple(grant_of(engine.dialect, right) for right in has),
    )
