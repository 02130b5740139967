"""What the catalog proposes: clocks, periods, tenants, conditions, masks, and a person's rows."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from aegis.catalog.clocks import Meaning, meaning_of
from aegis.catalog.maps import propose_map
from aegis.catalog.proposals import Proposal, policy_name, propose_policies
from aegis.catalog.scanning import Limits
from aegis.catalog.survey import Survey, survey
from aegis.catalog.tenants import tenancy_of
from aegis.catalog.units import unit_of
from aegis.datamap.model import TODO
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

    def test_whatever_is_personal_is_written_over(self, look: Look) -> None:
        """Dates too, for which the check would not ask by itself."""
        found = look(f"{PEOPLE}, birth_date DATE)")
        assert propose_map(found).tables["users"]["columns"]["birth_date"] == {"truncate_date": "year"}


@given(st.text(min_size=1, max_size=200))
def test_every_table_has_a_name_for_its_policy(label: str) -> None:
    """Whatever a table is called."""
    assert NAME.fullmatch(policy_name(label, "ended"))
