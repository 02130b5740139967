"""The rights of Aegis's roles in a data source: what they lack, and what they may do beyond their work."""

from aegis import grants
from aegis.db import dialects
from aegis.doctor.findings import Found, fault, note, ok
from aegis.doctor.patient import Patient
from aegis.grants.needs import PURPOSES


def check_rights(patient: Patient, name: str) -> Found:
    """Check the role that changes rows, and the one that only looks where there is one."""
    source = patient.settings.sources[name]
    if patient.fresh or not patient.control_ready or source == patient.settings.control:
        return
    if patient.system.databases.source(name).dialect.name == dialects.SQLITE:
        return
    label, command = f"rights in {name}", f"aegis grants {name}"
    for purpose in PURPOSES if source.verify else PURPOSES[:1]:
        found = grants.check(patient.system, name, purpose=purpose)
        role, words = f"the role for `{purpose}`", f"{command} --for {purpose}"
        if found.missing:
            yield fault(label, f"{role} lacks {_some(found.missing)}", f"as the owner: {words}")
        if found.beyond:
            text = f"{role} may do more than its work: {_some(found.beyond)}"
            yield note(label, text, f"a role of its own, with what {words} prints")
        if found.exact:
            yield ok(label, f"{role} has what it needs, no more")


def _some(rights: tuple[str, ...]) -> str:
    first, others = rights[0], len(rights) - 1
    return f"{first}, and {others} more" if others else first
