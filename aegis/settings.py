"""Settings: `aegis.toml` and the environment, joined into one frozen, typed object.

`AEGIS_CONFIG` names the file (default: `aegis.toml` in the working folder). Every key is also
an environment variable: `AEGIS_DATABASE_URL`, `AEGIS_RETENTION__BATCH_MILLISECONDS`,
`AEGIS_DATASOURCES__APP__URL`. The environment wins. An unknown key is refused.
"""

import contextlib
import dataclasses
import ipaddress
import os
import re
import tomllib
import types
import typing
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

from aegis.errors import SettingsError, UnknownName

_SECRET = re.compile("([^&=]*(?:pass|pwd|secret|token|key)[^&=]*)=[^&]*", re.IGNORECASE)
#: The data source that exists when none is named: the control database itself.
DEFAULT_SOURCE = "default"
_COPY = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class CopySettings:
    """Somewhere else that has a data source's persons: a warehouse, a search index, a processor."""

    #: Days from an erasure's end until the copy must be confirmed.
    due_days: int = 30
    #: A Celery task of its owner's, which is sent to `queue`.
    task: str | None = None
    queue: str | None = None
    #: https, to be posted to; a loopback host may be http. Neither task nor url: a person sees to it.
    url: str | None = None
    #: A file whose content signs what is posted (HMAC-SHA256).
    secret_file: Path | None = None

    @property
    def kind(self) -> Literal["task", "webhook", "manual"]:
        """How it is asked to forget somebody."""
        if self.task:
            return "task"
        return "webhook" if self.url else "manual"


@dataclasses.dataclass(frozen=True, kw_only=True)
class VerifySettings:
    """Another login to a data source, for what only looks: the search for what is left of a person."""

    #: The same database, as a role that need not change anything.
    url: str
    password_file: Path | None = None
    password_command: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class SourceSettings:
    """One application database that Aegis works on."""

    #: postgresql://, mariadb://, mysql:// or sqlite:///
    url: str
    #: A file that holds the password; read again on every connect.
    password_file: Path | None = None
    #: A command that prints the password; run again on every connect.
    password_command: str | None = None
    #: How long backups of it are kept: deleted rows can be read in them until then.
    backup_horizon_days: int | None = None
    #: A YAML file: what is personal in it, and how long its tables must be kept.
    datamap: Path | None = None
    #: Where else its persons are; each is asked to forget whoever was erased.
    copies: Mapping[str, CopySettings] = dataclasses.field(default_factory=dict)
    #: Who searches it for what is left of a person; none: who changes its rows.
    verify: VerifySettings | None = None

    @property
    def verifier(self) -> "SourceSettings":
        """The connection for what only looks."""
        return self if self.verify is None else SourceSettings(**vars(self.verify))


@dataclasses.dataclass(frozen=True, kw_only=True)
class RetentionSettings:
    """How gently a retention run works."""

    #: What a batch aims at, in milliseconds of work in the database; on SQLite twice as much.
    batch_milliseconds: int = 50
    #: Rows in the first batch of a run.
    first_batch_rows: int = 200
    #: Most rows that one batch may look at.
    largest_batch_rows: int = 200_000
    #: How long a batch waits for a lock before it is made smaller.
    lock_timeout_milliseconds: int = 1_000
    #: How long one statement of a batch may take.
    statement_timeout_milliseconds: int = 15_000
    #: How long a run may count before its first row, and again at its end; what takes longer is not counted.
    count_seconds: float = 240.0
    #: Share of the batch's own time that is slept after it, outside every transaction.
    pause_share: float = 0.1
    #: Most of a table that one run may take, from 0 to 1, where its policy says nothing else.
    max_share: float | None = None
    #: How long the first scheduled run of a new policy waits, before its first portion and after it; 0: not.
    soft_landing_hours: float = 24.0
    #: Rows of that first portion.
    canary_rows: int = 1_000
    #: Seconds of work per task before it goes back to the queue.
    slice_seconds: float = 15.0
    #: Days after a run by which its rows must be gone from the table's files too.
    purge_days: int = 7


