"""The commands of `aegis erasure` that carry an erasure out, and those that follow a request."""

import datetime as dt
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import click

from aegis.audit.events import uuid7
from aegis.erasure.outcomes import Erasure
from aegis.erasure.receipts import Receipt
from aegis.erasure.replaying import Replayed
from aegis.errors import AegisError, Interrupted, NobodyInGroup, UsageError
from aegis.operations.states import STUCK, State, Wait
from aegis.settings import DEFAULT_SOURCE
from api.erasure import (
    anonymize_users,
    approve_erasure,
    cancel_erasure,
    carry_out_erasure,
    confirm_copy,
    erasure_message,
    erasure_receipt,
    erasure_status,
    recent_erasures,
    replay_erasures,
    request_erasure,
    resume_erasure,
    verify_erasure,
)
from api.files import new_file
from cli import erased, output, person, progress, signing

#: Statuses that a later call changes by itself.
_LATER: Final = frozenset({"busy", "retry", "fenced", "waiting", "accepted", "running", "verifying"})


@click.command()
@person.of_people
@click.option("--execute", is_flag=True, help="Change rows; without it nothing is changed.")
@click.option(
    "--request", "request_id", metavar="ID", help="An id of your own: the same one again is the same request."
)
@output.actor_option(required=True)
@output.json_option
def run(
    *,
    user: tuple[str, ...],
    group: str | None,
    limit: int | None,
    subject: str,
    datasource: str,
    tenant: str | None,
    execute: bool,
    request_id: str | None,
    actor: str,
    as_json: bool,
) -> int:
    """Erase one person, or a group of people, everywhere in a data source, as its data map says.

    USER is the key of the person's row, a word for each of its columns; `-` reads it from stdin. With
    --group it is whoever is in that group of the data map, and no USER. Without --execute it counts and
    changes nothing. Exit code 0: done, or nobody is in the group. 3: it goes on later. 4: a person must act.
    """
    words: dict[str, Any] = {"subject": subject, "datasource": datasource, "tenant_id": tenant}
    words |= {"group": group, "limit": limit}
    people = [person.key_of(user)] if user else None
    if not execute:
        return _show(anonymize_users(people, actor, dry_run=True, **words), as_json=as_json)
    with progress.Stopper():
        request_id = request_id or uuid7()
        try:
            request_erasure(people, request_id, actor=actor, origin="cli", **words)
        except NobodyInGroup as nobody:
            none = Erasure(status="not_found", subject=subject, datasource=datasource, reason=str(nobody))
            return _show(none, as_json=as_json)
        return _show(carry_out_erasure(request_id), as_json=as_json)


@click.command()
@click.argument("request_id", metavar="[REQUEST]", required=False)
@output.json_option
def status(*, request_id: str | None, as_json: bool) -> int:
    """Say where a request stands, or where the newest ones do."""
    if request_id is not None:
        found = erasure_status(request_id)
        erased.show(found, as_json=as_json)
        return 0
    newest = recent_erasures()
    if as_json:
        output.print_json([asdict(one) for one in newest])
    elif not newest:
        output.say("Nobody has asked for an erasure yet. What one would do: aegis erasure plan USER")
    else:
        headings = ["request", "status", "people", "rows", "received", "due", "copies", "why"]
        output.columns(headings, [erased.line(one) for one in newest], right=["people", "rows"])
    return 0


@click.command()
@click.argument("request_id", metavar="REQUEST")
@output.actor_option(required=True)
@click.option("--digest", metavar="D", help="What was looked at; refused when the plan has another by now.")
@signing.options
@output.json_option
def approve(
    *,
    request_id: str,
    actor: str,
    digest: str | None,
    private: Path | None,
    made: Path | None,
    as_json: bool,
) -> None:
    """Approve the plan of a request, where `erasure.approval` asks for it."""
    signature = signing.signature(erasure_message(request_id), private, made)
    approved = approve_erasure(request_id, actor, digest=digest, signature=signature)
    if as_json:
        output.print_json(asdict(approved))
        return
    how = "signed" if signature else "as claimed: no key proves who typed it"
    output.say(f"Approved by {output.printable(actor)}, {how}. A worker goes on with it.")


@click.command()
@click.argument("request_id", metavar="REQUEST")
@output.actor_option(required=True)
@output.json_option
def resume(*, request_id: str, actor: str, as_json: bool) -> None:
    """Let a blocked request go on, with a new plan for what is left."""
    erased.show(resume_erasure(request_id, actor), as_json=as_json)


@click.command()
@click.argument("request_id", metavar="REQUEST")
@output.actor_option(required=True)
@output.json_option
def cancel(*, request_id: str, actor: str, as_json: bool) -> None:
    """End a request for good; what was changed until then stays, and is accounted for."""
    erased.show(cancel_erasure(request_id, actor), as_json=as_json)


@click.command()
@click.argument("request_id", metavar="REQUEST")
@click.argument("copy")
@output.actor_option(required=True)
@output.json_option
def confirm(*, request_id: str, copy: str, actor: str, as_json: bool) -> None:
    """Confirm that COPY, as aegis.toml names it, has forgotten the people of a request.

    When the last copy is confirmed, the request is closed.
    """
    erased.show(confirm_copy(request_id, copy, actor), as_json=as_json)


