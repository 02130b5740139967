"""One run in full, and what the commands of a run's progress, files and outlook tell programs."""

import json

import pytest
from click.testing import CliRunner, Result

from aegis.errors import UnknownName
from api import privacy
from cli.main import main
from tests import worlds
from tests.worlds import EACH_DATABASE, World, on


def said(*words: str) -> Result:
    """Run a command in this process, where the world is."""
    result = CliRunner().invoke(main, list(words))
    assert not isinstance(result.exception, AssertionError)
    return result


def document(*words: str) -> dict[str, object]:
    """Return the one JSON document of a command."""
    found: dict[str, object] = json.loads(said(*words, "--json").stdout)
    return found


class TestOneRun:
    """Where a run stands, from the journal."""

    @on(*EACH_DATABASE)
    def test_on_its_way_and_at_its_end(self, world: World) -> None:
        """Rows, batches, rate and what is left while it runs; its report when it is done."""
        world.safety_events()
        world.events(range(300), 60)
        world.policy()
        world.batches_of(50)
        run = world.start()
        while privacy.run_standing(run).rows < 100:
            privacy.advance_run(run, 0.0)
        now = privacy.run_standing(run)
        assert now.batches >= 2
        assert now.remaining == 300 - now.rows > 0
        assert now.rows_per_second
        assert now.remaining_seconds
        text = said("retention", "status", run).stdout
        assert f"{now.rows} of 300" in text
        assert "time left" in text
        world.finish(run)
        done = document("retention", "status", run)
        assert (done["state"], done["rows"], done["remaining"]) == ("done", 300, None)
        assert done["report"]
        assert "actor_ref" not in done

    @on("sqlite-one")
    def test_an_unknown_run(self, world: World) -> None:
        """The name is told back."""
        del world
        with pytest.raises(UnknownName, match="there is no run nowhere"):
            privacy.run_standing("nowhere")


class TestCommands:
    """What programs read."""

    @on("sqlite-one", "sqlite+postgresql")
    def test_events_tell_each_batch(self, world: World) -> None:
        """One line of JSON a batch on stderr; their rows add up to what went."""
        world.safety_events()
        world.events(range(120), 60)
        world.policy()
        world.batches_of(50)
        result = said("retention", "run", "--policy", "p", "--execute", "--events", "--json")
        told = [json.loads(line) for line in result.stderr.splitlines()]
        assert [event["event"] for event in told][:2] == ["start", "batch"]
        batches = [event for event in told if event["event"] == "batch"]
        assert sum(event["rows"] for event in batches) == 120
        assert (batches[-1]["total"], batches[-1]["expected"], batches[-1]["remaining_seconds"]) == (
            120,
            120,
            0,
        )
        assert json.loads(result.stdout)["results"][0]["rows"] == 120

    @on("sqlite-one", "sqlite+postgresql", "sqlite+mariadb")
    def test_what_if_status_and_purge(self, world: World) -> None:
        """Each has one document, and a text with the same numbers; no row's value is in either."""
        world.safety_events()
        world.events(range(40), 60)
        world.events(range(100, 110), 20, tenant="beta")
        world.events([200], None)
        world.policy(tenant_column="tenant")
        seen = document("policy", "what-if", "p", "--days", "10")
        assert seen["difference"] == 10
        text = said("policy", "what-if", "p", "--days", "10").stdout
        assert "50 rows" in text
        assert "10 more" in text
        run = world.enforce()["run"]
        (status,) = json.loads(said("policy", "status", "p", "--json").stdout)
        assert status["watermarks"][0]["remaining"] == {"null_clock": 1}
        assert "1 row without a timestamp" in said("policy", "status", "p").stdout
        assert "it keeps up" in said("policy", "status").stdout
        files = document("retention", "purge", run)
        assert (files["rows"], files["tables"]) == (40, ["safety_events"])
        assert files["state"] == ("done" if world.dialect == "sqlite" else "waiting")
        listed, one = said("retention", "purge").stdout, said("retention", "purge", run).stdout
        assert run in listed
        for printed in (text, listed, one, json.dumps(files)):
            assert worlds.CANARY not in printed
        assert said("retention", "purge", "--execute").exit_code == 2

    @on("sqlite+postgresql")
    def test_a_preview_in_full_and_sampled(self, world: World) -> None:
        """Months, reasons and the estimate stand in the document; a small table is counted exactly."""
        world.safety_events()
        world.events(range(40), 60)
        world.events(range(100, 103), 1)
        world.policy(tenant_column="tenant", approve=False)
        seen = document("policy", "preview", "p", "--sampled")
        assert (seen["rows"], seen["stays"], seen["sample"]) == (40, {"younger": 3}, None)
        assert seen["matrix"] == {"acme": seen["months"]}
        estimate = seen["estimate"]
        assert isinstance(estimate, dict)
        assert estimate["log_most"] > estimate["log_least"] > 0
        text = said("policy", "preview", "p").stdout
        for words in ("would take", "would log", "3 rows not past their time"):
            assert words in text
