"""docker-compose.yml against its schema, the files beside it, and the code that its containers run."""

import itertools
import os
import re
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from aegis.settings import Settings, load_settings
from cli.main import main
from tests.containers import ROOT, compose, is_aegis
from tests.schemas import against_builtin
from worker.app import QUEUES
from worker.shutdown import GRACE_SECONDS

COMPOSE: dict[str, Any] = compose()
SERVICES: dict[str, Any] = COMPOSE["services"]
AEGIS = [name for name, said in SERVICES.items() if is_aegis(said)]
#: These end by themselves; all others go on.
ENDING = ("setup", "cli")
LASTING = [name for name in SERVICES if name not in ENDING]
WORKERS = [name for name in SERVICES if name.startswith("worker-")]
#: What is for people, and may be published; and where.
FOR_PEOPLE = {"prometheus": 9090, "alertmanager": 9093, "grafana": 3000}


def test_it_is_what_compose_reads() -> None:
    """The file is valid by the Compose Specification's own schema."""
    against_builtin("vendor.compose-spec", ROOT / "docker-compose.yml")


def test_the_documented_override_is_one(tmp_path: Path) -> None:
    """The file that docs/deploy.md has for one's own databases is valid, for services that may need them."""
    page = (ROOT / "docs/deploy.md").read_text("utf-8")
    file = tmp_path / "docker-compose.override.yml"
    file.write_text(page.partition("```yaml\n")[2].partition("```")[0], "utf-8")
    against_builtin("vendor.compose-spec", file)
    read = yaml.safe_load(file.read_text("utf-8"))
    assert set(read["services"]) == {*WORKERS, "cli"}
    assert set(read["secrets"]).isdisjoint(COMPOSE["secrets"])


@pytest.mark.parametrize("service", AEGIS)
def test_every_variable_of_a_service_is_a_setting(service: str, tmp_path: Path) -> None:
    """The settings load from the environment as it stands; an unknown variable would be refused."""
    environment = {name: str(value) for name, value in SERVICES[service]["environment"].items()}
    assert environment.pop("AEGIS_CONFIG") == "/etc/aegis/aegis.toml"
    settings = load_settings(environment, tmp_path)
    assert settings.worker.metrics_host == "0.0.0.0"  # noqa: S104 - the container's own network
    assert settings.keys.url != settings.control.url


def test_the_configuration_that_is_mounted_is_one(tmp_path: Path) -> None:
    """The file that every process gets is read, as it comes and with its example switched on."""
    file = ROOT / "deploy/config/aegis.toml"
    load_settings({"AEGIS_CONFIG": str(file)}, tmp_path)
    example = re.sub(r"^# (?=\[|[a-z_]+ = )", "", file.read_text("utf-8"), flags=re.MULTILINE)
    (tmp_path / "aegis.toml").write_text(example, "utf-8")
    assert list(load_settings({}, tmp_path).datasources) == ["app"]


@pytest.mark.parametrize("service", AEGIS)
def test_every_command_is_a_verb_of_aegis(service: str) -> None:
    """Whatever a container runs of `aegis`, the command line knows it."""
    said = SERVICES[service]
    health = " ".join(said.get("healthcheck", {}).get("test", []))
    words = " ".join(map(str, [*said.get("entrypoint", ["aegis"]), *said.get("command", [])]))
    verbs = re.findall(r"(?:^|[ (;|])aegis ([a-z-]+)", f"{words}\n{health}", re.MULTILINE)
    assert verbs
    assert [verb for verb in verbs if main.get_command(None, verb) is None] == []  # type: ignore[arg-type]


def test_every_queue_has_its_worker() -> None:
    """Each queue is served by one class of workers, and none is forgotten."""
    served = [queue for name in WORKERS for queue in _queues(name)]
    assert sorted(served) == sorted(QUEUES)


def test_the_sealing_worker_alone_has_the_home_with_the_signing_key() -> None:
    """Whoever serves the queue `seal` has a home of its own, and nobody else mounts it."""
    (sealing,) = [name for name in WORKERS if "seal" in _queues(name)]
    assert [name for name in AEGIS if "sealer" in _named_volumes(name)] == [sealing]
    assert "home:/run/aegis:ro" in SERVICES[sealing]["volumes"]


