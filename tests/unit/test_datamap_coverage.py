"""A data map laid over a live schema: what it decides, and everything that it leaves open."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from aegis.datamap.coverage import Examination, examine
from aegis.datamap.fides import read_dataset
from aegis.datamap.formats import write_yaml
from aegis.datamap.hooks import Anonymizer
from aegis.datamap.model import ROWS, DataMap, Rule, Subject
from aegis.datamap.reading import parse_map
from aegis.datamap.starting import first_map, guess_subject
from aegis.db.catalog import Catalog, CatalogTable, Reference, read_catalog
from aegis.errors import InvalidDataMap, UnknownName

SCHEMA = """
CREATE TABLE orgs (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE users (id INTEGER PRIMARY KEY, org_id INT REFERENCES orgs, email STRING UNIQUE, born DATE,
    boss_id INT REFERENCES users, shout TEXT AS (upper(email)));
CREATE TABLE orders (id INTEGER PRIMARY KEY, user_id INT NOT NULL REFERENCES users ON DELETE CASCADE,
    approver_id INT REFERENCES users, note TEXT);
CREATE TABLE items (order_id INT REFERENCES orders, pos INT, label TEXT, PRIMARY KEY (order_id, pos));
CREATE TABLE remarks (id INTEGER PRIMARY KEY, order_id INT, pos INT, body TEXT,
    FOREIGN KEY (order_id, pos) REFERENCES items);
CREATE TABLE messages (id INTEGER PRIMARY KEY, sender_id INT REFERENCES users,
    receiver_id INT REFERENCES users, body TEXT);
CREATE TABLE jobs (id INTEGER PRIMARY KEY, payload JSON);
CREATE TABLE owned (id INTEGER PRIMARY KEY, owner_id INT, owner_kind INT, label TEXT);
CREATE TABLE apart (id INTEGER PRIMARY KEY, body TEXT);
"""
SUBJECTS = "subjects: {user: {table: users, key: id, tenant: org_id, identifiers: {email: email}}}\ntables:\n"
WHOLE: Mapping[str, str] = {
    "users": "{row: anonymize, columns: {email: surrogate}}",
    "users.boss_id": "{row: nullify}",
    "orders": "{row: delete, via: user_id}",
    "orders.approver_id": "{row: nullify, columns: {note: preserve}}",
    "items": "{row: delete}",
    "remarks": "{row: delete}",
    "messages": "{row: anonymize, via: [sender_id, receiver_id], columns: {body: 'null'}, shared: keep}",
    "jobs": """{via: {"payload->>'user_id'": users.id}, columns: {payload: null}}""",
    "owned": "{row: delete, via: {owner_id: users.id, when: owner_kind = 0}}",
}


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    """The live schema."""
    with sa.create_engine("sqlite://").connect() as connection:
        for statement in filter(str.strip, SCHEMA.split(";")):
            connection.exec_driver_sql(statement)
        return read_catalog(connection)


def laid(
    catalog: Catalog, changed: Mapping[str, str | None] | None = None, subjects: str = SUBJECTS
) -> Examination:
    """Lay the whole map, with entries changed or (None) taken out, over the schema."""
    entries = {**WHOLE, **(changed or {})}
    body = "".join(f"  {name}: {entry}\n" for name, entry in entries.items() if entry is not None)
    return examine(parse_map(subjects + body, "m.yaml"), catalog)


def found(examination: Examination) -> list[tuple[str, str, str]]:
    """Return what is open: kind, table, and what."""
    return [(item.kind, item.table, item.what) for item in examination.undecided]


class TestDecided:
    """A map that leaves nothing open."""

    def test_every_way_has_its_decision(self, catalog: Catalog) -> None:
        """Nearest to the person first; virtual edges and those of the schema alike."""
        examination = laid(catalog)
        assert examination.undecided == ()
        edges = examination.coverages["user"].edges
        assert [(edge.label, edge.row, edge.on_delete) for edge in edges] == [
            ("jobs.payload->>'user_id' → users.id", "anonymize", None),
            ("messages.receiver_id → users.id", "anonymize", "NO ACTION"),
            ("messages.sender_id → users.id", "anonymize", "NO ACTION"),
            ("orders.approver_id → users.id", "nullify", "NO ACTION"),
            ("orders.user_id → users.id", "delete", "CASCADE"),
            ("owned.owner_id → users.id", "delete", None),
            ("users.boss_id → users.id", "nullify", "NO ACTION"),
            ("items.order_id → orders.id", "delete", "NO ACTION"),
            ("remarks.(order_id, pos) → items.(order_id, pos)", "delete", "NO ACTION"),
        ]
        assert [edge.path for edge in edges[:2]] == [("user_id",), ()]
        assert edges[5].when == "owner_kind = 0"

    def test_tables(self, catalog: Catalog) -> None:
        """Each with all its ways; the subject's own first."""
        tables = laid(catalog).coverages["user"].tables
        assert {
            name: (table.depth, sorted(table.rows), len(table.ways)) for name, table in tables.items()
        } == {
            "users": (0, ["anonymize", "nullify"], 1),
            "jobs": (1, ["anonymize"], 1),
            "messages": (1, ["anonymize"], 2),
            "orders": (1, ["delete", "nullify"], 2),
            "owned": (1, ["delete"], 1),
            "items": (2, ["delete"], 1),
            "remarks": (3, ["delete"], 1),
        }
        assert all(table.followed for table in tables.values())

    def test_masks_of_an_edge(self, catalog: Catalog) -> None:
        """Those of its own entry; without any the table's, where its rows are anonymized too."""
        edges = {edge.source: edge for edge in laid(catalog).coverages["user"].edges}
        assert edges["boss_id"].masks == {}
        assert edges["sender_id"].masks == {"body": "null"}
        changed = {"messages": "{row: anonymize, via: sender_id, columns: {body: 'null'}, shared: keep}"}
        own = laid(
            catalog, {**changed, "messages.receiver_id": "{row: anonymize, columns: {body: surrogate}}"}
        )
        edges = {edge.source: edge for edge in own.coverages["user"].edges}
        assert (edges["sender_id"].masks, edges["receiver_id"].masks) == (
            {"body": "null"},
            {"body": "surrogate"},
        )

    @pytest.mark.parametrize(
        ("name", "entry", "column"),
        [
            ("users", "{row: anonymize, columns: {email: surrogate, born: TODO}}", "born"),
            ("users.boss_id", "{row: nullify, columns: {email: TODO}}", "email"),
        ],
    )
    def test_a_todo_counts_wherever_it_stands(
        self, catalog: Catalog, name: str, entry: str, column: str
    ) -> None:
        """Also where no decision would be asked for, or another entry has one."""
        assert found(laid(catalog, {name: entry})) == [("column", "users", f"column {column}")]

    def test_people_of_another_kind_do_not_go_along_unsaid(self, catalog: Catalog) -> None:
        """What a table's own entry says of people is meant for each of them: a way to them has its own."""
        subjects = SUBJECTS.replace("{user:", "{org: {table: orgs, key: id}, user:")
        whole = {
            "orgs": "{row: anonymize, columns: {name: 'null'}}",
            "users.boss_id": "{row: nullify, columns: {email: preserve}}",
        }
        told = laid(catalog, whole, subjects)
        assert found(told) == [("edge", "users", "users.org_id → orgs.id")]
        assert "people of another kind" in told.undecided[0].why
        assert told.undecided[0].cure == "users.org_id: {row: TODO}"
        told = laid(catalog, {**whole, "users.org_id": "{row: anonymize}"}, subjects)
        assert found(told) == []
        assert next(edge.row for edge in told.coverages["org"].edges if edge.child == "users") == "anonymize"

    def test_conditions_of_a_way_and_of_its_table(self, catalog: Catalog) -> None:
        """Both have to hold of a row."""
        way = "{owner_id: users.id, when: owner_kind = 0 OR owner_kind = 2}"
        examination = laid(catalog, {"owned": f"{{row: delete, via: {way}, when: label = 'x' OR id = 1}}"})
        (edge,) = [e for e in examination.coverages["user"].edges if e.child == "owned"]
        assert edge.when == "(owner_kind = 0 OR owner_kind = 2) AND (label = 'x' OR id = 1)"

    def test_masks_of_other_peoples_rows(self, catalog: Catalog) -> None:
        """The table's, where the way says nothing of columns; where those are somebody's own, it must say."""
        both = {
            "messages": "{columns: {body: 'null'}}",
            "messages.sender_id": "{row: nullify}",
            "messages.receiver_id": "{row: nullify}",
        }
        assert found(laid(catalog, both)) == []
        ways = laid(catalog, both).coverages["user"].tables["messages"].ways
        assert [(way.row, way.masks) for way in ways] == [("nullify", {"body": "null"})] * 2

        both["messages.sender_id"] = "{row: anonymize}"
        told = laid(catalog, both)
        assert found(told) == [("edge", "messages", "messages.receiver_id → users.id")]
        assert told.undecided[0].cure == "messages.receiver_id: {columns: {body: TODO}}"
        for answer, masks in (("preserve", {}), ("surrogate", {"body": "surrogate"})):
            both["messages.receiver_id"] = f"{{row: nullify, columns: {{body: {answer}}}}}"
            told = laid(catalog, both)
            assert found(told) == []
            assert told.coverages["user"].tables["messages"].ways[0].masks == masks

        deleted = {
            "messages": "{row: delete, via: sender_id, columns: {body: 'null'}}",
            "messages.receiver_id": "{row: nullify}",
        }
        told = laid(catalog, deleted)
        assert found(told) == []
        assert told.coverages["user"].tables["messages"].ways[0].masks == {"body": "null"}

    @pytest.mark.parametrize(
        ("row", "further"),
        [
            ("delete", True),
            ("anonymize, columns: {note: preserve}", True),
            ("retain, reason: law, until: 2040-01-01", True),
            ("fail", False),
        ],
    )
    def test_what_is_followed(self, catalog: Catalog, row: str, further: bool) -> None:  # noqa: FBT001
        """Rows that stay or go as the person's lead on to what refers to them; others do not."""
        examination = laid(
            catalog, {"orders": f"{{row: {row}, via: user_id}}", "items": None, "remarks": None}
        )
        expected = [("edge", "items", "items.order_id → orders.id")] if further else []
        assert found(examination) == expected

    @pytest.mark.parametrize("row", ["reassign", "decorrelate"])
    def test_rows_that_are_moved(self, catalog: Catalog, row: str) -> None:
        """They lead no further; the ghost that gets them is named, and none is invented for a foreign key."""
        entry = f"{{row: {row}, columns: {{note: preserve}}, via: user_id}}"
        changed = {"orders": entry, "items": None, "remarks": None}
        edge = ("edge", "orders", "orders.user_id → users.id")
        assert found(laid(catalog, changed)) == [edge]
        ghost = SUBJECTS.replace("key: id,", "key: id, ghost: 1,")
        assert found(laid(catalog, changed, ghost)) == ([] if row == "reassign" else [edge])


class TestOpen:
    """Everything that a map leaves open, with the line that closes it."""

    def test_nothing_is_decided(self, catalog: Catalog) -> None:
        """Only what refers to a person's rows is asked for; the rest when those are decided."""
        examination = examine(parse_map(SUBJECTS + "  {}", "m"), catalog)
        assert {item.cure for item in examination.undecided} == {
            "users: {row: TODO}",
            "users.boss_id: {row: TODO}",
            "orders.user_id: {row: TODO}",
            "orders.approver_id: {row: TODO}",
            "messages.sender_id: {row: TODO}",
            "messages.receiver_id: {row: TODO}",
        }

    @pytest.mark.parametrize(
        ("changed", "what", "why"),
        [
            (
                {"users.boss_id": None},
                "users.boss_id → users.id",
                "another way in, and this one has no decision",
            ),
            ({"items": None}, "items.order_id → orders.id", "nobody has decided what happens to the rows"),
            ({"orders": "{row: delete}", "orders.approver_id": None}, "orders.user_id", "another way in"),
            ({"orders.approver_id": None}, "orders.approver_id", "another way in"),
            ({"items": "{row: TODO}"}, "items.order_id → orders.id", "row is TODO"),
            ({"orders": "{row: nullify, via: user_id}"}, "orders.user_id", "NOT NULL; reassign, delete"),
            ({"remarks.pos": "{row: nullify}", "remarks.order_id": "{row: fail}"}, "remarks.", "differently"),
            (
                {
                    "users": "{row: delete}",
                    "messages": WHOLE["messages"],
                    "users.boss_id": WHOLE["users.boss_id"],
                },
                "messages.sender_id",
                "rows of users are deleted, and rows that stay refer to them",
            ),
            (
                {"items": "{row: retain, reason: law, until: 2040-01-01, when: pos = 1}"},
                "items.order_id",
                "leaves its other rows without a decision",
            ),
        ],
    )
    def test_an_edge(self, catalog: Catalog, changed: Mapping[str, str | None], what: str, why: str) -> None:
        """Is an error, never a cascade."""
        items = [item for item in laid(catalog, changed).undecided if item.kind == "edge"]
        assert any(what in item.what and why in item.why for item in items), items

    @pytest.mark.parametrize(
        ("row", "open_columns"),
        [
            ("anonymize", {"label"}),
            ("nullify", {"label"}),
            ("reassign", {"label"}),
            ("decorrelate", {"label"}),
            ("delete", set()),
            ("fail", set()),
            ("retain, reason: law, until: 2040-01-01", set()),
        ],
    )
    def test_columns(self, catalog: Catalog, row: str, open_columns: set[str]) -> None:
        """Of rows that stay; not those of numbers and dates, of references, or computed from others."""
        examination = laid(catalog, {"items": f"{{row: {row}}}", "remarks": None})
        asked = {item.what.removeprefix("column ") for item in examination.undecided if item.kind == "column"}
        assert asked == open_columns

    def test_a_type_that_says_nothing_is_a_text(self, catalog: Catalog) -> None:
        """SQLite keeps an address in a column of the type STRING, which SQLAlchemy takes for a number."""
        (item,) = laid(catalog, {"users": "{row: anonymize}"}).undecided
        assert (item.what, item.cure) == ("column email", "users: {columns: {email: TODO}}")

    def test_a_column_says_todo(self, catalog: Catalog) -> None:
        """With its line, and no line to add."""
        (item,) = laid(catalog, {"users": "{row: anonymize, columns: {email: TODO}}"}).undecided
        assert (item.line, item.cure) == (3, "")
        assert "it says TODO" in item.why

    def test_rows_of_two_people(self, catalog: Catalog) -> None:
        """Where several ways take the row; not where all of them are one column."""
        changed = {"messages": "{row: anonymize, via: [sender_id, receiver_id], columns: {body: preserve}}"}
        (item,) = laid(catalog, changed).undecided
        assert (item.kind, item.cure) == ("shared", "messages: {shared: TODO}")
        assert "(receiver_id, sender_id)" in item.why
        kinds = "[{owner_id: users.id, when: owner_kind = 0}, {owner_id: orders.id, when: owner_kind = 1}]"
        assert laid(catalog, {"owned": f"{{row: delete, via: {kinds}}}"}).decided

    @pytest.mark.parametrize(
        ("changed", "kind", "why"),
        [
            ({"user": "{row: delete}"}, "name", "there is no table user; did you mean users?"),
            (
                {"orders.aprover_id": "{row: fail}"},
                "name",
                "has no column aprover_id; did you mean approver_id?",
            ),
            ({"main.users": "{row: delete}"}, "name", "it stands in line 3 already, as users"),
            ({"users": "{row: anonymize, columns: {email: surrogate, mail: null}}"}, "name", "mean email?"),
            ({"users": "{row: anonymize, columns: {email: null, mail: TODO}}"}, "name", "mean email?"),
            ({"orders": "{row: delete, via: usr_id}"}, "name", "which is not there; did you mean user_id?"),
            ({"apart": "{row: delete, via: id}"}, "name", "no foreign key is on id"),
            ({"owned": "{row: delete, via: {owner_id: user.id}}"}, "name", "there; did you mean users?"),
            ({"owned": "{row: delete, via: {owner_id: users.ident}}"}, "name", "column ident of users"),
            ({"owned": "{via: {owner_id: users.id, when: kind = 0}, row: fail}"}, "name", "kind"),
            ({"jobs": """{row: delete, via: {"id->>'u'": users.id}}"""}, "name", "in which no JSON stands"),
            ({"orders": "{row: delete, via: {user_id: users.id, when: id = 1}}"}, "name", "leaves its other"),
            ({"orders": "{row: delete, via: user_id, hold: x = 1}"}, "name", "hold: "),
            ({"items": "{row: delete, keep_at_least: {period: P1Y, from: at}}"}, "name", "known: "),
            ({"users": "{row: anonymize, columns: {email: null, born: surrogate}}"}, "strategy", "born"),
            ({"users": "{row: anonymize, columns: {email: null, shout: null}}"}, "strategy", "generated"),
            (
                {"users": "{row: reassign, columns: {email: null}}"},
                "row",
                "reassign cannot happen to the row",
            ),
            ({"orders": "{row: delete, via: user_id, reason: TODO}"}, "row", "reason is TODO"),
            ({"apart": "{row: delete}"}, "unreached", "no way leads to it from a person"),
            ({"messages.body": "{row: fail}"}, "unreached", "no way leads through body"),
        ],
    )
    def test_what_the_schema_does_not_bear_out(
        self, catalog: Catalog, changed: Mapping[str, str], kind: str, why: str
    ) -> None:
        """Names that are not there, strategies that do not fit, entries that would never do anything."""
        items = [item for item in laid(catalog, changed).undecided if item.kind == kind]
        assert any(why in f"{item.what} {item.why}" for item in items), items

    @pytest.mark.parametrize(
        ("name", "what", "line"),
        [
            ("items", "items.order_id → orders.id", 7),
            ("orders.approver_id", "orders.approver_id → users.id", 6),
        ],
    )
    def test_what_a_person_has_rejected(self, catalog: Catalog, name: str, what: str, line: int) -> None:
        """It is decided in its own entry: the finding has that line, and no second entry to add."""
        (item,) = laid(catalog, {name: "{status: rejected, row: delete}"}).undecided
        assert (item.what, item.cure, item.line) == (what, "", line)
        cure = "write what is to happen there, and status: accepted"
        assert item.why.endswith(f"; its proposal was rejected in line {line}: {cure}")

    def test_what_is_cataloged_and_not_there(self, catalog: Catalog) -> None:
        """Tables and columns that are gone, each with its line and the nearest name."""
        gone = ["user: {columns: {id: {category: none}}}", "users: {columns: {mail: {category: none}}}"]
        text = "".join(f"{line}\n" for line in ("catalog:", *(f"  {entry}" for entry in gone)))
        undecided = laid(catalog, subjects=text + SUBJECTS).undecided
        assert [(item.kind, item.table, item.what, item.why, item.line) for item in undecided] == [
            ("name", "user", "catalog", "there is no table user; did you mean users?", 2),
            ("name", "users", "column mail", "there is no such column; did you mean email?", 3),
        ]
        assert {item.cure for item in undecided} == {"take it out of catalog:"}

    def test_what_is_cataloged_and_not_decided(self, catalog: Catalog) -> None:
        """A column that came new into a table that was accepted; one of which nobody knows what it holds."""
        new = "{email: {status: proposed, category: user.name}, org_id: {category: unknown}}"
        text = f"catalog:\n  users: {{status: accepted, columns: {new}}}\n"
        told = {item.what: item.why for item in laid(catalog, subjects=text + SUBJECTS).undecided}
        assert told == {
            "column email": "user.name is proposed: say status: accepted, or rejected; "
            "write it over first where it is wrong",
            "column org_id": "nobody knows what it holds: name a category, or none",
        }

    def test_a_column_of_several_foreign_keys(self) -> None:
        """It names none of them; all columns of one do."""
        script = """CREATE TABLE users (id INT, org INT, PRIMARY KEY (org, id));
            CREATE TABLE notes (id INT PRIMARY KEY, org INT, author INT, reader INT,
            FOREIGN KEY (org, author) REFERENCES users, FOREIGN KEY (org, reader) REFERENCES users)"""
        with sa.create_engine("sqlite://").connect() as connection:
            for statement in script.split(";"):
                connection.exec_driver_sql(statement)
            catalog = read_catalog(connection)
        text = "subjects: {user: {table: users, key: [org, id]}}\ntables:\n  notes: {row: delete, via: org}"
        why = [item.why for item in examine(parse_map(text, "m"), catalog).undecided if item.kind == "name"]
        assert why == ["org is part of several foreign keys; write the columns of the one that is meant"]

    def test_an_entry_that_only_keeps_is_left_alone(self, catalog: Catalog) -> None:
        """Retention's own words need no way to a person."""
        assert laid(catalog, {"apart": "{hold: id = 1}"}).decided

    @pytest.mark.parametrize(
        ("subject", "why"),
        [
            ("{table: user, key: id}", "there is no table user; did you mean users?"),
            ("{table: users, key: uid}", "key: table users has no column uid"),
            ("{table: users, key: id, tenant: org}", "tenant: table users has no column org;"),
            (
                "{table: users, key: id, identifiers: {email: mail}}",
                "has no column mail; did you mean email?",
            ),
            ("{table: users, key: born}", "key (born) is not unique in users"),
            ("{table: TODO, key: id}", "table is TODO"),
        ],
    )
    def test_a_subject(self, catalog: Catalog, subject: str, why: str) -> None:
        """Whose table, key or identifier is not there, or whose key two people could have."""
        examination = examine(parse_map(f"subjects: {{user: {subject}}}", "m"), catalog)
        assert any(why in item.why for item in examination.undecided if item.kind == "subject")

    def test_no_subject(self, catalog: Catalog) -> None:
        """A map that only keeps erases nobody, and says so."""
        assert found(examine(parse_map("tables: {}", "m"), catalog)) == [("subject", "user", "")]

    def test_a_unique_key_and_a_subject_of_another_source(self, catalog: Catalog) -> None:
        """Any unique key tells people apart; a subject that lives elsewhere is reached by its key there."""
        text = """subjects: {lead: {table: users, key: email}, patient: {same_as: crm.patients.id}}
tables:
  users: {row: delete}
  users.boss_id: {row: nullify, columns: {email: preserve}}
  owned: {row: delete, via: {owner_id: crm.patients.id}}
"""
        examination = examine(parse_map(text, "m"), catalog)
        assert not [item for item in examination.undecided if item.kind == "subject"]
        patient = examination.coverages["patient"]
        assert (patient.root, [edge.label for edge in patient.edges]) == (
            None,
            ["owned.owner_id → crm.patients.id"],
        )


def test_a_table_that_cannot_be_described_is_told() -> None:
    """Its foreign key is seen, and what cannot be seen of it is an error, whatever the map says of it."""
    users = sa.Table("users", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True))
    reference = refers("hidden", "user_id", "users", "CASCADE")
    catalog = Catalog(tables={"users": CatalogTable(label="users", table=users)}, references=(reference,))
    text = "subjects: {user: {table: users, key: id}}\ntables: {users: {row: delete}, hidden: {row: delete}}"
    why = {item.why.partition(" (")[0] for item in examine(parse_map(text, "m"), catalog).undecided}
    assert "the table cannot be described" in why