@dataclasses.dataclass(frozen=True, kw_only=True)
class ThrottleSettings:
    """When a run holds back for the application's sake; 0 switches a threshold off."""

    #: Sessions of the application that wait for a lock.
    lock_waits: float = 3
    #: Sessions of the application at work at the same time.
    active_sessions: float = 40
    #: How far the slowest replica is behind (PostgreSQL).
    replica_lag_seconds: float = 30
    #: What the whole server writes to its log.
    wal_megabytes_per_second: float = 64
    #: Log that a replication slot keeps from being removed (PostgreSQL).
    slot_megabytes: float = 16_384
    #: The oldest transaction that keeps dead rows from being removed (PostgreSQL).
    snapshot_seconds: float = 0
    #: Vacuums at work on the same table (PostgreSQL).
    vacuums: float = 0
    #: The longest pause between two batches; after each one batch goes.
    longest_pause_seconds: float = 5
    #: How often the figures are looked at while all is well.
    look_milliseconds: float = 200


@dataclasses.dataclass(frozen=True, kw_only=True)
class ErasureSettings:
    """How persons are erased."""

    #: Whether an erasure waits until somebody has approved its plan.
    approval: bool = False
    #: Up to so many rows all of an erasure is one transaction; what is larger goes in batches.
    single_transaction_rows: int = 5_000
    #: A plan that would change more is approved first, whatever `approval` says.
    max_rows: int = 100_000
    #: Days from the receipt of a request until it is due.
    due_days: int = 30
    #: Where tombstones are written besides the control database: a folder, or a store that fsspec knows.
    #: None: a folder under `home`. It must not come back with a restored database.
    tombstones: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class OperationSettings:
    """Leases and retries, the same for every kind of operation."""

    #: A worker that died is replaced after this time.
    lease_seconds: float = 60.0
    #: Claims without one committed batch before a run is quarantined.
    max_attempts: int = 10
    #: How long a message may be missing before the reconciler sends it again.
    resend_seconds: float = 30.0
    #: How long journal rows of finished runs stay (the backup horizon).
    journal_days: int = 35
    #: Beat makes up a missed instant when it is at most this old.
    catch_up_seconds: float = 3_600.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class ArchiveSettings:
    """Where rows are written before they go, for policies that ask for it."""

    #: A folder, or a store that fsspec knows (`s3://bucket/path`); none: a folder under `home`.
    url: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportSettings:
    """Where the audit log is exported to, for `aegis audit export NAME` and the task."""

    format: Literal["jsonl", "ocsf", "ecs", "cef", "rfc5424", "tiles"]
    #: A file, a folder for tiles, `syslog://host:port`, `syslog+tls://host:port` or a URL of HTTP.
    to: str
    #: Where it is kept how far the export has come; none: under `home`. Tiles need none.
    cursor: Path | None = None
    #: A file with the value of the header `Authorization`, for HTTP.
    authorization_file: Path | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class AuditSettings:
    """The audit log and the keys of those who are in it."""

    #: The log's name in every checkpoint, like a URL without its scheme; none: a random one. Used once.
    origin: str | None = None
    #: How long the key store's wrapping key is used before the next; 0: until `aegis audit keys turn`.
    epoch_days: int = 7
    #: How long backups of the key store are kept: until then an old wrapping key must stay.
    keys_backup_days: int = 35
    exports: Mapping[str, ExportSettings] = dataclasses.field(default_factory=dict)

    def new_origin(self) -> str:
        """Return the name for a new log."""
        return self.origin or f"aegis.invalid/{uuid.uuid4().hex[:12]}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class WorkerSettings:
    """The worker process and beat."""

    metrics_host: str = "127.0.0.1"
    #: The worker's own counters.
    metrics_port: int = 9464
    #: Beat's endpoint, with the exact ledger.
    beat_metrics_port: int = 9465
    concurrency: int = 2
    #: Redis delivers a message again when a worker has not settled it after this time.
    visibility_timeout_seconds: int = 3_600
    #: A task is killed after this time; must be below the visibility timeout.
    hard_time_limit_seconds: int = 600
    max_tasks_per_child: int = 200
    #: How often beat looks for due instants.
    tick_seconds: float = 1.0
    log_format: Literal["text", "json"] = "text"


