"""deploy/k8s against Kubernetes' schemas, and against the code that runs there.

Kubernetes' own kinds are checked by the schemas that kubernetes-validate brings along. Those of KEDA and of
the operator of Prometheus are checked by small schemas of this project's own, `tests/crds`, for what is used
of them here.
"""

import json
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from aegis.keys import KeyFiles
from aegis.settings import Settings, load_settings
from cli.main import main
from tests.containers import HOME, ROOT, compose
from worker.app import QUEUES
from worker.shutdown import GRACE_SECONDS

FOLDER = ROOT / "deploy/k8s"
FILES = sorted(path for path in FOLDER.rglob("*.yaml") if path.name != "kustomization.yaml")
#: Older and newer than what is supported today.
VERSIONS = ("1.30", "1.35")
SECRETS = "/run/secrets/aegis"


def documents(path: Path) -> list[dict[str, Any]]:
    """Return the documents of a file."""
    return [document for document in yaml.safe_load_all(path.read_text("utf-8")) if document]


ALL = [document for path in FILES for document in documents(path)]


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each template of a pod by the name of what makes it."""
    for document in ALL:
        spec = document.get("spec", {})
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        if "template" in spec:
            yield document["metadata"]["name"], spec["template"]


PODS = dict(pods())
WORKERS = [name for name in PODS if name.startswith("aegis-worker-")]
each_pod = pytest.mark.parametrize("name", PODS)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_every_document_is_what_kubernetes_reads(path: Path, version: str) -> None:
    """By its schema, strictly: an unknown field is a mistake."""
    for document in documents(path):
        check(document, version)


def check(document: dict[str, Any], version: str) -> None:
    """Check one document by its schema."""
    own = ROOT / f"tests/crds/{document['kind']}.schema.json"
    if own.exists():
        jsonschema.validate(document, json.loads(own.read_text("utf-8")))
    else:
        kubernetes_validate.validate(document, version, strict=True)


def test_the_rules_of_prometheus_become_rules_of_its_operator() -> None:
    """Each file of rules is one PrometheusRule, with the same groups."""
    command = ["/bin/sh", str(FOLDER / "rules.sh")]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    made = [document for document in yaml.safe_load_all(printed) if document]
    rules = sorted((ROOT / "deploy/prometheus/rules").glob("*.yml"))
    assert rules
    assert [document["spec"] for document in made] == [
        yaml.safe_load(path.read_text("utf-8")) for path in rules
    ]
    for document in made:
        check(document, VERSIONS[0])


@pytest.mark.parametrize("folder", ["", "migrate"])
def test_kustomize_puts_it_together(folder: str) -> None:
    """What is applied is valid too, and every pod is given the configuration that was generated."""
    built = [document for document in yaml.safe_load_all(_kustomize(FOLDER / folder)) if document]
    for document in built:
        check(document, VERSIONS[-1])
        assert document["metadata"].get("namespace", "aegis") == "aegis"
    (configuration,) = [document for document in built if document["kind"] == "ConfigMap"]
    text = json.dumps(built)
    assert text.count(f'"configMap": {{"name": "{configuration["metadata"]["name"]}"}}') == len(
        [name for name in PODS if (name == "aegis-migrate") == bool(folder) and name != "aegis-scheduled"]
    )


def test_kustomize_adds_what_not_everybody_has(tmp_path: Path) -> None:
    """With all components: KEDA alone says how many workers there are of what it scales."""
    copied = shutil.copytree(FOLDER, tmp_path / "k8s")
    file = copied / "kustomization.yaml"
    file.write_text(file.read_text("utf-8").replace("# components:", "components:"), "utf-8")
    built = [document for document in yaml.safe_load_all(_kustomize(copied)) if document]
    assert {"ScaledObject", "ServiceMonitor", "CronJob"} <= {document["kind"] for document in built}
    scaled = {d["spec"]["scaleTargetRef"]["name"] for d in built if d["kind"] == "ScaledObject"}
    deployed = {d["metadata"]["name"]: d["spec"] for d in built if d["kind"] == "Deployment"}
    assert scaled == {name for name, spec in deployed.items() if "replicas" not in spec}


def test_every_file_is_applied_by_somebody() -> None:
    """No manifest lies there that no kustomization names."""
    named = {
        (path.parent / resource).resolve()
        for path in FOLDER.rglob("kustomization.yaml")
        for resource in documents(path)[0]["resources"]
    }
    assert set(FILES) <= named


@each_pod
def test_no_pod_can_do_more_than_it_must(name: str) -> None:
    """It meets the restricted standard, cannot write its root, and has no token of Kubernetes."""
    spec = PODS[name]["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "runAsGroup": 10001,
        "fsGroup": 10001,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert "USER 10001:10001" in (ROOT / "deploy/Dockerfile").read_text("utf-8")
    for container in [*spec["initContainers"], *spec["containers"]]:
        assert container["image"] == compose()["services"]["setup"]["image"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert set(container["resources"]) == {"requests", "limits"}


@each_pod
def test_what_is_mounted_is_there_and_nothing_else(name: str) -> None:
    """Every mount has its volume, and every volume its mount; secrets are named, never contained."""
    spec = PODS[name]["spec"]
    owner = next(d["spec"] for d in ALL if d["metadata"]["name"] == name and d["kind"] != "ScaledObject")
    claimed = {claim["metadata"]["name"] for claim in owner.get("volumeClaimTemplates", [])}
    volumes = {volume["name"] for volume in spec["volumes"]} | claimed
    mounts = [m for c in [*spec["initContainers"], *spec["containers"]] for m in c["volumeMounts"]]
    assert {mount["name"] for mount in mounts} == volumes
    assert "Secret" not in {document["kind"] for document in ALL}


@each_pod
def test_the_command_is_a_verb_of_aegis(name: str) -> None:
    """And so is what its probes run."""
    (container,) = PODS[name]["spec"]["containers"]
    probes = [container[probe] for probe in ("startupProbe", "livenessProbe") if probe in container]
    commands = [["aegis", *container["args"]], *(probe["exec"]["command"] for probe in probes)]
    for first, verb, *_ in commands:
        assert first == "aegis"
        assert main.get_command(None, verb) is not None  # type: ignore[arg-type] # no context is needed
    assert bool(probes) == bool(container.get("ports"))


def test_every_queue_has_its_worker() -> None:
    """Each queue is served by one class of workers, as in docker-compose.yml."""
    served = [q for name in WORKERS for q in _args(name)[-1].split(",")]
    assert sorted(served) == sorted(QUEUES)
    composed = compose()["services"]
    for name in WORKERS:
        said = composed[name.removeprefix("aegis-")]
        words = " ".join([*said.get("command", []), *said.get("entrypoint", [])]).split()
        assert _args(name)[-1] in words


def test_the_sealing_worker_alone_keeps_its_home() -> None:
    """The others' homes go with their pods: what must last lies in a store, the signing key at the sealer."""
    homes = {
        name: [volume for volume in PODS[name]["spec"]["volumes"] if volume["name"] == "home"]
        for name in PODS
    }
    (sealing,) = [name for name in WORKERS if "seal" in _args(name)[-1].split(",")]
    assert [name for name, found in homes.items() if not found] == [sealing]
    (owner,) = [d["spec"] for d in ALL if d["metadata"]["name"] == sealing and d["kind"] == "StatefulSet"]
    assert owner["replicas"] == 1


