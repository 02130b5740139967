"""What proves a run: its archive, the files of its tables, its account, and its place in the log."""

import shlex
from xml.etree.ElementTree import Element

from aegis.operations.states import FINAL
from aegis.retention.dossier import Dossier
from cli import output
from cli.markup import Content, code, command, facts, section, table, tag
from cli.purge import HOWS


def proof(found: Dossier) -> list[Element]:
    """Return the parts of a run's page that say what is left of it, and how to check it."""
    return [_archive(found), _files(found), _account(found), _log(found)]


def _archive(found: Dossier) -> Element:
    archive = found.archive
    if archive is None:
        return section("Archive", "", None)
    over = archive["expired_at"]
    pairs: dict[str, Content] = {
        "Archive": code(archive["id"]),
        "State": archive["state"],
        "Rows": output.number(archive["rows"]),
        "Parts": output.number(archive["parts"]),
        "SHA-256 of its manifest": code(archive["manifest_digest"] or "-"),
        "Destroyed" if over else "Is destroyed": output.moment(over or archive["expires_at"]),
    }
    return section("Archive", "Rows were written to encrypted files before they went.", facts(pairs.items()))


def _files(found: Dossier) -> Element:
    purge = found.purge
    if purge is None:
        return section("Gone from the files", "", None)
    report, done = purge["report"], purge["state"] == "done"
    remains = [tag("li", text) for text in report.get("remains") or ()]
    pairs: dict[str, Content] = {
        "State": purge["state"],
        "Because" if done else "Why not yet": HOWS.get(report.get("how"), report.get("how"))
        if done
        else report.get("why") or "nobody has looked yet",
        "Done" if done else "Due": output.moment(purge["done_at"] or purge["due_at"]),
        "Still readable": tag("ul", *remains, class_="plain") if remains else None,
    }
    intro = "A deleted row stays readable in the database's files until the database cleans up."
    more = command(shlex.join(["aegis", "retention", "purge", purge["run"]]))
    return section("Gone from the files", intro, facts(pairs.items()), more)


def _account(found: Dossier) -> Element:
    removed = "removed there, as for every run after its horizon"
    returned = found.course.returned
    journal = None if found.journal is None else found.journal + returned
    cells: list[list[Content]] = [
        [
            "Journal in the data source",
            output.number(journal),
            removed if journal is None else _journal(returned),
        ],
        [
            "Audit log",
            output.number(found.course.gone),
            "the events of its batches, each committed with its rows",
        ],
        ["Report of the run", output.number(found.reported), "what it said at its end"],
    ]
    return section(
        "The account",
        "Rows that are gone or were changed, those of other tables included, as three places have them. They "
        "must be the same.",
        table(["Place", "Rows", "What it is"], cells, right=["Rows"]),
        _doubt(found),
    )


def _journal(returned: int) -> str:
    own = "written in the transactions that changed the rows"
    back = f"; {output.counted(returned, 'row')} of it came back when the data source was restored"
    return own + back if returned else own


def _doubt(found: Dossier) -> Element | None:
    """Say why the figures differ, or may."""
    if found.balances:
        return None
    if found.standing.run["state"] not in FINAL:
        said = "They need not be the same yet: the run has not ended."
    elif found.unrelayed:
        said = "Batches stand in the journal that the log gets with the next relay."
    elif found.reported is None:
        said = "The run could not tell at its end how many rows had gone."
    elif found.course.pruned:
        said = "Old events of this policy were pruned: the log has their sums, for all runs together."
    else:
        said = "Find out who wrote to the control database or to the journal: aegis audit verify."
    return tag("p", said, class_="note")


def _log(found: Dossier) -> Element:
    course = found.course
    leaves = (
        "none has a place yet"
        if course.leaves is None
        else f"from {course.leaves[0]:,} to {course.leaves[1]:,}"
    )
    pairs: dict[str, Content] = {
        "Events of this run": output.number(course.events),
        "Their places (leaves)": leaves,
        "Without a place yet": output.number(course.unsequenced) if course.unsequenced else None,
        "The event of its end": code(course.ended) if course.ended else None,
    }
    made: list[Content] = [facts(pairs.items())]
    if course.leaves is not None:
        made += [
            tag("p", "That nobody changed an entry since then:"),
            command(f"aegis audit verify --since {course.leaves[0]}"),
        ]
    if course.ended is not None and course.leaves is not None:
        prove = ["aegis", "audit", "prove", course.ended, "--out", "run.tlog-proof"]
        made += [
            tag("p", "That its end stands in the log, to be shown to somebody who has no database:"),
            command(shlex.join(prove)),
            command("aegis audit check-proof run.tlog-proof"),
        ]
    return section("In the audit log", "Where its events stand, and how to check them.", *made)
