"""Settings: the file, the environment, and what they refuse."""

import json
from pathlib import Path

import pytest

from aegis.errors import SettingsError, UnknownName
from aegis.settings import Settings, SourceSettings, describe, load_settings, masked

FILE = """
database_url = "postgresql://aegis:s3cr3t1@db/aegis"
[datasources.app]
url = "postgresql://aegis:s3cr3t2@db/app"
[retention]
batch_milliseconds = 70
"""
COPY = "[datasources.app]\nurl = 'x'\n[datasources.app.copies.lake]\n"


def test_nothing_configured(tmp_path: Path) -> None:
    """The control database is a file under .aegis in the working folder, and the only data source."""
    settings = load_settings({}, tmp_path)
    assert settings.home == tmp_path / ".aegis"
    assert settings.control.url == f"sqlite:///{tmp_path / '.aegis' / 'aegis.db'}"
    assert settings.keys.url == f"sqlite:///{tmp_path / '.aegis' / 'keys.db'}"
    assert settings.sources == {"default": settings.control}
    assert settings.embedded_control


def test_the_file_and_the_environment(tmp_path: Path) -> None:
    """The environment wins, key by key; foreign variables are no concern."""
    (tmp_path / "aegis.toml").write_text(FILE)
    environ = {
        "AEGIS_RETENTION__BATCH_MILLISECONDS": "90",
        "AEGIS_DATASOURCES__APP__URL": "sqlite:///x",
        "X": "y",
    }
    settings = load_settings(environ, tmp_path)
    assert settings.retention.batch_milliseconds == 90
    assert settings.datasources == {"app": SourceSettings(url="sqlite:///x")}
    assert settings.control.url == "postgresql://aegis:s3cr3t1@db/aegis"
    assert not settings.embedded_control


def test_a_truth_value(tmp_path: Path) -> None:
    """It is true or false in the file, and the same words in the environment; nothing else is either."""
    (tmp_path / "aegis.toml").write_text("erasure.approval = true")
    assert load_settings({}, tmp_path).erasure.approval is True
    assert load_settings({"AEGIS_ERASURE__APPROVAL": "false"}, tmp_path).erasure.approval is False
    with pytest.raises(SettingsError, match=r"erasure\.approval"):
        load_settings({"AEGIS_ERASURE__APPROVAL": "perhaps"}, tmp_path)


def test_another_file(tmp_path: Path) -> None:
    """AEGIS_CONFIG names the file; one that is not there is an error."""
    (tmp_path / "other.toml").write_text('approval = "off"')
    assert load_settings({"AEGIS_CONFIG": "other.toml"}, tmp_path).approval == "off"
    with pytest.raises(SettingsError, match=r"missing\.toml"):
        load_settings({"AEGIS_CONFIG": "missing.toml"}, tmp_path)


