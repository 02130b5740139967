"""The page of an erasure's plan: well formed, complete, and never more than text."""

import datetime as dt
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from aegis.erasure.plan import Plan
from aegis.erasure.steps import Step
from cli.erasure_page import page_of

EVIL = '<script>alert("x")</script>&amp;\u202e\x1b[2J'
DIGEST = "5b0c" * 16
STEPS = (
    Step(table="bans", action="fail", rows=2, ways=("bans.who → users.id",), columns={}),
    Step(
        table=f"posts{EVIL}",
        action="delete",
        rows=4_321,
        ways=("posts.author → users.id", f"posts.{EVIL} → posts.id"),
        columns={},
        shared={"delete": 2, "keep": 1},
    ),
    Step(
        table="issues",
        action="nullify",
        rows=1,
        ways=("issues.solver → users.id",),
        columns={"solver": "", "note": "hook"},
    ),
    Step(table="files", action="reassign", rows=1, ways=("files.owner → users.id",), columns={"owner": ""}),
    Step(table="mails", action="decorrelate", rows=1, ways=("mails.ref → users.id",), columns={"ref": ""}),
    Step(
        table="users",
        action="anonymize",
        rows=1,
        ways=(),
        columns={"email": "surrogate_email", f"bio{EVIL}": "scrub_text"},
        outcomes={"email": "anonymous", f"bio{EVIL}": "pseudonymous"},
    ),
    Step(
        table="invoices",
        action="retain",
        rows=2,
        ways=("invoices.buyer → users.id",),
        columns={"phone": "null"},
        outcomes={"phone": "anonymous"},
        reason=f"tax law {EVIL}",
        until="8 years from issued_at",
    ),
)
PLAN = Plan(
    datasource="app",
    database="d7b1",
    read_at=dt.datetime(2026, 11, 27, 8, 30, tzinfo=dt.UTC),
    subject="user",
    steps=STEPS,
    unindexed=("issues.solver",),
    triggers={"users": (f"audit{EVIL}",)},
    cascades={"posts.parent → posts.id": "CASCADE", "likes.post → posts.id": "SET NULL"},
    objections=(f"2 rows of bans must not be there {EVIL}",),
    digest=DIGEST,
)


class Reader(HTMLParser):
    """Reads a page strictly: every element is closed, in its order; and says what is in it."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Any]]) -> None:
        """Note what begins."""
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close what was opened last, and nothing else."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Collect what people read."""
        if "style" not in self.open:
            self.text += " " + data


def test_everything_that_a_plan_says_is_on_its_page() -> None:
    """Tables, counts, columns in words, reasons, shares, the database's own rules, and how to go on."""
    text = " ".join(Reader(page_of(PLAN)).text.split())
    for said in (
        "What the erasure of one user would do",
        "It cannot be carried out: 2 rows of bans must not be there",
        "4,321 rows would be deleted",
        "3 rows would be unlinked from the person",
        "2 rows would stay, with a reason",
        "3 rows shared with other people",
        "1 row would be anonymized or pseudonymized",
        "posts.author → users.id",
        "The person's own row",
        "emptied: it points to nobody",
        "the row that stands for nobody",
        "a random token, which leads to nobody",
        "what code of your application decides",
        "a random address that cannot exist, another one in each row ( surrogate_email ) anonymous",
        "other names are not found ( scrub_text ) pseudonymous",
        "pseudonymous with a key, or with what else is known",
        "tax law",
        "8 years from issued_at",
        "left as they are",
        "deleted all the same",
        "delete the referring rows (CASCADE)",
        "empty the reference (SET NULL)",
        "issues.solver",
        "audit",
        "2026-11-27 08:30:00 UTC",
        "d7b1",
        "aegis erasure run USER --subject user --datasource app --actor WHO --execute",
        f"aegis erasure approve REQUEST --digest {DIGEST} --actor WHO",
    ):
        assert said in text, said
    for step in STEPS:
        assert step.table.partition("<")[0] in text
    assert text.index("It cannot be carried out") < text.index("4,321") < text.index("posts.author")


def test_what_a_database_calls_its_things_is_text() -> None:
    """A name with markup in it is read, not obeyed; nothing is loaded, and nothing can run."""
    page = page_of(PLAN)
    read = Reader(page)
    assert read.text.count('<script>alert("x")</script>&amp;\\u202e\\x1b[2J') == 8
    assert not {"script", "link", "img", "iframe", "object", "base"} & read.tags
    assert not {"src", "href", "onclick", "onload", "style"} & read.attributes
    assert "url(" not in page
    assert "@import" not in page
    assert "\x1b" not in page


@pytest.mark.parametrize("number", range(len(STEPS)))
def test_each_step_alone(number: int) -> None:
    """What is not there is said to be none; without objections it can be carried out."""
    alone = replace(PLAN, steps=(STEPS[number],), objections=(), triggers={}, cascades={}, unindexed=())
    text = " ".join(Reader(page_of(alone)).text.split())
    assert "It can be carried out." in text
    assert "cannot be carried out" not in text
    assert "Triggers None." in text
    assert STEPS[number].table.partition("<")[0] in text
    assert ("Would be deleted None." in text) == (STEPS[number].action != "delete")
