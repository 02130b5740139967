"""`docs/quickstart.md`: every command of it, in the order of the page, says what the page says."""

import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from aegis.embedded.server import free_port
from tests import account, worlds
from tests.postgres import Postgres
from tests.shells import Shell, empty
from tests.workerkit import ROOT

PAGE: Final = (ROOT / "docs" / "quickstart.md").read_text(encoding="utf-8")
#: What differs each time: numbers, ids, times, and how long it took.
_VARIES: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|[\d,.]*\d")


def told() -> Iterator[tuple[str, list[str]]]:
    """Return each command of the page, with the lines that it shows."""
    for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL):
        for part in block.removeprefix("$ ").split("\n$ "):
            command, *shown = part.strip("\n").split("\n")
            yield command, shown


def like(line: str) -> str:
    """Return a line without what differs each time."""
    return " ".join(_VARIES.sub("#", line).split())


def compare(command: str, shown: list[str], printed: str) -> None:
    """Assert that each line of the page was printed, in its order; … stands for anything."""
    lines = iter([like(line) for line in printed.splitlines()])
    for line in shown:
        if line.strip() != "…":
            wanted = like(line.removesuffix("…"))
            found = (one.startswith(wanted) if line.endswith("…") else one == wanted for one in lines)
            assert any(found), f"$ {command}\nnot printed, or not in this order: {line}\n{printed}"


def test_the_page_runs(postgres_server: Postgres, tmp_path: Path) -> None:
    """Register, look, approve, run and verify, on a PostgreSQL that knows nothing of Aegis."""
    url = postgres_server.create_database("quickstart")
    app = worlds.engine(url)
    with app.begin() as connection:
        connection.execute(
            sa.text(
                "CREATE TABLE safety_events (id bigserial PRIMARY KEY, tenant text, email text, "
                "created_at timestamptz NOT NULL)"
            )
        )
        connection.execute(
            sa.text(
                "INSERT INTO safety_events (tenant, email, created_at) SELECT 'acme', 'x', "
                "now() - i * interval '1 hour' FROM generate_series(1, 5000) AS i"
            )
        )
    (toml,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    toml = toml.replace("postgresql://aegis@db/app", url).replace('password_file = "/run/secrets/app"\n', "")
    (tmp_path / "aegis.toml").write_text(toml)
    shell = empty(tmp_path)
    commands = list(told())
    assert len(commands) == len({command for command, _ in commands}) > 8
    for command, shown in commands:
        if command == "aegis up":
            compare(command, shown, until_it_is_up(shell))
            continue
        program, *words = shlex.split(command)
        said = shell(*words)
        assert (program, said.code) == ("aegis", 0), f"$ {command}\n{said}"
        compare(command, shown, said.out)
    home = tmp_path / ".aegis"
    control = worlds.engine(f"sqlite:///{home / 'aegis.db'}")
    with app.connect() as connection:
        gone = 5000 - int(connection.scalar(sa.text("SELECT count(*) FROM safety_events")) or 0)
    assert gone > 2800
    account.check(control=control, sources={"app": app}, home=home, gone={"safety_events": gone})
    control.dispose()
    app.dispose()
    postgres_server.drop_database("quickstart")


def until_it_is_up(shell: Shell) -> str:
    """Start everything, and end it as a service manager does when it says that it is up."""
    names = ("AEGIS_WORKER__METRICS_PORT", "AEGIS_WORKER__BEAT_METRICS_PORT")
    ports = {name: str(free_port()) for name in names}
    with subprocess.Popen(
        [sys.executable, "-m", "aegis.home", "up"],
        cwd=shell.folder,
        env={**shell.environment, **ports},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr
        seen: list[str] = []
        for line in process.stderr:
            seen.append(line)
            if line.startswith("aegis is up"):
                process.send_signal(signal.SIGTERM)
        assert process.wait() == 0, "".join(seen)
    return "".join(seen)