@dataclasses.dataclass(frozen=True, kw_only=True)
class FederatedSettings:
    """Releases of aggregates."""

    #: How long the output of a release can be fetched again; after it the release id is used up.
    keep_hours: float = 24.0
    #: Where outputs over 64 KiB lie, sealed: a folder, or a store that fsspec knows.
    #: None: a folder under `home`.
    outputs: str | None = None
    #: Where services put the aggregates that a message names by reference; as above.
    inputs: str | None = None
    #: The largest aggregate that is read by reference.
    max_bytes: int = 256 * 1024 * 1024
    #: Whether a release without a budget of its own is refused; else the account `default` records it.
    require_budget: bool = False
    #: No caller's `min_participants` may go below it.
    minimum_participants: int = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that can be configured."""

    #: Where keys, the default control database and running servers' files live.
    home: Path = Path(".aegis")
    #: The control database; none: an SQLite file under `home`, made on first use.
    database_url: str | None = None
    database_password_file: Path | None = None
    database_password_command: str | None = None
    #: The key store, kept apart from the log; none: an SQLite file under `home`.
    keys_url: str | None = None
    keys_password_file: Path | None = None
    keys_password_command: str | None = None
    broker_url: str = "redis://127.0.0.1:6379/0"
    broker_password_file: Path | None = None
    #: `required`: a policy runs only when approved. `two-person`: when two people have signed it.
    #: `off`: it runs when registered.
    approval: Literal["required", "two-person", "off"] = "required"
    datasources: Mapping[str, SourceSettings] = dataclasses.field(default_factory=dict)
    #: Modules with the application's own anonymizers; in the environment divided by commas.
    hooks: tuple[str, ...] = ()
    retention: RetentionSettings = RetentionSettings()
    throttle: ThrottleSettings = ThrottleSettings()
    erasure: ErasureSettings = ErasureSettings()
    operations: OperationSettings = OperationSettings()
    worker: WorkerSettings = WorkerSettings()
    archives: ArchiveSettings = ArchiveSettings()
    audit: AuditSettings = AuditSettings()
    federated: FederatedSettings = FederatedSettings()

    @property
    def archives_url(self) -> str:
        """Where new archives are written, with the default filled in."""
        return self.archives.url or str(self.home.absolute() / "archives")

    @property
    def tombstones_url(self) -> str:
        """Where tombstones are written outside of the databases, with the default filled in."""
        return self.erasure.tombstones or str(self.home.absolute() / "tombstones")

    @property
    def outputs_url(self) -> str:
        """Where large outputs of releases are written, with the default filled in."""
        return self.federated.outputs or str(self.home.absolute() / "releases")

    @property
    def inputs_url(self) -> str:
        """Where aggregates are read by reference, with the default filled in."""
        return self.federated.inputs or str(self.home.absolute() / "inputs")

    @property
    def control(self) -> SourceSettings:
        """The control database's connection, with the default filled in."""
        return SourceSettings(
            url=self.database_url or f"sqlite:///{self.home.absolute() / 'aegis.db'}",
            password_file=self.database_password_file,
            password_command=self.database_password_command,
        )

    @property
    def keys(self) -> SourceSettings:
        """The key store's connection, with the default filled in."""
        return SourceSettings(
            url=self.keys_url or f"sqlite:///{self.home.absolute() / 'keys.db'}",
            password_file=self.keys_password_file,
            password_command=self.keys_password_command,
        )

    @property
    def embedded_control(self) -> bool:
        """Whether the control database is the default one, prepared on first use."""
        return self.database_url is None

    @property
    def sources(self) -> Mapping[str, SourceSettings]:
        """The data sources by name; with none configured, the control database."""
        return self.datasources or {DEFAULT_SOURCE: self.control}

    def source(self, name: str) -> SourceSettings:
        """Return a data source by the name that a policy or a run was stored with; no other will do.

        Raises:
            UnknownName: `aegis.toml` does not name it any more.

        """
        if name not in self.sources:
            message = (
                f"there is no data source {name!r} any more; aegis.toml names: "
                f"{', '.join(sorted(self.sources))}. Name its database [datasources.{name}], or register its "
                "policies again"
            )
            raise UnknownName(message)
        return self.sources[name]

    def source_name(self, name: str | None) -> str:
        """Return the data source that `name` means; `default` is the only one there is.

        Raises:
            UnknownName: no such data source, or several and none was named.

        """
        names = sorted(self.sources)
        if name in self.sources:
            return str(name)
        if name in (None, DEFAULT_SOURCE) and len(names) == 1:
            return names[0]
        if name in (None, DEFAULT_SOURCE):
            message = f"there are several data sources ({', '.join(names)}): name one with datasource="
        else:
            message = f"there is no data source {name!r}; aegis.toml names: {', '.join(names)}"
        raise UnknownName(message)


