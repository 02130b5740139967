"""Requests for erasure that somebody waits for, and what an erasure leaves to others."""

from aegis.doctor.findings import Found, Skipped, fault, note, ok
from aegis.doctor.patient import Patient
from aegis.erasure import copies, outcomes
from aegis.operations.states import STUCK
from aegis.operations.stores import open_store


def check_erasures(patient: Patient) -> Found:
    """Check that no request is late or waits for a person, that copies are confirmed, and tombstones kept."""
    if patient.fresh:
        return
    if not patient.control_ready:
        message = "cannot be read while the control database is not ready"
        raise Skipped(message)
    system = patient.system
    neglected = outcomes.neglected(system)
    for one in neglected:
        what = f"request {one.request} is {one.status}"
        late = f", and was due {one.due_at}" if one.late else ""
        why = f": {one.reason}" if one.reason else ""
        cure = "aegis erasure resume" if one.status in STUCK else "aegis erasure status"
        yield fault("erasures", f"{what}{late}{why}", f"{cure} {one.request}")
    overdue = copies.overdue(system)
    for copy in overdue:
        text = (
            f"copy {copy.name} of request {copy.request} was due {copy.due_at}, and nobody has confirmed it"
        )
        yield fault("erasures", text, f"aegis erasure confirm {copy.request} {copy.name} --actor YOU")
    open_store(patient.settings.tombstones_url).sizes("")
    if patient.settings.erasure.tombstones is None and patient.settings.embedded_control:
        text = "tombstones stand in the folder of the control database, and come back with a backup of it"
        yield note("erasures", text, "name a folder or store that is kept apart: erasure.tombstones")
    if not neglected and not overdue:
        yield ok("erasures", "no request is late or waits for a person; tombstones can be read")
