"""The plan of an erasure as one page, for somebody who is no engineer; it does not say who the person is."""

import shlex
from collections.abc import Iterator, Mapping
from typing import Final
from xml.etree.ElementTree import Element

from aegis.erasure.plan import Plan
from aegis.erasure.steps import HOOK, Step
from aegis.masking.words import OUTCOMES, WORDS
from cli import output
from cli.markup import Content, code, command, facts, page, rows_tile, section, table, tag, tiles, verdict

#: What is done about rows that are another person's too.
SHARED: Final[Mapping[str, str]] = {
    "keep": "left as they are",
    "delete": "deleted all the same",
    "mask_own_columns": "masked in this person's columns only",
}
#: What becomes of a reference to the person, in rows that are not theirs.
_CUT: Final[Mapping[str, str]] = {
    "nullify": "emptied: it points to nobody",
    "reassign": "points to the row that stands for nobody; a row that it has already is deleted",
    "decorrelate": "a random token, which leads to nobody",
}
#: What the database would do with rows that refer to those that are deleted.
_RULES: Final[Mapping[str, str]] = {
    "CASCADE": "delete the referring rows",
    "SET NULL": "empty the reference",
    "SET DEFAULT": "write the column's default over the reference",
}
_PENDING: Final = (
    "A legal hold on a single of these rows stops all of it, when it is carried out.",
    "Data sources that are not named here, backups, archives and copies elsewhere are not in it.",
    "Rows that the application writes between now and then are treated alike, and are not in these counts.",
)


def page_of(made: Plan) -> str:
    """Return the page of a plan."""
    title = f"What the erasure of one {made.subject} would do"
    return page(
        f"{title} · {made.datasource}",
        tag("p", "Aegis · plan of an erasure · nothing was changed", class_="kicker"),
        tag("h1", title),
        _facts(made),
        _verdict(made),
        _totals(made),
        _legend(made),
        *_sections(made),
        *[item for other in made.elsewhere for item in _other(other)],
        tag(
            "section",
            tag("h2", "What this plan does not say"),
            tag("ul", *[tag("li", text) for text in _PENDING]),
        ),
        _approval(made),
        tag("footer", f"Made from one snapshot of {made.datasource}, {output.moment(made.read_at)}."),
    )


def _other(made: Plan) -> Iterator[Element]:
    """Yield what would be done to the same person in another data source."""
    yield tag("section", tag("h1", f"The same person in {made.datasource}, as {made.subject}"))
    yield _facts(made)
    yield _totals(made)
    yield from _sections(made)


def _facts(made: Plan) -> Element:
    known: dict[str, Content] = {
        "Data source": made.datasource,
        "Database id": code(made.database),
        "Counted": f"{output.moment(made.read_at)}, all in one snapshot, every row exactly",
        "Person": "not named on this page; the digest below stands for them",
    }
    if made.erasers:
        named = ", ".join(made.erasers)
        known["Outside of the database"] = f"{named}: erased by code of the application, called at the end"
    return facts(known.items())


def _verdict(made: Plan) -> Element:
    against = [*made.objections]
    against += [f"{other.datasource}: {why}" for other in made.elsewhere for why in other.objections]
    if not against:
        said = "Nothing speaks against it; legal holds are looked at when it is carried out."
        return verdict("go", ("It can be carried out. ", said))
    return verdict("stop", *[("It cannot be carried out: ", f"{objection}.") for objection in against])


def _totals(made: Plan) -> Element:
    shared = sum(count for step in made.steps for count in step.shared.values())
    counts = {
        "would be deleted": _rows(_of(made, "delete")),
        f"would be {_masked_word(made)}": _rows(_of(made, "anonymize")),
        "would be unlinked from the person": _rows(_of(made, *_CUT)),
        "would stay, with a reason": made.kept,
        "shared with other people": shared,
    }
    return tiles({what: rows_tile(count) for what, count in counts.items()})


def _sections(made: Plan) -> Iterator[Element]:
    if found := _of(made, "fail"):
        yield section("Must not be there", "While these rows are there, nobody is erased.", _listed(found))
    found = _of(made, "delete")
    yield section("Would be deleted", "These rows are removed from the database.", _listed(found))
    found = _of(made, "anonymize")
    intro = "These rows stay, and what is personal in them is written over."
    yield section(f"Would be {_masked_word(made)}", intro, *map(_block, found))
    found = _of(made, *_CUT)
    intro = "These rows are not the person's, and stay. What leads from them to the person is cut."
    yield section("Would be unlinked", intro, *map(_block, found))
    found = _of(made, "retain")
    intro = "These rows are the person's and are kept: for what reason, and until when, stands beside them."
    yield section("Would stay", intro, _kept(found), *map(_block, (step for step in found if step.columns)))
    yield section("Shared with other people", "Rows that another person owns too.", _shared(made))
    yield from _database(made)


def _legend(made: Plan) -> Element:
    """Say what the words and signs of the page mean."""
    named = {
        outcome
        for each in (made, *made.elsewhere)
        for step in each.steps
        for outcome in step.outcomes.values()
    }
    pairs: list[tuple[Content, str]] = [(_badge(kind), OUTCOMES[kind]) for kind in sorted(named)]
    if any(HOOK in step.columns.values() for step in made.steps):
        pairs.append(
            (_badge("unknown"), "code of your application decides, and Aegis cannot tell what is left")
        )
    pairs.append((code("orders.buyer → users.id"), "rows of orders whose buyer is one of the rows of users"))
    return facts(pairs)


