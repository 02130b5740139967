"""The pages of a policy and of a run: their figures against the databases, and names that are markup."""

import datetime as dt
import stat
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from aegis.db import transactions
from aegis.errors import UsageError
from aegis.operations import holds
from aegis.operations.scopes import Scope
from aegis.retention import counting, looking
from aegis.retention.preview import Beside
from api import privacy
from api.audit import prune_journals, relay_journals, seal_audit_log
from cli import preview_page, run_page
from cli.main import main
from tests import worlds
from tests.integration.test_counting import filled
from tests.unit.test_erasure_page import Reader
from tests.worlds import ACTOR, EACH_DATABASE, World, on

#: What a database may call a table or a tenant.
EVIL = "<img src=x onerror=alert(1)>"


def said(*words: str) -> Result:
    """Run a command in this process, where the world is."""
    result = CliRunner().invoke(main, list(words))
    assert not isinstance(result.exception, AssertionError)
    return result


def text_of(page: str) -> str:
    """Return what people read on a page; it is well formed, and nothing else can load or run."""
    read = Reader(page)
    assert not {"script", "link", "img", "iframe", "object", "base"} & read.tags
    assert not {"src", "href", "onclick", "onload", "onerror", "style"} & read.attributes
    return " ".join(read.text.split())


def held(world: World, **scope: Any) -> None:
    """Place a hold."""
    holds.place(
        world.system,
        Scope(**scope),
        datasource=world.datasource,
        matter="the matter of Doe",
        owner="somebody",
        review_by=dt.date(2030, 1, 1),
    )


def briefed(world: World, **words: Any) -> Any:
    """Fill the usual table with a row for each reason, and return what an approver is told."""
    world.safety_events()
    world.events(range(5), 60)
    world.events(range(10, 14), 60, tenant="held")
    world.events(range(20, 23), None, tenant="beta")
    world.events(range(30, 32), 1, tenant="beta")
    world.events(range(40, 41), 60, kind="high")
    world.policy(tenant_column="tenant", filter_sql="kind = 'low'", approve=False, **words)
    held(world, tenant="held")
    return privacy.brief_retention_policy("p")


