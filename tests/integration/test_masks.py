"""Anonymizing against real databases: what is written over, what is left alone, what is refused."""

import datetime as dt
import json
import multiprocessing
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from aegis.errors import InvalidPolicy, UnknownName, UnsafeTable
from aegis.masking import strategies
from aegis.masking.tokens import Surrogate
from aegis.operations import holds
from aegis.operations.scopes import Scope
from aegis.retention import work
from api import privacy
from cli.main import main
from tests.worlds import ACTOR, CANARY, DAY, EACH_DATABASE, World, on
from worker import metrics

SURROGATE = re.compile(r"s1_[0-9a-f]{32}")
MASKS: Mapping[str, Any] = {"email": "surrogate", "note": "null", "name": {"constant": "removed"}}
VALUES = {
    "ascii": f"{CANARY}@example.com",
    "other": f"{CANARY} \u00e9\u4f60\U0001f600",
    "empty": "",
    "null": None,
}


def people(world: World, columns: str = "", **words: Any) -> None:
    """Create a table of people."""
    world.create(
        "people",
        "id BIGINT PRIMARY KEY, tenant {text} NOT NULL DEFAULT 'acme', email {text}, name {text}, note TEXT,"
        f" created_at {{instant}}{columns}",
        **words,
    )


def person(number: int, age: float = 60, **values: Any) -> dict[str, Any]:
    """Return the row of a person."""
    text = f"{CANARY}.{number}"
    moment = dt.datetime.now(dt.UTC) - age * DAY
    row = {"id": number, "email": f"{text}@example.com", "name": text, "note": text, "created_at": moment}
    return {**row, **values}


def born(world: World, numbers: range, age: float = 60, **values: Any) -> None:
    """Insert people."""
    world.insert("people", [person(number, age, **values) for number in numbers])


def anonymize(name: str = "p", **words: Any) -> dict[str, Any]:
    """Return the words of a policy that masks people."""
    return {"name": name, "table": "people", "action": "anonymize", "masks": MASKS, **words}


def columns(world: World, number: int) -> tuple[Any, ...]:
    """Return what is written about a person."""
    with world.app.connect() as connection:
        query = f"SELECT email, name, note FROM people WHERE id = {number}"  # noqa: S608
        return tuple(connection.exec_driver_sql(query).one())


def hold(world: World, tenant: str) -> None:
    """Put a tenant's rows on hold."""
    day = dt.datetime.now(dt.UTC).date() + 30 * DAY
    holds.place(
        world.system,
        Scope(tenant=tenant, table="people"),
        datasource=world.datasource,
        matter="case 1",
        owner=ACTOR,
        review_by=day,
    )


