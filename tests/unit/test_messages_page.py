"""docs/messages.md says what workers do."""

import base64
import json
import re
import time
from pathlib import Path

from aegis.operations.table import CATALOG_SCAN, ERASE, RECONCILE, RELAY, ROUTES, RUN, SEAL
from worker.intake import admit

PAGE = (Path(__file__).parent.parent.parent / "docs" / "messages.md").read_text("utf-8")
#: What Aegis sends itself.
OURS = {RUN, ERASE, RELAY, SEAL, RECONCILE, CATALOG_SCAN}


def test_every_task_for_services_is_there_with_its_queue() -> None:
    """The table of tasks is the table of the code, without what Aegis sends itself."""
    told = dict(re.findall(r"^\| `(aegis\.[\w.]+)` \| `(\w+)` \|", PAGE, re.MULTILINE))
    assert told == {task: queue for task, queue in ROUTES.items() if task not in OURS}


def test_the_message_that_it_shows_is_taken() -> None:
    """As it stands there, and its body is the arguments of the example."""
    (text,) = re.findall(r"^```json\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    admit("erasure", text.encode(), ROUTES, None, time.time())
    arguments = {"user_id": "4711", "request_id": "ticket-814", "actor": "shop"}
    assert json.loads(base64.b64decode(json.loads(text)["body"])) == [[], arguments, {}]
