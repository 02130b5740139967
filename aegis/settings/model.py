"""What can be configured: frozen, typed, with the defaults."""

import dataclasses
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from aegis.errors import UnknownName

#: The data source that exists when none is named: the control database itself.
DEFAULT_SOURCE = "default"


@dataclasses.dataclass(frozen=True, kw_only=True)
class CopySettings:
    """Somewhere else that has a data source's persons: a warehouse, a search index, a processor."""

    #: Days from an erasure's end until the copy must be confirmed.
    due_days: int = 30
    #: A Celery task of its owner's, which is sent to `queue`.
    task: str | None = None
    #: The queue that the task's own workers listen to; goes with `task`.
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
    #: A file that holds its password; read again on every connect.
    password_file: Path | None = None
    #: A command that prints its password; run again on every connect.
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

    #: How events are written: docs/audit.md tells them apart.
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

    #: The address that the metrics of both are served on.
    metrics_host: str = "127.0.0.1"
    #: The worker's own counters.
    metrics_port: int = 9464
    #: Beat's endpoint, with the exact ledger.
    beat_metrics_port: int = 9465
    #: Child processes, which is how many tasks are at work at once.
    concurrency: int = 2
    #: Redis delivers a message again when a worker has not settled it after this time.
    visibility_timeout_seconds: int = 3_600
    #: A task is killed after this time; must be below the visibility timeout.
    hard_time_limit_seconds: int = 600
    #: A child process is replaced after so many tasks.
    max_tasks_per_child: int = 200
    #: How often beat looks for due instants.
    tick_seconds: float = 1.0
    #: How lines of the log are written; `json` for collectors.
    log_format: Literal["text", "json"] = "text"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProducerSettings:
    """A service whose messages are signed."""

    #: The public half of its key (`aegis client-key FILE`); both while a new one takes the old one's place.
    key: tuple[str, ...]
    #: The tasks that it may send; none: every task that is for services.
    tasks: tuple[str, ...] | None = None


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
    #: A file that holds its password; read again on every connect.
    database_password_file: Path | None = None
    #: A command that prints its password; run again on every connect.
    database_password_command: str | None = None
    #: The key store, kept apart from the log; none: an SQLite file under `home`.
    keys_url: str | None = None
    #: A file that holds its password; read again on every connect.
    keys_password_file: Path | None = None
    #: A command that prints its password; run again on every connect.
    keys_password_command: str | None = None
    #: Redis, where messages wait; `rediss://` with TLS.
    broker_url: str = "redis://127.0.0.1:6379/0"
    #: A file that holds its password.
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
    #: The services that may send messages; none: whoever can write to a queue may.
    producers: Mapping[str, ProducerSettings] = dataclasses.field(default_factory=dict)
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