@pytest.mark.parametrize(
    ("text", "environ", "said"),
    [
        ("databse_url = 'x'", {}, "databse_url"),
        ("[retention]\nbatch = 1", {}, "retention.batch"),
        ("[datasources.app]\npassword_file = 'x'", {}, "datasources.app.url"),
        ("retention = 7", {}, "retention"),
        ("datasources = 'x'", {}, "datasources"),
        ("approval = 'maybe'", {}, "required, two-person, off"),
        ("[retention]\nbatch_milliseconds = 'soon'", {}, "batch_milliseconds"),
        ("[retention]\nbatch_milliseconds = true", {}, "batch_milliseconds"),
        ("home = 7", {}, "home"),
        ("home = ", {}, "TOML"),
        ("", {"AEGIS_DATABSE_URL": "x"}, "databse_url"),
        ("approval = 'off'", {"AEGIS_APPROVAL__MODE": "required"}, "below 'approval'"),
        ("", {"AEGIS_WORKER__HARD_TIME_LIMIT_SECONDS": "4000"}, "hard_time_limit_seconds"),
        ("", {"AEGIS_RETENTION__SLICE_SECONDS": "400"}, "slice_seconds"),
        ("[retention]\ncount_seconds = 0", {}, r"count_seconds \(0\) must be above 0"),
        ("[retention]\ncount_seconds = 900", {}, "one task may count twice"),
        ("[retention]\nmax_share = 1.5", {}, r"max_share \(1.5\) must be above 0 and at most 1"),
        ("[retention]\nmax_share = 0.0", {}, "max_share"),
        ("[operations]\nmax_attempts = 0", {}, r"operations\.max_attempts \(0\) must be above 0"),
        ("[federated]\nminimum_participants = -1", {}, r"federated\.minimum_participants \(-1\)"),
        ("[throttle]\nlongest_pause_seconds = 3600", {}, "a third of operations.lease_seconds"),
        ("[archives]\nurl = 's3://me:s3cr3t@store/x'", {}, r"archives\.url holds a secret"),
        ("[erasure]\ntombstones = 's3://me:s3cr3t@store/x'", {}, r"erasure\.tombstones holds a secret"),
        ("[audit.exports.siem]\nto = '-'\nformat = 'jsonl'", {}, "stdout is no receiver"),
        ("[datasources.app]\nurl='x'\npassword_file='x'\npassword_command='y'", {}, "not both"),
        (COPY.replace("lake", "'a lake'"), {}, "its name is"),
        (COPY + "due_days = 0", {}, "due_days"),
        (COPY + "task = 'forget'", {}, "task and queue"),
        (COPY + "queue = 'lake'", {}, "task and queue"),
        (COPY + "task = 'forget'\nqueue = 'lake'\nurl = 'https://lake'", {}, "not both"),
        (COPY + "secret_file = 'x'", {}, "secret_file"),
        (COPY + "url = 'http://lake.example.com/forget'", {}, "https://; http is for this machine"),
        (COPY + "url = 'ftp://lake.example.com/forget'", {}, "https://host"),
        (COPY + "url = 'https://[lake/forget'", {}, "no URL"),
        (COPY + "url = 'https://me:s3cr3t@lake.example.com'", {}, "lake: url holds a secret"),
        (COPY + "url = 'https://lake.example.com?token=s3cr3t'", {}, "lake: url holds a secret"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, environ: dict[str, str], said: str) -> None:
    """A wrong key or value is named; nothing is guessed."""
    (tmp_path / "aegis.toml").write_text(text)
    with pytest.raises(SettingsError, match=said) as told:
        load_settings(environ, tmp_path)
    assert "s3cr3t" not in str(told.value)


def test_copies(tmp_path: Path) -> None:
    """A copy elsewhere has a task or a URL, or a person sees to it."""
    (tmp_path / "aegis.toml").write_text(
        f"{COPY}[datasources.app.copies.index]\nurl = 'http://127.0.0.1:8080/forget'\n"
        "secret_file = 'secret'\n"
        "[datasources.app.copies.partner]\ntask = 'partner.forget'\nqueue = 'partner'\ndue_days = 14\n"
    )
    copies = load_settings({}, tmp_path).source("app").copies
    assert {name: (copy.kind, copy.due_days) for name, copy in copies.items()} == {
        "lake": ("manual", 30),
        "index": ("webhook", 30),
        "partner": ("task", 14),
    }
    assert copies["index"].secret_file == tmp_path / "secret"


def test_no_secret_is_shown(tmp_path: Path) -> None:
    """What `aegis config` prints has every password masked, and is plain data."""
    (tmp_path / "aegis.toml").write_text(FILE)
    environ = {"AEGIS_BROKER_URL": "redis://:s3cr3t3@redis/0"}
    text = json.dumps(describe(load_settings(environ, tmp_path)), default=str)
    assert "s3cr3t" not in text
    assert "postgresql://aegis:***@db/app" in text
    assert masked("sqlite:////tmp/x") == "sqlite:////tmp/x"


def test_names_of_sources() -> None:
    """`default` means the only one; among several one must be named."""
    one = Settings(datasources={"app": SourceSettings(url="x")})
    assert {one.source_name(name) for name in (None, "default", "app")} == {"app"}
    two = Settings(datasources={"a": SourceSettings(url="x"), "b": SourceSettings(url="y")})
    assert two.source_name("b") == "b"
    for name in (None, "default"):
        with pytest.raises(UnknownName, match="a, b"):
            two.source_name(name)
    with pytest.raises(UnknownName, match="'c'"):
        two.source_name("c")
