"""What Aegis works on in a data source: its schema, the policies on its tables, and its data map."""

from collections.abc import Iterator
from dataclasses import dataclass

from aegis.datamap.coverage import Examination, examine
from aegis.datamap.erasers import load_erasers
from aegis.datamap.hooks import load_anonymizers
from aegis.datamap.reading import read_map
from aegis.db.catalog import Catalog, read_catalog
from aegis.db.engines import reading
from aegis.db.tables import DataRetentionPolicy
from aegis.operations.states import PolicyState
from aegis.operations.system import System
from aegis.retention import policies

#: Policies that run, or will when somebody approves them.
ACTIVE = frozenset({PolicyState.APPROVED, PolicyState.PENDING})


@dataclass(frozen=True, kw_only=True)
class Work:
    """The tables of one data source that policies and erasures are about."""

    catalog: Catalog
    policies: tuple[DataRetentionPolicy, ...]
    #: None: it has no data map.
    examination: Examination | None

    @property
    def tables(self) -> frozenset[str]:
        """The labels of the tables that a policy or the data map names."""
        found = {label for policy in self.policies if (label := self.label_of(policy))}
        covered = self.examination.coverages.values() if self.examination else ()
        return frozenset(found.union(*(coverage.tables for coverage in covered)))

    def label_of(self, policy: DataRetentionPolicy) -> str | None:
        """Return the label of a policy's table; None where it is not there any more."""
        name = f"{policy.schema_name}.{policy.table_name}" if policy.schema_name else policy.table_name
        table = self.catalog.find(name)
        return None if table is None else table.label

    def tenant_columns(self) -> dict[str, str]:
        """Return the tables that tell tenants apart: label → column.

        Those for which a policy or the data map says so, and every other one that has a column so called.
        """
        told = dict(self._told())
        names = set(told.values()) - set(self._own_keys())
        return {
            label: column
            for label, table in sorted(self.catalog.tables.items())
            if (column := told.get(label) or next((n for n in sorted(names) if n in table.table.c), None))
        }

    def _told(self) -> Iterator[tuple[str, str]]:
        if self.examination is not None:
            for coverage in self.examination.coverages.values():
                yield from coverage.tenants.items()
        for policy in self.policies:
            label = self.label_of(policy)
            if label is not None and policy.tenant_column is not None:
                yield label, policy.tenant_column

    def _own_keys(self) -> Iterator[str]:
        """Yield columns that are a tenant's own key: in other tables they name anything."""
        for subject in self.examination.datamap.subjects.values() if self.examination else ():
            if subject.tenant is not None and subject.key == (subject.tenant,):
                yield subject.tenant


def read_work(system: System, name: str, *, ready: bool) -> Work:
    """Read what Aegis works on in a data source.

    Args:
        system: this process's Aegis.
        name: the source.
        ready: the control database can be asked for the policies.

    Raises:
        AegisError: the source does not answer, or its data map cannot be read.

    """
    source, hooks = system.settings.sources[name], system.settings.hooks
    with reading(system.databases.source(name), f"data source {name}") as connection:
        catalog = read_catalog(connection)
    examination = None
    if source.datamap is not None:
        anonymizers, erasers = load_anonymizers(hooks, name), load_erasers(hooks, name)
        examination = examine(read_map(source.datamap), catalog, anonymizers, erasers)
    known = policies.newest(system) if ready else []
    mine = tuple(policy for policy in known if policy.datasource == name and policy.state in ACTIVE)
    return Work(catalog=catalog, policies=mine, examination=examination)
