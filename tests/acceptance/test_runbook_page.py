"""`docs/runbook.md` and `docs/dpo.md`: each command is typed; `test_runbook.py` fires the alerts too."""

import datetime as dt
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Final

from aegis.embedded.redis import EmbeddedRedis
from tests.pages import DOCS, spans
from tests.pagesites import EVENTS, MAP, WHO, at, erased, people
from tests.postgres import Postgres
from tests.reader import Reader
from tests.shells import APPROVE, EXECUTE, Shell

ADD: Final = ("policy", "add", "safety_90", "--table", "safety_events", "--days", "90", "--action", "delete")
REVIEW: Final = ("--owner", "you@example.com", "--review", "2099-01-31")


def test_the_page(postgres_server: Postgres, tmp_path: Path) -> None:
    """Something of each kind is there: a stopped run, an erasure with a copy, a hold, a budget."""
    (tmp_path / "app.datamap.yaml").write_text(MAP, "utf-8")
    more = 'datamap = "app.datamap.yaml"\n[datasources.app.copies.agency]\n'
    with (
        at(tmp_path, postgres_server, EVENTS + people(), more=more) as (shell, _),
        EmbeddedRedis(tmp_path / "redis") as broker,
    ):
        shell.environment |= {"AEGIS_BROKER_URL": broker.url}

        def do(*words: str, code: int = 0) -> str:
            said = shell(*words)
            assert said.code == code, f"{words}: {said}"
            return said.out

        def newest(*words: str, rows: bool = False) -> str:
            found = json.loads(do(*words, "--json"))
            return str(next(one["id"] for one in found if not rows or one["rows"]))

        do("policy", "add", "oldest", "--table", "safety_events", "--days", "190", "--action", "delete")
        do("policy", "approve", "oldest", *WHO)
        do(*EXECUTE)
        do(*ADD, "--max-rows", "5")
        do(*APPROVE)
        do(*EXECUTE, code=4)
        do("erasure", "run", "7", *WHO, "--execute")
        do("hold", "add", "--matter", "m", "--table", "invoices", *REVIEW)
        do("federated", "budget", "create", "usage", "--epsilon", "1", *WHO)
        Reader(
            page=DOCS / "runbook.md",
            shell=shell,
            once=True,
            here={
                "budget show NAME": "budget show usage",
                "charge-history NAME": "charge-history usage",
                "purge RUN": lambda: f"purge {newest('retention', 'status', rows=True)}",
                "RUN": lambda: newest("retention", "status"),
                "REQUEST": lambda: erased(shell),
                "COPY": "agency",
                "YOU": "you@example.com",
                "NAME": "safety_90",
                "TIME": "2026-01-31",
                "D": "app",
                "ID": lambda: newest("hold", "list"),
            },
            codes={"aegis erasure resume": 4, "aegis catalog diff": 1},
            elsewhere={
                "aegis worker dead-letters --": "tests/integration/test_dead_letters.py puts letters aside",
                "aegis worker": "tests/integration/test_dashboards.py",
                "aegis beat": "tests/integration/test_dashboards.py",
            },
        ).read()
        names: dict[str, str | Callable[[], str]] = {
            "NAME": "safety_90",
            "DIGEST": lambda: str(json.loads(do("policy", "show", "safety_90", "--json"))["digest"]),
            "REQUEST": lambda: erased(shell),
            "D": "app",
            "YOU": WHO[1],
            "USER": "9",
            "DAY": f"{dt.datetime.now(dt.UTC):%Y-%m-%d}",
            "T": "2026-01-31",
        }
        for_officer(shell, names)


def for_officer(shell: Shell, names: dict[str, str | Callable[[], str]]) -> None:
    """Type every command of `docs/dpo.md`: what answers an article has to answer."""
    typed = 0
    for command in spans(DOCS / "dpo.md"):
        if not command.startswith("aegis ") or "…" in command:
            continue
        typed += 1
        words = []
        for word in shlex.split(command)[1:]:
            meant = names.get(word, f"{word.lower()}-{typed}" if word in {"FILE", "FOLDER"} else word)
            words.append(meant if isinstance(meant, str) else meant())
        if "receipt" in words:
            # As beat does each second.
            assert shell("audit", "seal").code == 0
        said = shell(*words)
        assert said.code in {0, 1}, f"{command}: {said}"
        assert said.out, command
    assert typed > 20