def test_only_what_is_for_people_is_published_and_on_the_loopback_interface() -> None:
    """Dashboards can be opened on this host; nothing else is reachable, and nothing from elsewhere."""
    published = {name: said["ports"] for name, said in SERVICES.items() if "ports" in said}
    assert published == {name: [f"127.0.0.1:{port}:{port}"] for name, port in FOR_PEOPLE.items()}


def test_databases_and_broker_have_no_way_out() -> None:
    """PostgreSQL and Redis stand in internal networks only, each in its own."""
    networks = {name: set(SERVICES[name]["networks"]) for name in ("postgres", "redis")}
    assert networks == {"postgres": {"database"}, "redis": {"broker"}}
    inner = {name for name, said in COMPOSE["networks"].items() if said.get("internal")}
    assert inner == {"broker", "database", "metrics"}


def test_whatever_is_named_is_declared_and_whatever_is_declared_is_used() -> None:
    """Secrets, volumes and networks."""
    for kind, of_service in (("secrets", _secrets), ("volumes", _named_volumes), ("networks", _networks)):
        used = set(itertools.chain.from_iterable(map(of_service, SERVICES)))
        assert used == set(COMPOSE[kind]), kind


@pytest.mark.parametrize("service", SERVICES)
def test_every_file_that_is_mounted_is_there(service: str) -> None:
    """Docker would make an empty folder in place of a file that is missing, and mounts it read-only."""
    for volume in SERVICES[service].get("volumes", []):
        source, *rest = volume.split(":")
        if source.startswith("."):
            assert (ROOT / source).exists(), source
            assert rest[-1] == "ro"


@pytest.mark.parametrize("service", LASTING)
def test_every_service_says_whether_it_is_healthy(service: str) -> None:
    """And who needs it waits for that."""
    assert SERVICES[service]["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
    for needed, how in SERVICES[service].get("depends_on", {}).items():
        expected = "service_completed_successfully" if needed in ENDING else "service_healthy"
        assert how == {"condition": expected}


@pytest.mark.parametrize("service", SERVICES)
def test_no_service_can_do_more_than_it_must(service: str) -> None:
    """Read-only, without capabilities, never with more than at its start, within limits; its log rotates."""
    said = SERVICES[service]
    assert said["read_only"] is True
    assert said["cap_drop"] == ["ALL"]
    assert "cap_add" not in said
    assert said["security_opt"] == ["no-new-privileges:true"]
    assert {"mem_limit", "cpus", "pids_limit"} <= set(said)
    assert set(said["logging"]["options"]) == {"max-size", "max-file"}
    assert said["restart"] == ("no" if service in ENDING else "unless-stopped")


@pytest.mark.parametrize("service", SERVICES)
def test_every_image_is_pinned(service: str) -> None:
    """To a release, not to whatever is newest."""
    assert re.fullmatch(r"[a-z/-]+:v?\d+\.\d+(\.\d+)?", SERVICES[service]["image"])


@pytest.mark.parametrize("service", WORKERS)
def test_a_worker_has_the_time_that_it_needs_to_end(service: str) -> None:
    """The longest statement of a batch, and what Celery takes, fit into the time before it is killed."""
    grace = float(SERVICES[service]["stop_grace_period"].removesuffix("s"))
    statement = Settings().retention.statement_timeout_milliseconds / 1000
    assert grace > statement + GRACE_SECONDS + 10


def test_the_script_makes_every_secret_once(tmp_path: Path) -> None:
    """One command makes all passwords, closed to others by their folder; again, it changes none of them."""
    folder = tmp_path / "secrets"
    _make_secrets(folder)
    made = {path.name: path.read_text("ascii") for path in folder.iterdir()}
    _make_secrets(folder)
    assert {path.name: path.read_text("ascii") for path in folder.iterdir()} == made
    assert {name: {"file": f"./secrets/{name}"} for name in made} == COMPOSE["secrets"]
    assert len(set(made.values())) == len(made)
    assert all(re.fullmatch("[0-9a-f]{48}", password) for password in made.values())
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("service", [*WORKERS, "beat", "cli"])
def test_who_connects_to_redis_is_one_of_its_users(service: str, tmp_path: Path) -> None:
    """The user of the URL is in the ACL file that the service `redis` writes, and has its own password."""
    environment = SERVICES[service]["environment"]
    user = environment["AEGIS_BROKER_URL"].partition("//")[2].partition("@")[0]
    secret = environment["AEGIS_BROKER_PASSWORD_FILE"].removeprefix("/run/secrets/")
    assert secret == f"redis_{user}"
    assert secret in SERVICES[service]["secrets"]
    assert f"user {user} on" in _acl(tmp_path)


def test_redis_gets_every_password_of_its_users_and_where_it_looks_for_them(tmp_path: Path) -> None:
    """What its entrypoint writes is what its configuration reads, for each user that has a password."""
    users = re.findall("^user ([a-z-]+) on", _acl(tmp_path), re.MULTILINE)
    assert {f"redis_{user.replace('-', '_')}" for user in users} == set(SERVICES["redis"]["secrets"])
    written = re.search("/run/secrets (\\S+)", SERVICES["redis"]["entrypoint"][-1])
    assert written
    configuration = (ROOT / "deploy/redis/redis.conf").read_text("utf-8")
    assert f"aclfile {written[1]}" in configuration
    assert str(Path(written[1]).parent) in SERVICES["redis"]["tmpfs"]
    assert "redis:/data" in SERVICES["redis"]["volumes"]
    assert "dir /data" in configuration


def test_prometheus_asks_every_process(tmp_path: Path) -> None:
    """The targets are beat and `worker`, to which all workers answer, on the ports that they serve."""
    worker = load_settings({}, tmp_path).worker
    read = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text("utf-8"))
    jobs = {job["job_name"]: job for job in read["scrape_configs"]}
    (found,) = jobs["aegis-worker"]["dns_sd_configs"]
    assert (found["names"], found["type"], found["port"]) == (["worker"], "A", worker.metrics_port)
    assert all(SERVICES[name]["networks"]["metrics"]["aliases"] == ["worker"] for name in WORKERS)
    (beat,) = jobs["aegis-beat"]["dns_sd_configs"]
    assert (beat["names"], beat["type"], beat["port"]) == (["beat"], "A", worker.beat_metrics_port)
    assert "metrics" in SERVICES["beat"]["networks"]
    (alerts,) = read["alerting"]["alertmanagers"]
    assert alerts["static_configs"] == [{"targets": ["alertmanager:9093"]}]