@each_pod
def test_settings_and_secrets_fit_together(name: str, tmp_path: Path) -> None:
    """The configuration is read, what it names of passwords is mounted, and nothing lies on a disk."""
    (container,) = PODS[name]["spec"]["containers"]
    environ = {one["name"]: one["value"] for one in container["env"]}
    assert environ.pop("AEGIS_CONFIG") == "/etc/aegis/aegis.toml"
    environ["AEGIS_CONFIG"] = str(FOLDER / "common/aegis.toml")
    settings = load_settings(environ, tmp_path)
    assert not settings.embedded_control
    stores = (settings.archives_url, settings.tombstones_url, settings.outputs_url, settings.inputs_url)
    assert all(store.startswith("s3://") for store in stores)
    mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
    needed = {settings.database_password_file, settings.keys_password_file}
    if "AEGIS_BROKER_URL" in environ:
        needed.add(settings.broker_password_file)
        user = environ["AEGIS_BROKER_URL"].partition("//")[2].partition("@")[0]
        assert f"aegis-redis-{user}" in json.dumps(PODS[name])
    if name in WORKERS:
        needed |= {source.password_file for source in settings.datasources.values()}
    assert {str(Path(str(file)).parent) for file in needed} <= mounted


@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_has_the_time_that_it_needs_to_end(name: str) -> None:
    """The longest statement of a batch, and what Celery takes, fit into the time before it is killed."""
    statement = Settings().retention.statement_timeout_milliseconds / 1000
    assert PODS[name]["spec"]["terminationGracePeriodSeconds"] > statement + GRACE_SECONDS + 10


