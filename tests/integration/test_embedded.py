"""The embedded servers: real, private, durable, and gone when nobody needs them."""

import os
import pwd
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest
import redis

from aegis.embedded import EmbeddedPostgres, EmbeddedRedis
from aegis.embedded import process as process_module
from aegis.embedded import server as server_module
from aegis.embedded.server import EmbeddedServer
from aegis.errors import Busy, NotPrepared, OperationFailed, Refused
from tests import mariadb

CHECKOUT = Path(__file__).parents[2]
#: More than any server here needs to end; only a failing test waits this long.
PATIENCE_SECONDS = 30

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
with_mariadb = pytest.mark.skipif(
    not mariadb.found(), reason="no mariadbd on this machine (Debian: mariadb-server-core)"
)


def redis_server(folder: Path, kind: str) -> EmbeddedRedis:
    """Return a server of that kind, durable to the last write, or skip and say why."""
    server = EmbeddedRedis(folder, kind="valkey" if kind == "valkey" else "redis", fsync="always")
    try:
        assert server.server
    except NotPrepared as error:
        pytest.skip(str(error))
    return server


def client_of(url: str) -> "redis.Redis":
    """Return a client with its settings stated."""
    return redis.Redis.from_url(url, protocol=2, socket_timeout=5, decode_responses=True)


def query(url: str, statement: str) -> Any:
    """Return the first value that a statement gives, committed."""
    with psycopg.connect(url, connect_timeout=10) as connection:
        cursor = connection.execute(statement)
        row = cursor.fetchone() if cursor.description else None
        return row and row[0]


def mariadb_connection(server: mariadb.MariaDb) -> "pymysql.Connection[Any]":
    """Return a connection to the database `shop` that commits every statement."""
    return pymysql.connect(
        host="127.0.0.1",
        port=server.port,
        user="aegis",
        password=server.password,
        database="shop",
        autocommit=True,
    )


