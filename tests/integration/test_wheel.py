"""The built wheel, installed beside a service that has its own `api/` and `tasks/`."""

import json
import subprocess
import sys
import sysconfig
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

USES_THE_DOORS = """
import importlib.util, json
import api, tasks
from aegis.auditing import get_audit_events, record_audit
from aegis.privacy import tenant_isolation_check
import api.orders

event = record_audit("custom:note", "ops@example.com", "policy", "safety_90", {"why": "x"})
denied = False
try:
    tenant_isolation_check("a", "b")
except PermissionError:
    denied = True
print(json.dumps({
    "own": [api.OWNER, tasks.OWNER, api.orders.OWNER],
    "top_level": [n for n in ("cli", "migrations", "schedules", "worker") if importlib.util.find_spec(n)],
    "recorded": str(event) in {str(found["id"]) for found in get_audit_events()},
    "denied": denied,
}))
"""

ACTIVATES = """
from aegis.home import activate
activate()
import sys
import api, schedules, tasks
print("\\n".join([api.__file__, schedules.__file__, tasks.__file__, *sys.path]))
"""

ACTIVATES_TOO_LATE = """
import tasks
from aegis.errors import Conflict
from aegis.home import activate
try:
    activate()
except Conflict as error:
    print(error)
"""


@dataclass(frozen=True, kw_only=True)
class Service:
    """A program of somebody else's, in an environment where the wheel is installed."""

    folder: Path
    bin: Path

    def run(self, *command: str) -> str:
        """Run a program in the service's folder and return what it prints."""
        program = str(self.bin / command[0])
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(self.folder)}
        done = subprocess.run(
            [program, *command[1:]],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as it is published: built from the sdist, not from the checkout."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel; its dependencies are the ones of this run."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    install = ["install", "--quiet", "--no-index", "--no-deps", str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", "--python", str(python), *install], check=True)
    # Added last and by path: the checkout's own editable install there is not followed.
    site_packages = next(folder.glob("lib/python*/site-packages"))
    (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


@pytest.fixture
def service(environment: Path, tmp_path: Path) -> Service:
    """A service with its own `api`, `cli` and `tasks`."""
    for name in ("api", "cli", "tasks"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("OWNER = 'service'\n")
    (tmp_path / "api" / "orders.py").write_text("OWNER = 'service'\n")
    return Service(folder=tmp_path, bin=environment / "bin")


def test_one_name_in_site_packages(wheel: Path) -> None:
    """The wheel installs `aegis` and nothing beside it."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name.split("/")[0] for name in archive.namelist()}
    assert {name for name in names if not name.endswith(".dist-info")} == {"aegis"}


def test_wheel_carries_the_whole_application(wheel: Path) -> None:
    """Every file of the application folders and of the engine is in the wheel."""
    expected = {
        str(path.relative_to(ROOT)) if folder == "aegis" else f"aegis/_app/{path.relative_to(ROOT)}"
        for folder in ("aegis", "api", "cli", "migrations", "schedules", "tasks", "worker")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".mako", ".typed"}
    }
    with zipfile.ZipFile(wheel) as archive:
        carried = set(archive.namelist())
    assert "aegis/_app/migrations/env.py" in expected
    assert expected <= carried


def test_service_with_its_own_names_uses_the_doors(service: Service) -> None:
    """A service with its own `api` and `tasks` calls Aegis, and keeps both."""
    (service.folder / "program.py").write_text(USES_THE_DOORS)
    seen = json.loads(service.run("python", "program.py").splitlines()[-1])
    assert seen == {
        "own": ["service", "service", "service"],
        "top_level": ["cli"],
        "recorded": True,
        "denied": True,
    }


def test_activation_prefers_the_application_folders(service: Service) -> None:
    """After activation the plain names are Aegis's, and the working folder is off the path."""
    output = service.run("python", "-c", ACTIVATES).splitlines()
    api, schedules, tasks, first, *rest = output
    assert [Path(place).parent.parent for place in (api, schedules, tasks)] == [Path(first)] * 3
    assert Path(first).parts[-2:] == ("aegis", "_app")
    assert not {"", ".", str(service.folder)} & set(rest)


def test_activation_refuses_a_foreign_module(service: Service) -> None:
    """A `tasks` of somebody else's that was imported before is an error that says so."""
    output = service.run("python", "-c", ACTIVATES_TOO_LATE)
    assert f"'tasks' from {service.folder / 'tasks' / '__init__.py'} was imported before" in output
    assert "aegis.privacy" in output


def test_command_ignores_the_working_folder(service: Service) -> None:
    """`aegis` runs Aegis's command line in a folder that has its own `cli`."""
    assert "retention" in service.run("aegis", "--help")