def load_settings(environ: Mapping[str, str] | None = None, folder: Path | None = None) -> Settings:
    """Read `aegis.toml` and the environment.

    Args:
        environ: the environment; default: the process's.
        folder: the working folder; default: the process's.

    Raises:
        SettingsError: a key is unknown, a value has the wrong type, or they contradict.

    """
    environ = os.environ if environ is None else environ
    folder = Path.cwd() if folder is None else folder
    data = _read_file(environ, folder)
    for name, value in environ.items():
        if name.startswith("AEGIS_") and name != "AEGIS_CONFIG":
            _put(data, name.removeprefix("AEGIS_").lower().split("__"), value, name)
    settings: Settings = _build(Settings, data, "")
    sources = {name: _placed(source, folder) for name, source in settings.datasources.items()}
    exports = {name: _reached(export, folder) for name, export in settings.audit.exports.items()}
    audit = dataclasses.replace(settings.audit, exports=exports)
    settings = dataclasses.replace(settings, home=folder / settings.home, datasources=sources, audit=audit)
    _check(settings)
    return settings


def _placed(source: SourceSettings, folder: Path) -> SourceSettings:
    """Return a source whose files are found from any working folder."""
    copies = {
        name: dataclasses.replace(copy, secret_file=copy.secret_file and folder / copy.secret_file)
        for name, copy in source.copies.items()
    }
    return dataclasses.replace(source, datamap=source.datamap and folder / source.datamap, copies=copies)


def _reached(export: ExportSettings, folder: Path) -> ExportSettings:
    """Return an export whose files are found from any working folder."""
    cursor, authorization = (path and folder / path for path in (export.cursor, export.authorization_file))
    to = export.to if export.to == "-" or "://" in export.to else str(folder / export.to)
    return dataclasses.replace(export, to=to, cursor=cursor, authorization_file=authorization)


def masked(url: str) -> str:
    """Return the URL with every secret in it replaced, fit to be printed."""
    parts = urlsplit(url)
    if parts.password is not None:
        url = url.replace(parts.netloc, f"{parts.username or ''}:***@{parts.netloc.rpartition('@')[2]}", 1)
    head, mark, query = url.partition("?")
    return head + mark + _SECRET.sub(r"\1=***", query)


def describe(settings: Settings) -> dict[str, Any]:
    """Return the settings as plain data with every secret masked."""

    def plain(value: Any) -> Any:
        if dataclasses.is_dataclass(value):
            return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        if isinstance(value, Mapping):
            return {name: plain(item) for name, item in value.items()}
        if isinstance(value, Path):
            return str(value)
        return masked(value) if isinstance(value, str) and "://" in value else value

    return {
        name: plain(value)
        for name, value in [
            *((f.name, getattr(settings, f.name)) for f in dataclasses.fields(settings)),
            ("database_url", settings.control.url),
            ("keys_url", settings.keys.url),
            ("archives", dataclasses.replace(settings.archives, url=settings.archives_url)),
            ("erasure", dataclasses.replace(settings.erasure, tombstones=settings.tombstones_url)),
            (
                "federated",
                dataclasses.replace(
                    settings.federated, outputs=settings.outputs_url, inputs=settings.inputs_url
                ),
            ),
        ]
    }


