"""Hooks: how code of the application is found, refused and told apart; and the schema for editors."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest
import sqlalchemy as sa
import yaml

from aegis.datamap import cataloged, erasers, hooks, schema
from aegis.datamap.keeping import TABLE
from aegis.datamap.model import ROWS, SHARED
from aegis.datamap.reading import SUBJECT, parse_map
from aegis.errors import SettingsError
from aegis.settings import load_settings

DOCS = Path(__file__).parents[2] / "docs"
MODULE = """import sqlalchemy as sa
from aegis.datamap.hooks import anonymizer

@anonymizer("users")
def users(table):
    return {"name": sa.null()}

@anonymizer("users", datasource="other")
def elsewhere(table):
    return {}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder from which modules can be imported, and a registry that is empty."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(hooks, "_REGISTERED", {})
    known = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - known:
        del sys.modules[name]


def test_an_anonymizer_is_found(folder: Path) -> None:
    """For its table and data source; its hash changes with any line of its module."""
    (folder / "shop_privacy.py").write_text(MODULE)
    (found,) = hooks.load_anonymizers(["shop_privacy"], "app")
    assert (found.table, found.label) == ("users", "shop_privacy.users")
    table = sa.Table("users", sa.MetaData(), sa.Column("name", sa.Text))
    assert list(found.expressions(table)) == ["name"]
    assert len(hooks.load_anonymizers(["shop_privacy"], "other")) == 2
    assert hooks.load_anonymizers([], "app") == []
    before = found.source_hash
    (folder / "shop_privacy.py").write_text(MODULE + "HELPER = 1\n")
    del sys.modules["shop_privacy"]
    (again,) = hooks.load_anonymizers(["shop_privacy"], "app")
    assert len(before) == 64
    assert again.source_hash != before


def test_what_stops_everything(folder: Path) -> None:
    """A module that is not there or fails, two anonymizers of one table, a source that is not there."""
    with pytest.raises(
        SettingsError, match=r"hook module shop_none cannot be imported \(ModuleNotFoundError\)"
    ):
        hooks.load_anonymizers(["shop_none"], "app")
    (folder / "shop_broken.py").write_text("1 / 0")
    with pytest.raises(SettingsError, match=r"shop_broken cannot be imported \(ZeroDivisionError\); mend it"):
        hooks.load_anonymizers(["shop_broken"], "app")
    (folder / "shop_one.py").write_text(MODULE)
    (folder / "shop_two.py").write_text(MODULE)
    with pytest.raises(SettingsError, match=r"two anonymizers, shop_one.users and shop_two.users; keep one"):
        hooks.load_anonymizers(["shop_one", "shop_two"], "app")
    (one, _) = hooks.load_anonymizers(["shop_one"], "other")
    del sys.modules["shop_one"]
    with pytest.raises(SettingsError, match=r"the source of anonymizer shop_one.users cannot be read"):
        _ = one.source_hash


ERASER = """from aegis.datamap.erasers import Erased, eraser

@eraser("files")
@eraser("files", subject="agent", datasource="other")
def files(people):
    return Erased()
"""


def test_an_eraser_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For its subject and data source, with a hash; a second one of that name, and no name, are refused."""
    monkeypatch.setattr(erasers, "_ERASERS", {})
    (folder / "shop_files.py").write_text(ERASER)
    (found,) = erasers.load_erasers(["shop_files"], "app")
    assert (found.name, found.subject, found.label) == ("files", "user", "shop_files.files")
    assert len(found.source_hash) == 64
    assert [each.subject for each in erasers.load_erasers(["shop_files"], "other")] == ["agent", "user"]
    assert erasers.load_erasers([], "app") == []
    others = erasers.load_erasers(["shop_files"], "other")
    assert list(erasers.strangers(others, ["user", "agent"])) == []
    (stranger,) = erasers.strangers(others, ["agents"])
    assert "there is no subject agent; did you mean agents?" in stranger.why
    for name, words in (("shop_more", ""), ("shop_own", ', datasource="app"')):
        text = ERASER.replace('@eraser("files")', f'@eraser("files"{words})').replace("agent", name)
        (folder / f"{name}.py").write_text(text)
    with pytest.raises(SettingsError, match=r"two erasers are called files, shop_files\.files and shop_more"):
        erasers.load_erasers(["shop_files", "shop_more"], "app")
    with pytest.raises(SettingsError, match=r"two erasers are called files, shop_files\.files and shop_own"):
        erasers.load_erasers(["shop_files", "shop_own"], "app")
    with pytest.raises(SettingsError, match="at most 60 letters"):
        erasers.eraser("no name")


def test_modules_are_named_in_the_settings(tmp_path: Path) -> None:
    """As a list in the file, divided by commas in the environment."""
    (tmp_path / "aegis.toml").write_text('hooks = ["a.b", "c"]\n')
    assert load_settings({}, tmp_path).hooks == ("a.b", "c")
    assert load_settings({"AEGIS_HOOKS": "d, e"}, tmp_path).hooks == ("d", "e")
    (tmp_path / "aegis.toml").write_text("hooks = [1]\n")
    with pytest.raises(SettingsError, match="hooks: expected a list of texts"):
        load_settings({}, tmp_path)


def test_the_published_schema_is_the_one_of_the_code() -> None:
    """Made anew by `aegis datamap schema > docs/datamap.schema.json`; each key is explained in it."""
    made = schema.schema()
    assert json.loads((DOCS / "datamap.schema.json").read_text(encoding="utf-8")) == made
    assert set(schema.SAYS) == {*TABLE, *SUBJECT, *cataloged.TABLE, *cataloged.COLUMN}
    jsonschema.Draft202012Validator.check_schema(made)


def test_the_guide_shows_a_map_that_is_read() -> None:
    """The example has no fault, for Aegis and for an editor; every key and action stands in the guide."""
    guide = (DOCS / "datamap.md").read_text(encoding="utf-8")
    example = "subjects:\n" + guide.split("```yaml\nsubjects:\n")[1].split("```")[0]
    assert len(parse_map(example, "docs/datamap.md").rules) > 7
    jsonschema.validate(yaml.safe_load(example), schema.schema())
    assert [
        word
        for word in (*TABLE, *SUBJECT, *cataloged.TABLE, *cataloged.COLUMN, *ROWS, *SHARED)
        if f"`{word}" not in guide
    ] == []
    wrong = {"tables": {"t": {"row": "erase"}}}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, schema.schema())
