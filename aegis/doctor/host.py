"""The host: its programs, settings and key files."""

import importlib.metadata
import os
import sys
from pathlib import Path
from typing import Final

import numpy as np

from aegis.doctor.findings import Found, fault, note, ok
from aegis.doctor.patient import Patient
from aegis.federated import selftest
from aegis.settings import Settings

#: What `make test-matrix` runs on, each on Redis and on Valkey.
_TESTED_CELERY: Final = ("5.6.", "5.7.")


def check_programs() -> Found:
    """Check the versions of what Aegis runs on."""
    versions = {name: importlib.metadata.version(name) for name in ("celery", "kombu", "redis")}
    python = ".".join(map(str, sys.version_info[:3]))
    listed = ", ".join([f"Python {python}", *(f"{name} {version}" for name, version in versions.items())])
    if not versions["celery"].startswith(_TESTED_CELERY):
        cure = f"install a tested one: pip install 'celery=={_TESTED_CELERY[-1]}*'"
        yield fault("programs", f"{listed}: this Celery is not tested", cure)
        return
    yield ok("programs", listed)
    if versions["kombu"].startswith("5.7."):
        text = "its worker ends when Redis dies at a bad moment; `aegis worker` has the cure"
        yield ok("programs", f"kombu {versions['kombu']}: {text}")


def check_noise() -> Found:
    """Check that this machine draws the noise that was proven; if not, no aggregate is released here."""
    selftest.check()
    yield ok("noise", f"numpy {np.__version__} draws what exact arithmetic does")


def check_settings(settings: Settings) -> Found:
    """Check that policies need an approval, and tell where the settings come from."""
    if settings.approval == "off":
        text = "approval is off: a policy runs as soon as it is registered"
        yield note("settings", text, 'set approval = "required" in aegis.toml')
        return
    named = os.environ.get("AEGIS_CONFIG") or "aegis.toml"
    file = f"read from {named}" if Path(named).exists() else "defaults (there is no aegis.toml)"
    count = sum(name.startswith("AEGIS_") and name != "AEGIS_CONFIG" for name in os.environ)
    also = f" and {count} of the environment" if count else ""
    yield ok("settings", f"{file}{also}; home is {settings.home}")


def check_keys(patient: Patient) -> Found:
    """Check that the key files are there, whole, and closed to others."""
    files = patient.system.key_files
    patient.fresh = patient.settings.embedded_control and not files.exist
    if patient.fresh:
        text = "not made yet; the first command that needs them makes them"
        yield note("keys", text, "aegis policy list")
        return
    worker, epoch = files.worker(), files.epoch(1)
    if files.folder.stat().st_mode & 0o077:
        yield fault("keys", f"{files.folder} is open to others", f"chmod 700 {files.folder}")
    text = f"worker key {worker.key_id}, epoch key {epoch.key_id}, readable by this user only"
    yield ok("keys", text)