class TestHooks:
    """Columns for which code of the application has a say."""

    @staticmethod
    def hook(**columns: object) -> Anonymizer:
        """Return one that writes these."""

        def function(table: sa.Table) -> Any:
            del table
            return columns

        return Anonymizer(table="items", datasource=None, function=function)

    def test_they_are_decided(self, catalog: Catalog) -> None:
        """A table of that name has to be there."""
        datamap = parse_map(SUBJECTS + "  users: {row: anonymize, columns: {email: null}}", "m")
        rules = {**datamap.rules, "items": Rule(name="items", row="anonymize")}
        rules |= {n: Rule(name=n, row="delete") for n in ("orders.user_id", "remarks")}
        rules |= {n: Rule(name=n, row="fail") for n in ("users.boss_id", "orders.approver_id")}
        rules |= {n: Rule(name=n, row="fail") for n in ("messages.sender_id", "messages.receiver_id")}
        datamap = DataMap(file="m", subjects=datamap.subjects, rules=rules)
        assert ("column", "items", "column label") in found(examine(datamap, catalog))
        hooked = examine(datamap, catalog, [self.hook(label=sa.null())])
        assert ("column", "items", "column label") not in found(hooked)
        away = Anonymizer(
            table="itms", datasource=None, function=lambda table: {c.name: sa.null() for c in table.c}
        )
        (fault,) = [item for item in examine(datamap, catalog, [away]).undecided if item.kind == "hook"]
        assert "there is no table itms; did you mean items?" in fault.why

    def test_they_are_not_meant_for_other_peoples_rows(self, catalog: Catalog) -> None:
        """Where rows stay as the person's own, the check asks what becomes of a hook's columns in others'."""
        hook = Anonymizer(table="messages", datasource=None, function=lambda _: {"body": sa.null()})
        for columns, asked in (("", {"messages.receiver_id"}), (", columns: {body: preserve}", set())):
            text = "".join(
                f"  {name}: {entry}\n"
                for name, entry in {
                    **WHOLE,
                    "messages": "{row: anonymize, via: sender_id}",
                    "messages.receiver_id": f"{{row: nullify{columns}}}",
                }.items()
            )
            examined = examine(parse_map(SUBJECTS + text, "m"), catalog, [hook])
            named = {item.what.partition(" ")[0] for item in examined.undecided if item.table == "messages"}
            assert named == asked
            messages = examined.coverages["user"].tables["messages"]
            assert messages.hooked("anonymize")
            assert not messages.hooked("nullify")

    @pytest.mark.parametrize(("value", "said"), [("x", "no SQL expression for column label, but a str")])
    def test_what_they_may_not_give(self, catalog: Catalog, value: object, said: str) -> None:
        """A column that is not there, something else than SQL, or an error."""
        with pytest.raises(InvalidDataMap, match=said):
            examine(parse_map("tables: {}", "m"), catalog, [self.hook(label=value)])
        with pytest.raises(
            InvalidDataMap, match="names column 'lable', which is not there; did you mean label"
        ):
            examine(parse_map("tables: {}", "m"), catalog, [self.hook(lable=sa.null())])
        broken = Anonymizer(table="items", datasource=None, function=len)  # type: ignore[arg-type]
        with pytest.raises(InvalidDataMap, match=r"table items failed \(TypeError\)"):
            examine(parse_map("tables: {}", "m"), catalog, [broken])