def _listed(steps: list[Step]) -> Element | None:
    rows: list[list[Content]] = [[code(step.table), output.number(step.rows), _ways(step)] for step in steps]
    return table(["Table", "Rows", "Found by"], rows, right=["Rows"]) if rows else None


def _kept(steps: list[Step]) -> Element | None:
    rows: list[list[Content]] = [
        [
            code(step.table),
            output.number(step.rows),
            step.reason or "no reason is given",
            step.until or "no end is given",
            _ways(step),
        ]
        for step in steps
    ]
    return table(["Table", "Rows", "Why", "Until", "Found by"], rows, right=["Rows"]) if rows else None


def _block(step: Step) -> Element:
    """Return one table whose rows stay, column by column."""
    columns = [[code(name), *_written(step, name, mask)] for name, mask in step.columns.items()]
    kept = tag("p", "Of the rows that stay, this is written over at once.")
    return tag(
        "div",
        tag("header", tag("h3", code(step.table)), tag("span", output.counted(step.rows, "row"))),
        kept if step.action == "retain" else tag("p", "Found by " if step.ways else None, _ways(step)),
        table(["Column", "Afterwards", "Outcome"], columns) if columns else None,
        class_="step",
    )


def _written(step: Step, name: str, mask: str) -> list[Content]:
    if not mask:
        return [_CUT.get(step.action, "emptied"), "-"]
    words = "what code of your application decides" if mask == HOOK else WORDS.get(mask, mask)
    return [tag("span", f"{words} (", code(mask), ")"), _badge(step.outcomes.get(name, "unknown"))]


def _badge(outcome: str) -> Element:
    return tag("span", outcome, class_=f"badge {outcome}")


def _ways(step: Step) -> Element:
    if not step.ways:
        return tag("span", "The person's own row")
    first, *others = [code(way) for way in step.ways]
    return tag("span", first, *[part for other in others for part in (tag("br"), other)], class_="ways")


def _masked_word(made: Plan) -> str:
    left = {outcome for step in _of(made, "anonymize") for outcome in step.outcomes.values()}
    kinds = {"anonymous": "anonymized", "pseudonymous": "pseudonymized"}
    return " or ".join(word for kind, word in kinds.items() if kind in left) or "written over"


def _shared(made: Plan) -> Element | None:
    found = [(step, what, count) for step in made.steps for what, count in step.shared.items()]
    rows: list[list[Content]] = [
        [code(step.table), output.number(count), SHARED[what]] for step, what, count in found
    ]
    return table(["Table", "Rows", "What is done about them"], rows, right=["Rows"]) if rows else None


def _database(made: Plan) -> Iterator[Element]:
    rules: list[list[Content]] = [
        [code(way), f"{_RULES[rule]} ({rule})"] for way, rule in made.cascades.items()
    ]
    yield section(
        "Rules of the database",
        "When rows are deleted, the database itself would change those that refer to them. Aegis does what "
        "this plan says about those first, so that nothing is left for these rules.",
        table(["Reference", "What the database would do"], rules) if rules else None,
    )
    triggers: list[list[Content]] = [
        [code(name), code(", ".join(names))] for name, names in made.triggers.items()
    ]
    yield section(
        "Triggers",
        "Code in the database that runs when these rows change. What it does is not in this plan: have "
        "somebody who knows the database read it.",
        table(["Table", "Triggers"], triggers) if triggers else None,
    )
    missing = [tag("li", code(name)) for name in made.unindexed]
    yield section(
        "Slow for want of an index",
        "Without an index the whole table is read to find the person's rows. It changes nothing of what is "
        "erased, only how long that takes.",
        tag("ul", *missing) if missing else None,
    )


def _approval(made: Plan) -> Element:
    where = shlex.join(["--subject", made.subject, "--datasource", made.datasource])
    run = f"aegis erasure run USER {where} --actor WHO --execute"
    approve = f"aegis erasure approve REQUEST --digest {made.digest} --actor WHO"
    first = "What stands at the top has to be put right first, and that may change the digest. "
    return tag(
        "section",
        tag("h2", "Approving it, and carrying it out"),
        tag(
            "p",
            first if any(each.objections for each in (made, *made.elsewhere)) else None,
            "The digest stands for this plan: the decisions of the data map, the columns of the tables, and "
            "the person. An approval binds to it: an erasure with another digest needs another approval. "
            "Rows that the application writes meanwhile do not change it.",
        ),
        tag("code", made.digest, class_="digest"),
        tag(
            "ol",
            tag(
                "li",
                "Ask for it. USER is the key of the person's row (- reads it from stdin), WHO is whoever "
                "asks. Where no approval is required, this carries it out.",
                command(run),
            ),
            tag(
                "li",
                "Where the settings require approval, the request waits for it. The approval is refused "
                "if the plan has another digest by then. REQUEST is what the first command printed.",
                command(approve),
            ),
            tag("li", "See how it went.", command("aegis erasure status REQUEST")),
        ),
    )


def _of(made: Plan, *actions: str) -> list[Step]:
    return [step for step in made.steps if step.action in actions and step.rows]


def _rows(steps: list[Step]) -> int:
    return sum(step.rows for step in steps)
