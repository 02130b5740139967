"""What `aegis grants` prints is enough for everything, each of it is needed, and nothing else is possible."""

import datetime as dt
import importlib
import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final, get_args

import pytest
import sqlalchemy as sa

from aegis.datamap.hooks import Anonymizer
from aegis.db import faults, partitions, tending
from aegis.db.faults import Fault
from aegis.doctor.findings import Finding, Verdict, careful
from aegis.doctor.patient import Patient
from aegis.doctor.rights import check_rights
from aegis.errors import AegisError, Refused, UnsafeTable
from aegis.grants import Grants, Need, check, needed
from aegis.grants.script import script
from aegis.retention import counting
from aegis.settings import SourceSettings, VerifySettings
from api import archives, audit, erasure, privacy
from api.erasure import anonymize_user
from cli import grants as grants_command
from tests import grantworld
from tests.grantworld import DUE, YOUNG, Granted, fill
from tests.integration.test_partitions import SPANS, partitioned, refused, tables
from tests.integration.test_partitions import fill as fill_partition
from tests.oneperson import expect
from tests.repeats import LONG
from tests.worlds import ACTOR, World, on

SERVERS: Final = ("sqlite+postgresql", "sqlite+mariadb")
LONG_AGO: Final = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
REVIEW: Final = dt.date(2099, 1, 1)


@pytest.fixture
def granted(world: World, tmp_path: Path) -> Iterator[Granted]:
    """The application, as the two roles see it."""
    grantworld.begin(world, tmp_path)
    with grantworld.granted(world) as made:
        yield made


def hold(**scope: Any) -> str:
    """Place a legal hold."""
    return privacy.place_hold(matter="Doe v. Example", owner=ACTOR, review_by=REVIEW, **scope)


@on(*SERVERS)
@pytest.mark.usefixtures("granted")
def test_everything_runs_with_what_is_granted(world: World, tmp_path: Path) -> None:
    """Retention, holds, archives, purges, erasure, its search, verify and replay."""
    assert check(world.system, "app").exact
    assert check(world.system, "app", purpose="verify").exact
    held = hold(table="calls", key={"id": "1"})
    hold(table="rings", key={"id": "2"})
    assert privacy.preview_retention_policy("calls").rows == DUE - 2
    privacy.release_hold(held, ACTOR)
    world.batches_of(1)
    run = world.start("calls")
    report = privacy.advance_run(run, 0)
    assert report["more"], report
    report = world.finish(run)
    assert (report["outcome"], report["reason"]) == ("done", None), report
    world.nullified["marks"] += DUE - 1
    assert world.enforce("members")["rows"] == DUE
    world.masked["members"] += DUE
    report = world.enforce("letters")
    assert report["rows"] == DUE
    if world.dialect == "postgresql":
        for each in privacy.retention_purges():
            assert privacy.purge_run(each["run"], execute=True)["state"] in {"done", "waiting"}
    privacy.disable_retention_policy("letters", ACTOR)
    (archive,) = archives.list_archives()
    assert archives.restore_archive(archive["id"], actor=ACTOR, dry_run=False)["rows"] == DUE
    world.came_back("letters", DUE)

    erasure.plan_erasure(["7"])
    erasure.export_person(["7"], tmp_path / "export.json", actor=ACTOR)
    assert not erasure.verify_erasure(["7"]).clean
    done = anonymize_user("7", ACTOR)
    assert done.status == "done", done.reason
    expect(world, done.rows)
    assert erasure.verify_erasure(["7"], identifiers={"email": "a@example.com"}).clean
    erasure.replay_erasures(LONG_AGO, actor=ACTOR)
    audit.relay_journals()
    audit.prune_journals()