class TestFirstMap:
    """A first version from the live schema."""

    def test_it_is_read_and_decides_nothing(self, catalog: Catalog) -> None:
        """Everything near the person says TODO, and nothing but TODO is wrong with it."""
        text = first_map(catalog, "app")
        examination = examine(parse_map(text, "m"), catalog)
        assert examination.coverages["user"].root == "users"
        assert all("TODO" in item.why or item.kind == "row" for item in examination.undecided)
        assert not [edge for edge in examination.coverages["user"].edges if edge.row]
        assert "table: users  # guessed; 2 tables refer to it" in text
        assert "email: TODO  # surrogate_email" in text
        assert "# items: {row: TODO, via: order_id}" in text

    def test_the_subject_table(self, catalog: Catalog) -> None:
        """Is guessed by its name and by how many refer to it, named, or left open."""
        assert guess_subject(catalog) == "users"
        assert "table: orgs\n" in first_map(catalog, "app", subject_table="orgs")
        with pytest.raises(UnknownName, match="there is no table orgz in data source app; did you mean orgs"):
            first_map(catalog, "app", subject_table="orgz")
        rest = {name: table for name, table in catalog.tables.items() if name == "apart"}
        assert "table: TODO" in first_map(Catalog(tables=rest, references=()), "app")

    @pytest.mark.parametrize(
        ("kind", "said"), [("INET", 'truncate_ip or "null"'), ("JSONB", "json_set or json_delete")]
    )
    def test_a_column_whose_type_tells_what_it_may_hold(self, kind: str, said: str) -> None:
        """Where its name says nothing."""
        column = sa.Column("origin", type(kind, (sa.Text,), {"__visit_name__": kind})())
        users = sa.Table("users", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), column)
        tables = {"users": CatalogTable(label="users", table=users)}
        assert f"origin: TODO  # {said}\n" in first_map(Catalog(tables=tables, references=()), "app")

    def test_what_a_fides_file_knows_of_references(self, catalog: Catalog) -> None:
        """In either direction; not those that the schema has anyway, nor those to what is not there."""
        references = [
            {"field": "users.id", "direction": "from"},
            {"field": "users.nowhere", "direction": "from"},
            {"field": "nowhere.id", "direction": "from"},
            {"field": "apart.id", "direction": "to"},
        ]
        fields = [{"name": "user_id", "fides_meta": {"references": references}}]
        text = write_yaml({"dataset": [{"collections": [{"name": "orders", "fields": fields}]}]})
        edges = read_dataset(text, "f", catalog).edges
        assert [edge.label for edge in edges] == ["apart.id → orders.user_id"]

    def test_a_subject_table_that_is_named_for_its_application(self) -> None:
        """The one to which most refer; a table between two others is none."""
        ways = [
            ("job", "user_id", "shop_user"),
            ("tag_user", "user_id", "shop_user"),
            ("tag_user", "tag_id", "tag"),
        ]
        assert guess_subject(linked(*ways)) == "shop_user"
        assert guess_subject(linked(*ways[2:])) is None


