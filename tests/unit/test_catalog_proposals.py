"""What the catalog proposes: clocks, periods, tenants, conditions, masks, and a person's rows."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from aegis.catalog import conditions
from aegis.catalog.clocks import Meaning, meaning_of
from aegis.catalog.files import import_labels, propose_files
from aegis.catalog.maps import propose_map
from aegis.catalog.proposals import Proposal, policy_name, propose_policies
from aegis.catalog.scanning import Limits
from aegis.catalog.survey import Survey, survey
from aegis.catalog.tenants import tenancy_of
from aegis.catalog.units import unit_of
from aegis.datamap.model import TODO
from aegis.datamap.reading import parse_map
from aegis.db.catalog import CatalogTable
from aegis.db.engines import make_engine
from aegis.retention.definition import NAME
from aegis.settings import SourceSettings

PEOPLE = "CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT, first_name TEXT, last_name TEXT"
Look = Callable[..., Survey]


@pytest.fixture
def look(tmp_path: Path) -> Look:
    """Look at a SQLite database with such tables."""

    def looked(*statements: str, rows: int = 0) -> Survey:
        path = tmp_path / "app.db"
        made = sa.create_engine(f"sqlite:///{path}", poolclass=sa.NullPool)
        with made.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
        engine = make_engine(SourceSettings(url=f"sqlite:///{path}"), own=False)
        found = survey(engine, "app", limits=Limits(rows=rows))
        engine.dispose()
        return found

    return looked


def one(found: Survey) -> Proposal:
    """Return the only policy that is proposed."""
    (made,), _ = propose_policies(found)
    return made


def why(found: Survey, table: str) -> str:
    """Return why nothing is proposed for a table."""
    made, silent = propose_policies(found)
    assert table not in {each.table for each in made}
    return next(each.why for each in silent if each.table == table)


class TestClocks:
    """What the time in a column is the time of."""

    @pytest.mark.parametrize(
        ("name", "meaning"),
        [
            *(
                (name, Meaning.END)
                for name in ("expires_at", "expire_date", "validUntil", "expiration", "valid_to")
            ),
            *(
                (name, Meaning.SEEN)
                for name in ("last_login", "lastSeenAt", "last_activity", "current_sign_in_at")
            ),
            *((name, Meaning.DONE) for name in ("completed_at", "date_submitted", "sent_at", "delivered_on")),
            *((name, Meaning.DELETED) for name in ("deleted_at", "date_deleted")),
            *(
                (name, Meaning.CREATED)
                for name in ("created_at", "dateCreated", "timestamp", "date_joined", "time")
            ),
            *((name, Meaning.CHANGED) for name in ("updated_at", "mtime", "last_modified", "modified")),
            *((name, None) for name in ("birth_date", "email", "start", "duration_ms") if name != "start"),
        ],
    )
    def test_names(self, name: str, meaning: Meaning | None) -> None:
        """The words of a name, in whatever way it is written."""
        assert meaning_of(name) is meaning

    @pytest.mark.parametrize(
        ("table", "columns", "clock"),
        [
            (
                "user_sessions",
                "expires_at TIMESTAMP, last_seen TIMESTAMP, created_at TIMESTAMP",
                "expires_at",
            ),
            ("user_sessions", "last_seen TIMESTAMP, created_at TIMESTAMP", "last_seen"),
            ("user_sessions", "created_at TIMESTAMP", "created_at"),
            (
                "users",
                "last_login TIMESTAMP, created_at TIMESTAMP, email TEXT, first_name TEXT",
                "last_login",
            ),
            ("mail_log", "created_at TIMESTAMP, sent_at TIMESTAMP, recipient_email TEXT", "sent_at"),
            ("comments", "user_id INT, body TEXT, created_at TIMESTAMP, deleted_at TIMESTAMP", "deleted_at"),
        ],
    )
    def test_ladders(self, look: Look, table: str, columns: str, clock: str) -> None:
        """Each kind of table has its own first choice, and what is second."""
        assert (
            one(look(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, token TEXT, {columns})")).words[
                "timestamp_column"
            ]
            == clock
        )

    def test_a_column_that_is_never_empty_comes_first(self, look: Look) -> None:
        """A row without a time would never go."""
        found = look(
            "CREATE TABLE user_sessions (token TEXT, expiry TIMESTAMP, expires_at TIMESTAMP NOT NULL)"
        )
        assert one(found).words["timestamp_column"] == "expires_at"

    @pytest.mark.parametrize(
        "columns",
        ["created_at TIMESTAMP, email TEXT, first_name TEXT, last_name TEXT", "email TEXT, password TEXT"],
    )
    def test_people_without_a_time_of_use_have_no_clock(self, look: Look, columns: str) -> None:
        """Whoever registered long ago may have been here today: nothing is proposed."""
        assert why(look(f"CREATE TABLE users (id INTEGER PRIMARY KEY, {columns})"), "users").startswith(
            "no clock"
        )

    def test_keys_that_stay_valid_do_not_age(self, look: Look) -> None:
        """An API key of last year is in use; only one that says its end can be past it."""
        found = look(
            "CREATE TABLE api_keys (id INT PRIMARY KEY, user_id INT, secret TEXT, created_at TIMESTAMP)"
        )
        assert "says no end" in why(found, "api_keys")

    def test_what_the_database_computes_is_no_clock(self, look: Look) -> None:
        """It is what another column says."""
        columns = "created_at TIMESTAMP, expires_at TIMESTAMP AS (created_at + 1)"
        found = look(f"CREATE TABLE user_sessions (id INTEGER PRIMARY KEY, token TEXT, {columns})")
        assert one(found).words["timestamp_column"] == "created_at"

    @pytest.mark.parametrize(
        "table",
        [
            "user_sessions (id INTEGER PRIMARY KEY, token TEXT{})",
            "access_log (id INTEGER PRIMARY KEY, ip_address TEXT{})",
            "page_views (id INTEGER PRIMARY KEY, ip_address TEXT{})",
            "carts (id INTEGER PRIMARY KEY{})",
        ],
    )
    def test_a_table_without_a_clock(self, look: Look, table: str) -> None:
        """Nothing is proposed; where its rows refer to others, those are as old."""
        name = table.partition(" ")[0]
        assert why(look(f"CREATE TABLE {table.format(', user_id INT')}"), name) == "no clock"
        of = "CREATE TABLE things (id INTEGER PRIMARY KEY)"
        found = look(
            f"DROP TABLE {name}", of, f"CREATE TABLE {table.format(', thing_id INT REFERENCES things')}"
        )
        assert why(found, name) == "no clock; its rows are as old as those of things"


class TestUnits:
    """Whole numbers since 1970."""

    @given(
        st.sampled_from([("s", 1), ("ms", 1_000), ("us", 1_000_000)]),
        st.lists(st.integers(946_684_800, 4_102_444_799), min_size=1),
    )
    def test_ranges_do_not_overlap(self, unit: tuple[str, int], seconds: list[int]) -> None:
        """Times of this century are told in every unit; zero says nothing."""
        name, factor = unit
        assert unit_of([0, *(value * factor for value in seconds)]) == name

    @pytest.mark.parametrize("values", [[], [0], [1, 2, 3], [1_700_000_000, 1_700_000_000_000], [-1]])
    def test_what_is_no_time(self, values: list[int]) -> None:
        """Counters, mixtures and nothing at all."""
        assert unit_of(values) is None

    def test_values_decide_and_otherwise_a_person_is_asked(self, look: Look) -> None:
        """The same column is milliseconds with rows in it, and a question without."""
        table = "CREATE TABLE user_sessions (token TEXT, id INTEGER PRIMARY KEY, expires_at BIGINT)"
        rows = "INSERT INTO user_sessions (id, expires_at) VALUES (1, 1764300000000), (2, 0), (3, NULL)"
        assert one(look(table, rows, rows=10)).words["timestamp_unit"] == "ms"
        assert one(look("DELETE FROM user_sessions", rows=10)).words["timestamp_unit"] == TODO


class TestPeriods:
    """A number with its reason and its source; or a question."""

    def test_each_number_says_where_it_is_from(self, look: Look) -> None:
        """Reason, source, and that it is no legal advice."""
        made = one(
            look("CREATE TABLE user_sessions (token TEXT, id INTEGER PRIMARY KEY, expires_at TIMESTAMP)")
        )
        assert (made.words["days"], made.words["action"]) == (30, "delete")
        assert [line for line in made.evidence if line.startswith("30 days: ") and "not legal advice" in line]

    def test_addresses_in_a_log_go_first_and_then_the_log(self, look: Look) -> None:
        """90 days, then the rest of a year."""
        made = one(look("CREATE TABLE access_log (user_id INT, ip_address TEXT, created_at TIMESTAMP)"))
        masks = {"ip_address": "truncate_ip"}
        expected = {"days": 90, "action": "anonymize", "delete_after_days": 275, "masks": masks}
        assert {key: made.words[key] for key in expected} == expected

    def test_a_log_in_which_no_address_stands(self, look: Look) -> None:
        """It goes after a year, and nothing is masked before."""
        made = one(look("CREATE TABLE audit_log (user_id INT, action TEXT, created_at TIMESTAMP)"))
        assert (made.words["days"], made.words["action"], made.name) == (365, "delete", "audit_log_old")
        assert not {"masks", "delete_after_days"} & made.words.keys()

    def test_what_people_did_to_get_in_is_a_log(self, look: Look) -> None:
        """Although it says when it began and ended, as what people did does."""
        times = "start_time TIMESTAMP, end_time TIMESTAMP, ip_address TEXT"
        found = look(f"{PEOPLE})", f"CREATE TABLE access_log (user_id INT REFERENCES users, {times})")
        (made,), _ = propose_policies(found)
        assert found.natures["access_log"] == "activity"
        assert (made.words["days"], made.words["masks"]) == (90, {"ip_address": "truncate_ip"})

    @pytest.mark.parametrize(
        ("table", "told"),
        [
            (
                "votes (score INT, {})",
                "what somebody marked or chose stays as long as they do, and goes with them",
            ),
            (
                "wishlists (title TEXT, {})",
                "a wish list lives as long as the person whose it is, and goes with them",
            ),
            (
                "user_profiles (bio TEXT, {})",
                "profile: it lives as long as the person whose it is, and goes with them",
            ),
            ("comments (deleted_at TIMESTAMP, {})", "deleted content in which nothing personal was found"),
            ("comments (body TEXT, {})", "content: it lives as long as its author wants, and goes with them"),
        ],
    )
    def test_what_goes_with_its_person(self, look: Look, table: str, told: str) -> None:
        """Has no time of its own, and says why."""
        found = look(
            f"{PEOPLE})", f"CREATE TABLE {table.format('user_id INT REFERENCES users, created_at TIMESTAMP')}"
        )
        assert why(found, table.partition(" ")[0]) == told

    @pytest.mark.parametrize(
        "table",
        [
            "patients (id INT, first_name TEXT, last_name TEXT, diagnosis TEXT, created_at DATE)",
            "leave_requests (id INTEGER PRIMARY KEY, employee_id INT, reason TEXT, created_at TIMESTAMP)",
        ],
    )
    def test_health_and_employment_are_asked(self, look: Look, table: str) -> None:
        """No number is proposed, neither days nor what happens."""
        made = one(look(f"CREATE TABLE {table}"))
        assert (made.words["days"], made.words["action"], made.asks) == (TODO, TODO, True)

    def test_invoices_have_a_floor_and_no_policy(self, look: Look) -> None:
        """The law says how long at least: that stands in the data map."""
        found = look(
            f"{PEOPLE})",
            "CREATE TABLE invoices (id INT PRIMARY KEY, user_id INT REFERENCES users, issued_at TIMESTAMP)",
        )
        assert "a floor" in why(found, "invoices")
        entry = propose_map(found).tables["invoices"]
        assert (entry["row"], entry["keep_at_least"]["period"]) == ("retain", "P10Y")
        assert "P8Y" not in str(entry)
        assert "8 years" in entry["keep_at_least"]["basis"]


class TestConditions:
    """Which of the old rows are meant."""

    def test_staff_are_no_inactive_customers(self, look: Look) -> None:
        """Flags of staff are left out."""
        found = look(f"{PEOPLE}, last_login TIMESTAMP, is_staff BOOLEAN, is_active BOOLEAN)")
        assert one(found).words["filter"] == "is_staff = FALSE"

    def test_an_ordered_basket_is_an_order(self, look: Look) -> None:
        """Only what was never submitted goes; where nothing says it, a person is asked."""
        columns = "id INT PRIMARY KEY, user_id INT, created_at TIMESTAMP"
        assert one(look(f"CREATE TABLE baskets ({columns}, submitted_at TIMESTAMP)")).words["filter"] == (
            "submitted_at IS NULL"
        )
        assert one(look("DROP TABLE baskets", f"CREATE TABLE carts ({columns})")).words["filter"] == TODO

    def test_a_flag_of_deletion(self, look: Look) -> None:
        """Where no time of deletion is kept, the flag and the last change."""
        made = one(
            look(
                "CREATE TABLE comments (id INT PRIMARY KEY, user_id INT, body TEXT, is_deleted BOOLEAN, "
                "updated_at TIMESTAMP)"
            )
        )
        assert (made.words["filter"], made.words["timestamp_column"]) == ("is_deleted = TRUE", "updated_at")


class TestChildren:
    """What refers to rows that are to go."""

    SESSIONS = "CREATE TABLE user_sessions (id INTEGER PRIMARY KEY, token TEXT, expires_at TIMESTAMP)"
    OF = "INTEGER PRIMARY KEY, session_id INT REFERENCES user_sessions"

    def test_rows_that_go_along_are_named(self, look: Look) -> None:
        """By foreign keys that delete or change them, of children and of theirs, each once."""
        found = look(
            self.SESSIONS,
            f"CREATE TABLE steps (id {self.OF} ON DELETE CASCADE)",
            f"CREATE TABLE parts (id {self.OF} ON DELETE CASCADE,"
            " step_id INT REFERENCES steps ON DELETE CASCADE)",
            f"CREATE TABLE reports (id {self.OF} ON DELETE SET NULL)",
            "CREATE TABLE pages (id INTEGER PRIMARY KEY, report_id INT REFERENCES reports ON DELETE CASCADE)",
        )
        made = one(found)
        assert made.words["cascades"] == ["parts", "reports", "steps"]
        assert "rows of parts, reports, steps go along by their foreign keys" in made.evidence

    def test_rows_that_are_to_stay_keep_their_parents(self, look: Look) -> None:
        """Orders are not deleted along with the sessions in which they were made."""
        found = look(self.SESSIONS, f"CREATE TABLE orders (id {self.OF} ON DELETE CASCADE)")
        assert why(found, "user_sessions") == "with its rows would go rows of orders, which are to stay"

    def test_a_basket_goes_with_its_lines(self, look: Look) -> None:
        """Although they are called like those of an order."""
        found = look(
            "CREATE TABLE carts (id INTEGER PRIMARY KEY, created_at TIMESTAMP, submitted_at TIMESTAMP)",
            "CREATE TABLE cart_purchases (id INT, cart_id INT REFERENCES carts ON DELETE CASCADE)",
        )
        assert found.natures["cart_purchases"] == "order"
        assert one(found).words["cascades"] == ["cart_purchases"]

    def test_rows_without_a_clock_that_would_have_to_go_first(self, look: Look) -> None:
        """Nothing is proposed for their parents either, nor for what waits for those."""
        found = look(
            self.SESSIONS,
            f"CREATE TABLE refresh_tokens (id {self.OF}, token TEXT, expires_at TIMESTAMP)",
            "CREATE TABLE steps (id INTEGER PRIMARY KEY, token_id INT REFERENCES refresh_tokens)",
        )
        told = "no clock for {}, which refers to it: its rows would have to go first"
        assert why(found, "refresh_tokens") == told.format("steps")
        assert why(found, "user_sessions") == told.format("refresh_tokens")

    def test_policies_come_after_those_of_their_children(self, look: Look) -> None:
        """Unless the children go along anyway."""
        token = "token TEXT, expires_at TIMESTAMP"
        found = look(
            self.SESSIONS,
            f"CREATE TABLE refresh_tokens (id {self.OF}, {token})",
            f"CREATE TABLE reset_tokens (id {self.OF} ON DELETE CASCADE, {token})",
        )
        made = {each.table: each for each in propose_policies(found)[0]}
        session = made["user_sessions"]
        assert (session.words["after"], session.words["cascades"]) == (
            ["refresh_tokens_ended"],
            ["reset_tokens"],
        )
        assert "refresh_tokens refer to it: their rows have to go first" in session.evidence
        assert (session.confidence, made["refresh_tokens"].confidence) == (0.63, 0.9)
        assert not {"after", "cascades"} & made["refresh_tokens"].words.keys()


class TestMasks:
    """What is written over personal columns."""

    def test_where_nothing_fits_a_person_is_asked(self, look: Look) -> None:
        """What is computed cannot be written, and what is unique must not become the same in every row."""
        columns = (
            "nick TEXT AS (email), username TEXT NOT NULL UNIQUE, gender INTEGER NOT NULL, "
            "street VARCHAR(20) NOT NULL UNIQUE, city VARCHAR(20) NOT NULL, last_login TIMESTAMP"
        )
        made = one(look(f"{PEOPLE}, {columns})"))
        expected = {"nick": TODO, "username": "surrogate", "gender": TODO, "street": TODO, "city": "empty"}
        assert {name: made.words["masks"][name] for name in expected} == expected
        assert "masks: nothing that Aegis writes fits each of these columns: say what" in made.evidence


class TestEnumerations:
    """Words that a column can have say which rows are meant."""

    @pytest.mark.parametrize(
        ("words", "carts", "refused"),
        [
            (("open", "Ordered", "paid"), "state NOT IN ('Ordered', 'paid')", None),
            (("new", "declined", "hired", "it's"), None, "state IN ('declined')"),
            (("new", "old"), None, None),
        ],
    )
    def test_baskets_and_applications(
        self, words: tuple[str, ...], carts: str | None, refused: str | None
    ) -> None:
        """A basket that was ordered is an order; an application that was refused may go."""
        columns: list[sa.Column[Any]] = [
            sa.Column("kind", sa.Enum("a", "b")),
            sa.Column("state", sa.Enum(*words)),
        ]
        table = CatalogTable(label="t", table=sa.Table("t", sa.MetaData(), *columns))
        assert conditions.of_carts(table, []) == carts
        assert conditions.of_refused(table) == refused

    def test_a_flag_that_no_condition_can_read(self) -> None:
        """Nothing is proposed that a policy would refuse."""
        # As MariaDB's INTEGER(1).
        kind = type("INTEGER", (sa.Integer,), {"display_width": 1})()
        flag = sa.Column("is_deleted", kind)
        table = CatalogTable(label="t", table=sa.Table("t", sa.MetaData(), flag))
        assert conditions.of_deleted(table) is None


class TestTenants:
    """Whose customer a row is."""

    ORGS = "CREATE TABLE organisations (id INTEGER PRIMARY KEY, name TEXT)"

    @pytest.mark.parametrize(
        ("columns", "column"),
        [
            ("owner INT REFERENCES organisations", "owner"),
            ("tenant_id INT", "tenant_id"),
            ("tenant TEXT", "tenant"),
            ("organisation_id INT REFERENCES organisations, tenant_id INT", None),
            ("label TEXT", None),
        ],
    )
    def test_declared_then_named(self, look: Look, columns: str, column: str | None) -> None:
        """A foreign key to a table of tenants, else a name; two that disagree are a question."""
        found = look(self.ORGS, f"CREATE TABLE things (id INTEGER PRIMARY KEY, {columns})")
        tenancy = tenancy_of(found, "things")
        assert tenancy.column == column
        assert bool(tenancy.rivals) == (columns.count("_id INT") == 2)

    def test_a_tenant_is_nobodys(self, look: Look) -> None:
        """Its own table has no tenant column, whatever it refers to."""
        found = look(
            self.ORGS,
            "CREATE TABLE workspaces (id INTEGER PRIMARY KEY, organisation_id INT REFERENCES organisations)",
        )
        tenancy = tenancy_of(found, "workspaces")
        assert (tenancy.column, tenancy.rivals, tenancy.evidence) == (None, (), "")

    def test_disagreement_is_asked(self, look: Look) -> None:
        """The policy says TODO, and who speaks against whom."""
        both = "organisation_id INT REFERENCES organisations, tenant_id INT"
        made = one(
            look(
                self.ORGS,
                f"CREATE TABLE user_sessions (token TEXT, expires_at TIMESTAMP, {both})",
            )
        )
        assert made.words["tenant_column"] == TODO
        assert "organisation_id and tenant_id could each be the tenant" in made.evidence

    def test_a_parents_tenant_is_told(self, look: Look) -> None:
        """A policy reads its own table only, so the way is a hint."""
        found = look(
            self.ORGS,
            f"{PEOPLE}, organisation_id INT REFERENCES organisations)",
            "CREATE TABLE user_sessions (token TEXT, user_id INT REFERENCES users, expires_at TIMESTAMP)",
        )
        assert "tenant_column" not in one(found).words
        assert any("user_sessions → users.organisation_id" in line for line in one(found).evidence)


class TestRows:
    """What happens to a person's rows."""

    def entries(self, look: Look, *tables: str) -> Mapping[str, Mapping[str, Any]]:
        """Return the entries of the proposed map, people left out."""
        found = look(f"{PEOPLE}, boss_id INT REFERENCES users)", *tables)
        return {name: body for name, body in propose_map(found).tables.items() if name != "users"}

    def test_by_kind(self, look: Look) -> None:
        """Sessions go, comments stay without their author, who handled a row is let go of."""
        made = self.entries(
            look,
            "CREATE TABLE user_sessions (token TEXT, id INT PRIMARY KEY, user_id INT REFERENCES users)",
            "CREATE TABLE comments (id INT PRIMARY KEY, user_id INT REFERENCES users, body TEXT)",
            "CREATE TABLE products (id INTEGER PRIMARY KEY, created_by INT REFERENCES users, title TEXT)",
            "CREATE TABLE pages (id INT PRIMARY KEY, approved_by INT NOT NULL REFERENCES users, title TEXT)",
        )
        assert {name: body["row"] for name, body in made.items()} == {
            "user_sessions": "delete",
            "comments": "anonymize",
            "products": "nullify",
            "pages": TODO,
            "users.boss_id": "nullify",
        }
        assert made["comments"]["columns"] == {"body": "scrub_text"}

    def test_rows_that_stay_keep_what_they_refer_to(self, look: Look) -> None:
        """A session is not deleted under orders that have to stay and refer to it."""
        made = self.entries(
            look,
            "CREATE TABLE user_sessions (token TEXT, id INT PRIMARY KEY, user_id INT REFERENCES users)",
            "CREATE TABLE orders (id INTEGER PRIMARY KEY, session_id INT NOT NULL REFERENCES user_sessions, "
            "created_at TIMESTAMP)",
        )
        assert (made["user_sessions"]["row"], made["orders"]["row"]) == ("anonymize", "retain")

    def test_the_row_of_somebody_whose_health_is_in_it_is_asked(self, look: Look) -> None:
        """What happens to a patient's row follows from the law, and is nobody's guess."""
        made = propose_map(look(f"{PEOPLE}, diagnosis TEXT)"))
        assert made.tables["users"]["row"] == TODO
        assert made.reasons["users"].why.startswith("health data: the time follows from the law")

    def test_baskets_go_and_orders_let_go_of_them(self, look: Look) -> None:
        """A list is no business record; the order that came from it is, and names it no more."""
        made = self.entries(
            look,
            "CREATE TABLE carts (id INTEGER PRIMARY KEY, user_id INT REFERENCES users)",
            "CREATE TABLE orders (id INT PRIMARY KEY, cart_id INT REFERENCES carts, created_at TIMESTAMP)",
        )
        assert (made["carts"]["row"], made["orders"]["row"]) == ("delete", "nullify")

    @pytest.mark.parametrize(
        ("table", "row", "told"),
        [
            (
                "gizmos (xqz TEXT, {} ON DELETE CASCADE)",
                "delete",
                "the schema deletes it along (ON DELETE CASCADE)",
            ),
            ("gizmos (xqz TEXT, {} ON DELETE SET NULL)", "nullify", "the row is somebody else's"),
            ("products (title TEXT, {})", "nullify", "the row is somebody else's"),
            ("friends (first_name TEXT, email TEXT, {})", TODO, "a row of another person"),
            ("gizmos (phone TEXT, {})", "delete", "it refers to the person and holds something of them"),
            ("gizmos (size INT, {})", "delete", "it is there by the person alone"),
        ],
    )
    def test_of_what_kind_nothing_is_known(self, look: Look, table: str, row: str, told: str) -> None:
        """The schema says what it would do with them, or what they hold says it."""
        first, owner = table.partition(" ")[0], "user_id INT REFERENCES users"
        made = propose_map(look(f"{PEOPLE})", f"CREATE TABLE {table.format(owner)}"))
        assert made.tables[first]["row"] == row
        assert made.reasons[first].why.startswith(told)

    def test_rows_of_two_people(self, look: Look) -> None:
        """While one of them stays, what is the other's is masked."""
        two = "user_id INT REFERENCES users, owner_id INT REFERENCES users"
        made = self.entries(look, f"CREATE TABLE votes (id INTEGER PRIMARY KEY, {two})")
        assert made["votes"]["shared"] == "mask_own_columns"
        assert (made["votes.user_id"]["row"], made["votes.owner_id"]["row"]) == ("delete", "delete")

    def test_texts_that_are_keys_stay(self, look: Look) -> None:
        """Whose customer a row is, and what it refers to, is no text of a person's."""
        keys = "tenant_id TEXT, external_object_id TEXT, body TEXT, user_id INT REFERENCES users"
        made = self.entries(look, f"CREATE TABLE comments (id INTEGER PRIMARY KEY, {keys})")
        expected = {"tenant_id": "preserve", "external_object_id": "preserve", "body": "scrub_text"}
        assert made["comments"]["columns"] == expected

    def test_a_table_that_was_not_looked_at(self, look: Look) -> None:
        """One that came into the schema meanwhile, and refers to a person: somebody is asked."""
        found = look(
            f"{PEOPLE})", "CREATE TABLE visits (id INTEGER PRIMARY KEY, user_id INT REFERENCES users)"
        )
        tables = {"users": found.table("users")}
        earlier = replace(
            found, catalog=replace(found.catalog, tables=tables), facts={"users": found.facts["users"]}
        )
        made = propose_map(earlier)
        assert made.tables["visits"] == {"row": TODO, "via": "user_id"}
        assert made.reasons["visits"].why == "the table could not be looked at"

    def test_nobody_is_in_it(self, look: Look) -> None:
        """A schema without persons has no subject, and nothing is reached."""
        made = propose_map(look("CREATE TABLE products (id INTEGER PRIMARY KEY, title TEXT)"))
        assert made.entries() == {"subjects": {}, "tables": {}}

    @pytest.mark.parametrize(
        "name", ["birth, date", "birth: date", "birth date #1", "{birth date}", "birth' date"]
    )
    def test_whatever_a_column_is_called(self, look: Look, name: str) -> None:
        """A name that YAML would read otherwise is proposed as it stands in the schema."""
        made = propose_map(look(f'{PEOPLE}, "{name}" DATE)'))
        assert made.tables["users"]["columns"][name] == {"truncate_date": "year"}

    def test_however_long_the_way(self, look: Look) -> None:
        """A chain of references is followed to its end."""
        steps = [
            f"CREATE TABLE t{n} (id INTEGER PRIMARY KEY, of INT REFERENCES t{n - 1})" for n in range(1, 62)
        ]
        first = "CREATE TABLE t0 (id INTEGER PRIMARY KEY, user_id INT REFERENCES users)"
        assert "t61" in self.entries(look, first, *steps)

    def test_whatever_is_personal_is_written_over(self, look: Look) -> None:
        """Dates too, for which the check would not ask by itself."""
        found = look(f"{PEOPLE}, birth_date DATE)")
        assert propose_map(found).tables["users"]["columns"]["birth_date"] == {"truncate_date": "year"}