class TestMasks:
    """What a mask does to a value."""

    @pytest.mark.parametrize("value", VALUES)
    def test_every_strategy_on_every_value(self, world: World, value: str) -> None:
        """Whatever the text, it is gone afterwards; what is not there stays away."""
        people(world)
        world.insert("people", [person(1, email=VALUES[value], name=VALUES[value], note=VALUES[value])])
        world.policy(**anonymize())
        report = world.enforce()
        world.masked["people"] += report["rows"]
        assert (report["applied"], report["rows"]) == (True, 0 if VALUES[value] is None else 1)
        email, name, note = columns(world, 1)
        if VALUES[value] is None:
            assert (email, name, note) == (None, None, None)
        else:
            assert SURROGATE.fullmatch(email)
            assert (name, note) == ("removed", None)

    def test_each_row_has_its_own_surrogate(self, world: World) -> None:
        """Two rows with the same value get two tokens: nobody can link them."""
        people(world)
        born(world, range(60), email="same@example.com")
        world.policy(**anonymize())
        world.masked["people"] += world.enforce()["rows"]
        tokens = world.all("SELECT email FROM people")
        assert all(SURROGATE.fullmatch(token) for token in tokens)
        assert len(set(tokens)) == 60

    @on(*EACH_DATABASE)
    def test_a_value_that_only_looks_masked_is_masked(self, world: World) -> None:
        """One character more or less, or in another case, is no surrogate and no constant."""
        people(world)
        token = "s1_" + "0a" * 16
        near = [token + "0", token[:-1], token.upper(), token + "\n", " " + token, token[:-1] + "g"]
        for number, value in enumerate(near):
            world.insert("people", [person(number, email=value, name="Removed", note=None)])
        world.insert("people", [person(50, email=token, name="removed", note=None)])
        world.policy(**anonymize())
        report = world.enforce()
        world.masked["people"] += report["rows"]
        assert report["rows"] == len(near)
        assert not set(near) & set(world.all("SELECT email FROM people"))
        assert columns(world, 50) == (token, "removed", None)

    @on(*EACH_DATABASE)
    def test_only_what_is_not_masked_is_written(self, world: World) -> None:
        """A token that is there already stays, when another column of its row is masked."""
        people(world)
        born(world, range(5))
        world.policy(**anonymize(masks={"email": "surrogate"}))
        world.masked["people"] += world.enforce()["rows"]
        before = world.all("SELECT email FROM people ORDER BY id")
        world.policy(**anonymize())
        report = world.enforce()
        world.masked["people"] += report["rows"]
        assert report["rows"] == 5
        assert world.all("SELECT email FROM people ORDER BY id") == before
        assert world.count("people", "note IS NOT NULL OR name <> 'removed'") == 0

    @on(*EACH_DATABASE)
    def test_constants_of_every_type(self, world: World) -> None:
        """Numbers, truth values and dates are masked, recognised, and never masked twice."""
        people(world, ", years INT, seen BOOLEAN, born DATE, worth NUMERIC(8,2)")
        values: dict[str, Any] = {"years": 44, "seen": True, "born": dt.date(1980, 5, 1), "worth": 12.5}
        born(world, range(5), **values)
        constants = {"years": 0, "seen": False, "born": "1900-01-01", "worth": "0.50"}
        world.policy(**anonymize(masks={name: {"constant": value} for name, value in constants.items()}))
        report = world.enforce()
        world.masked["people"] += report["rows"]
        assert (report["status"], report["rows"]) == ("done", 5)
        found = {name: str(world.all(f"SELECT DISTINCT {name} FROM people")[0]) for name in constants}  # noqa: S608
        assert (found["years"], found["born"]) == ("0", "1900-01-01")
        assert found["seen"] in {"0", "False"}
        assert float(found["worth"]) == 0.5
        assert world.enforce()["rows"] == 0

    @on("postgresql-one", "mariadb-one")
    def test_texts_of_every_type(self, world: World) -> None:
        """Padded text, and on MariaDB text in other encodings, is masked once, and recognised."""
        kinds = ["CHAR(40)", "TEXT", "VARCHAR(35)"]
        if world.dialect == "mariadb":
            kinds += [
                "VARCHAR(40) CHARACTER SET latin1",
                "VARCHAR(40) CHARACTER SET ascii",
                "TINYTEXT",
                "LONGTEXT",
            ]
        names = [f"c{number}" for number in range(len(kinds))]
        people(world, "".join(f", {name} {kind}" for name, kind in zip(names, kinds, strict=True)))
        world.insert("people", [{**person(n, email=None), **dict.fromkeys(names, f"x{n}")} for n in range(3)])
        gone = {"constant": "gel\u00f6scht"} if world.dialect == "postgresql" else {"constant": "gone"}
        for spec in ("surrogate", gone):
            world.policy(**anonymize(masks=dict.fromkeys(names, spec)))
            report = world.enforce()
            world.masked["people"] += report["rows"]
            assert (report["status"], report["rows"]) == ("done", 3)
            assert world.enforce()["rows"] == 0