def linked(*links: tuple[str, str, str], tables: Sequence[str] = ()) -> Catalog:
    """Return tables of numbers with these references: (table, column, table referred to)."""
    names = dict.fromkeys([*tables, *(name for child, _, parent in links for name in (child, parent))])
    columns = {name: [column for child, column, _ in links if child == name] for name in names}
    made = {
        name: sa.Table(
            name,
            sa.MetaData(),
            sa.Column("id", sa.Integer, primary_key=True),
            *[sa.Column(column, sa.Integer) for column in columns[name]],
        )
        for name in names
    }
    return Catalog(
        tables={name: CatalogTable(label=name, table=table) for name, table in made.items()},
        references=tuple(refers(child, column, parent) for child, column, parent in links),
    )


def refers(child: str, column: str, parent: str, on_delete: str = "NO ACTION") -> Reference:
    """Return a foreign key to a table's id."""
    return Reference(
        name=None,
        child=child,
        columns=(column,),
        parent=parent,
        parent_columns=("id",),
        on_delete=on_delete,
        on_update="NO ACTION",
        deferrable=False,
    )


def test_what_a_tables_own_row_never_decides() -> None:
    """A reference to itself, and one of the subject's own table: each has an entry of its own."""
    catalog = linked(
        ("folders", "owner_id", "users"), ("folders", "parent_id", "folders"), ("users", "home_id", "folders")
    )
    text = "subjects: {user: {table: users, key: id}}\ntables: {users: {row: delete}, folders: {row: delete}"
    open_edges = [item.cure for item in examine(parse_map(text + "}", "m"), catalog).undecided]
    assert open_edges == ["folders.parent_id: {row: TODO}", "users.home_id: {row: TODO}"]
    decided = text + ", folders.parent_id: {row: delete}, users.home_id: {row: nullify}, folders.owner_id: "
    shared = examine(parse_map(decided + "{row: delete}}", "m"), catalog).undecided
    assert [item.kind for item in shared] == ["shared"]
    assert examine(parse_map(decided + "{row: delete, shared: delete}}", "m"), catalog).decided


