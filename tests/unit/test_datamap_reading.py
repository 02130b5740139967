"""Reading a data map: what each key becomes, and how each fault is told."""

import datetime as dt
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.datamap.bodies import Body
from aegis.datamap.formats import Problems, read_yaml, write_yaml
from aegis.datamap.keeping import keeping
from aegis.datamap.model import DataMap, Keeping, Minimum, Rule, Subject, Via
from aegis.datamap.reading import parse_map, read_map
from aegis.datamap.vias import vias_of, written
from aegis.errors import InvalidDataMap, InvalidFile

MAP = """subjects:
  user:
    table: users
    key: id
    tenant: org_id
    created: created_at
    identifiers: {email: email, phone: phone}
  employee: {table: hr.staff, key: [org, number], same_as: app.users.id}
  lead: {same_as: crm.leads.id}
tables:
  users:
    row: anonymize
    columns: {email: surrogate, phone: null, name: "null", about: {constant: gone}, lang: preserve}
  users.boss_id: {row: nullify}
  tokens: {row: delete, via: user_id}
  invoices:
    row: retain
    via: user_id
    reason: tax law
    keep_at_least: {period: P8Y, from: issued_at, basis: DE §147 AO}
    hold: disputed = 1
  bans: {row: retain, reason: abuse, until: 2035-12-31}
  owners: {row: delete, via: {owner_id: users.id, when: owner_kind = 0}}
  seats: {row: delete, via: {org: hr.staff.org, number: hr.staff.number}}
  jobs:
    columns: {payload: TODO}
    via: [{"payload->>'user_id'": users.id}, {"payload->'by'->>'it''s'": users.id}]
  messages: {row: anonymize, via: [sender_id, receiver_id], shared: mask_own_columns, when: kind = 'note'}
"""


def refusal(body: str) -> list[str]:
    """Return the faults of a map with one table, whose entry this is; each begins with its line."""
    return faults(f"tables:\n  t: {body}\n")


def faults(text: str) -> list[str]:
    """Return the faults of a map."""
    with pytest.raises(InvalidFile) as caught:
        parse_map(text, "m.yaml")
    assert all(problem.startswith("m.yaml:") for problem in caught.value.problems)
    return [problem.removeprefix("m.yaml:") for problem in caught.value.problems]


@pytest.fixture(scope="module")
def datamap() -> DataMap:
    """The example."""
    return parse_map(MAP, "m.yaml")


class TestReading:
    """Every key of a map."""

    def test_subjects(self, datamap: DataMap) -> None:
        """Key columns in any number, identifiers by kind, the same person elsewhere."""
        assert datamap.subjects["user"] == Subject(
            name="user",
            line=2,
            table="users",
            key=("id",),
            tenant="org_id",
            created="created_at",
            identifiers={"email": "email", "phone": "phone"},
        )
        assert datamap.subjects["employee"].key == ("org", "number")
        lead = datamap.subjects["lead"]
        assert (lead.table, lead.same_as, lead.home) == (None, "crm.leads.id", "crm.leads")

    def test_columns(self, datamap: DataMap) -> None:
        """A strategy in its one form; `null` is one, `preserve` writes nothing."""
        users = datamap.rules["users"]
        assert users.columns == {
            "email": "surrogate",
            "phone": "null",
            "name": "null",
            "about": {"constant": "gone"},
            "lang": "preserve",
        }
        assert set(users.masks) == {"email", "phone", "name", "about"}
        assert (users.line, users.line_of("columns.email")) == (11, 13)

    def test_ways(self, datamap: DataMap) -> None:
        """The four forms of `via`."""
        rules = datamap.rules
        assert rules["tokens"].via == (Via(text="user_id", line=15, columns=("user_id",)),)
        (owner,) = rules["owners"].via
        assert (owner.parent, owner.parent_columns, owner.when) == ("users", ("id",), "owner_kind = 0")
        (seat,) = rules["seats"].via
        assert (seat.columns, seat.parent) == (("org", "number"), "hr.staff")
        assert [via.path for via in rules["jobs"].via] == [("user_id",), ("by", "it's")]
        assert [via.text for via in rules["messages"].via] == ["sender_id", "receiver_id"]

    def test_keeping(self, datamap: DataMap) -> None:
        """A retained row has its reason and its end."""
        invoices = datamap.rules["invoices"]
        assert invoices.keep_at_least == Minimum(period="P8Y", column="issued_at", basis="DE §147 AO")
        assert (invoices.reason, invoices.hold) == ("tax law", "disputed = 1")
        assert datamap.rules["bans"].until == dt.date(2035, 12, 31)

    def test_actions(self, datamap: DataMap) -> None:
        """A table without a row keeps its rows and masks columns; one that is undecided does nothing."""
        assert datamap.rules["users.boss_id"].action == "nullify"
        assert datamap.rules["jobs"].todo == {"columns.payload": 26}
        assert Rule(name="t", columns={"a": "null"}).action == "anonymize"
        assert Rule(name="t", columns={"a": "null"}, todo={"row": 1}).action is None
        assert Rule(name="t", keep_at_least=Minimum(period="P1Y", column="at")).action is None
        assert not Rule(name="t", hold="a = 1").erases

    def test_todo_is_read(self) -> None:
        """Wherever somebody decides; what is open is for the check to say."""
        text = """subjects: {user: {table: TODO, key: TODO, identifiers: TODO}}
tables: {t: {row: TODO, via: TODO, hold: TODO, shared: TODO, columns: TODO, reason: TODO, until: TODO}}"""
        datamap = parse_map(text, "m")
        assert set(datamap.subjects["user"].todo) == {"table", "key", "identifiers"}
        assert set(datamap.rules["t"].todo) == {"row", "via", "shared", "columns", "reason", "until", "hold"}

    def test_a_file_that_cannot_be_read(self, tmp_path: Path) -> None:
        """It is named, with the reason."""
        with pytest.raises(InvalidDataMap, match=r"none\.yaml cannot be read: No such file"):
            read_map(tmp_path / "none.yaml")
        (tmp_path / "latin").write_bytes(b"tables: {\xe4: {}}")
        with pytest.raises(InvalidDataMap, match="latin is no text in UTF-8"):
            read_map(tmp_path / "latin")


