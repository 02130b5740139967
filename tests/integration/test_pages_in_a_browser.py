"""The pages in a real browser: on a telephone, on a desk and on paper, by day and by night."""

import datetime as dt
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from aegis.retention.briefing import Briefing
from aegis.retention.preview import Spread
from api import privacy
from cli import erasure_page, preview_page, run_page
from tests import chromium, worlds
from tests.chromium import SIGHTS, Chromium
from tests.unit.test_erasure_page import PLAN
from tests.worlds import World, on

pytestmark = pytest.mark.skipif(
    chromium.found() is None, reason="no Chromium on this machine (Debian: chromium)"
)
#: Names as long as a database takes them, with nothing in them where a line could break.
LONG = "a" * 60
EVIL = "<img src=http://evil.example/x>"
_PICTURE = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Chromium]:
    """A browser for one test."""
    with Chromium(tmp_path / "browser") as running:
        yield running


def wide(world: World) -> str:
    """Write the pages of a policy and its run whose names, tenants and numbers are long; return the run."""
    world.create(LONG, f"id BIGINT PRIMARY KEY, {LONG}_t {{text}}, created_at {{instant}}")
    now = dt.datetime.now(dt.UTC)
    tenants = [f"{LONG}{number:04}" for number in range(25)] + [EVIL]
    ages = (None, 1, 40, 70, 200, 900)
    rows = [
        {"id": number, f"{LONG}_t": tenant, "created_at": None if age is None else now - age * worlds.DAY}
        for number, (tenant, age) in enumerate((tenant, age) for tenant in tenants for age in ages)
    ]
    world.insert(LONG, rows)
    world.policy(
        LONG,
        LONG,
        tenant_column=f"{LONG}_t",
        filter_sql=f"{LONG}_t <> '{LONG}'",
        purpose=LONG * 3,
        archive={},
    )
    pages = Path(world.settings.home).parent
    brief = privacy.brief_retention_policy(LONG)
    (pages / "preview.html").write_text(preview_page.page_of(many(brief)), "utf-8")
    run = str(world.enforce(LONG)["run"])
    (pages / "run.html").write_text(run_page.page_of(privacy.run_dossier(run)), "utf-8")
    (pages / "erasure.html").write_text(erasure_page.page_of(PLAN), "utf-8")
    return run


def many(brief: Briefing) -> Briefing:
    """Return the same with millions of rows where there was one."""
    seen = brief.preview
    assert seen.beside is not None
    assert seen.beside.staying is not None
    beside = replace(seen.beside, staying=times(seen.beside.staying))
    return replace(brief, preview=replace(seen, spread=times(seen.spread), beside=beside))


def times(spread: Spread) -> Spread:
    """Return rows by month and tenant, millions in place of one."""
    months = {name: 12_345_678 * rows for name, rows in spread.months.items()}
    return replace(
        spread, months=months, tenants={name: 12_345_678 * r for name, r in spread.tenants.items()}
    )


@on("sqlite-one")
def test_pages_fit_every_screen_and_ask_for_nothing(world: World, browser: Chromium, tmp_path: Path) -> None:
    """Nothing reaches over an edge, nothing is asked for, nothing is complained of; each prints."""
    wide(world)
    shots = tmp_path / "shots"
    shots.mkdir()
    for name in ("preview", "run", "erasure"):
        seen = browser.look(tmp_path / f"{name}.html", shots)
        assert seen.over == {sight.name: [] for sight in SIGHTS}, name
        assert (seen.asked, seen.complaints) == ([], []), name
        assert seen.pdf.startswith(b"%PDF-")
        for sight in SIGHTS:
            picture = (shots / f"{name}-{sight.name}.png").read_bytes()
            assert picture.startswith(_PICTURE)
            assert struct.unpack(">I", picture[16:20]) == (sight.width,)
        # Day and night are not the same picture.
        assert (shots / f"{name}-phone.png").read_bytes() != (shots / f"{name}-phone-dark.png").read_bytes()


def test_the_browser_sees_what_is_wrong(browser: Chromium, tmp_path: Path) -> None:
    """A page that is too wide and loads a picture is found to be so: the test above can fail."""
    page = tmp_path / "bad.html"
    page.write_text(
        '<img src="http://127.0.0.1:9/x.png"><p><span style="white-space: nowrap">' + "long " * 400
    )
    seen = browser.look(page)
    assert "http://127.0.0.1:9/x.png" in seen.asked
    assert all(seen.over.values())
    # What our own pages forbid is not even asked for.
    page.write_text(preview_policy() + page.read_text())
    seen = browser.look(page)
    assert not seen.asked
    assert seen.complaints


def preview_policy() -> str:
    """Return the element of our pages by which a browser loads nothing."""
    page = erasure_page.page_of(PLAN)
    return page[page.index("<meta http-equiv") :].partition(">")[0] + ">"