@on(*EACH_DATABASE)
class TestPreview:
    """What an approver is told beside the preview."""

    def test_what_stays_by_month_and_tenant(self, world: World) -> None:
        """Together with what goes it is the table, month by month and tenant by tenant."""
        seen = briefed(world).preview
        staying = seen.beside.staying
        assert seen.rows + sum(staying.months.values()) == seen.total == 15
        assert staying.tenants == {"acme": 1, "beta": 5, "held": 4}
        assert staying.months["none"] == 3
        assert staying.matrix["beta"]["none"] == 3
        now = seen.cutoffs.moment
        assert staying.months[f"since {now:%Y-%m}"] == (
            2 if (now - dt.timedelta(days=1)).month == now.month else 0
        )
        assert seen.spread.tenants == {"acme": 5}
        alone = privacy.brief_retention_policy("p", tenant_id="beta").preview
        assert alone.beside is not None
        assert alone.beside.staying is not None
        assert alone.beside.staying.tenants == {"beta": 5}

    def test_the_page_has_all_of_it(self, world: World, tmp_path: Path) -> None:
        """Numbers, reasons, guards, digest and command; no row's value, and not what a hold is about."""
        found = briefed(world, guards={"max_rows": 8}, purpose="security of sign-in")
        file = tmp_path / "preview.html"
        done = said("policy", "preview", "p", "--html", str(file))
        assert done.exit_code == 0, done.output
        assert f"The page is {file}, which only you can read." in done.stdout
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        text = text_of(file.read_text(encoding="utf-8"))
        for part in (
            "A guard would stop it before its first row: max_rows 8 lets at most 8 go",
            "a run would count 9 rows",
            "5 rows would be deleted",
            "10 rows would stay",
            "4 rows under a legal hold",
            "under a legal hold 4 until the hold is released",
            "without a timestamp 3 they never go",
            "outside the policy's condition 1 this policy never takes them",
            "not past their time 2 until they are",
            "tenant held",
            "security of sign-in",
            "no timestamp 0 3",
            "Nobody has approved it yet.",
            f"aegis policy approve p --actor YOU --digest {found.preview.policy.digest}",
        ):
            assert part in text, part
        assert worlds.CANARY not in text
        assert "Doe" not in text
        again = said("policy", "preview", "p", "--html", str(file))
        assert (again.exit_code, "not overwritten" in again.output) == (2, True)
        assert said("policy", "preview", "nope", "--html", str(tmp_path / "no.html")).exit_code == 2
        assert not (tmp_path / "no.html").exists()

    def test_what_takes_too_long_is_told_to_be_uncounted(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The rest of the page stands; a number that is not there is never a zero."""
        filled(world)
        world.policy(tenant_column="tenant", guards={"max_rows": 1000})
        plain = looking._Look.beside  # noqa: SLF001 - between the counts before it and those after

        def hurried(self: Any, connection: sa.Connection) -> Beside:
            transactions.limit_statements(connection, 1)
            found = plain(self, connection)
            transactions.limit_statements(connection, 60_000)
            return found

        monkeypatch.setattr(looking._Look, "beside", hurried)  # noqa: SLF001
        found = privacy.brief_retention_policy("p")
        beside = found.preview.beside
        assert beside is not None
        assert (beside.staying, beside.expected) == (None, None)
        text = text_of(preview_page.page_of(found))
        assert text.count("What would stay is not counted here") == 2
        assert "not counted: it takes too long" in text
        assert "300 rows would be deleted" in text
        assert "It is approved, but whether its guards hold could not be counted" in text


@on("postgresql-one")
def test_a_sample_is_told_to_be_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its numbers are marked, with the margin; of other tables it says nothing rather than none."""
    filled(world)
    world.policy(tenant_column="tenant")
    monkeypatch.setattr(counting, "SAMPLE_BLOCKS", 50)
    found = privacy.brief_retention_policy("p", sampled=True)
    assert found.preview.sample is not None
    text = text_of(preview_page.page_of(found))
    for part in (
        "% of the table's blocks: what would go is right to ±",
        "Not counted: a sample of some rows",
    ):
        assert part in text, part
    assert text.count("≈ ") == 5


@on("sqlite-one")
class TestVerdicts:
    """What the page says first."""

    @pytest.mark.parametrize("most", [8, 9])
    def test_a_guard_says_what_the_run_will(self, world: World, most: int) -> None:
        """The preview counts as the run does, held rows included: it stops exactly where the page says so."""
        briefed(world, guards={"max_rows": most})
        privacy.approve_retention_policy("p", ACTOR)
        found = privacy.brief_retention_policy("p")
        report = world.enforce()
        assert [each.expected for each in found.guards] == [9]
        safe = "no guard would stop it now" in text_of(preview_page.page_of(found))
        assert safe == (not found.broken)
        assert bool(found.broken) == (report["status"] == "blocked") == (most < 9)

    def test_each_first_sentence(self, world: World) -> None:
        """Approved, changed since, stopped, held as a whole, disabled: each is told first."""

        def page() -> str:
            return text_of(preview_page.page_of(privacy.brief_retention_policy("p")))

        briefed(world)
        assert "It changes nothing yet: version 1 waits for approval." in page()
        privacy.approve_retention_policy("p", ACTOR)
        text = page()
        assert "It may run: it is approved, and it has no guard." in text
        assert f"{ACTOR} " in text
        assert "claimed: no key proves it" in text
        assert "aegis retention run --policy p --execute" in text
        held(world, table="safety_events")
        assert "Nothing runs now: a legal hold covers the whole table." in page()
        privacy.stop_operations("reason", actor=ACTOR)
        assert "Nothing runs now: everything in the data source is stopped" in page()
        privacy.start_operations(actor=ACTOR)
        world.execute("CREATE TRIGGER t BEFORE DELETE ON safety_events BEGIN SELECT 1; END")
        text = page()
        assert (
            "It cannot be approved as it stands: policy p version 1: the table or its database changed"
            in text
        )
        assert "register it again first" in text
        privacy.disable_retention_policy("p", ACTOR)
        assert "It does not run: the policy is disabled." in page()

    def test_names_that_are_markup(self, world: World, tmp_path: Path) -> None:
        """A table, a column, a tenant and a purpose are read, not obeyed, here and in the report of a run."""
        table = f'"{EVIL}"'
        world.create(table, f'id BIGINT PRIMARY KEY, "{EVIL}" {{text}}, created_at {{instant}}')
        old = world.value(dt.datetime.now(dt.UTC) - 60 * worlds.DAY)
        world.execute(f"INSERT INTO {table} VALUES (1, :t, :at), (2, 'b', :at)", t=f"{EVIL}\u202e", at=old)  # noqa: S608
        world.born(table, 2)
        world.policy(
            table=EVIL, tenant_column=EVIL, purpose=f"{EVIL}</style>", filter_sql=f"\"{EVIL}\" <> 'b'"
        )
        text = text_of(preview_page.page_of(privacy.brief_retention_policy("p")))
        assert text.count(EVIL) >= 5
        assert "\\u202e" in text
        assert "\u202e" not in text
        run = world.enforce()["run"]
        file = tmp_path / "run.html"
        assert said("retention", "status", run, "--html", str(file)).exit_code == 0
        assert text_of(file.read_text(encoding="utf-8")).count(EVIL) >= 3


class TestRun:
    """The report of a run."""

    @on(*EACH_DATABASE)
    def test_its_figures_are_those_of_the_databases(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Stretches of time, journal, log and report have the same rows; half-way nothing is claimed."""
        world.safety_events()
        world.events(range(300), 60)
        world.events(range(400, 405), 60, tenant="held")
        world.policy(tenant_column="tenant")
        held(world, tenant="held")
        world.batches_of(50)
        run = world.start()
        while privacy.run_standing(run).rows < 100:
            privacy.advance_run(run, 0.0)
        now = privacy.run_dossier(run)
        assert (now.balances, now.reported) == (None, None)
        assert "it has not ended, and these numbers move" in text_of(run_page.page_of(now))
        world.finish(run)
        relay_journals()
        # Where the commands look for whom to trust; the default control database has a key already.
        monkeypatch.setenv("AEGIS_HOME", str(world.settings.home))
        said("audit", "keys", "init")
        seal_audit_log()
        found = privacy.run_dossier(run)
        course = found.course
        assert found.balances
        assert found.journal == course.gone == found.reported == 300
        summed: Counter[str] = sum((stretch.rows for stretch in course.stretches), Counter())
        assert summed == course.rows == {"delete": 300}
        assert sum(stretch.batches for stretch in course.stretches) == course.batches >= 6
        assert course.unsequenced == 0
        assert course.leaves is not None
        assert course.leaves[1] - course.leaves[0] + 1 >= course.events > course.batches
        assert found.left["held"] == {"held": 5}
        text = text_of(run_page.page_of(found))
        for part in (
            "It is done, and its account agrees",
            "300 rows deleted",
            "5 rows left under a legal hold",
            "under a legal hold 5 until the hold is released",
            "held 5 under a legal hold",
            "Journal in the data source 300",
            "Audit log 300",
            "Report of the run 300",
            f"aegis audit verify --since {course.leaves[0]}",
            f"aegis audit prove {course.ended}",
            found.policy.digest,
            f"{ACTOR} ",
            "claimed: no key proves it",
        ):
            assert part in text, part
        assert "Doe" not in text
        for words in (["--since", str(course.leaves[0])], []):
            done = said("audit", "verify", *words)
            assert done.exit_code == 0, done.output
        assert said("audit", "prove", str(course.ended)).exit_code == 0

    @on("sqlite-one")
    def test_two_actions_what_went_along_and_the_archive(self, world: World) -> None:
        """Rows by action, rows of other tables and the archive's parts are told apart."""
        world.safety_events()
        world.events(range(30), 45)
        world.events(range(100, 110), 100)
        world.policy(action="anonymize", masks={"email": "null"}, delete_after_days=30, archive={})
        run = world.enforce()["run"]
        world.masked["safety_events"] += 40
        found = privacy.run_dossier(run)
        assert found.course.rows == {"anonymize": 40, "delete": 10}
        assert found.archive is not None
        text = text_of(run_page.page_of(found))
        for part in ("40 rows anonymized", "10 rows deleted", "SHA-256 of its manifest", "Audit log 50"):
            assert part in text, part

    @on("sqlite-one")
    def test_a_report_that_was_changed_is_found(self, world: World) -> None:
        """One row less in the report: the page says first that the account does not agree."""
        world.safety_events()
        world.events(range(30), 60)
        world.policy()
        run = world.enforce()["run"]
        with world.control.begin() as connection:
            connection.execute(sa.text("UPDATE aegis_runs SET rows = rows - 1"))
        world.unbalanced = "somebody changed a report"
        found = privacy.run_dossier(run)
        assert found.balances is False
        assert "The account does not agree" in text_of(run_page.page_of(found))

    @on("sqlite-one")
    def test_after_its_journal_was_removed(self, world: World) -> None:
        """Past its horizon the journal tells nothing; the log and the report still have to agree."""
        world.safety_events()
        world.events(range(30), 60)
        world.policy()
        run = world.enforce()["run"]
        with world.control.begin() as connection:
            connection.execute(sa.text("UPDATE aegis_runs SET finished_at = '2020-01-01 00:00:00.000000'"))
        prune_journals()
        found = privacy.run_dossier(run)
        assert (found.journal, found.balances) == (None, True)
        assert "removed there, as for every run after its horizon" in text_of(run_page.page_of(found))

    @on("sqlite-one")
    def test_a_run_that_a_guard_stopped(self, world: World) -> None:
        """It says why; once somebody has approved this one run, it says who."""
        world.safety_events()
        world.events(range(30), 60)
        world.policy(guards={"max_rows": 3})
        run = world.enforce()["run"]
        assert "It is blocked: guard max_rows = 3" in text_of(run_page.page_of(privacy.run_dossier(run)))
        privacy.approve_stopped_run("p", run, ACTOR)
        world.finish(run)
        text = text_of(run_page.page_of(privacy.run_dossier(run)))
        assert "Of this one run, after a guard had stopped it" in text

    @on("sqlite-one")
    def test_what_has_no_report(self, world: World, tmp_path: Path) -> None:
        """Nothing went: it says so. An erasure is refused with where its receipt is; a list has no page."""
        world.safety_events()
        world.policy()
        run = world.start()
        privacy.cancel_run(run, ACTOR)
        text = text_of(run_page.page_of(privacy.run_dossier(run)))
        assert "It is cancelled: what went before that is accounted for." in text
        assert "Over time None." in text
        with world.control.begin() as connection:
            connection.execute(sa.text("UPDATE aegis_runs SET policy_id = NULL"))
        with pytest.raises(UsageError, match="aegis erasure receipt"):
            privacy.run_dossier(run)
        assert said("retention", "status", "--html", str(tmp_path / "all.html")).exit_code == 2
        assert not list(tmp_path.glob("*.html"))