class Attempts:
    """What is tried when a right is gone: the steps that ask for it, until one says that it is missing."""

    def __init__(self, world: World, granted: Granted, folder: Path) -> None:
        self._world, self._granted = world, granted
        self._map, self._file = folder / "app.datamap.yaml", folder / "export.json"
        self._archive = str(world.enforce("letters")["run"])
        self._new = itertools.count(YOUNG + 1)
        #: The policies that ask for the right that is gone.
        self._policies: list[str] = []
        fill(world, range(DUE + 1, 2 * DUE))
        # In a place of their own: where a hold is, every column that tells what it covers is read.
        for table in ("calls", "rings"):
            hold(table=table, tenant="zeta", since=LONG_AGO, until=LONG_AGO + dt.timedelta(days=1))
        hold(table="rings", key={"id": str(YOUNG)})
        self._placed = hold(table="calls", tenant="other")
        self._by_step: dict[str, Sequence[Callable[[], object]]] = {
            "connects": [self._preview, self._verify],
            "its tables": [self._preview, self._verify],
            "sees every table": [self._preview, self._verify],
            "the throttle": [self._watch],
            "the journal of": [self._preview, self._hold, self._relay, self._take_over],
            "the journal:": [self._release],
            "finds the rows that are due": [self._preview, self._sample, self._hold_rows, self._enforce],
            "looks for rows that refer": [self._preview, self._enforce],
            "looks for holds": [self._hold_rows, self._preview],
            "takes rows along": [self._enforce],
            "anonymizes": [self._enforce],
            "deletes": [self._enforce],
            "archives": [self._preview],
            "brings rows back": [self._restore],
            "vacuums": [self._vacuum],
            "triggers": [self._preview, self._plan, self._erase_later],
            "erasure: finds": [self._plan],
            "erasure: exports": [self._export],
            "erasure: writes": [self._erase],
            "erasure: deletes the rows": [self._erase],
            "erasure: deletes rows that": [self._erase],
            "erasure: deletes what": [self._erase_later],
            "erasure verify": [self._verify],
            "erasure: searches": [self._verify],
        }

    def missing(self, need: Need) -> str:
        """Return what is said of a right that was taken away; empty: everything went on."""
        self._policies = re.findall(r"policy (\w+):", " ".join(need.why)) or ["calls"]
        words = self._by_step.items()
        steps = [step for why in need.why for word, some in words if word in why for step in some]
        for step in dict.fromkeys(steps):
            try:
                said = step()
            except AegisError as error:
                said = str(error)
            if said:
                return str(said)
        return ""

    def _preview(self) -> None:
        for name in self._policies:
            privacy.preview_retention_policy(name)

    def _sample(self) -> None:
        for name in self._policies if self._world.dialect == "postgresql" else ():
            privacy.preview_retention_policy(name, sampled=True)

    def _watch(self) -> str:
        report = self._world.run_row(self._world.enforce("members")["run"])["report"]
        hidden = json.loads(report)["unmeasured"]
        return f"GRANT MEMBER of pg_read_all_stats: {hidden}" if hidden else ""

    def _enforce(self) -> str:
        fill(self._world, [next(self._new)])
        for name in self._policies:
            report = self._world.enforce(name)
            if reason := report.get("reason"):
                privacy.cancel_run(report["run"], ACTOR)
                return str(reason)
        return ""

    def _take_over(self) -> None:
        run = self._world.start("calls")
        privacy.pause_run(run, ACTOR)
        privacy.cancel_run(run, ACTOR)

    def _hold(self) -> None:
        privacy.release_hold(hold(table="calls", tenant="other"), ACTOR)

    def _hold_rows(self) -> None:
        for table in ("calls", "members", "rings", "marks"):
            privacy.release_hold(hold(table=table, key={"id": str(YOUNG)}), ACTOR)

    def _release(self) -> None:
        privacy.release_hold(self._placed, ACTOR)

    def _relay(self) -> None:
        fill(self._world, [next(self._new)])
        privacy.advance_run(self._world.start("calls"))
        audit.relay_journals()

    def _restore(self) -> None:
        held = hold(table="letters")
        try:
            archives.restore_archive(self._archive, actor=ACTOR, dry_run=False)
        finally:
            privacy.release_hold(held, ACTOR)

    def _vacuum(self) -> None:
        fill(self._world, [next(self._new)])
        privacy.purge_run(self._world.enforce(*self._policies)["run"], execute=True)

    def _plan(self) -> None:
        erasure.plan_erasure(["7"])

    def _export(self) -> None:
        erasure.export_person(["7"], self._file, actor=ACTOR)
        self._file.unlink()

    def _erase(self) -> str:
        done = anonymize_user("7", ACTOR)
        if not done:
            erasure.cancel_erasure(str(done.request), ACTOR)
        return done.reason or ""

    def _erase_later(self) -> str:
        """Erase when nothing has to be retained any more."""
        self._map.write_text(grantworld.MAP.replace("2040", "2001"), encoding="utf-8")
        try:
            return self._erase()
        finally:
            self._map.write_text(grantworld.MAP, encoding="utf-8")

    def _verify(self) -> None:
        erasure.verify_erasure(["7"], identifiers={"email": "a@example.com"})