def listens(port: int) -> bool:
    """Say whether anybody accepts connections on the port."""
    with socket.socket() as probe:
        probe.settimeout(5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def processes_in(folder: Path) -> list[int]:
    """Return the processes whose working folder is that folder or below it."""
    pids = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            working = (process / "cwd").readlink()
        except OSError:
            continue
        if working.is_relative_to(folder):
            pids.append(int(process.name))
    return pids


def shared_memory() -> set[str]:
    """Return the numbers of the System V shared memory segments."""
    _, *lines = Path("/proc/sysvipc/shm").read_text("utf-8").splitlines()
    return {line.split()[1] for line in lines}


def held_in_memory(pid: int) -> list[str]:
    """Return the shared memory of PostgreSQL that a process has mapped, and that outlives it."""
    maps = Path(f"/proc/{pid}/maps").read_text("utf-8").splitlines()
    return [line for line in maps if "/shm/PostgreSQL." in line]


def await_end(pid: int, seconds: float = PATIENCE_SECONDS) -> bool:
    """Wait until a process has ended, whoever's child it is; False: it goes on."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], seconds)[0])
    finally:
        os.close(descriptor)


def run_script(script: str, *arguments: object) -> "subprocess.Popen[str]":
    """Start Python on a script that can import Aegis; its standard input stays open."""
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(CHECKOUT), *filter(None, sys.path)])},
    )


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL server that the tests of this module share."""
    with EmbeddedPostgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder below one that every user can enter."""
    with tempfile.TemporaryDirectory(prefix="aegis-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.parametrize("kind", ["redis", "valkey"])
class TestRedis:
    """Both kinds of server behave alike."""

    def test_stop_leaves_nothing(self, tmp_path: Path, kind: str) -> None:
        """After stop nobody listens and no process is left; stopping again is harmless."""
        with redis_server(tmp_path, kind) as server:
            assert listens(server.port)
            assert processes_in(tmp_path) == [server.pid]
        assert not listens(server.port)
        assert processes_in(tmp_path) == []
        server.stop()

    def test_says_what_it_is(self, tmp_path: Path, kind: str) -> None:
        """The name and version are those that the running server reports."""
        with redis_server(tmp_path, kind) as server, client_of(server.url) as client:
            info = client.info("server")
        assert server.server == f"{kind} {info[f'{kind}_version']}"

    def test_kill_keeps_the_data(self, tmp_path: Path, kind: str) -> None:
        """A killed server started again has its data, at the same URL."""
        with redis_server(tmp_path, kind) as server:
            url, pid = server.url, server.pid
            with client_of(url) as client:
                client.set("task", "waiting")
            server.kill()
            assert not listens(server.port)
            server.start()
            assert (server.url, server.pid) != (url, pid)
            assert server.url == url
            with client_of(url) as client:
                assert client.get("task") == "waiting"

    def test_refuses_a_wrong_password(self, tmp_path: Path, kind: str) -> None:
        """Neither a wrong password nor none gets in."""
        with redis_server(tmp_path, kind) as server:
            wrong = server.url.replace(server.password, "guess")
            with client_of(wrong) as client, pytest.raises(redis.AuthenticationError):
                client.ping()
            without = f"redis://127.0.0.1:{server.port}/0"
            with client_of(without) as client, pytest.raises(redis.AuthenticationError):
                client.ping()

    def test_never_throws_a_key_away(self, tmp_path: Path, kind: str) -> None:
        """The broker keeps every task: no eviction, and an append-only file."""
        with redis_server(tmp_path, kind) as server, client_of(server.url) as client:
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
            assert client.config_get("append*") | {"appendonly": "yes", "appendfsync": "always"} == (
                client.config_get("append*")
            )


def test_auto_finds_a_server(tmp_path: Path) -> None:
    """Without a choice some Redis or Valkey is found, and says which."""
    assert EmbeddedRedis(tmp_path).server.split()[0] in {"redis", "valkey"}


def program(folder: Path, text: str) -> Path:
    """Write a program that is called as Redis is."""
    folder.mkdir()
    made = folder / "redis-server"
    made.write_text(f"#!/bin/sh\n{text}\n", "utf-8")
    made.chmod(0o700)
    return made


def test_a_redis_that_cannot_read_the_data_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server too old to see the existing append-only files does not start empty."""
    program(tmp_path / "bin", "echo Redis server v=6.2.14 sha=0 bits=64")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    server = EmbeddedRedis(tmp_path / "data", kind="redis")
    (tmp_path / "data" / "appendonlydir").mkdir(parents=True)
    with pytest.raises(Refused, match=r"a newer server than redis 6\.2\.14.*kind='valkey'"):
        server.start()
    assert [path.name for path in (tmp_path / "data" / "appendonlydir").iterdir()] == []


@pytest.mark.parametrize("text", ["exit 1", "echo what", "echo Valkey server v=8.0.0 sha=0"])
def test_a_program_that_is_no_redis_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """What does not run, says nothing of itself or is another server is not started under that name."""
    made = program(tmp_path / "bin", text)
    monkeypatch.setenv("PATH", str(made.parent), prepend=os.pathsep)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(NotPrepared, match="no Redis server on this machine"):
        _ = EmbeddedRedis(tmp_path / "data", kind="redis").server


@pytest.mark.parametrize("kind", [EmbeddedRedis, EmbeddedPostgres])
def test_before_it_is_started(tmp_path: Path, kind: type[EmbeddedServer]) -> None:
    """It has neither a port nor a process, and says so; to kill or stop it is harmless."""
    server = kind(tmp_path)
    for what in ("port", "pid"):
        with pytest.raises(NotPrepared, match=r"was not started yet: call start\(\) first"):
            getattr(server, what)
    server.kill()
    server.stop()


def test_a_child_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever does not go when asked is made to; and one that never answers is not waited for longer."""
    deaf = (
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); signal.pause()"
    )
    with subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE) as child:
        assert child.stdout
        child.stdout.readline()
        assert not process_module.wait_until(child, lambda: False, 0.05)
        monkeypatch.setattr(process_module, "STOP_SECONDS", 0.05)
        process_module.stop_child(child, signal.SIGTERM)
        assert child.returncode == -signal.SIGKILL


def test_a_missing_server_names_the_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the packages the error names the command that installs them."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    for server in (EmbeddedRedis(tmp_path / "r"), EmbeddedPostgres(tmp_path / "p")):
        with pytest.raises(NotPrepared, match=r"pip install 'aegis-privacy-worker\[embedded\]'"):
            server.start()


class TestPostgres:
    """PostgreSQL, as root and as anybody else."""

    def test_is_durable_and_speaks_utf8(self, postgres: EmbeddedPostgres) -> None:
        """Commits are synced to disk, text is UTF-8 in every language, times are UTC."""
        url = postgres.url()
        assert query(url, "SHOW fsync") == "on"
        assert query(url, "SHOW server_encoding") == "UTF8"
        assert query(url, "SELECT upper('straße äöé жук')") == "STRASSE ÄÖÉ ЖУК".replace("SS", "ß", 1)
        assert query(url, "SHOW timezone") == "UTC"

    def test_refuses_a_wrong_password(self, postgres: EmbeddedPostgres) -> None:
        """A wrong password does not get in."""
        wrong = postgres.url().replace(postgres.password, "guess")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            query(wrong, "SELECT 1")

    def test_copies_and_drops_databases(self, postgres: EmbeddedPostgres) -> None:
        """A template's rows are in its copy; a dropped database is gone, even while in use."""
        template = postgres.create_database("The template")
        query(template, "CREATE TABLE t AS SELECT 7 AS x")
        copy = postgres.create_database("copy", template="The template")
        assert query(copy, "SELECT x FROM t") == 7
        with psycopg.connect(copy):
            postgres.drop_database("copy")
        postgres.drop_database("The template")
        assert query(postgres.url(), "SELECT count(*) FROM pg_database") == 3

    def test_keeps_rows_out_of_its_log(self, postgres: EmbeddedPostgres) -> None:
        """A refused row is not quoted in the log, neither by its statement nor by the detail."""
        with pytest.raises(psycopg.errors.UniqueViolation):
            query(
                postgres.url(),
                "CREATE TEMP TABLE p (email text UNIQUE);"
                "INSERT INTO p VALUES ('a@b.example'), ('a@b.example')",
            )
        log = postgres.log.read_text("utf-8")
        assert "duplicate key value" in log
        assert "a@b.example" not in log

    def test_hides_its_password(self, postgres: EmbeddedPostgres) -> None:
        """The password is in a private file and in no command line."""
        path = postgres.folder / "password"
        assert path.stat().st_mode & 0o777 == 0o600
        for process in processes_in(postgres.folder):
            assert postgres.password not in Path(f"/proc/{process}/cmdline").read_text("utf-8")

    def test_kill_keeps_what_was_committed(self, tmp_path: Path) -> None:
        """After a kill every process is gone; after start the committed rows are there, no others."""
        with EmbeddedPostgres(tmp_path, settings={"max_connections": "20"}) as server:
            url = server.url()
            query(url, "CREATE TABLE t (x int)")
            query(url, "INSERT INTO t VALUES (1)")
            with psycopg.connect(url) as open_connection:
                open_connection.execute("INSERT INTO t VALUES (2)")
                server.kill()
                assert processes_in(tmp_path) == []
                server.start()
                with pytest.raises(psycopg.OperationalError):
                    open_connection.execute("SELECT 1")
            assert server.url() == url
            assert query(url, "SELECT array_agg(x) FROM t") == [1]
            assert query(url, "SHOW max_connections") == "20"
        assert not listens(server.port)
        assert processes_in(tmp_path) == []

    def test_kill_leaves_no_shared_memory(self, tmp_path: Path) -> None:
        """What a killed server kept outside its folder is cleared, also when it never starts again."""
        with EmbeddedPostgres(tmp_path) as server:
            segment = (server.data / "postmaster.pid").read_text("utf-8").splitlines()[6].split()[1]
            assert segment in shared_memory()
            assert held_in_memory(server.pid) == []
            server.kill()
            assert segment not in shared_memory()

    def test_kill_ends_busy_work_too(self, tmp_path: Path) -> None:
        """A session in the middle of a statement does not live on after a kill."""
        loop = b"DO 'BEGIN LOOP END LOOP; END'"
        working = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'DO%'"
        with EmbeddedPostgres(tmp_path) as server, closing(psycopg.connect(server.url())) as busy:
            busy.pgconn.send_query(loop)
            while not query(server.url(), working):
                pass
            server.kill()
            assert processes_in(tmp_path) == []

    def test_a_stale_process_number_does_no_harm(self, tmp_path: Path) -> None:
        """After a crash the old server's number may be anybody's; the server starts all the same."""
        with EmbeddedPostgres(tmp_path) as server:
            server.kill()
            remains = server.data / "postmaster.pid"
            _, *others = remains.read_text("utf-8").splitlines()
            remains.write_text("\n".join([str(os.getppid()), *others]) + "\n", "utf-8")
            server.start()
            assert query(server.url(), "SELECT 1") == 1

    def test_a_postmaster_killed_by_others_starts_again(self, tmp_path: Path) -> None:
        """Start waits for the remains of a server that somebody else killed."""
        with EmbeddedPostgres(tmp_path) as server:
            os.kill(server.pid, signal.SIGKILL)
            assert await_end(server.pid)
            server.start()
            assert query(server.url(), "SELECT 1") == 1

    def test_a_failed_start_shows_the_log(self, tmp_path: Path) -> None:
        """The error carries what the server said, and nothing is left running."""
        server = EmbeddedPostgres(tmp_path, settings={"shared_buffers": "plenty"})
        with pytest.raises(OperationFailed, match=r"shared_buffers[^$]*server\.log"):
            server.start()
        assert not server.running
        assert processes_in(tmp_path) == []

    def test_an_interrupted_creation_is_begun_again(self, tmp_path: Path) -> None:
        """Half a data directory from a killed start does no harm."""
        (tmp_path / "data.new").mkdir()
        (tmp_path / "data.new" / "PG_VERSION").write_text("18\n")
        with EmbeddedPostgres(tmp_path) as server:
            assert query(server.url(), "SELECT 1") == 1


@as_root
class TestAsRoot:
    """PostgreSQL refuses root, so root runs it as somebody else."""

    def test_without_namespaces_it_runs_as_nobody(
        self, open_folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where user namespaces are forbidden the server is nobody's, and keeps its data."""
        self._forbid_namespaces(monkeypatch)
        with EmbeddedPostgres(open_folder / "data") as server:
            owner = Path(f"/proc/{server.pid}").stat().st_uid
            assert owner == pwd.getpwnam("nobody").pw_uid
            query(server.url(), "CREATE TABLE t AS SELECT 7 AS x")
            server.kill()
            server.start()
            assert query(server.url(), "SELECT x FROM t") == 7

    def test_a_closed_folder_is_refused_with_its_cure(
        self, open_folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nobody cannot enter root's own folders: the error says what to do."""
        self._forbid_namespaces(monkeypatch)
        open_folder.chmod(0o700)
        with pytest.raises(NotPrepared, match="give a folder that this user can enter"):
            EmbeddedPostgres(open_folder / "data").start()

    def test_another_users_folder_stays_theirs(self, open_folder: Path) -> None:
        """Root that works in a user's folder leaves files that the user can use."""
        user = pwd.getpwnam("nobody")
        os.chown(open_folder, user.pw_uid, user.pw_gid)
        with EmbeddedPostgres(open_folder) as server:
            assert query(server.url(), "SELECT 1") == 1
        assert (open_folder / "data").stat().st_uid == user.pw_uid
        assert (open_folder / "password").stat().st_uid == user.pw_uid

    def test_an_ordinary_user_runs_both(self, open_folder: Path) -> None:
        """A process that is no longer root starts both servers directly."""
        user = pwd.getpwnam("nobody")
        os.chown(open_folder, user.pw_uid, user.pw_gid)
        script = """
import encodings.idna, os, sys, pathlib, psycopg, redis, aegis.embedded as embedded
folder, uid = pathlib.Path(sys.argv[1]), int(sys.argv[2])
os.setgroups([])
os.setgid(int(sys.argv[3]))
os.setuid(uid)
# An interpreter in root's home is closed to this user; one that is installed for all serves.
usable = [p for p in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3") if os.access(p, os.X_OK)]
if not usable:
    sys.exit(77)
sys.executable = usable[0]
with embedded.EmbeddedPostgres(folder / "p") as p, embedded.EmbeddedRedis(folder / "r") as r:
    p.kill()
    p.start()
    with psycopg.connect(p.url()) as connection:
        connection.execute("CREATE TABLE t (x int)")
    with redis.Redis.from_url(r.url, protocol=2, socket_timeout=5) as client:
        client.set("x", "y")
    assert os.stat(f"/proc/{p.pid}").st_uid == os.stat(f"/proc/{r.pid}").st_uid == uid
print("both")
"""
        process = run_script(script, open_folder, user.pw_uid, user.pw_gid)
        output, _ = process.communicate(timeout=PATIENCE_SECONDS)
        if process.returncode == 77:
            pytest.skip("no Python interpreter that an ordinary user may run")
        assert (process.returncode, output) == (0, "both\n")

    @staticmethod
    def _forbid_namespaces(monkeypatch: pytest.MonkeyPatch) -> None:
        allowed: Callable[[EmbeddedPostgres, str], bool] = EmbeddedPostgres._can_run  # noqa: SLF001
        monkeypatch.setattr(
            EmbeddedPostgres, "_can_run", lambda self, who: who != "namespace" and allowed(self, who)
        )


@with_mariadb
def test_mariadb_keeps_what_was_committed(tmp_path: Path) -> None:
    """The tests' MariaDB survives a kill, refuses strangers, and leaves nothing behind."""
    with mariadb.MariaDb(tmp_path) as server:
        server.create_database("shop")
        with mariadb_connection(server) as connection:
            connection.cursor().execute("CREATE TABLE t (x int)")
            connection.cursor().execute("INSERT INTO t VALUES (7)")
        server.kill()
        server.start()
        with mariadb_connection(server) as connection:
            cursor = connection.cursor()
            cursor.execute("SELECT x, @@innodb_flush_log_at_trx_commit FROM t")
            assert cursor.fetchall() == ((7, 1),)
        for user, password in (("aegis", "guess"), ("root", "")):
            with pytest.raises(pymysql.err.OperationalError, match="Access denied"):
                pymysql.connect(host="127.0.0.1", port=server.port, user=user, password=password)
        server.drop_database("shop")
    assert not listens(server.port)
    assert processes_in(tmp_path) == []


def test_servers_stand_side_by_side(tmp_path: Path, postgres: EmbeddedPostgres) -> None:
    """Servers have their own ports, passwords and data."""
    with (
        EmbeddedRedis(tmp_path / "1") as one,
        EmbeddedRedis(tmp_path / "2") as two,
        EmbeddedPostgres(tmp_path / "3") as three,
    ):
        with client_of(one.url) as first, client_of(two.url) as second:
            first.set("only", "here")
            assert second.get("only") is None
        three.create_database("only_here")
        assert query(postgres.url(), "SELECT count(*) FROM pg_database WHERE datname = 'only_here'") == 0
        everybody: list[EmbeddedServer] = [one, two, three, postgres]
        assert len({server.port for server in everybody}) == 4
        assert len({server.password for server in everybody}) == 4


def test_one_folder_has_one_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second server on the same data is refused; the first goes on."""
    monkeypatch.setattr(server_module, "LOCK_SECONDS", 0)
    with EmbeddedRedis(tmp_path) as server:
        with pytest.raises(Busy, match="another server is using"):
            EmbeddedRedis(tmp_path).start()
        with client_of(server.url) as client:
            assert client.ping()


@pytest.mark.parametrize("kind", [EmbeddedRedis, EmbeddedPostgres])
def test_a_port_taken_meanwhile_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[EmbeddedServer]
) -> None:
    """When somebody takes the free port first, the server starts on another."""
    free = server_module.free_port()
    with socket.create_server(("127.0.0.1", server_module.free_port())) as taken:
        ports = iter([taken.getsockname()[1], free])
        monkeypatch.setattr(server_module, "free_port", lambda: next(ports))
        with kind(tmp_path) as server:
            assert server.port == free


def test_a_fixed_port_in_use_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that was asked for and is taken is named; no other is used in silence."""
    monkeypatch.setattr(server_module, "PORT_SECONDS", 0)
    with (
        socket.create_server(("127.0.0.1", server_module.free_port())) as taken,
        pytest.raises(OperationFailed, match="Address already in use"),
    ):
        EmbeddedRedis(tmp_path, port=taken.getsockname()[1]).start()


@pytest.mark.parametrize("kind", [EmbeddedRedis, EmbeddedPostgres])
def test_a_killed_starter_takes_its_server_along(tmp_path: Path, kind: type[EmbeddedServer]) -> None:
    """SIGKILL of the process that started a server ends the server too."""
    script = f"""
import pathlib, sys
from aegis.embedded import {kind.__name__}
server = {kind.__name__}(pathlib.Path(sys.argv[1])).start()
print(server.pid, server.port, flush=True)
sys.stdin.read()
"""
    with run_script(script, tmp_path) as starter:
        assert starter.stdout is not None
        line = starter.stdout.readline()
        pid, port = map(int, line.split())
        assert listens(port)
        starter.kill()
        assert await_end(pid)
    assert not listens(port)
    assert processes_in(tmp_path) == []


def test_without_the_kernels_help_a_watcher_ends_the_orphan() -> None:
    """Where the kernel cannot signal the starter's end, a small child process does."""
    script = """
import os, subprocess, sys
from aegis.embedded import launch
# Asked after it was killed, the child's parent would be another process.
starter = os.getpid()
server = os.fork()
if server == 0:
    launch.watch(starter, 15)
    os.execv("/bin/sleep", ["sleep", "60"])
print(server, flush=True)
sys.stdin.read()
"""
    with run_script(script) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        # Kill and reap: the watcher asks whether the process exists.
        starter.kill()
        starter.wait(PATIENCE_SECONDS)
        assert await_end(pid)


def test_a_server_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    """A server started by a thread goes on when the thread has ended."""
    server = EmbeddedRedis(tmp_path)
    thread = threading.Thread(target=server.start)
    thread.start()
    thread.join()
    try:
        assert not await_end(server.pid, seconds=1)
        with client_of(server.url) as client:
            assert client.ping()
    finally:
        server.stop()
