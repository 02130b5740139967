"""Requests that come again, and routine work of which one part is hindered."""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from aegis.errors import Conflict
from api import privacy
from tasks.operations import reconcile
from tests.conftest import balance
from tests.worlds import ACTOR, SQLITE_TWO, World, on

DEFINITION: dict[str, Any] = {"name": "p", "table": "safety_events", "guards": {"max_share": 0.5}}


@on("sqlite-one", "postgresql-one")
def test_a_registration_that_comes_again_late_brings_nothing_back(world: World) -> None:
    """What was approved in its place stays; the id with another meaning is refused."""
    world.safety_events()
    first = privacy.register_policy_once("one", {**DEFINITION, "retention_days": 30})
    privacy.register_policy_once("two", {**DEFINITION, "retention_days": 60})
    privacy.approve_retention_policy("p", actor=ACTOR)
    again = privacy.register_policy_once("one", {**DEFINITION, "retention_days": 30})
    assert again == first == {"policy": "p", "state": "pending"}
    (standing,) = privacy.list_retention_policies(["p"])
    assert (standing.state, standing.retention_days) == ("approved", 60)
    with pytest.raises(Conflict):
        privacy.register_policy_once("one", {**DEFINITION, "retention_days": 90})


@on(SQLITE_TWO)
def test_a_source_that_is_away_hinders_nothing_else(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """The reconciler cannot prune the journal of a source that is away, and still sees to all the others."""
    world.safety_events()
    world.events(range(3), 40)
    world.policy()
    world.enforce()
    balance(world)
    world.unbalanced = "its data source is away"
    world.configure(broker_url="redis://127.0.0.1:1/0")
    with world.control.begin() as connection:
        connection.execute(sa.text("UPDATE aegis_runs SET finished_at = '2020-01-01 00:00:00.000000'"))
    world.app.dispose()
    Path(world.settings.sources["app"].url.removeprefix("sqlite:///")).rename(world.settings.home / "away.db")
    assert reconcile.run()["outcome"] == "hindered"
    told = [text for text in caplog.messages if text.startswith("What is due of ")]
    assert [text.split()[4] for text in told] == ["journals", "dead"]
