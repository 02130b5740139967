"""The life of a broker under its users: everything that worker, beat, a service and an exporter do with it.

It ends at the first thing that the broker refuses. With the users as they are rendered there is none; with
one right less there must be.
"""

import base64
import contextlib
import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from celery import Celery
from kombu import pools

from aegis.doctor.broker import check_broker
from aegis.doctor.findings import Verdict
from aegis.doctor.patient import Patient
from aegis.embedded.server import write_private
from aegis.erasure.residual.finding import Sought
from aegis.erasure.residual.stores import search_redis
from aegis.operations import deadletters
from aegis.operations.brokers import client_of
from aegis.operations.deadletters import DeadLetters
from aegis.operations.system import System
from aegis.operations.table import ROUTES, RUN
from aegis.settings import Settings
from tests.deployed import Deployed
from tests.workerkit import WorkerProcess, program, wait_until
from worker.app import QUEUES, build_app

#: A task of the queue `audit` that is for services, and changes nothing where the tenants are the same.
TASK: Final = "aegis.tenancy.check"
TENANTS: Final[Mapping[str, str]] = {"requesting_tenant": "a", "resource_tenant": "a"}
#: The service, and its queues.
SHOP: Final = {"shop": "erasure,audit"}
STATUS: Final = "aegis:status:ticket-814"
T = TypeVar("T")


class Denied(Exception):
    """The broker refused something."""

    def __init__(self, refusals: list[tuple[str, str, str]]) -> None:
        """Take what was refused: user, reason, object."""
        super().__init__(str(refusals))
        self.users = {user for user, _, _ in refusals}


class Life:
    """What goes on around one broker."""

    def __init__(self, broker: Deployed, folder: Path, **environ: str) -> None:
        """Take the broker, a folder with a prepared `home` in it, and more environment for processes."""
        self.broker, self.folder, self.environ = broker, folder, environ

    def settings(self, user: str) -> Settings:
        """Return the settings of a process that is this user."""
        return Settings(
            home=self.folder / "home",
            broker_url=self.broker.bare_url(user),
            broker_password_file=self.password_file(user),
        )

    def password_file(self, user: str) -> Path:
        """Return the file in which a process finds its password; the server's file is another."""
        path = self.folder / f"{user}.password"
        if not path.exists():
            write_private(path, self.broker.password_file(user).read_text("ascii"))
        return path

    def until(self, probe: Callable[[], T], what: str) -> T:
        """Wait until the probe is true.

        Raises:
            Denied: the broker refused something before.

        """

        def look() -> T:
            self.check()
            return probe()

        return wait_until(look, what)

    def check(self) -> None:
        """Raise Denied if the broker has refused something since the last look."""
        if found := self.broker.refusals():
            raise Denied(found)

    @contextlib.contextmanager
    def process(self, what: str) -> Iterator[WorkerProcess]:
        """Run a worker or beat, each as the user of that name, with all that Celery does by itself."""
        with program(
            self.folder / f"{what}-{uuid.uuid4().hex[:6]}",
            self.broker.bare_url(what),
            *(what, "--loglevel", "INFO"),
            application="worker",
            AEGIS_HOME=str(self.folder / "home"),
            AEGIS_BROKER_PASSWORD_FILE=str(self.password_file(what)),
            AEGIS_OPERATIONS__RESEND_SECONDS="3",
            AEGIS_WORKER__CONCURRENCY="1",
            **self.environ,
        ) as running:
            ready = " ready." if what == "worker" else "beat: Starting"
            self.until(lambda: ready in running.log or not running.alive, f"the {what} runs")
            assert running.alive, running.log
            yield running

    def send(self) -> str:
        """Send a task as the service does, with a Celery of its own; return the task's id."""
        with Celery("shop", broker=self.broker.url_of("producer-shop"), set_as_current=False) as app:
            sent = app.send_task(TASK, kwargs=dict(TENANTS), queue="audit", declare=[], ignore_result=True)
        return str(sent.id)

    def run(self) -> None:
        """Live it all.

        Raises:
            Denied: the broker refused something.

        """
        with self.process("worker") as worker:
            with Events(self.broker) as events, self.process("beat"):
                self.a_day(events)
            worker.stop()
        self.an_interruption()

    def a_day(self, events: "Events") -> None:
        """Do everything that is done while nothing goes wrong."""
        sent = self.send()
        self.until(lambda: ("task-succeeded", sent) in events.seen(), "the worker runs it and tells so")
        self.until(lambda: "task-sent" in dict(events.seen()), "beat tells what it sends")
        self.due()
        self.statuses()
        self.remote_control()
        self.dead_letters()
        self.looks()
        self.check()

    def due(self) -> None:
        """Send a run as beat does when its policy is due."""
        app = build_app(self.settings("beat"), imports=())
        try:
            app.send_task(RUN, kwargs={"run_id": str(uuid.uuid4())}, queue=ROUTES[RUN])
        finally:
            app.close()

    def statuses(self) -> None:
        """Tell the service how far its request is."""
        with self.broker.client("worker") as worker, self.broker.client("producer-shop") as shop:
            worker.set(STATUS, '{"state": "accepted"}', ex=60)
            assert shop.get(STATUS) == '{"state": "accepted"}'

    def service(self) -> None:
        """Do all that a service does."""
        with Celery("shop", broker=self.broker.url_of("producer-shop"), set_as_current=False) as app:
            for queue in SHOP["shop"].split(","):
                app.send_task(
                    TASK, kwargs=dict(TENANTS), queue=queue, declare=[], ignore_result=True, retry=False
                )
        self.statuses()
        self.check()

    def remote_control(self) -> None:
        """Ask a worker whether it lives."""
        app = build_app(self.settings("worker"), imports=())
        try:
            assert self.until(lambda: app.control.inspect(timeout=5, limit=1).ping(), "a worker answers")
        finally:
            app.close()

    def dead_letters(self) -> None:
        """Put aside what is no message, look at it, put it back, drop it; and count it in the log."""
        with self.broker.client("producer-shop") as shop:
            shop.lpush("audit", "no message")
        with contextlib.closing(client_of(self.settings("worker"), decoded=False)) as client:
            letters = DeadLetters(client)
            (first,) = self.until(letters.read, "it is put aside")
            assert letters.requeue(first.id)
            (second,) = self.until(letters.read, "it is put aside again")
            assert letters.drop(second.id)
        with self.broker.client("admin") as admin:
            counted = (deadletters.COUNTS, deadletters.TAKEN)
            self.until(lambda: admin.exists(*counted) == 0, "the log has how many there were")

    def looks(self) -> None:
        """Look at the broker: as beat, the doctor, an erasure and an exporter do."""
        with contextlib.closing(client_of(self.settings("beat"), decoded=False)) as beat:
            assert set(DeadLetters(beat).lengths(QUEUES)) == set(QUEUES)
            assert DeadLetters(beat).count() == 0
        system = System(self.settings("worker"))
        found = list(check_broker(Patient(system=system)))
        system.close()
        assert [finding.verdict for finding in found] == [Verdict.OK], found
        with contextlib.closing(client_of(self.settings("worker"), decoded=False)) as worker:
            assert search_redis(worker, Sought([]), str).left_out == ()
        self.exported()

    def exported(self) -> None:
        """Do all that an exporter does."""
        with self.broker.client("exporter") as exporter:
            assert exporter.ping()
            assert exporter.info()["aof_enabled"]
            assert exporter.config_get("maxmemory*")["maxmemory-policy"] == "noeviction"
            for queue in (*QUEUES, deadletters.LIST):
                assert exporter.llen(queue) >= 0
            assert exporter.slowlog_len() >= 0
            assert exporter.slowlog_get() is not None
            assert exporter.latency_latest() == []

    def an_interruption(self) -> None:
        """Finish what a worker that is gone had taken, also after the broker was away."""
        sent = self.send()
        with self.broker.client("admin") as admin:
            # As kombu keeps what a worker has taken and not finished.
            taken = admin.rpop("audit")
            tag = json.loads(taken)["properties"]["delivery_tag"]
            admin.hset("unacked", tag, json.dumps([json.loads(taken), "", "audit"]))
            admin.zadd("unacked_index", {tag: 0})
        with self.process("worker"):
            with self.broker.client("admin") as admin:
                self.until(lambda: admin.hlen("unacked") == 0 == admin.llen("audit"), f"{sent} is done")
            self.check()
            self.broker.stop()
            self.broker.start()
            with Events(self.broker) as events:
                again = self.send()
                self.until(lambda: ("task-succeeded", again) in events.seen(), "the worker is back")
        self.check()