@pytest.mark.parametrize("text", ["", "# nothing yet\n\n", "tables: {other: {hold: a = 1}}"])
def test_a_map_that_keeps_nothing(tmp_path: Path, text: str) -> None:
    """Retention goes by it as by none: an empty file, comments, and what is said of other tables."""
    (tmp_path / "m.yaml").write_text(text)
    assert keeping(tmp_path / "m.yaml", "orders") == keeping(None, "orders") == Keeping()
    (tmp_path / "m.yaml").write_text("tables: {shop.orders: {hold: a = 1}}")
    assert keeping(tmp_path / "m.yaml", "orders") == Keeping(holds=("a = 1",))


class TestRefusals:
    """Each fault names file, line, table, key and cure."""

    @pytest.mark.parametrize(
        ("body", "said"),
        [
            ("{rows: delete}", "table t: there is no key rows; did you mean row?"),
            ("{xyz: 1}", "there is no key xyz; known: columns, confidence, evidence, hold,"),
            ("{row: anonymise}", "table t: row: there is no 'anonymise'; did you mean anonymize?"),
            ("{row: 1}", "table t: row must be a text, got a whole number; write it in quotes"),
            ("{row: }", "table t: row has no value; give it one, or take the key out"),
            ("{row: delete, row: fail}", "table t: row was said in line 2 already"),
            ("7", "table t: expected `key: value` lines, got a single value"),
            ("{columns: {a: surogate}}", "table t, column a: there is no strategy 'surogate'"),
            ("{columns: {a: surogate}}", "did you mean surrogate?"),
            ("{columns: {a: preserv}}", "did you mean preserve?"),
            ("{columns: {a: [surrogate]}}", "table t, column a: there is no strategy"),
            (
                "{columns: {a: }}",
                "table t, column a: it has no strategy; give it one, or preserve; to empty it",
            ),
            ("{columns: {a: {constant: 1.5}}}", "table t, column a: a constant is written as"),
            ("{columns: [a]}", "table t: columns: expected `key: value` lines, got a list"),
            ("{via: 7}", "table t: via: expected a way, got a single value; write a column (user_id)"),
            ("{via: users.id}", "table t: via: users.id needs the column that it refers to"),
            ("{via: {}}", "table t: via: it names no column"),
            ("{via: {when: a = 1}}", "table t: via: it names no column"),
            ("{via: {a: users}}", "table t: via: a must name the column that it refers to, such as users.id"),
            ("{via: {a: u.id, b: o.id}}", "columns that stand together refer to one table"),
            ("""{via: {"a->>'b'": u.id, c: u.id}}""", "and a JSON column alone"),
            ("""{via: {"a->'b'": u.id}}""", "a->'b' cannot be read; write column->>'key'"),
            ("{via: {a: u.id, when: 'f(a) = 1'}}", "table t: via: when: condition refused: it calls"),
            ("{via: {a: u.id, when: 7}}", "table t: via: when must be a condition"),
            ("{row: retain, until: 2030-01-01}", "table t: row: retain needs a reason"),
            (
                "{row: retain, reason: law}",
                "retain needs an end: keep_at_least: {period: P8Y, from: issued_at}",
            ),
            ("{until: soon}", "table t: until must be a date such as 2035-12-31, got text"),
            ("{until: 2030-01-01 10:00:00}", "table t: until must be a date such as 2035-12-31, got a time"),
            ("{keep_at_least: {period: P1Y}}", "table t: keep_at_least needs from"),
            (
                "{keep_at_least: {period: 1Y, from: a}}",
                "table t: keep_at_least: period: period: expected an ISO",
            ),
            (
                "{keep_at_least: {period: TODO, from: a}}",
                "keep_at_least: period is TODO, and retention obeys it",
            ),
            ("{keep_at_least: {perod: P1Y, from: a}}", "there is no key perod; did you mean period?"),
            (
                "{shared: mask_own_column}",
                "table t: shared: there is no 'mask_own_column'; did you mean mask_own_columns?",
            ),
            ("{hold: a; b}", "table t: hold: condition refused: it has a second statement"),
            ("{when: [a]}", "table t: when must be a text, got a list"),
            ("{reason: &x y}", "anchors and aliases are not read"),
            ("{status: TODO}", "table t: status is TODO; say proposed, accepted, rejected"),
        ],
    )
    def test_of_a_table(self, body: str, said: str) -> None:
        """One line of the map, and its line."""
        found = refusal(body)
        assert any(said in problem for problem in found), found
        assert all(problem.startswith("2: ") for problem in found)

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("", "1: the file is empty"),
            ("tables: {", "this is no YAML"),
            ("- a", "1: the data map: expected `key: value` lines, got a list"),
            ("table: {}", "1: the data map: there is no key table; did you mean tables?"),
            ("subjects: {u: {tabel: t}}", "subject u: there is no key tabel; did you mean table?"),
            ("subjects: {u: {table: t}}", "subject u: key is missing, such as {table: users, key: id}"),
            ("subjects: {u: {}}", "subject u: table is missing"),
            ("subjects: {u: {table: t, key: [1]}}", "subject u: key must be a name, or a list of names"),
            ("subjects: {u: {table: t, key: a, ghost: [1.5]}}", "ghost must be a text or a whole number"),
            (
                "catalog: {t: {columns: {a: {category: none, confidence: high}}}}",
                "catalog, table t, column a: confidence must be a number, got text",
            ),
            (
                "catalog: {t: {columns: {a: {type: text}}}}",
                "catalog, table t, column a: category is missing: a key of fideslang, none or unknown",
            ),
            ("subjects: {u: {same_as: users.id}}", "same_as: expected datasource.table.column"),
            ("subjects: {u: {same_as: a.b.c, tenant: x}}", "subject u: tenant is a column of the subject's"),
            (
                "subjects: {u: {table: t, key: a, identifiers: {email: [x]}}}",
                "identifiers: email must name a column",
            ),
        ],
    )
    def test_of_a_file_and_a_subject(self, text: str, said: str) -> None:
        """The same of what stands above the tables."""
        assert any(said in problem for problem in faults(text))

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("subjects: {u: {table: t, key: a, ghost: }}", "subject u: ghost has no value"),
            ("catalog: {t: {columns: {a: {category: none, confidence: }}}}", "confidence has no value"),
            ("tables: {t: {until: }}", "table t: until has no value"),
            ("subjects: {u: {table: t, key: }}", "subject u: key has no value"),
        ],
    )
    def test_a_key_without_a_value(self, text: str, said: str) -> None:
        """Is one fault, and not told again as a value of the wrong kind."""
        (problem,) = faults(text)
        assert f"{said}; give it one, or take the key out" in problem

    def test_all_at_once(self) -> None:
        """A map is mended in one go: every fault is told, in the order of the lines."""
        found = faults("subjects:\n  u: {table: t}\ntables:\n  a: {row: x}\n  b: {via: 1, columns: {c: x}}\n")
        assert [problem.partition(":")[0] for problem in found] == ["2", "4", "5", "5"]

    def test_no_value_of_the_file_is_repeated_at_length(self) -> None:
        """A strategy that is a secret by mistake does not come back in the error."""
        (problem,) = refusal("{columns: {a: " + "s3cret" * 20 + "}}")
        assert "s3cret" not in problem


NAME = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True).filter(lambda name: name != "when")
KEY = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=6)


@given(NAME, st.lists(KEY, min_size=1, max_size=3), NAME, NAME)
def test_a_json_way_is_read_as_it_is_written(column: str, path: list[str], table: str, other: str) -> None:
    """Whatever the keys of the JSON are, quotes among them."""
    problems = Problems(file="m")
    text = write_yaml({"via": {written([column], path): f"{table}.{other}"}})
    (via,) = vias_of(Body(read_yaml(text, problems), "t", ["via"], problems))
    assert problems.found == []
    assert (via.columns, via.path, via.parent, via.parent_columns) == (
        (column,),
        tuple(path),
        table,
        (other,),
    )


@given(
    st.recursive(
        KEY | st.none() | st.integers() | st.booleans(), lambda x: st.lists(x) | st.dictionaries(KEY, x)
    )
)
def test_any_yaml_is_read_or_refused(data: object) -> None:
    """Nothing else happens, whatever stands in a file."""
    for shape in (
        data,
        {"tables": data},
        {"tables": {"t": data}},
        {"tables": {"t": {"via": data, "columns": data}}},
    ):
        with suppress(InvalidFile):
            parse_map(write_yaml(shape), "m")
