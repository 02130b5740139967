"""One process's Aegis: settings, databases, keys and log, joined in one place."""

import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

from aegis.audit import head
from aegis.audit.epochs import Epochs
from aegis.audit.keyring.keystore import KeyStore
from aegis.audit.published import Published
from aegis.audit.reading import Reader
from aegis.audit.recorder import Recorder
from aegis.audit.relay import Relay
from aegis.audit.sequencer import Sequencer
from aegis.audit.signing import SigningKeys
from aegis.db import dialects
from aegis.db.engines import CONTROL, Databases, reading, writing
from aegis.db.journal import Journal, SourceRow
from aegis.db.schema import STORES, Migrations
from aegis.errors import NotPrepared
from aegis.keys import KeyFiles, Secret
from aegis.settings import Settings, load_settings


class System:
    """What every room gets: nothing here is global."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.databases = Databases(settings)
        self.key_files = KeyFiles(settings.home)
        self.migrations = Migrations(self.databases)

    @cached_property
    def worker_key(self) -> Secret:
        """The worker key."""
        return self.key_files.worker()

    @cached_property
    def keystore(self) -> KeyStore:
        """Keys of subjects, actors, years and archives."""
        return KeyStore(self.databases, self.key_files)

    @cached_property
    def recorder(self) -> Recorder:
        """Writes events."""
        return Recorder(self.databases, self.keystore)

    @cached_property
    def reader(self) -> Reader:
        """Reads events."""
        return Reader(self.databases, self.keystore)

    @cached_property
    def relay(self) -> Relay:
        """Moves events out of the data sources."""
        return Relay(self.databases, self.recorder, self.worker_key.subkey("journal-mac"))

    @cached_property
    def published(self) -> Published:
        """What left the log from this home."""
        return Published(self.settings.home)

    @cached_property
    def signing_keys(self) -> SigningKeys:
        """The keys that sign checkpoints."""
        return SigningKeys(self.databases, self.key_files, self.recorder, self.published)

    @cached_property
    def epochs(self) -> Epochs:
        """The epochs of the key store."""
        return Epochs(self.databases, self.key_files, self.keystore, self.recorder)

    @cached_property
    def sequencer(self) -> Sequencer:
        """Gives events their leaves."""
        return Sequencer(self.databases, self.signing_keys, self.recorder, self.published)

    def prepare(self) -> None:
        """Make the default databases and keys on first use; refuse others that are not prepared."""
        self.settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.settings.embedded_control:
            with self._alone():
                self._prepare_default()
        self.worker_key  # noqa: B018 - a missing key is told now, not in mid-run
        if not self.settings.embedded_control:
            for store in STORES:
                self.migrations.check(store)

    def _prepare_default(self) -> None:
        if not self.key_files.exist:
            self.init_keys()
            self.migrate()
            self._say(f"made a control database, a key store and keys under {self.settings.home}")
        elif not all(self.migrations.revision(store).current for store in STORES):
            self.migrate()
            self._say(f"migrated the control database under {self.settings.home}")
        self.begin_log()

    def begin_log(self) -> None:
        """Give the default control database's log its first key."""
        with reading(self.databases.control, CONTROL) as connection:
            if head.begun(connection):
                return
        self.signing_keys.begin(self.settings.audit.new_origin(), actor="system")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        # Several processes may find nothing at the same time; one of them prepares it.
        with (self.settings.home / "lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def init_keys(self) -> None:
        """Create the key files; the key store's first epoch begins with the migration."""
        self.key_files.create()

    def migrate(self) -> None:
        """Migrate the control database and the key store, and begin the first epoch."""
        self.migrations.upgrade("control")
        self.migrations.upgrade("keys")
        with reading(self.databases.control, CONTROL) as connection:
            moment = dialects.now(connection)
        self.keystore.begin(moment)
        for name, source in self.settings.sources.items():
            if source == self.settings.control:
                self.migrate_source(name)

    def migrate_source(self, name: str) -> SourceRow:
        """Create the journal in a data source."""
        engine = self.databases.source(name)
        with writing(engine, f"data source {name}") as connection:
            return Journal(engine.dialect.name).create(connection)

    def source_row(self, name: str) -> SourceRow:
        """Return the source's own row.

        Raises:
            NotPrepared: there is no journal in it.

        """
        engine = self.databases.source(name)
        journal = Journal(engine.dialect.name)
        with reading(engine, f"data source {name}") as connection:
            if not journal.exists(connection):
                message = (
                    f"data source {name} has no journal; run `aegis migrate --datasource {name}` as its owner"
                )
                raise NotPrepared(message)
            return journal.source(connection)

    def close(self) -> None:
        """Close every connection."""
        self.databases.close()

    def _say(self, line: str) -> None:
        print(f"aegis: {line}", file=sys.stderr)  # noqa: T201 - the one line that first use owes its user


_CURRENT: list[System] = []


def current() -> System:
    """Return the process's system, made from its settings and prepared on first use."""
    if not _CURRENT:
        use(load_settings())
    return _CURRENT[0]


def use(settings: Settings) -> System:
    """Make these settings the process's; what was there before is closed."""
    system = System(settings)
    system.prepare()
    for earlier in _CURRENT:
        earlier.close()
    _CURRENT[:] = [system]
    return system


def after_fork() -> None:
    """Drop the parent's connections in a new child process."""
    for system in _CURRENT:
        system.databases.after_fork()