class TestNeverTwice:
    """A row is masked once, and one that comes late is found."""

    def test_a_run_over_a_masked_table_changes_nothing(self, world: World) -> None:
        """The second run is done with no row, writes no batch, and every byte is as it was."""
        people(world)
        born(world, range(130))
        born(world, range(500, 510), 29)
        world.policy(**anonymize())
        world.batches_of(20)
        first = world.enforce()
        world.masked["people"] += first["rows"]
        assert (first["rows"], first["actions"]) == (130, {"anonymize": 130})
        before, batches = world.content("people"), world.count(world.journal, "number > 0")
        (seen,) = privacy.enforce_retention_policies()
        again = world.enforce()
        assert (seen["rows"], again["applied"], again["rows"]) == (0, True, 0)
        assert world.content("people") == before
        assert world.count(world.journal, "number > 0") == batches

    def test_late_rows_are_found(self, world: World) -> None:
        """A row with an old timestamp that arrives after a run is masked by the next one, alone."""
        people(world)
        born(world, range(40))
        world.policy(**anonymize())
        world.masked["people"] += world.enforce()["rows"]
        before = world.content("people")
        born(world, range(100, 103), 400)
        (seen,) = privacy.enforce_retention_policies()
        late = world.enforce()
        world.masked["people"] += late["rows"]
        assert (seen["rows"], late["rows"]) == (3, 3)
        assert world.content("people", "id < 100") == before
        assert world.count("people", "email LIKE 'canary%'") == 0

    @on(*EACH_DATABASE)
    def test_a_value_that_comes_back_is_masked_again(self, world: World) -> None:
        """When the application writes a masked column anew, the next run masks that row."""
        people(world)
        born(world, range(10))
        world.policy(**anonymize())
        world.masked["people"] += world.enforce()["rows"]
        world.execute("UPDATE people SET note = :note WHERE id = 4", note=CANARY)
        again = world.enforce()
        world.masked["people"] += again["rows"]
        assert again["rows"] == 1
        assert world.count("people", "note IS NOT NULL") == 0

    @on("postgresql-one")
    def test_a_later_run_begins_where_the_last_one_ended(self, world: World) -> None:
        """By the clock's index only the rows that became due since are gone through."""
        people(world)
        world.execute("CREATE INDEX people_by_time ON people (created_at)")
        born(world, range(200))
        world.policy(**anonymize())
        world.batches_of(20)
        world.masked["people"] += world.enforce()["rows"]
        run = world.start()
        cutoff = world.begin(run)
        world.insert("people", [person(900, created_at=cutoff - dt.timedelta(microseconds=1))])
        with world.control.begin() as connection:
            connection.exec_driver_sql("UPDATE aegis_runs SET rows_expected = 1 WHERE state = 'running'")
            connection.exec_driver_sql(
                "UPDATE aegis_runs SET cutoff = now() - interval '59 days 20 hours' WHERE state = 'done'"
            )
        report = privacy.advance_run(run)
        world.masked["people"] += report["rows"]
        assert (report["outcome"], report["rows"], len(report["batch_seconds"])) == ("done", 1, 1)


class TestScope:
    """Cutoff, tenants, conditions and holds mean the same as for a deletion."""

    @on(*EACH_DATABASE)
    def test_one_microsecond_either_side_of_the_cutoff(self, world: World) -> None:
        """Before the cutoff a row is masked; at it, after it and without a time it is not."""
        people(world)
        world.policy(**anonymize())
        run = world.start()
        cutoff, step = world.begin(run), dt.timedelta(microseconds=1)
        times = {1: cutoff - step, 2: cutoff, 3: cutoff + step, 4: None}
        world.insert("people", [person(number, created_at=at) for number, at in times.items()])
        assert world.finish(run)["outcome"] == "done"
        world.masked["people"] += 1
        assert world.all("SELECT id FROM people WHERE name = 'removed'") == [1]

    def test_holds_tenants_and_conditions(self, world: World) -> None:
        """Held rows, other tenants' rows and rows outside the condition keep every byte."""
        people(world)
        for number, (tenant, name) in enumerate(
            [("acme", "a"), ("acme", "keep"), ("beta", "a"), ("held", "a")]
        ):
            world.insert("people", [person(number, tenant=tenant, name=name)])
        masks = {"email": "surrogate", "note": "null"}
        world.policy(**anonymize(masks=masks, tenant_column="tenant", filter_sql="name <> 'keep'"))
        hold(world, "held")
        before = world.content("people", "id > 0")
        (seen,) = privacy.enforce_retention_policies(tenant_id="acme")
        one = world.enforce(tenant_id="acme")
        assert (seen["rows"], one["rows"]) == (1, 1)
        assert world.content("people", "id > 0") == before
        rest = world.enforce()
        world.masked["people"] += one["rows"] + rest["rows"]
        assert rest["rows"] == 1
        assert json.loads(world.run_row(rest["run"])["report"])["held"] == 1
        assert world.all("SELECT id FROM people WHERE note IS NOT NULL ORDER BY id") == [1, 3]


class TestResuming:
    """A run that stops anywhere goes on from its mark."""

    def test_a_slice_at_a_time(self, world: World) -> None:
        """With one batch a slice and two processes by turns, each row is masked once."""
        people(world)
        born(world, range(95))
        world.policy(**anonymize())
        world.batches_of(10)
        run, done = world.start(), 0
        while (piece := privacy.advance_run(run, 0))["more"]:
            done += piece["rows"]
            world.configure()
        world.masked["people"] += 95
        assert (piece["outcome"], done + piece["rows"]) == ("done", 95)
        assert world.count("people", "name = 'removed'") == 95


