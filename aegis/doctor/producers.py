"""Producers: whether messages have to be signed, and by whom."""

from aegis.doctor.findings import Found, note, ok
from aegis.operations.senders import producers
from aegis.operations.table import FOR_SERVICES
from aegis.settings import Settings

_NAME = "producers"


def check_producers(settings: Settings) -> Found:
    """Tell who may send messages; a wrong name, key or task is an error."""
    found = producers(settings)
    if not found:
        text = "none is configured: whoever can write to a queue may send its tasks, as anybody"
        yield note(_NAME, text, "[producers.NAME] in aegis.toml, as `aegis client-key FILE` prints it")
        return
    told = [
        f"{name} ({'every task for services' if sender.tasks == FOR_SERVICES else _count(sender.tasks)})"
        for name, sender in sorted(found.items())
    ]
    yield ok(_NAME, f"messages are signed, by Aegis itself and by: {', '.join(told)}")


def _count(tasks: frozenset[str] | None) -> str:
    number = len(tasks or ())
    return f"{number} task{'s' * (number != 1)}"