def _read_file(environ: Mapping[str, str], folder: Path) -> dict[str, Any]:
    named = environ.get("AEGIS_CONFIG")
    path = folder / (named or "aegis.toml")
    if not path.exists():
        if named:
            message = f"AEGIS_CONFIG names {path}, which does not exist"
            raise SettingsError(message)
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        message = f"{path} is not valid TOML: {error}"
        raise SettingsError(message) from error


def _put(data: dict[str, Any], path: list[str], value: str, variable: str) -> None:
    for part in path[:-1]:
        below: Any = data.setdefault(part, {})
        if not isinstance(below, dict):
            message = f"{variable} goes below {part!r}, which is a plain value"
            raise SettingsError(message)
        data = below
    data[path[-1]] = value


def _build(kind: Any, data: Any, where: str) -> Any:
    if not isinstance(data, dict):
        message = f"{where}: expected a table, got {type(data).__name__}"
        raise SettingsError(message)
    hints = get_type_hints(kind)
    unknown = sorted(set(data) - set(hints))
    if unknown:
        message = f"unknown setting {where}{unknown[0]!s}; known here: {', '.join(sorted(hints))}"
        raise SettingsError(message)
    missing = [
        f.name
        for f in dataclasses.fields(kind)
        if f.default is dataclasses.MISSING
        and f.default_factory is dataclasses.MISSING
        and f.name not in data
    ]
    if missing:
        message = f"setting {where}{missing[0]} is missing"
        raise SettingsError(message)
    return kind(**{name: _value(hints[name], value, f"{where}{name}") for name, value in data.items()})


def _value(hint: Any, value: Any, where: str) -> Any:
    if get_origin(hint) in (types.UnionType, typing.Union):
        hint = next(option for option in get_args(hint) if option is not type(None))
    if dataclasses.is_dataclass(hint):
        return _build(hint, value, f"{where}.")
    if get_origin(hint) is Mapping:
        return _table(get_args(hint)[1], value, where)
    if get_origin(hint) is tuple:
        return _texts(value, where)
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            choices = ", ".join(map(str, get_args(hint)))
            message = f"setting {where}: expected one of {choices}"
            raise SettingsError(message)
        return value
    if hint is bool:
        return _switch(value, where)
    fits = not isinstance(value, bool) and (hint not in {str, Path} or isinstance(value, str))
    with contextlib.suppress(TypeError, ValueError):
        if fits:
            return hint(value)
    message = f"setting {where}: expected {hint.__name__}, got {type(value).__name__}"
    raise SettingsError(message)


def _switch(value: Any, where: str) -> bool:
    """Return a truth value; in the environment it is `true` or `false`."""
    found = {"true": True, "false": False}.get(value.strip().lower()) if isinstance(value, str) else value
    if isinstance(found, bool):
        return found
    message = f"setting {where}: expected true or false"
    raise SettingsError(message)