class TestTwoStages:
    """Anonymized first, deleted later."""

    def test_masked_rows_go_when_they_are_older(self, world: World) -> None:
        """One run masks what is past its time and deletes what is so many days older; both are counted."""
        people(world)
        born(world, range(25), 61)
        born(world, range(100, 110), 59)
        born(world, range(200, 205), 29)
        world.policy(**anonymize(delete_after_days=30))
        world.batches_of(10)
        (seen,) = privacy.enforce_retention_policies()
        preview = privacy.preview_retention_policy("p")
        report = world.enforce()
        world.masked["people"] += 35
        both = {"anonymize": 35, "delete": 25}
        assert (seen["rows"], seen["actions"]) == (60, both)
        assert (preview.rows, preview.actions, preview.tenants) == (60, both, {})
        assert (report["status"], report["rows"], report["actions"]) == ("done", 60, both)
        row = world.run_row(report["run"])
        assert (row["rows"], row["rows_expected"]) == (60, 60)
        assert json.loads(row["report"])["actions"] == both
        assert world.all("SELECT id FROM people ORDER BY id") == [*range(100, 110), *range(200, 205)]
        assert world.enforce()["rows"] == 0

    @on(*EACH_DATABASE)
    def test_log_and_ledger_name_each_action(self, world: World) -> None:
        """A batch's event says which of the two it was, and the ledger adds them up apart."""
        people(world)
        born(world, range(8), 100)
        world.policy(**anonymize(delete_after_days=30))
        world.enforce()
        world.masked["people"] += 8
        with world.control.connect() as connection:
            rows = connection.exec_driver_sql("SELECT * FROM aegis_ledger").mappings()
            assert {row["action"]: row["rows"] for row in rows} == {"anonymize": 8, "delete": 8}

    @on(*EACH_DATABASE)
    def test_a_held_row_stays_as_it_is(self, world: World) -> None:
        """A row on hold is neither masked nor deleted, however old."""
        people(world)
        born(world, range(5), 100)
        world.insert("people", [person(50, 100, tenant="held")])
        world.policy(**anonymize(delete_after_days=30, tenant_column="tenant"))
        hold(world, "held")
        before = world.content("people", "id = 50")
        report = world.enforce()
        world.masked["people"] += 5
        assert report["actions"] == {"anonymize": 5, "delete": 5}
        assert world.content("people") == before
        assert json.loads(world.run_row(report["run"])["report"])["held"] == 1
        assert privacy.preview_retention_policy("p").held == 1

    @on(*EACH_DATABASE)
    def test_a_slice_at_a_time(self, world: World) -> None:
        """Stopped after every batch, also between the stages, the counts are exact."""
        people(world)
        born(world, range(45), 100)
        world.policy(**anonymize(delete_after_days=30))
        world.batches_of(10)
        run, actions = world.start(), {"anonymize": 0, "delete": 0}
        while True:
            piece = privacy.advance_run(run, 0)
            for action, rows in piece["actions"].items():
                actions[action] += rows
            if not piece["more"]:
                break
        world.masked["people"] += 45
        assert (piece["outcome"], actions) == ("done", {"anonymize": 45, "delete": 45})
        assert world.count("people") == 0

    @on(*EACH_DATABASE)
    @pytest.mark.parametrize("index", [True, False], ids=["by time", "without an index"])
    def test_cut_into_ranges(self, world: World, monkeypatch: pytest.MonkeyPatch, index: bool) -> None:  # noqa: FBT001
        """Each range goes through both stages from its own beginning; together they are exact."""
        monkeypatch.setattr(work, "LEAST_ROWS", 10)
        people(world)
        if index:
            world.execute("CREATE INDEX people_by_time ON people (created_at)")
        for number in range(60):
            world.insert("people", [person(number, 100 + number)])
        world.policy(**anonymize(delete_after_days=30, parallel=3))
        world.batches_of(7)
        run = world.start()
        assert world.finish(run)["outcome"] == "done"
        world.masked["people"] += 60
        row = world.run_row(run)
        assert json.loads(row["report"])["actions"] == {"anonymize": 60, "delete": 60}
        assert world.count("people") == 0

    @on(*EACH_DATABASE)
    def test_children_block_the_deletion_only(self, world: World) -> None:
        """Masking needs no look at children; a deletion that they would block is refused before any row."""
        people(world, after="")
        world.create("orders", "id BIGINT PRIMARY KEY, person BIGINT REFERENCES people (id)")
        if world.dialect == "mariadb":
            world.execute("ALTER TABLE orders ADD FOREIGN KEY (person) REFERENCES people (id)")
        born(world, range(3), 100)
        world.insert("orders", [{"id": 1, "person": 2}])
        world.policy(**anonymize())
        assert world.enforce()["rows"] == 3
        world.masked["people"] += 3
        world.policy(**anonymize("q", delete_after_days=30))
        report = world.enforce("q")
        assert (report["status"], report["rows"]) == ("blocked", 0)
        assert "orders" in report["reason"]

    @on("sqlite-one", "postgresql-one")
    def test_a_cascade_matters_to_the_deletion_only(self, world: World) -> None:
        """A table that others cascade from may be masked, and not deleted from."""
        people(world)
        edge = "FOREIGN KEY (person) REFERENCES people (id) ON DELETE CASCADE"
        world.create("orders", f"id INT PRIMARY KEY, person BIGINT, {edge}")
        world.policy(**anonymize())
        with pytest.raises(UnsafeTable, match="orders"):
            world.policy(**anonymize("q", delete_after_days=30))


