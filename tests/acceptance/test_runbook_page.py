"""`docs/runbook.md`: each entry's commands are typed; `tests/integration/test_runbook.py` fires the alerts as well."""

import json
from pathlib import Path
from typing import Final

from tests.acceptance.test_pages import EVENTS, MAP, WHO, at, erased, people
from tests.pages import DOCS
from tests.postgres import Postgres
from tests.reader import Reader
from tests.shells import APPROVE, EXECUTE
from aegis.embedded.redis import EmbeddedRedis

ADD: Final = ("policy", "add", "safety_90", "--table", "safety_events", "--days", "90", "--action", "delete")
REVIEW: Final = ("--owner", "you@example.com", "--review", "2099-01-31")


def test_the_page(postgres_server: Postgres, tmp_path: Path) -> None:
    """On a system where something of each kind is: a stopped run, an erasure with a copy, a hold, a budget."""
    (tmp_path / "app.datamap.yaml").write_text(MAP, "utf-8")
    more = 'datamap = "app.datamap.yaml"\n[datasources.app.copies.agency]\n'
    with (
        at(tmp_path, postgres_server, *EVENTS, *people(), more=more) as (shell, _),
        EmbeddedRedis(tmp_path / "redis") as broker,
    ):
        shell.environment |= {"AEGIS_BROKER_URL": broker.url}

        def do(*words: str, code: int = 0) -> str:
            said = shell(*words)
            assert said.code == code, f"{words}: {said}"
            return said.out

        def newest(*words: str) -> str:
            return str(json.loads(do(*words, "--json"))[0]["id"])

        do(*ADD, "--max-rows", "5")
        do(*APPROVE)
        do(*EXECUTE, code=4)
        do("erasure", "run", "7", *WHO, "--execute")
        do("hold", "add", "--matter", "m", "--table", "invoices", *REVIEW)
        do("federated", "budget", "create", "usage", "--epsilon", "1", *WHO)
        Reader(
            page=DOCS / "runbook.md",
            shell=shell,
            here={
                "budget show NAME": "budget show usage",
                "charge-history NAME": "charge-history usage",
                "RUN": lambda: newest("retention", "status"),
                "REQUEST": lambda: erased(shell),
                "COPY": "agency",
                "YOU": "you@example.com",
                "NAME": "safety_90",
                "TIME": "2026-01-31",
                "D": "app",
                "ID": lambda: newest("hold", "list"),
            },
            codes={"aegis doctor": 1},
            elsewhere={
                "aegis worker dead-letters --": "tests/integration/test_dead_letters.py puts letters aside",
                "aegis worker": "tests/integration/test_dashboards.py",
                "aegis beat": "tests/integration/test_dashboards.py",
            },
        ).read()