def _table(kind: Any, value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        message = f"setting {where}: expected tables like [{where}.app]"
        raise SettingsError(message)
    return {name: _build(kind, item, f"{where}.{name}.") for name, item in value.items()}


def _texts(value: Any, where: str) -> tuple[str, ...]:
    found = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
    if isinstance(found, list) and all(isinstance(part, str) and part for part in found):
        return tuple(found)
    message = f'setting {where}: expected a list of texts, such as ["billing.privacy"]'
    raise SettingsError(message)


#: What must be above 0: a zero would repeat something without a pause, or give up at once.
_POSITIVE: Final = {
    "operations": ("lease_seconds", "max_attempts", "resend_seconds"),
    "worker": ("concurrency", "hard_time_limit_seconds", "max_tasks_per_child", "tick_seconds"),
    "federated": ("keep_hours", "max_bytes", "minimum_participants"),
}


def _check(settings: Settings) -> None:
    _check_positive(settings)
    worker = settings.worker
    if worker.hard_time_limit_seconds >= worker.visibility_timeout_seconds:
        message = (
            f"worker.hard_time_limit_seconds ({worker.hard_time_limit_seconds}) must be below "
            f"worker.visibility_timeout_seconds ({worker.visibility_timeout_seconds}): otherwise Redis "
            "delivers a task again while it still runs"
        )
        raise SettingsError(message)
    if settings.retention.slice_seconds * 2 > worker.hard_time_limit_seconds:
        message = (
            f"retention.slice_seconds ({settings.retention.slice_seconds}) must be at most half of "
            f"worker.hard_time_limit_seconds ({worker.hard_time_limit_seconds})"
        )
        raise SettingsError(message)
    counting = 2 * settings.retention.count_seconds + settings.retention.slice_seconds
    if settings.retention.count_seconds <= 0 or counting > worker.hard_time_limit_seconds:
        message = (
            f"retention.count_seconds ({settings.retention.count_seconds:g}) must be above 0, and twice it "
            f"with retention.slice_seconds ({settings.retention.slice_seconds:g}) at most "
            f"worker.hard_time_limit_seconds ({worker.hard_time_limit_seconds}): one task may count twice"
        )
        raise SettingsError(message)
    if settings.retention.max_share is not None and not 0 < settings.retention.max_share <= 1:
        message = f"retention.max_share ({settings.retention.max_share}) must be above 0 and at most 1"
        raise SettingsError(message)
    for name, url in (
        ("archives.url", settings.archives.url),
        ("erasure.tombstones", settings.erasure.tombstones),
        ("federated.outputs", settings.federated.outputs),
        ("federated.inputs", settings.federated.inputs),
    ):
        if url and masked(url) != url:
            message = (
                f"{name} holds a secret, and it is kept with what is written there: give the store its "
                "credentials by its own environment variables instead"
            )
            raise SettingsError(message)
    if settings.throttle.longest_pause_seconds * 3 > settings.operations.lease_seconds:
        message = (
            f"throttle.longest_pause_seconds ({settings.throttle.longest_pause_seconds}) must be at most a "
            f"third of operations.lease_seconds ({settings.operations.lease_seconds}): "
            "a run that rests keeps its lease"
        )
        raise SettingsError(message)
    _check_named(settings)


def _check_positive(settings: Settings) -> None:
    for section, names in _POSITIVE.items():
        for name in names:
            value = getattr(getattr(settings, section), name)
            if value <= 0:
                message = f"{section}.{name} ({value:g}) must be above 0"
                raise SettingsError(message)


def _check_named(settings: Settings) -> None:
    for name, source in settings.datasources.items():
        for login in (source, source.verifier):
            if login.password_file and login.password_command:
                message = f"data source {name}: give password_file or password_command, not both"
                raise SettingsError(message)
        for copy, found in source.copies.items():
            if fault := _fault_of(copy, found):
                message = f"datasources.{name}.copies.{copy}: {fault}"
                raise SettingsError(message)
    for name, export in settings.audit.exports.items():
        if export.to == "-":
            message = f"audit.exports.{name}.to: stdout is no receiver of an export that a worker does"
            raise SettingsError(message)


def _fault_of(name: str, copy: CopySettings) -> str | None:
    """Return what is wrong with a copy, in words that quote no URL."""
    if not _COPY.fullmatch(name):
        return "its name is 1 to 64 letters, digits, dots, dashes and underscores"
    if copy.due_days < 1:
        return f"due_days ({copy.due_days}) must be at least 1"
    if copy.task and copy.url:
        return "give a task or a url, not both"
    if bool(copy.task) != bool(copy.queue):
        return "task and queue go together: the queue is where the task's own workers listen"
    if copy.secret_file and not copy.url:
        return "secret_file signs what is posted to a url, and there is none"
    return _fault_of_url(copy.url) if copy.url else None


def _fault_of_url(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "url is no URL"
    if "@" in parts.netloc or masked(url) != url:
        return "url holds a secret; give a secret_file instead, which signs what is posted"
    if not host or parts.fragment or parts.scheme not in {"https", "http"}:
        return "url must be https://host/path"
    if parts.scheme == "http" and not _loopback(host):
        return "url must begin with https://; http is for this machine alone (127.0.0.1, ::1, localhost)"
    return None


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