def test_ports_are_those_that_are_served() -> None:
    """Of pods, of their services, and of the policy that lets Prometheus in."""
    served = Settings().worker
    ports = {"worker": served.metrics_port, "beat": served.beat_metrics_port}
    for name, pod in PODS.items():
        component = pod["metadata"]["labels"]["app.kubernetes.io/component"]
        found = [port["containerPort"] for port in pod["spec"]["containers"][0].get("ports", [])]
        assert found == ([ports[component]] if component in ports else []), name
    services = {d["metadata"]["name"]: d["spec"]["ports"][0]["port"] for d in ALL if d["kind"] == "Service"}
    assert services == {f"aegis-{component}": port for component, port in ports.items()}
    (policy,) = [d for d in ALL if d["metadata"]["name"] == "from-monitoring"]
    assert {p["port"] for p in policy["spec"]["ingress"][0]["ports"]} == set(ports.values())


def test_policies_of_the_network_and_budgets_select_pods_that_there_are() -> None:
    """A selector that finds nothing would forbid or protect nothing."""
    labels = [pod["metadata"]["labels"] for pod in PODS.values()]
    chosen = [d["spec"].get("podSelector", d["spec"].get("selector")) for d in ALL if d["kind"] in _SELECTING]
    assert len(chosen) > 5
    for selector in chosen:
        assert any(_selects(selector, found) for found in labels), selector


def test_keda_scales_by_a_metric_that_beat_has() -> None:
    """The queues of a query are those of the worker that it scales."""
    for document in ALL:
        if document["kind"] == "ScaledObject":
            (trigger,) = document["spec"]["triggers"]
            queues = re.findall('queue=~?"([^"]+)"', trigger["metadata"]["query"])
            assert queues[0].split("|") == _args(document["spec"]["scaleTargetRef"]["name"])[-1].split(",")
            assert "aegis_queue_length" in trigger["metadata"]["query"]


def test_the_schedule_of_kubernetes_misses_no_instant() -> None:
    """It comes more often than an instant may be late."""
    (cron,) = [d["spec"] for d in ALL if d["kind"] == "CronJob"]
    minutes = int(cron["schedule"].split()[0].removeprefix("*/"))
    assert minutes * 60 + cron["startingDeadlineSeconds"] < Settings().operations.catch_up_seconds


@each_pod
def test_the_first_container_makes_keys_that_are_taken(name: str, tmp_path: Path) -> None:
    """From the files of a Secret, which a group can read, it makes a folder of keys that Aegis reads."""
    made = KeyFiles(tmp_path / "made")
    made.create()
    secret, home = tmp_path / "made/keys", tmp_path / "home"
    for path in secret.iterdir():
        path.chmod(0o440)
    (home / "keys").mkdir(parents=True)
    (home / "keys/audit-1.key").touch(mode=0o660)
    (home / "keys/epoch-7.key").touch(mode=0o600)
    shell, option, script = PODS[name]["spec"]["initContainers"][0]["command"]
    moved = script.replace(f"{SECRETS}/keys", str(secret))
    for _ in range(2):
        subprocess.run([shell, option, moved], cwd=home, check=True, env={"PATH": os.environ["PATH"]})
    found = KeyFiles(home)
    assert found.worker().material
    assert found.epoch(1).material
    if name == "aegis-worker-seal":
        assert found.numbers("epoch") == [1]
        assert stat.S_IMODE((home / "keys/audit-1.key").stat().st_mode) == 0o600
    assert {m["mountPath"] for m in PODS[name]["spec"]["initContainers"][0]["volumeMounts"]} == {
        HOME,
        f"{SECRETS}/keys",
    }


_SELECTING = ("NetworkPolicy", "PodDisruptionBudget", "Service")


def _selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    plain = selector.get("matchLabels", {} if "matchExpressions" in selector else selector)
    expressions = selector.get("matchExpressions", [])
    return plain.items() <= labels.items() and all(
        labels.get(one["key"]) in one["values"] and one["operator"] == "In" for one in expressions
    )


def _args(name: str) -> list[str]:
    args: list[str] = PODS[name]["spec"]["containers"][0]["args"]
    return args


def _kustomize(folder: Path) -> str:
    for command in (["kubectl", "kustomize"], ["kustomize", "build"]):
        if shutil.which(command[0]):
            return subprocess.run([*command, folder], capture_output=True, text=True, check=True).stdout
    pytest.skip("neither kubectl nor kustomize on this machine; the files themselves are checked")