class TestMarker:
    """A column that says that a row was masked."""

    @on(*EACH_DATABASE)
    @pytest.mark.parametrize("kind", ["BOOLEAN", "{instant}", "{wall}", "{text}"])
    def test_it_is_set_in_the_same_update(self, world: World, kind: str) -> None:
        """Every row that was masked is marked, and a marked row is left alone."""
        people(world, f", masked {kind}")
        born(world, range(6))
        world.execute("UPDATE people SET masked = :set WHERE id = 5", set=_mark(world, kind))
        world.policy(**anonymize(marker_column="masked"))
        report = world.enforce()
        world.masked["people"] += report["rows"]
        assert report["rows"] == 5
        assert world.count("people", "masked IS NULL") == 0
        assert world.count("people", "name = 'removed'") == 5
        assert world.enforce()["rows"] == 0

    @on(*EACH_DATABASE)
    def test_needed_where_a_mask_is_not_recognised(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A strategy that nobody can see is refused without a marker, and with one is applied once."""

        class Unseen(Surrogate):
            """A token that looks like anything."""

            name = "unseen"

            def recognises(self, column: Any) -> None:  # type: ignore[override]
                """Tell nothing."""
                del column

        monkeypatch.setattr(strategies, "PLAIN", {**strategies.PLAIN, "unseen": Unseen})
        people(world, ", masked BOOLEAN")
        born(world, range(6))
        with pytest.raises(InvalidPolicy, match="marker_column"):
            world.policy(**anonymize(masks={"email": "unseen"}))
        world.policy(**anonymize(masks={"email": "unseen"}, marker_column="masked"))
        world.masked["people"] += world.enforce()["rows"]
        assert world.masked["people"] == 6
        before = world.content("people")
        assert world.enforce()["rows"] == 0
        assert world.content("people") == before


def _mark(world: World, kind: str) -> Any:
    if kind == "BOOLEAN":
        return True
    return "x" if kind == "{text}" else world.value(dt.datetime.now(dt.UTC).replace(microsecond=0))


REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    # what: (columns, words of the policy, what the message says)
    "an unknown strategy": ("", {"masks": {"email": "scramble"}}, "no strategy 'scramble'.*null, default"),
    "an unknown column": ("", {"masks": {"mail": "null"}}, "no column 'mail'.*it has: id"),
    "no masks": ("", {"masks": {}}, "say what is masked"),
    "masks of a deletion": ("", {"action": "delete"}, "belongs to the action anonymize"),
    "a wrong number of days": ("", {"delete_after_days": 0}, "whole delete_after_days, got 0"),
    "the key": ("", {"masks": {"id": {"constant": 1}}}, "people.id is part of the primary key"),
    "the clock": ("", {"masks": {"created_at": "null"}}, "people.created_at tells a row's age"),
    "the tenant": ("", {"masks": {"tenant": "surrogate"}, "tenant_column": "tenant"}, "tells tenants apart"),
    "the condition": ("", {"masks": {"name": "null"}, "filter_sql": "name <> 'x'"}, "which rows are chosen"),
    "a generated column": (
        ", low INT GENERATED ALWAYS AS (id + 1) STORED",
        {"masks": {"low": {"constant": 1}}},
        "people.low is generated",
    ),
    "NULL where there must be a value": (
        ", a INT NOT NULL DEFAULT 1",
        {"masks": {"a": "null"}},
        "people.a.*NOT NULL",
    ),
    "a surrogate too long": (", a VARCHAR(34)", {"masks": {"a": "surrogate"}}, "35 characters.*takes 34"),
    "a constant too long": (
        ", a VARCHAR(3)",
        {"masks": {"a": {"constant": "gone"}}},
        "4 characters.*takes 3",
    ),
    "a surrogate in a number": (", a INT", {"masks": {"a": "surrogate"}}, "surrogate masks text; use null"),
    "a constant of another type": (", a INT", {"masks": {"a": {"constant": "x"}}}, "holds whole numbers"),
    "a constant with too many digits": (
        ", a NUMERIC(4,1)",
        {"masks": {"a": {"constant": "0.25"}}},
        "decimal",
    ),
    "a constant that ends with a blank": ("", {"masks": {"email": {"constant": "x "}}}, "ends with a blank"),
    "a constant in a time": (", a {wall}", {"masks": {"a": {"constant": "2000-01-01"}}}, "constant masks"),
    "one value in a unique column": (
        ", a {text} UNIQUE",
        {"masks": {"a": {"constant": "x"}}},
        "lets it stand once",
    ),
    "a marker that is not there": ("", {"marker_column": "masked"}, "no column 'masked'"),
    "a marker with a default": (", masked BOOLEAN DEFAULT FALSE", {"marker_column": "masked"}, "no default"),
    "a marker of a wrong type": (
        ", masked FLOAT",
        {"marker_column": "masked"},
        "a boolean, a timestamp or a text",
    ),
    "a marker too short": (", masked VARCHAR(5)", {"marker_column": "masked"}, "takes 5 characters"),
    "a marker that is unique": (", masked {text} UNIQUE", {"marker_column": "masked"}, "neither unique nor"),
    "a marker that is masked": (
        ", masked {text}",
        {"masks": {"masked": "null"}, "marker_column": "masked"},
        "masked as well",
    ),
}


class TestRefusals:
    """What cannot be meant, or would harm, is refused when the policy is registered."""

    @on(*EACH_DATABASE)
    @pytest.mark.parametrize("what", REFUSED)
    def test_with_the_column_and_the_cure(self, world: World, what: str) -> None:
        """The message names table, column and what to do; nothing is registered."""
        columns_more, words, message = REFUSED[what]
        people(world, columns_more)
        with pytest.raises((InvalidPolicy, UnknownName), match=message):
            world.policy(**anonymize(**words))
        assert privacy.list_retention_policies() == []

    @on(*EACH_DATABASE)
    def test_what_others_refer_to(self, world: World) -> None:
        """A column that a foreign key holds on to, and a foreign key but with null, are left alone."""
        people(world, ", code VARCHAR(40) UNIQUE, boss BIGINT, FOREIGN KEY (boss) REFERENCES people (id)")
        world.create(
            "orders", "id INT PRIMARY KEY, code VARCHAR(40), FOREIGN KEY (code) REFERENCES people (code)"
        )
        with pytest.raises(InvalidPolicy, match="code is referred to by orders"):
            world.policy(**anonymize(masks={"code": "surrogate"}))
        with pytest.raises(InvalidPolicy, match=r"boss.*refers to another table; use null"):
            world.policy(**anonymize(masks={"boss": {"constant": 1}}))
        world.policy(**anonymize(masks={"boss": "null"}))

    @on(*EACH_DATABASE)
    def test_unique_columns_take_null_and_surrogates(self, world: World) -> None:
        """Masks that keep rows apart pass, and are applied."""
        people(world, ", a VARCHAR(40) UNIQUE, b VARCHAR(40) UNIQUE")
        world.insert("people", [person(n, a=f"{CANARY}{n}", b=f"{CANARY}{n}") for n in range(5)])
        world.policy(**anonymize(masks={"a": "null", "b": "surrogate"}))
        world.masked["people"] += world.enforce()["rows"]
        assert world.count("people", "a IS NULL AND b LIKE 's1%'") == 5

    @on("postgresql-one")
    def test_a_unique_index_that_takes_one_null(self, world: World) -> None:
        """NULLS NOT DISTINCT, and an index on an expression, are unique as well."""
        people(world)
        world.execute("CREATE UNIQUE INDEX one_null ON people (email) NULLS NOT DISTINCT")
        world.execute("CREATE UNIQUE INDEX one_name ON people (lower(name))")
        with pytest.raises(InvalidPolicy, match=r"one_null lets it stand once; use a surrogate$"):
            world.policy(**anonymize(masks={"email": "null"}))
        with pytest.raises(InvalidPolicy, match="one_name"):
            world.policy(**anonymize(masks={"name": {"constant": "x"}}))

    @on("postgresql-one", "mariadb-one")
    def test_words_of_an_enumeration(self, world: World) -> None:
        """A constant must be one of the words; one that is gets written."""
        kind = "ENUM('low', 'high', 'none')"
        if world.dialect == "postgresql":
            world.execute(f"CREATE TYPE level AS {kind}")
            kind = "level"
        people(world, f", risk {kind}")
        born(world, range(3), risk="high")
        with pytest.raises(InvalidPolicy, match="none of the column's words"):
            world.policy(**anonymize(masks={"risk": {"constant": "gone"}}))
        world.policy(**anonymize(masks={"risk": {"constant": "none"}}))
        world.masked["people"] += world.enforce()["rows"]
        assert world.masked["people"] == 3
        assert world.enforce()["rows"] == 0

    @on(*EACH_DATABASE)
    def test_a_check_that_objects_blocks_the_run(self, world: World) -> None:
        """Nothing is changed, the run waits for a person, and the message says what to do."""
        people(world, ", CONSTRAINT has_at CHECK (email LIKE '%@%')")
        born(world, range(5))
        world.policy(**anonymize(masks={"email": {"partial": {"first": 2}}}))
        before = world.content("people")
        report = world.enforce()
        assert (report["applied"], report["status"], report["rows"]) == (False, "blocked", 0)
        assert "change the policy, or the constraint" in report["reason"]
        assert CANARY not in report["reason"]
        assert world.content("people") == before

    @on(*EACH_DATABASE)
    def test_a_masked_column_that_changes_voids_the_approval(self, world: World) -> None:
        """A column that the policy writes to is part of what was approved, and is looked at again."""
        people(world)
        born(world, range(3))
        world.policy(**anonymize(masks={"email": "surrogate"}))
        if world.dialect == "sqlite":
            world.execute("ALTER TABLE people DROP COLUMN email")
            world.execute("ALTER TABLE people ADD COLUMN email VARCHAR(40)")
        elif world.dialect == "postgresql":
            world.execute("ALTER TABLE people ALTER COLUMN email TYPE VARCHAR(120)")
        else:
            world.execute("ALTER TABLE people MODIFY email VARCHAR(120)")
        report = world.enforce()
        assert (report["status"], report["rows"]) == ("blocked", 0)
        assert "changed since it was registered" in report["reason"]


@on("sqlite-one")
def test_without_its_masks_nothing_is_done(world: World) -> None:
    """A stored policy whose masks were taken away is blocked; it is never taken for a deletion."""
    people(world)
    born(world, range(4), 100)
    world.policy(**anonymize())
    before = world.content("people")
    with world.control.begin() as connection:
        connection.exec_driver_sql("UPDATE data_retention_policies SET masks = NULL")
    report = world.enforce()
    (seen,) = privacy.enforce_retention_policies()
    assert (report["applied"], seen["status"]) == (False, "failed")
    assert world.content("people") == before


@on("mariadb-one")
def test_a_clock_that_updates_itself_is_left_alone(world: World) -> None:
    """MariaDB: masking a row does not make it young, so it is deleted when its time comes."""
    world.create(
        "people",
        "id BIGINT PRIMARY KEY, email {text}, name {text}, note TEXT, "
        "created_at TIMESTAMP(6) NOT NULL DEFAULT current_timestamp(6) ON UPDATE current_timestamp(6)",
    )
    born(world, range(4), 100)
    world.policy(**anonymize(delete_after_days=30))
    assert world.enforce()["actions"] == {"anonymize": 4, "delete": 4}
    world.masked["people"] += 4


@on("postgresql-one")
def test_no_other_column_is_named(world: World) -> None:
    """The UPDATE names the masked columns alone: no trigger of another column fires."""
    people(world)
    born(world, range(4))
    world.execute(
        "CREATE FUNCTION forbid() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'touched'; END $$"
    )
    world.execute(
        "CREATE TRIGGER t BEFORE UPDATE OF id, tenant, created_at ON people "
        "FOR EACH ROW EXECUTE FUNCTION forbid()"
    )
    world.policy(**anonymize())
    assert world.enforce()["rows"] == 4
    world.masked["people"] += 4


@on(*EACH_DATABASE)
def test_a_budget_is_kept_to_the_row(world: World) -> None:
    """A run of so many rows at most masks exactly that many, and the next one goes on."""
    people(world)
    born(world, range(50))
    world.policy(**anonymize(budget={"rows": 20}))
    for rows in (20, 20, 10, 0):
        assert world.enforce()["rows"] == rows
        world.masked["people"] += rows
    assert world.count("people", "name <> 'removed'") == 0


@on("postgresql-one")
def test_the_preview_names_indexes_that_make_updates_dear(world: World) -> None:
    """An index over a masked column, also by expression or condition, is named; others are not."""
    people(world)
    world.execute("CREATE INDEX by_email ON people (lower(email))")
    world.execute("CREATE INDEX with_note ON people (tenant) WHERE note IS NOT NULL")
    world.execute("CREATE INDEX by_name_brin ON people USING brin (name)")
    world.execute("CREATE INDEX by_time ON people (created_at)")
    world.policy(**anonymize(), approve=False)
    assert privacy.preview_retention_policy("p").cold_indexes == ["by_email", "with_note"]


@on("sqlite-one")
def test_the_same_masks_written_otherwise_are_the_same_policy(world: World) -> None:
    """Order, and null written as nothing, make no other digest; another strategy does."""
    people(world)
    first = world.policy(**anonymize(masks={"email": "surrogate", "note": "null"}))
    same = privacy.register_retention_policy(
        retention_days=30, actor=ACTOR, **anonymize(masks={"note": None, "email": "surrogate"})
    )
    other = privacy.register_retention_policy(
        retention_days=30, actor=ACTOR, **anonymize(masks={"note": None, "email": "null"})
    )
    assert (same.digest, same.state) == (first.digest, "approved")
    assert other.version == 2


class TestCommandLine:
    """What a person types and reads."""

    @on("sqlite-one")
    def test_the_whole_story(self, world: World) -> None:
        """Masks are given as COLUMN=STRATEGY; preview, dry run, run, list and show name what they do."""
        people(world)
        born(world, range(4), 100)
        born(world, range(10, 13), 50)
        add = "policy add p --table people --days 30 --action anonymize --delete-after-days 30"
        said = command(f"{add} --mask email=surrogate --mask note=null --mask name=constant:no:name")
        assert "pending" in said
        seen = command("policy preview p")
        assert "would be anonymized  7 rows of 7 in people (100.0 %)" in seen
        assert "would go             4 rows of 7 in people (57.1 %)" in seen
        assert "anonymize, and delete after 30 days more" in seen
        assert "email=surrogate, name=constant:no:name, note=null" in seen
        assert "email=surrogate, name=constant:no:name, note=null" in command("policy show p")
        assert "anonymize, and delete after 30 days more" in command("policy list")
        command(f"policy approve p --actor {ACTOR}")
        assert "7 would be anonymized, 4 would go" in command("retention run")
        assert "7 anonymized, 4 deleted" in command("retention run --execute")
        assert "nothing due" in command("retention run --execute")
        world.masked["people"] += 7
        assert world.all("SELECT DISTINCT name FROM people") == ["no:name"]

    @on("sqlite-one")
    @pytest.mark.parametrize("given", ["email", "=null", "email=", "email=null --mask email=surrogate"])
    def test_a_mask_that_cannot_be_read(self, world: World, given: str) -> None:
        """Wrong use is said so before anything is looked at."""
        people(world)
        words = f"policy add p --table people --days 30 --action anonymize --mask {given}"
        done = CliRunner().invoke(main, shlex.split(words))
        assert done.exit_code == 2
        assert "--mask" in done.output


def command(words: str) -> str:
    """Do a command in this process and return what it says."""
    done = CliRunner().invoke(main, shlex.split(words))
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert not done.exit_code, done.output
    return str(done.output)


def test_a_worker_counts_each_action_apart(tmp_path: Path) -> None:
    """A slice of a run with two stages raises both counters, each by what that action did."""
    # Of its own, since a process keeps the files of the counters that it has ever raised.
    worker = multiprocessing.get_context("spawn").Process(target=_count_two_stages, args=(tmp_path,))
    worker.start()
    worker.join()
    assert worker.exitcode == 0


def _count_two_stages(home: Path) -> None:
    folder = metrics.MetricsFolder(home, "masks")
    labels = {"operation": "retention.run", "table": "mask_metrics"}
    deleted = {"policy": "p", "table": "mask_metrics"}
    slice_ = {**labels, "policy": "p", "action": "anonymize", "rows": 9, "outcome": "more"}
    metrics.count_report({**slice_, "actions": {"anonymize": 5, "delete": 4}})
    metrics.count_report({**slice_, "rows": 0, "actions": {}, "held": {"kept": 2}})
    registry = folder.registry()
    assert registry.get_sample_value("aegis_rows_anonymized_total", labels) == 5
    assert registry.get_sample_value("aegis_rows_deleted_total", deleted) == 4
    assert registry.get_sample_value("aegis_rows_held_total", {"policy": "p", "reason": "kept"}) == 2