@st.composite
def schemas(draw: st.DrawFn) -> tuple[Catalog, DataMap]:
    """Return tables with any references among them, and a map that decides some of it."""
    names = [f"t{number}" for number in range(draw(st.integers(1, 5)))]
    pairs = draw(st.lists(st.tuples(st.sampled_from(names), st.sampled_from(names)), max_size=8))
    links = [(child, f"r{number}", parent) for number, (child, parent) in enumerate(pairs)]
    row = st.sampled_from([None, *ROWS])
    entries = [*names, *(f"{child}.{column}" for child, column, _ in links)]
    chosen = {name: draw(row) for name in draw(st.sets(st.sampled_from(entries)))}
    rules = {name: Rule(name=name, row=decision) for name, decision in chosen.items()}
    subject = Subject(name="user", table="t0", key=("id",))
    return linked(*links, tables=names), DataMap(file="m", subjects={"user": subject}, rules=rules)


@given(schemas())
def test_no_edge_into_a_persons_rows_is_overlooked(drawn: tuple[Catalog, DataMap]) -> None:
    """Each is decided by what the map says of it, or told; self-references and cycles among them."""
    catalog, datamap = drawn
    examination = examine(datamap, catalog)
    coverage = examination.coverages["user"]
    told = {item.what for item in examination.undecided if item.kind == "edge"}
    persons = {"t0", *(e.child for e in coverage.edges if e.row in {"delete", "anonymize", "retain"})}
    into = {(r.child, r.columns) for r in catalog.references if r.parent in persons}
    assert into <= {(edge.child, edge.columns) for edge in coverage.edges}
    for edge in coverage.edges:
        assert edge.row is not None or edge.label in told
        if edge.row is not None:
            assert edge.entry is not None
            assert edge.entry.row == edge.row
            assert edge.entry.name in {edge.child, f"{edge.child}.{edge.columns[0]}"}


NAME = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=5)


@given(NAME, st.lists(NAME, min_size=2, max_size=4, unique=True))
def test_a_first_map_is_read_whatever_things_are_called(table: str, names: list[str]) -> None:
    """And each way that it names is one of the schema's: quotes, dots, blanks and YAML's words too."""
    label = f'"{table}"' if "." in table else table
    users = sa.Table("users", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True))
    child = sa.Table(table, sa.MetaData(), *[sa.Column(name, sa.Text) for name in names])
    references = tuple(refers(label, name, "users", "CASCADE") for name in names[:-1])
    tables = {"users": CatalogTable(label="users", table=users)}
    tables |= {label: CatalogTable(label=label, table=child)} if label != "users" else {}
    catalog = Catalog(tables=tables, references=references if label != "users" else ())
    text = first_map(catalog, "app", subject_table="users")
    decided = examine(parse_map(text.replace("row: TODO", "row: delete"), "m"), catalog)
    assert {edge.row for edge in decided.coverages["user"].edges} <= {"delete"}
    assert not [item for item in decided.undecided if item.kind in {"name", "edge", "unreached"}]
