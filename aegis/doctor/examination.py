"""The examination: every check, in the order in which a fault of one explains those after it."""

from collections.abc import Callable, Iterator
from functools import partial

from aegis.db.engines import CONTROL
from aegis.doctor.backlogs import check_backlogs, check_purges, check_runs
from aegis.doctor.broker import check_broker
from aegis.doctor.budgets import check_budgets
from aegis.doctor.datamaps import check_datamap
from aegis.doctor.erasures import check_erasures
from aegis.doctor.findings import Finding, Found, careful, fault
from aegis.doctor.holds import check_holds
from aegis.doctor.host import check_keys, check_noise, check_programs, check_settings
from aegis.doctor.indexes import check_indexes
from aegis.doctor.log import check_log
from aegis.doctor.patient import Patient
from aegis.doctor.policies import check_policies
from aegis.doctor.processes import check_beat, check_worker
from aegis.doctor.producers import check_producers
from aegis.doctor.rights import check_rights
from aegis.doctor.secrets import check_secrets
from aegis.doctor.servers import check_clocks
from aegis.doctor.sources import check_source
from aegis.doctor.stores import KEY_STORE, check_control, check_keystore
from aegis.doctor.tables import check_tables
from aegis.doctor.tenants import check_tenants
from aegis.errors import AegisError
from aegis.operations.system import System
from aegis.settings import load_settings


def examine() -> list[Finding]:
    """Check everything that the settings of this process name."""
    try:
        settings = load_settings()
    except AegisError as error:
        cure = "correct aegis.toml or the environment variable; nothing else can be checked before"
        return [fault("settings", str(error), cure)]
    system = System(settings)
    checks = _checks(Patient(system=system))
    try:
        return [finding for name, check in checks for finding in careful(name, check)]
    finally:
        system.close()


def _checks(patient: Patient) -> Iterator[tuple[str, Callable[[], Found]]]:
    """Return every check with its name."""
    yield "programs", check_programs
    yield "noise", check_noise
    yield "settings", partial(check_settings, patient.settings)
    yield "secrets", partial(check_secrets, patient.settings)
    yield "keys", partial(check_keys, patient)
    yield CONTROL, partial(check_control, patient)
    yield KEY_STORE, partial(check_keystore, patient)
    for name in sorted(patient.settings.sources):
        yield f"data source {name}", partial(check_source, patient, name)
        # Each check is made before the next one is asked for: one that does not answer is told once.
        if name in patient.answering:
            yield f"tables of {name}", partial(check_tables, patient, name)
            yield f"indexes of {name}", partial(check_indexes, patient, name)
            yield f"rights in {name}", partial(check_rights, patient, name)
            yield f"tenants of {name}", partial(check_tenants, patient, name)
            yield f"data map of {name}", partial(check_datamap, patient, name)
    yield "broker", partial(check_broker, patient)
    yield "producers", partial(check_producers, patient.settings)
    yield "clocks", partial(check_clocks, patient)
    yield "policies", partial(check_policies, patient)
    yield "holds", partial(check_holds, patient)
    yield "backlogs", partial(check_backlogs, patient)
    yield "runs", partial(check_runs, patient)
    yield "purges", partial(check_purges, patient)
    yield "erasures", partial(check_erasures, patient)
    yield "budgets", partial(check_budgets, patient)
    yield "audit log", partial(check_log, patient)
    yield "worker", partial(check_worker, patient.settings)
    yield "beat", partial(check_beat, patient)