def test_grafana_finds_prometheus_and_its_dashboards() -> None:
    """Its data source is the service, on the port that is served; its dashboards are where it looks."""
    folder = ROOT / "deploy/grafana/provisioning"
    (sources,) = [yaml.safe_load(path.read_text("utf-8")) for path in (folder / "datasources").iterdir()]
    assert [one["url"] for one in sources["datasources"]] == [f"http://prometheus:{FOR_PEOPLE['prometheus']}"]
    (found,) = [yaml.safe_load(path.read_text("utf-8")) for path in (folder / "dashboards").iterdir()]
    place = found["providers"][0]["options"]["path"]
    (source,) = [v.split(":")[0] for v in SERVICES["grafana"]["volumes"] if v.split(":")[1] == place]
    assert list((ROOT / source).glob("*.json"))


def _queues(service: str) -> list[str]:
    said = SERVICES[service]
    words = " ".join([*said.get("entrypoint", []), *said.get("command", [])]).split()
    return str(words[words.index("-Q") + 1]).split(",")


def _secrets(service: str) -> set[str]:
    return set(SERVICES[service].get("secrets", []))


def _networks(service: str) -> set[str]:
    return set(SERVICES[service]["networks"])


def _named_volumes(service: str) -> set[str]:
    sources = {volume.partition(":")[0] for volume in SERVICES[service].get("volumes", [])}
    return {source for source in sources if not source.startswith(".")}


def _make_secrets(folder: Path) -> None:
    subprocess.run(["/bin/sh", ROOT / "deploy/secrets.sh", folder], check=True, capture_output=True)


def _acl(folder: Path) -> str:
    """Return the ACL file, as the service's entrypoint has it written."""
    _make_secrets(folder / "secrets")
    for path in (folder / "secrets").iterdir():
        if path.name not in SERVICES["redis"]["secrets"]:
            path.unlink()
    script = SERVICES["redis"]["entrypoint"][-1].partition("exec ")[0]
    for there, here in (
        ("/etc/redis", ROOT / "deploy/redis"),
        ("/run/secrets", folder / "secrets"),
        ("/run/redis", folder),
    ):
        script = script.replace(there, str(here))
    subprocess.run(["/bin/sh", "-ec", script], check=True, env={"PATH": os.environ["PATH"]})
    return (folder / "users.acl").read_text("ascii")
