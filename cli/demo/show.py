"""The order in which the demo plays."""

from collections.abc import Mapping
from typing import Final

from cli.demo import accounts, aggregate, database, log, person, retention
from cli.demo.stage import Stage

VERDICTS: Final[Mapping[bool, str]] = {
    True: "Every account balances.",
    False: "Something above is not as it has to be: this is a fault of Aegis.",
}


def play(stage: Stage) -> bool:
    """Go through the steps; return whether all of it was as it has to be."""
    stage.need_servers()
    stage.open_database()
    database.fill(stage)
    # First of all: on a busy machine it takes longer than the instant is away.
    stage.start_processes()
    before = database.standing(stage.application)
    retention.play(stage)
    after = database.standing(stage.application)
    retention.show_tenants(stage, before, after)
    erased = person.erased_and_proved(stage)
    sound = [erased.sound, aggregate.released_and_refused(stage)]
    accounts.show_metrics(stage)
    log.show_events(stage)
    sound += [log.is_intact(stage), log.shows_a_change(stage)]
    sound.append(accounts.balance(stage, before, after, erased.rows))
    return all(sound)


def what_next(stage: Stage, *, keep: bool) -> None:
    """Say where the files are, and what to try."""
    name = stage.folder.name
    if not keep:
        stage.tell(f"All of it is removed with its folder, {name}; `aegis demo --keep` keeps it.")
        stage.tell("On a database of your own: aegis policy add --help, aegis doctor")
        return
    stage.tell(f"Kept in {name}: aegis.toml, the data map, the application's database, the log and its keys.")
    stage.tell("To look around:")
    for command in ("audit verify", "retention status", "erasure status", "federated budget show"):
        stage.tell(f"  AEGIS_CONFIG={name}/aegis.toml aegis {command}")