class Events:
    """What workers and beat tell about tasks."""

    def __init__(self, broker: Deployed) -> None:
        """Take the broker, as `admin`."""
        self._client = broker.client("admin")
        self._listener = self._client.pubsub(ignore_subscribe_messages=True)
        self._seen: list[tuple[str, str]] = []

    def __enter__(self) -> Self:
        """Listen from now on."""
        self._listener.psubscribe("/0.celeryev/*")
        self._listener.get_message(timeout=5)
        return self

    def __exit__(self, *_: object) -> None:
        """Listen no more."""
        self._listener.close()
        self._client.close()

    def seen(self) -> list[tuple[str, str]]:
        """Return the events since the beginning: kind and task's id."""
        while message := self._listener.get_message():
            body = json.loads(base64.b64decode(json.loads(message["data"])["body"]))
            events: list[Any] = body if isinstance(body, list) else [body]
            self._seen += [(event["type"], event.get("uuid", "")) for event in events]
        return self._seen


def rights(broker: Deployed, user: str) -> list[str]:
    """Return what a user was given, a word for each right."""
    lines = (broker.folder / "users.acl").read_text("ascii").splitlines()
    (words,) = (line.split() for line in lines if line.startswith(f"user {user} "))
    return [word for word in words if word[0] in "~%&+"]


def weaker(right: str) -> tuple[str, ...]:
    """Return what may stand in the place of a right and is less; the empty word is none."""
    return ("", f"%R{right[2:]}") if right.startswith("%W") else ("",)


@contextlib.contextmanager
def instead(broker: Deployed, user: str, right: str, less: str) -> Iterator[None]:
    """Let a user of a running server have less in the place of one right, while the block runs."""
    words = [less if word == right else word for word in rights(broker, user)]
    with broker.client("admin") as admin:
        cleared = ("resetkeys", "resetchannels", "-@all")
        admin.execute_command("ACL", "SETUSER", user, *cleared, *filter(None, words))
        # What an earlier life has loaded would be there for this one.
        admin.script_flush()
    try:
        yield
    finally:
        broker.load()
        pools.reset()
        broker.refusals()
        with broker.client("admin") as admin:
            admin.flushall()
