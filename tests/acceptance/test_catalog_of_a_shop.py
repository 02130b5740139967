"""A shop that nobody here wrote, from a first look to rows that are gone: `docs/catalog-review.md`.

Its tables are made on demand (`tests/realschemas`); the decisions, each with its reason, stand in
`tests/realschemas/reviews/oscar.yaml`. People are planted into every table, on both sides of each horizon.
"""

import datetime as dt
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from aegis.catalog.files import Files, propose_files
from aegis.catalog.reviewing import drift
from aegis.catalog.survey import survey
from aegis.datamap.sources import examine_source
from api import audit, privacy
from tests.realschemas import build, picture
from tests.realschemas.planting import Garden
from tests.repeats import LONG
from tests.worlds import ACTOR, DAY, World, on

REVIEW: Final = Path(__file__).parents[1] / "realschemas" / "reviews" / "oscar.yaml"
PAGE: Final = Path(__file__).parents[2] / "docs" / "catalog-review.md"
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not LONG, reason="it installs an application: make test-long"),
    pytest.mark.timeout(1200),
]


def decided(text: str, section: str, decisions: Mapping[str, Mapping[str, Any]]) -> str:
    """Write a person's decisions into a proposed file: what they change in an entry, and its status."""
    for name, decision in decisions.items():
        head = re.search(rf"^{section}:$.*?^  {re.escape(name)}:\n", text, re.MULTILINE | re.DOTALL)
        assert head, f"nothing was proposed for {name}"
        end = re.compile(r"^ {0,2}\S", re.MULTILINE).search(text, head.end())
        body = text[head.end() : end.start() if end else len(text)]
        changed = body.replace("status: proposed", f"status: {decision.get('status', 'accepted')}", 1)
        for old, new in decision.get("change", {}).items():
            assert old in changed, f"{name}: {old} was not proposed"
            changed = changed.replace(old, new)
        text = text[: head.end()] + changed + text[head.end() + len(body) :]
    return text


def reviewed(made: Files) -> tuple[str, str]:
    """Return both files as the reviewer leaves them; what is not named is accepted as it stands."""
    review = yaml.safe_load(REVIEW.read_text(encoding="utf-8"))
    datamap = decided(made.datamap, "tables", review["tables"])
    policies = decided(made.policies, "policies", review["policies"])
    for asked, answer in review["everywhere"].items():
        datamap = datamap.replace(asked, answer["write"])
    accepted = [text.replace("status: proposed", "status: accepted") for text in (datamap, policies)]
    return accepted[0], accepted[1]


def age(world: World, table: str, column: str, days: int) -> tuple[int, int]:
    """Put half of a table's rows a day beyond a horizon, the others before it; return both counts."""
    key = "session_key" if table == "django_session" else "id"
    ids = world.all(f"SELECT {key} FROM {table} ORDER BY 1")  # noqa: S608 - the test's own words
    now, half = dt.datetime.now(dt.UTC), len(ids) // 2
    for number, name in enumerate(ids):
        moment = now - (days + (1 if number < half else -1)) * DAY
        statement = f"UPDATE {table} SET {column} = :moment WHERE {key} = :name"  # noqa: S608 - the same
        world.execute(statement, moment=moment, name=name)
    return half, len(ids) - half


@on("sqlite+postgresql")
def test_from_a_schema_to_rows_that_are_gone(
    world: World, new_database: Callable[[str, str], str], tmp_path: Path
) -> None:
    """Scan, propose, review, approve, preview, enforce, verify: each policy takes its rows, all of them."""
    build.create("oscar", world.app, new_database)
    garden = Garden(picture=picture.read(world.app))
    garden.grow()
    garden.plant(world.app)
    for table in garden.picture.tables:
        world.born(table, world.count(table))
    found = survey(world.system.databases.source("app"), "app")
    made = propose_files(found, names=("oscar.datamap.yaml", "oscar.policies.yaml"))
    check_page(made)

    datamap, policies = reviewed(made)
    path = tmp_path / "oscar.datamap.yaml"
    path.write_text(datamap, "utf-8")
    source = world.settings.datasources["app"]
    world.configure(datasources={"app": replace(source, datamap=path)})
    assert examine_source(world.system.databases, "app").undecided == ()
    assert drift(world.system.databases, "app") == []

    steps = privacy.apply_retention_policies(policies, actor=ACTOR)
    names = [step["policy"] for step in steps if step["status"] == "new"]
    written = yaml.safe_load(policies)["policies"]
    assert sorted(names) == sorted(name for name, body in written.items() if body["status"] == "accepted")
    for name in names:
        body = written[name]
        table, column, days = (body[key] for key in ("table", "timestamp_column", "days"))
        if table == "auth_user":
            world.execute("UPDATE auth_user SET is_staff = FALSE, is_superuser = FALSE")
        gone, left = age(world, table, column, days)
        privacy.approve_retention_policy(name, ACTOR)
        assert privacy.preview_retention_policy(name).rows == gone > 0, name
        report = world.enforce(name)
        assert (report["applied"], report["rows"]) == (True, gone), name
        if body["action"] == "delete":
            assert world.count(table) == left, name
        else:
            world.masked[table] += gone
            assert world.count(table, "email LIKE '%.invalid'") == gone
        assert privacy.preview_retention_policy(name).rows == 0, name
    audit.relay_journals()
    audit.seal_audit_log()
    assert audit.verify_audit_log().intact


def check_page(made: Files) -> None:
    """The page shows what is proposed for this shop today, and a decision for each policy."""
    page = PAGE.read_text(encoding="utf-8")
    for each in made.proposals:
        column, days, action = (each.words[key] for key in ("timestamp_column", "days", "action"))
        row = f"| `{each.name}` | `{column}` | {days} | {action} |"
        assert row in page, f"docs/catalog-review.md lacks: {row}"
    review = yaml.safe_load(REVIEW.read_text(encoding="utf-8"))
    for decisions in review.values():
        assert all(decision.get("because") for decision in decisions.values())
