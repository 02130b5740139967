"""The data maps: whether each leaves anything open, so that nobody could be erased by it."""

from aegis.doctor.findings import Found, fault, ok
from aegis.doctor.patient import Patient


def check_datamap(patient: Patient, name: str) -> Found:
    """Check that the data map of a source, where it has one, decides everything."""
    if patient.fresh or patient.settings.sources[name].datamap is None:
        return
    label, found = f"data map of {name}", patient.work(name).examination
    if found is None or found.decided:
        yield ok(label, "it decides everything that a person's rows reach")
        return
    first, others = found.undecided[0], len(found.undecided) - 1
    more = f", and {others} more" if others else ""
    text = f"nobody is erased by it: {first.table}: {first.what or first.kind}: {first.why}{more}"
    yield fault(label, text, f"aegis datamap check --datasource {name}")
