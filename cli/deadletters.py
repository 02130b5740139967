"""`aegis worker dead-letters`: what lay in a queue and was no message for a worker."""

import click

from aegis.operations.deadletters import DeadLetter
from api import letters
from cli import output


@click.command("dead-letters")
@click.option("--requeue", metavar="ID", help="Put this one back into its queue, as it was.")
@click.option("--drop", metavar="ID", help="Remove this one for good.")
@output.actor_option(required=False)
@output.json_option
def dead_letters(*, requeue: str | None, drop: str | None, actor: str, as_json: bool) -> int:
    """Show entries of queues that no worker would take, and why; requeue or drop one.

    What is in them is not shown: it may name people. Reasons: `unreadable` (no JSON), `malformed` (no
    message of Celery's second protocol), `unknown-task`, `wrong-queue`, `forbidden` (callbacks, chains,
    positional arguments, times, limits or retries of the sender's own).
    """
    if requeue and drop:
        message = "--requeue and --drop are two things; give one of them"
        raise click.UsageError(message)
    if requeue or drop:
        act = letters.requeue_dead_letter if requeue else letters.drop_dead_letter
        found = act(str(requeue or drop), actor)
        if as_json:
            output.print_json(_document(found))
        else:
            output.say(f"{'back in' if requeue else 'dropped; it was in'} queue {found.queue}")
        return 0
    kept = letters.dead_letters()
    if as_json:
        output.print_json([_document(letter) for letter in kept])
    elif kept:
        rows = [
            (letter.id, f"{letter.at:%Y-%m-%d %H:%M:%S}", letter.queue, letter.reason, letter.task or "-")
            for letter in kept
        ]
        output.columns(("id", "refused at, UTC", "queue", "reason", "task"), rows)
    else:
        output.say("no dead letters")
    return 1 if kept else 0


def _document(letter: DeadLetter) -> dict[str, object]:
    about = {"id": letter.id, "at": letter.at, "queue": letter.queue, "reason": letter.reason}
    return {**about, "task": letter.task, "bytes": len(letter.entry)}
