"""`docs/client.md`: what stands there runs, in the order of the page, against a worker."""

import re
import threading
from pathlib import Path
from typing import Any, Final

import pytest

from aegis.client import Status
from aegis.envelopes import workers_public_key
from aegis.operations import system
from aegis.operations.states import State
from aegis.operations.statuses import UNKNOWN
from aegis.operations.table import FOR_SERVICES
from api import audit
from tests.clientkit import shop
from tests.unit.test_client import ASKED
from tests.workerkit import DEADLINE, ROOT, wait_until

PAGE: Final = (ROOT / "docs" / "client.md").read_text(encoding="utf-8")
_CODE: Final = re.compile(r"```python\n(.*?)```", re.DOTALL)


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sent, asked, recorded with details, and from the outbox, by the code of the page alone."""
    with shop(tmp_path) as at, at.at_work():
        monkeypatch.setattr(system, "_CURRENT", [at.aegis])
        with at.app.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE accounts (id INTEGER PRIMARY KEY, closed BOOLEAN)")
        here = {
            "redis://shop@redis/0": at.redis.url,
            "aegis-workers-1:…": workers_public_key(at.aegis.worker_key),
            "/etc/shop/aegis.key": str(at.key_file),
            "postgresql+psycopg://shop@db/shop": f"sqlite:///{tmp_path / 'app.db'}",
        }
        names: dict[str, Any] = {}
        for code in _CODE.findall(PAGE):
            for there, ours in here.items():
                code = code.replace(there, ours)  # noqa: PLW2901 - the page as it is here
            exec(code, names)  # noqa: S102 - our own page
        (readme,) = (
            code for code in _CODE.findall((ROOT / "README.md").read_text("utf-8")) if "Client(" in code
        )
        exec(readme.replace("redis://shop@redis/0", at.redis.url), {})  # noqa: S102 - our own page
        relay = threading.Thread(target=names["relay"])
        relay.start()
        for request in ("shop-closing-17", "shop-consent-1", "shop-closing-18", "shop-closing-19"):
            wait_until(lambda one=request: names["aegis"].status(one).state != UNKNOWN, request)  # type: ignore[misc]
            assert names["aegis"].wait(request, DEADLINE) == Status(state=State.DONE)
        assert at.count("users", "id IN (17, 18, 19)") == 0
        (event,) = audit.get_audit_events(action="custom:consent:withdrawn")
        assert event["details"] == {"channel": "newsletter", "asked_by": "phone"}
        wait_until(lambda: not at.count("aegis_outbox"), "the outbox is empty")
        names["stop"].set()
        relay.join()
        names["engine"].dispose()


def test_the_page_names_every_method_and_state() -> None:
    """The tables are those of the client and of the states."""
    told = dict(re.findall(r"^\| `(\w+)\(.*\| `(aegis\.[\w.]+)` \|$", PAGE, re.MULTILINE))
    assert set(told) == set(ASKED)
    assert set(told.values()) == FOR_SERVICES
    states = PAGE.partition("| `state` | |")[2].partition("\n\n")[0]
    listed = {word for line in states.splitlines()[2:] for word in re.findall(r"`(\w+)`", line.split("|")[1])}
    assert listed == {UNKNOWN, *State}