def named(need: Need, column: str | None, said: str) -> bool:
    """Whether an error names a right."""
    # MariaDB speaks of the table where the role has no right on any of its columns.
    words = [need.right.privilege, need.right.name, column if column and need.right.columns[1:] else ""]
    return "GRANT" in said and all(word in said.replace("\\", "") for word in words)


def pieces(grants: Grants) -> Iterator[tuple[Need, str | None]]:
    """Yield each right; outside of the long tests only some of them column by column, the others once."""
    for need in grants.needs:
        each = LONG or (grants.purpose, grants.dialect) == ("run", "postgresql")
        for column in need.right.columns if each and need.right.columns else (None,):
            yield need, column


@on(*SERVERS)
def test_each_grant_is_needed(
    world: World, granted: Granted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each single right that is taken away is missed by an error that names it."""
    monkeypatch.setattr(counting, "SAMPLE_BLOCKS", 1)
    attempts = Attempts(world, granted, tmp_path)
    superfluous, unnamed = [], []
    for grants in (granted.run, granted.verify):
        for need, column in pieces(grants):
            granted.revoke(grants, need, column)
            said = attempts.missing(need)
            granted.give_back(grants, need)
            piece = (grants.purpose, need.right.privilege, need.right.name, column)
            if not said:
                superfluous.append(piece)
            elif not named(need, column, said):
                unnamed.append((*piece, said))
    world.nullified["marks"] += world.count("marks", "call_id IS NULL")
    world.masked["members"] += world.count("members", "name IS NULL")
    assert (superfluous, unnamed) == ([], [])


@on(*SERVERS)
def test_nothing_else_is_possible(world: World, granted: Granted) -> None:
    """No other table, column or way of change is open to either role, nor a table of its own."""
    tables = sa.inspect(world.app).get_table_names()
    for grants in (granted.run, granted.verify):
        allowed = {need.right.place[::3]: need.right.columns for need in grants.needs}
        with granted.connect(grants.purpose) as connection:
            for statement in forbidden(world, tables, allowed):
                with pytest.raises(sa.exc.DBAPIError) as refused, connection.begin():
                    connection.exec_driver_sql(statement)
                assert faults.fault_of(refused.value) is Fault.RIGHTS, statement


def forbidden(
    world: World, tables: Sequence[str], allowed: Mapping[tuple[str, str], tuple[str, ...]]
) -> Iterator[str]:
    """Yield statements that need another right than those that are allowed: (privilege, table) → columns."""

    def may(privilege: str, table: str, column: str = "") -> bool:
        columns = allowed.get((privilege, table))
        return columns is not None and (not columns or column in columns)

    inspector, quote = sa.inspect(world.app), world.app.dialect.identifier_preparer.quote
    for table in tables:
        for name in (found["name"] for found in inspector.get_columns(table)):
            column = quote(name)
            for privilege, text in (
                ("SELECT", f"SELECT {column} FROM {table} LIMIT 0"),  # noqa: S608
                ("UPDATE", f"UPDATE {table} SET {column} = NULL WHERE 1 = 0"),  # noqa: S608
                ("INSERT", f"INSERT INTO {table} ({column}) SELECT NULL WHERE 1 = 0"),
            ):
                if not may(privilege, table, name):
                    yield text
        if not may("DELETE", table):
            yield f"DELETE FROM {table} WHERE 1 = 0"  # noqa: S608
        yield f"TRUNCATE TABLE {table}"
        yield f"DROP TABLE {table}"
        yield f"ALTER TABLE {table} ADD COLUMN more INT"
    yield "CREATE TABLE more (id INT)"
    yield f"UPDATE {world.journal} SET entry = NULL WHERE 1 = 0"  # noqa: S608
    yield f"DROP TABLE {world.journal}"


@on("sqlite+postgresql")
def test_hidden_rows_need_a_role_that_sees_them(world: World, tmp_path: Path) -> None:
    """Where row-level security stands, BYPASSRLS is printed; without it nothing is counted."""
    grantworld.begin(world, tmp_path)
    world.execute("ALTER TABLE calls ENABLE ROW LEVEL SECURITY")
    world.policy("calls", "calls", timestamp_column="seen_at", cascades=["rings", "marks"])
    with grantworld.granted(world) as granted:
        need = next(need for need in granted.run.needs if need.right.kind == "attribute")
        assert need.why == ("row-level security would hide rows of public.calls",)
        assert privacy.preview_retention_policy("calls").rows == DUE
        granted.revoke(granted.run, need)
        with pytest.raises(UnsafeTable, match="BYPASSRLS"):
            privacy.preview_retention_policy("calls")
        assert check(world.system, "app").missing == ("BYPASSRLS",)


@on(*SERVERS)
def test_without_a_login_of_its_own_the_search_is_the_runs(world: World, tmp_path: Path) -> None:
    """Whoever changes the rows then reads every column that may hold a text, too."""
    grantworld.begin(world, tmp_path)
    source = world.settings.sources["app"]
    apart = replace(source, verify=VerifySettings(url=source.url))

    def read(*, alone: bool) -> set[str]:
        world.configure(datasources={"app": source if alone else apart})
        needs = needed(world.system, "app").needs
        return {need.right.name for need in needs if need.right.privilege == "SELECT"}

    assert read(alone=True) - read(alone=False) == {"vault"}


@on("sqlite+postgresql")
def test_another_database_is_not_searched(
    world: World, tmp_path: Path, new_database: Callable[[str, str], str]
) -> None:
    """A login for the search that leads elsewhere finds nothing, and ends in a refusal."""
    grantworld.begin(world, tmp_path)
    elsewhere = new_database("postgresql", "source")
    other = world.add_source("other", SourceSettings(url=elsewhere), {})
    with other.begin() as connection:
        connection.execute(sa.text("DELETE FROM aegis.aegis_journal"))
    world.system.migrate_source("other")
    source = world.settings.sources["app"]
    world.configure(datasources={"app": replace(source, verify=VerifySettings(url=elsewhere))})
    done = anonymize_user("7", ACTOR)
    assert done.status == "blocked"
    assert "is another database" in str(done.reason)
    expect(world, done.rows)


@on("sqlite-one", "sqlite+sqlite")
def test_a_file_has_no_rights(world: World) -> None:
    """SQLite says so plainly, and there is nothing to grant or to lack."""
    found = needed(world.system, world.datasource)
    assert "knows no roles" in script(found)[0]
    assert (found.needs, check(world.system, world.datasource).exact) == ((), True)


@on("postgresql-one")
def test_the_control_database_is_no_place_for_grants(world: World) -> None:
    """Its role owns it, so that there is nothing that could be left out."""
    with pytest.raises(Refused, match="own control database"):
        needed(world.system, world.datasource)


@on(*SERVERS)
def test_the_command(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """SQL for the owner with a reason for each right, the same for programs, and what is too much."""
    grantworld.begin(world, tmp_path)

    def command(*words: str) -> tuple[int, str]:
        code = grants_command.grants.main(["app", *words], standalone_mode=False)
        return code, capsys.readouterr().out

    code, text = command("--role", "night")
    quote = world.app.dialect.identifier_preparer.quote_identifier
    assert code == 0
    assert f"-- policy members: anonymizes\nGRANT UPDATE ({quote('email')}, {quote('name')}) ON " in text
    assert f"TO {quote('night')};" in text
    document = json.loads(command("--json", "--for", "verify")[1])
    assert (document["role"], document["for"]) == ("aegis_verify", "verify")
    (vault,) = [each for each in document["grants"] if each["name"] == "vault"]
    assert vault["sql"].endswith(f"TO {quote('aegis_verify')}")
    code, text = command("--check")
    assert code == 1
    assert text.startswith("beyond what is needed: ")


@on(*SERVERS)
def test_the_doctor_compares(world: World, granted: Granted) -> None:
    """Each role's rights are one line: what is missing is a fault, what is too much worth knowing."""

    def look() -> list[Finding]:
        return careful(
            "rights", partial(check_rights, Patient(system=world.system, control_ready=True), "app")
        )

    assert [finding.verdict for finding in look()] == [Verdict.OK] * 2
    (need,) = [
        each for each in granted.run.needs if each.right.privilege == "DELETE" and each.right.name == "calls"
    ]
    granted.revoke(granted.run, need)
    lacking, other = look()
    assert (lacking.verdict, other.verdict) == (Verdict.FAULT, Verdict.OK)
    assert "the role for `run` lacks DELETE ON" in lacking.text
    assert "calls" in lacking.text
    assert str(lacking.cure).endswith("aegis grants app --for run")
    granted.give_back(granted.run, need)
    world.execute(f"GRANT UPDATE ON vault TO {granted.run.role}")
    wide, other = look()
    assert (wide.verdict, other.verdict) == (Verdict.NOTE, Verdict.OK)
    assert "the role for `run` may do more than its work: UPDATE" in wide.text
    assert "vault" in wide.text


@on("sqlite+postgresql")
def test_partitions_go_by_a_function_of_their_owner(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A role that owns none has those that are past dropped and, where something comes between, put back."""
    partitioned(world)
    world.execute("CREATE TABLE vault (id INT)")
    world.policy("p", "t")
    with grantworld.granted(world) as granted:
        seen = privacy.preview_retention_policy("p").partitions
        assert seen == "dropped whole: public.t_old, public.t_older"
        with monkeypatch.context() as patch:
            patch.setattr(partitions, "drop", refused)
            report = world.enforce()
        assert (report["rows"], report["partitions"], tables(world)) == (30, {}, {*SPANS})
        fill_partition(world, range(100, 110), 100)
        assert world.enforce()["partitions"] == {"dropped": 1, "rows": 10}
        assert tables(world) == {*SPANS} - {"t_old"}
        with granted.connect("run") as connection:
            acts = get_args(tending.Act)
            for act, name in [(act, "vault") for act in acts] + [(act, "t_new") for act in acts[2:]]:
                with pytest.raises(sa.exc.ProgrammingError, match="is no partition"), connection.begin():
                    tending.tend(connection, act, f"public.{name}")
        need = next(need for need in granted.run.needs if need.right.kind == "function")
        granted.revoke(granted.run, need)
        fill_partition(world, range(110, 120), 70)
        assert "`aegis grants` prints a function" in str(privacy.preview_retention_policy("p").partitions)
        report = world.enforce()
        assert (report["rows"], report["partitions"]) == (10, {})


@on(*SERVERS)
def test_what_code_of_the_application_writes_is_granted(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hook's columns where it writes, and none where the rows go."""
    grantworld.begin(world, tmp_path)
    hooks = [
        Anonymizer(table="issues", datasource=None, function=lambda t: {"title": t.c.id}),
        Anonymizer(table="visits", datasource=None, function=lambda t: {"page": t.c.page}),
        Anonymizer(table="drafts", datasource=None, function=lambda _: {"body": sa.null()}),
    ]
    path = world.settings.sources["app"].datamap
    assert path is not None
    without = needed(world.system, "app")
    module = importlib.import_module("aegis.grants.needed")
    monkeypatch.setattr(module, "load_anonymizers", lambda *_: hooks)
    path.write_text(
        grantworld.MAP.replace(", columns: {title: preserve}", "").replace(
            "via: [a, b], columns: {body: null}, shared: mask", "via: [a, b], shared: mask"
        )
    )

    def written(found: Grants, table: str) -> set[str]:
        return {
            column
            for need in found.needs
            if (need.right.privilege, need.right.name) == ("UPDATE", table)
            for column in need.right.columns
        }

    found = needed(world.system, "app")
    assert (written(without, "issues"), written(found, "issues")) == ({"solver"}, {"solver", "title"})
    # Rows that go have nothing to be written, but where they are another person's too.
    assert (written(found, "visits"), written(found, "drafts")) == (set(), {"body"})


@on(*SERVERS)
def test_a_map_of_no_people_asks_for_nothing(world: World, tmp_path: Path) -> None:
    """One that only says what retention obeys adds no right to those of the policies."""
    world.safety_events()
    world.policy()
    without = needed(world.system, "app")
    (tmp_path / "m.yaml").write_text('tables:\n  safety_events: {hold: "id < 0"}\n', encoding="utf-8")
    source = world.settings.sources["app"]
    world.configure(datasources={"app": replace(source, datamap=tmp_path / "m.yaml")})
    assert {need.right for need in needed(world.system, "app").needs} == {
        need.right for need in without.needs
    }


@on("sqlite+postgresql")
def test_rows_that_go_along_and_have_no_key(world: World) -> None:
    """Nothing of them has to be read, for no hold can name one: only the right to delete them."""
    world.create("parents", "id INT PRIMARY KEY, created_at {instant}")
    world.create("children", "parent INT REFERENCES parents (id) ON DELETE CASCADE")
    world.policy(table="parents", cascades=["children"])
    found = needed(world.system, "app")
    rights = {need.right.privilege for need in found.needs if need.right.name == "children"}
    assert rights - {"MAINTAIN"} == {"DELETE", "SELECT"}
