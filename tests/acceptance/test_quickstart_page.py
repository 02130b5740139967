"""`docs/quickstart.md`: every command of it, in the order of the page, says what the page says."""

import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from aegis.embedded.server import free_port
from tests import account, worlds
from tests.pages import DOCS, blocks, compare, told
from tests.postgres import Postgres
from tests.shells import Shell, empty

PAGE: Final = DOCS / "quickstart.md"


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
    (toml,) = (block.text for block in blocks(PAGE) if block.language == "toml")
    toml = toml.replace("postgresql://aegis@db/app", url).replace('password_file = "/run/secrets/app"\n', "")
    (tmp_path / "aegis.toml").write_text(toml)
    shell = empty(tmp_path)
    commands = [one for block in blocks(PAGE) if block.language == "console" for one in told(block)]
    assert len(commands) == len({one.command for one in commands}) > 9
    for one in commands:
        if one.command == "aegis up":
            compare(one, until_it_is_up(shell))
            continue
        program, *words = shlex.split(one.command)
        if program == "pip":
            # No registry here; tests/integration/test_wheel.py installs the wheel.
            continue
        said = shell(*words)
        assert (program, said.code) == ("aegis", 0), f"$ {one.command}\n{said}"
        compare(one, said.out)
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