class TestImports:
    """What another tool says of columns."""

    def test_it_becomes_a_proposal(self, look: Look) -> None:
        """With what would be written over the column; keys are left as they are."""
        found = look(f"{PEOPLE}, nick TEXT, phone TEXT)")
        labels = {
            ("users", "nick"): "user.contact.phone_number",
            ("users", "id"): "user.unique_id",
            ("users", "phone"): "none",
        }
        text, count = import_labels(found, propose_files(found).datamap, "m", labels, "A tool")
        made = parse_map(text, "m")
        said = made.catalog["users"].columns
        assert count == 3
        assert {name: said[name].category for _, name in labels} == {
            name: it for (_, name), it in labels.items()
        }
        assert {said[name].evidence[0] for _, name in labels} == {"A tool says so"}
        assert made.rules["users"].columns["nick"] == "null"
        assert "id" not in made.rules["users"].columns

    def test_a_decision_stays(self, look: Look) -> None:
        """What a person has accepted is not proposed again, nor what is written over it."""
        found = look(f"{PEOPLE}, nick TEXT)")
        text = propose_files(found).datamap.replace("status: proposed", "status: accepted")
        labels = {("users", "nick"): "user.contact.phone_number", ("users", "none"): "user.name"}
        assert import_labels(found, text, "m", labels, "A tool") == (text, 0)

    def test_a_column_that_is_gone(self, look: Look) -> None:
        """It still stands in the map, and nothing is proposed for it."""
        text = propose_files(look(f"{PEOPLE}, nick TEXT)")).datamap
        later = look("ALTER TABLE users DROP COLUMN nick")
        assert import_labels(later, text, "m", {("users", "nick"): "user.name"}, "A tool") == (text, 0)


def test_whoever_looks_is_told_how_far_it_is(look: Look, tmp_path: Path) -> None:
    """Of each table, and how many there are."""
    look("CREATE TABLE a (id INTEGER PRIMARY KEY)", "CREATE TABLE b (id INTEGER PRIMARY KEY)")
    engine = make_engine(SourceSettings(url=f"sqlite:///{tmp_path / 'app.db'}"), own=False)
    told: list[tuple[int, int]] = []
    survey(engine, "app", on_table=lambda done, total: told.append((done, total)))
    engine.dispose()
    assert told == [(1, 2), (2, 2)]


@given(st.text(min_size=1, max_size=200))
def test_every_table_has_a_name_for_its_policy(label: str) -> None:
    """Whatever a table is called."""
    assert NAME.fullmatch(policy_name(label, "ended"))