@click.command()
@click.option("--since", required=True, metavar="T", help="From then on: a day, or a time with a zone.")
@click.option("--datasource", default=DEFAULT_SOURCE, metavar="D", help="The database that was restored.")
@click.option("--execute", is_flag=True, help="Erase them again; without it nothing is changed.")
@output.actor_option(required=True)
@output.json_option
def replay(*, since: str, datasource: str, execute: bool, actor: str, as_json: bool) -> int:
    """Erase again whoever was erased and came back with a restored database.

    Give the day of the backup, or an earlier one. A row is an erased person's when its key is, and an
    identifier too or the row is older than the erasure. Exit code 1: somebody is back; nothing was changed.
    """
    found = replay_erasures(_instant(since), actor=actor, datasource=datasource, execute=execute)
    back = sum(one.returned for one in found)
    if as_json:
        output.print_json([asdict(one) for one in found])
    elif not found:
        output.say(f"Nobody was erased from {datasource} since then.")
    for one in () if as_json else found:
        output.say(f"{one.subject}: {one.returned} of {one.tombstones} erased people are back{_then(one)}.")
        if one.elsewhere:
            rows = output.counted(one.elsewhere, "row")
            output.say(f"  {rows} of other keys with an identifier of theirs: new ones, left alone.")
    if back and not execute and not as_json:
        output.say("\nNothing was changed; --execute erases them again.")
    if any(one.erasure is not None and not one.erasure for one in found):
        return AegisError.exit_code
    return 1 if back and not execute else 0


def _then(one: Replayed) -> str:
    if one.erasure is None:
        return ""
    return ", and erased again" if one.erasure else f"; {one.erasure.status}: {one.erasure.reason}"


def _instant(text: str) -> dt.datetime:
    try:
        read = dt.datetime.fromisoformat(text)
    except ValueError:
        message = "--since is a day such as 2027-01-31, or a time such as 2027-01-31T02:00:00+00:00"
        raise UsageError(message) from None
    day = len(text) == len("2027-01-31")
    return read.replace(tzinfo=dt.UTC) if day else read


@click.command()
@person.of_person
@click.option(
    "--identifiers",
    "file",
    type=click.File("r", encoding="utf-8"),
    metavar="FILE",
    help="Lines such as email=anna@example.com, to be searched for everywhere; - reads stdin.",
)
@output.json_option
def verify(
    *, user: tuple[str, ...], subject: str, datasource: str, tenant: str | None, file: Any, as_json: bool
) -> int:
    """Look whether anything of a person is there, at any time; nothing is changed.

    Who it was is not kept after an erasure: what the data map reaches by the key is looked at, and texts are
    searched only for the --identifiers that you give. Exit code 1: something is there.
    """
    if tenant is not None:
        message = "--tenant says nothing of a person who may be gone; leave it out"
        raise UsageError(message)
    known = _identifiers(output.text_of(file)) if file else None
    found = verify_erasure(person.key_of(user), subject=subject, datasource=datasource, identifiers=known)
    if as_json:
        hits = [hit.plain() for hit in found.hits]
        output.print_json({**asdict(found), "hits": hits, "clean": found.clean})
        return 0 if found.clean else 1
    if found.rows:
        output.say(f"In {found.datasource} an erasure of this {found.subject} would change:\n")
        output.columns(["action", "table", "rows"], erased.rows_of(found.rows), right=["rows"])
    else:
        output.say(f"The data map reaches nothing of this {found.subject} in {found.datasource} to change.")
    if not found.identifiers:
        output.say("Texts were not searched: give --identifiers for that.")
    for hit in found.hits:
        where = f"{hit.table}.{hit.column} ({hit.identifier}), {', '.join(hit.samples)}"
        output.say(f"{hit.verdict}: {output.counted(hit.rows, 'row')} of {output.printable(where)}")
    return 0 if found.clean else 1


def _identifiers(text: str) -> dict[str, str]:
    lines = [line.partition("=") for line in text.splitlines() if line.strip()]
    if not lines or not all(name.strip() and value for name, _, value in lines):
        message = "identifiers are lines such as email=anna@example.com"
        raise UsageError(message)
    return {name.strip(): value.strip() for name, _, value in lines}


@click.command()
@click.argument("request_id", metavar="REQUEST")
@click.option("-o", "--output", "path", type=click.Path(path_type=Path), metavar="FILE", help="A new file.")
@output.json_option
def receipt(*, request_id: str, path: Path | None, as_json: bool) -> None:
    """Say what an erasure did, what stays and why, and what was searched; or write it with its proof to FILE.

    The file holds the receipt as the text whose SHA-256 stands in the audit log, and the proof that it does.
    To check it without Aegis: compare the SHA-256, and check the proof with any tool for C2SP tlog-proofs.
    """
    found = erasure_receipt(request_id)
    if path is not None:
        with new_file(path) as file:
            file.write(json.dumps(_to_give_away(found), indent=2))
        output.say(f"Written to {path}.  To check it:  jq -j .receipt {path} | sha256sum")
        output.say(f"                       jq -j .proof {path} | aegis audit check-proof -")
    elif as_json:
        output.print_json({**asdict(found), "body": found.body})
    else:
        erased.show_receipt(found)


def _to_give_away(found: Receipt) -> dict[str, Any]:
    """Return a receipt that names nobody: who confirmed a copy stands in the log alone."""
    return {**asdict(found), "copies": [{**asdict(copy), "confirmed_by": None} for copy in found.copies]}


COMMANDS: Final = (run, status, approve, resume, cancel, confirm, receipt, verify, replay)


def _show(found: Erasure, *, as_json: bool) -> int:
    erased.show(found, as_json=as_json)
    if found.status in {State.DONE, "dry_run"}:
        return 1 if found.reason else 0
    if found.status == "not_found":
        # Of a group; a single person who is not there is an error.
        return 0
    if any(part.status in STUCK for part in found.elsewhere):
        return AegisError.exit_code
    needs_person = found.status not in _LATER or str(found.reason).startswith(Wait.APPROVAL)
    return AegisError.exit_code if needs_person else Interrupted.exit_code
