"""One person in every table of real applications: planned exactly, erased everywhere, nothing else touched.

The applications are installed on demand (`tests/realschemas`). No code of Aegis knows any of them.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from aegis.datamap.findings import Undecided
from aegis.datamap.sources import examine_source, live_schema
from aegis.datamap.starting import first_map, guess_subject
from aegis.settings import ErasureSettings
from api.erasure import export_person, plan_erasure
from api.privacy import anonymize_user
from tests.oneperson import expect
from tests.realschemas import build, comparing, deciding, judging, picture
from tests.realschemas.judging import Judge
from tests.realschemas.planting import EMAIL, NAME, NICK, Garden, Row
from tests.repeats import LONG
from tests.worlds import ACTOR, World, on

#: The application, and its table of people.
APPLICATIONS: Final = {"oscar": "auth_user", "superset": "ab_user", "galaxy": "galaxy_user"}
DATABASES: Final = ("sqlite+postgresql", "sqlite+mariadb")
OFFICERS_MAP: Final = Path(__file__).parents[1] / "realschemas" / "maps" / "oscar.yaml"
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not LONG, reason="it installs three applications: make test-long"),
    pytest.mark.timeout(1200),
]


@dataclass(kw_only=True)
class Case:
    """One application, its people, and its map."""

    world: World
    garden: Garden
    path: Path
    root: str

    @property
    def person(self) -> Row:
        """The person's own row."""
        return self.garden.anchors[0][self.root]

    @property
    def key(self) -> Any:
        """The person's key."""
        return self.person.values["id"]

    def is_of_the_person(self, row: Row) -> bool:
        """Whether a row can name the person: any but the rows that stand for other people."""
        return row is self.person or row.table != self.root

    def check(self, text: str) -> Sequence[Undecided]:
        """Go on with a data map; return what it leaves open."""
        self.path.write_text(text, encoding="utf-8")
        source = self.world.settings.datasources["app"]
        self.world.configure(datasources={"app": replace(source, datamap=self.path)})
        return examine_source(self.world.system.databases, "app").undecided

    def judge(self, text: str) -> Judge:
        """Return what a map means for each row."""
        document = yaml.safe_load(text)
        ways = judging.ways_of(document, self.garden.picture, self.root)
        return Judge(ways, self.garden.rows, self.person, document["tables"][self.root])

    def plant(self) -> comparing.Dump:
        """Insert everybody's rows, and return the database as text."""
        self.garden.plant(self.world.app)
        assert comparing.dangling(self.world.app, self.garden.picture) == []
        found = comparing.dump(self.world.app, self.garden.picture)
        for table, rows in found.items():
            self.world.born(table, len(rows))
        return found


@pytest.fixture
def case(
    request: pytest.FixtureRequest, world: World, new_database: Callable[[str, str], str], tmp_path: Path
) -> Case:
    """An application's tables, and people who are not planted yet."""
    build.create(request.param, world.app, new_database)
    garden = Garden(picture=picture.read(world.app))
    garden.grow()
    return Case(
        world=world, garden=garden, path=tmp_path / "app.datamap.yaml", root=APPLICATIONS[request.param]
    )


def erase(case: Case, judge: Judge) -> comparing.Dump:
    """Plan, export and erase; compare each with what the map means; return the database as text."""
    verdicts = judge.verdicts()
    before = case.plant()
    assert len(comparing.traces(before)) > 40
    made = plan_erasure([str(case.key)])
    assert made.objections == ()
    assert {(step.table, step.action): step.rows for step in made.steps if step.rows} == judging.counts(
        verdicts
    )
    assert {
        (step.table, step.action): {*step.columns} for step in made.steps if step.rows
    } == judging.columns(verdicts)
    assert comparing.dump(case.world.app, case.garden.picture) == before

    file = case.path.with_name("person.json")
    assert export_person([str(case.key)], file, actor=ACTOR).rows == judge.own
    assert EMAIL in json.dumps(json.loads(file.read_text(encoding="utf-8")))

    done = anonymize_user(case.key, ACTOR)
    assert done.status == "done", done.reason
    expect(case.world, done.rows)
    after = comparing.dump(case.world.app, case.garden.picture)
    assert comparing.differences(before, after, case.garden.picture, case.garden.rows, verdicts) == []
    assert comparing.dangling(case.world.app, case.garden.picture) == []
    agree(done.rows, verdicts)
    return after


def agree(done: Mapping[str, int], verdicts: Mapping[Row, judging.Verdict]) -> None:
    """Assert that the report has each row once that was changed; those who have no mask are not."""
    counts = judging.counts(verdicts)
    for (table, action), rows in counts.items():
        told = done.get(f"{action}:{table}", 0)
        if action in {"delete", "nullify", "reassign"}:
            assert (table, action, told) == (table, action, rows)
        elif action == "anonymize" and (table, "nullify") not in counts:
            masked = judging.columns(verdicts)[table, action]
            assert (table, action, told) == (table, action, rows if masked else 0)


@pytest.mark.parametrize("keeps_rows", [False, True], ids=["rows go", "rows stay, in batches"])
@pytest.mark.parametrize("case", APPLICATIONS, indirect=True)
@on(*DATABASES)
def test_nothing_of_a_person_is_left(case: Case, keeps_rows: bool) -> None:  # noqa: FBT001 - a parameter
    """The map is what `init` wrote and `check` asked for, decided by a general rule."""
    catalog = live_schema(case.world.system.databases, "app")
    assert guess_subject(catalog) == case.root
    if keeps_rows:
        case.world.batches_of(40)
        case.world.configure(erasure=ErasureSettings(single_transaction_rows=10))
    rule = deciding.Rule(picture=case.garden.picture, keeps_rows=keeps_rows)
    identifiers = {"email": "email", "user_name": "username"}
    text = deciding.decide(first_map(catalog, "app"), rule, identifiers, case.check)

    judge = case.judge(text)
    # Other people whom the person invited, say, keep their own words.
    own = [row for row, verdict in judge.verdicts().items() if verdict and case.is_of_the_person(row)]
    assert case.garden.mark(own) > len(own)
    after = erase(case, judge)
    assert comparing.traces(after) == {}


@pytest.mark.parametrize("case", ["oscar"], indirect=True)
@on(*DATABASES)
def test_a_map_of_a_privacy_officer(case: Case) -> None:
    """Orders are kept whole, rows of staff are moved, texts searched, references by value followed."""
    people, kinds = case.garden.rows[case.root], case.garden.rows["django_content_type"]
    kind = kinds[0].values["id"]
    for number, row in enumerate(case.garden.rows["django_admin_log"]):
        row.values |= {"object_id": str(case.key if number % 3 else "0"), "content_type_id": kind}
    text = OFFICERS_MAP.read_text(encoding="utf-8")
    text = text.replace("GHOST", str(people[-1].values["id"])).replace("KIND", str(kind))
    assert case.check(text) == ()

    judge = case.judge(text)
    kept = set()
    for row, verdict in judge.verdicts().items():
        whole = verdict.keys() & {"delete", "retain"}
        case.garden.mark([row], None if whole else frozenset().union(*verdict.values()) - {"object_id"})
        if "retain" in verdict:
            kept |= {f"{row.table}.{name}" for name in row.values.keys() - verdict["retain"]}
    case.person.values |= {"email": EMAIL, "username": NICK, "first_name": NAME}
    after = erase(case, judge)
    assert comparing.traces(after).keys() <= kept
