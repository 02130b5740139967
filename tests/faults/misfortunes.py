"""What happens to the system of the campaign: each misfortune a function of the site and of chance.

One that finds nobody to happen to says so by `InVain`, and is not counted.
"""

import contextlib
import json
import random
import signal
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import psutil
import redis
import sqlalchemy as sa

from aegis.errors import AegisError
from tests.campaignsite import BEATS, EXPORTS, SEALER, WORKERS, Site
from tests.hostshim import Shim
from tests.workerkit import raw_client

#: What the application's own session is not called.
_CUT: Final = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND (:share > random())
"""


class InVain(Exception):
    """There was nobody to whom it could happen."""


def kill_child(site: Site, chance: random.Random) -> None:
    """Kill one process of a pool; the worker replaces it."""
    _child(site, chance).kill()


def freeze_child(site: Site, chance: random.Random) -> None:
    """Stop one process of a pool for longer than its lease lasts; then it goes on as if nothing had been."""
    _freeze(site, chance, [_child(site, chance)])


def freeze_worker(site: Site, chance: random.Random) -> None:
    """Stop a worker with its pool for longer than its leases last."""
    name = chance.choice(sorted(WORKERS))
    _freeze(site, chance, [*_main(site, name), *site.children(name)])


def freeze_beat(site: Site, chance: random.Random) -> None:
    """Stop a beat for a while."""
    _freeze(site, chance, _main(site, chance.choice(BEATS)))


def move_clock(site: Site, chance: random.Random) -> None:
    """Move the clock of one process: by a correction, by what a machine sleeps, or back again."""
    name = chance.choice((*WORKERS, *BEATS))
    _shim(site).move_clock(name, chance.choice((0.0, 1.0, 1.0, 60.0, 900.0)) * chance.uniform(-4, 4))


def fill_disk(site: Site, chance: random.Random) -> None:
    """Let the disk with the exports and the archives be full for a while, in which somebody exports."""
    shim = _shim(site)
    shim.fill_disk()
    site.later(chance.uniform(1.5, 5), shim.make_room)
    with contextlib.suppress(AegisError):
        for name in EXPORTS:
            site.client.export_audit(name=name)


def kill_sealing_child(site: Site, _: random.Random) -> None:
    """Kill the whole pool of the worker that seals."""
    children = site.children(SEALER)
    if not children:
        raise InVain
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()


def kill_worker(site: Site, chance: random.Random) -> None:
    """Kill a worker with its pool."""
    site.kill(chance.choice(sorted(WORKERS)))


def kill_sealer(site: Site, _: random.Random) -> None:
    """Kill the worker that seals, with its pool."""
    site.kill(SEALER)


def end_worker(site: Site, chance: random.Random) -> None:
    """Tell a worker to end, in the middle of everything."""
    name = chance.choice(sorted(WORKERS))
    process = site.processes.get(name)
    # Before it has begun to listen, the signal is the end of any process.
    if process is None or " ready." not in process.log:
        raise InVain
    del site.processes[name]
    process.process.terminate()
    site.see_off(name, process)


def kill_beat(site: Site, chance: random.Random) -> None:
    """Kill one beat or both."""
    for name in chance.sample(BEATS, chance.choice((1, 1, 2))):
        site.kill(name)


def kill_redis(site: Site, chance: random.Random) -> None:
    """Kill Redis; it comes back with its data after a moment."""
    site.redis.kill()
    time.sleep(chance.uniform(0, 2))
    site.redis.start()


def restart_redis(site: Site, chance: random.Random) -> None:
    """Stop Redis cleanly and start it again."""
    site.redis.stop()
    time.sleep(chance.uniform(0, 2))
    site.redis.start()


def cut_redis(site: Site, _: random.Random) -> None:
    """Cut every connection to Redis, those that listen for messages too."""
    with raw_client(site.redis.url) as client:
        for kind in ("normal", "pubsub"):
            client.client_kill_filter(_type=kind, skipme=True)


def empty_redis(site: Site, _: random.Random) -> None:
    """Let Redis lose everything that it has."""
    with raw_client(site.redis.url) as client:
        client.flushall()


def lose_some_keys(site: Site, chance: random.Random) -> None:
    """Let Redis lose half of its keys."""
    with raw_client(site.redis.url) as client:
        for key in sorted(client.keys("*")):
            if chance.random() < 0.5:
                client.delete(key)


def restart_postgres(site: Site, chance: random.Random) -> None:
    """Stop PostgreSQL fast, which sends everybody away, and start it again."""
    site.postgres.stop()
    time.sleep(chance.uniform(0, 1))
    site.postgres.start()


def kill_postgres(site: Site, _: random.Random) -> None:
    """Kill PostgreSQL; it recovers."""
    site.postgres.kill()
    site.postgres.start()


def stop_postgres_immediately(site: Site, _: random.Random) -> None:
    """Stop PostgreSQL without a checkpoint (immediate); it recovers."""
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(site.postgres.pid).send_signal(signal.SIGQUIT)
        psutil.Process(site.postgres.pid).wait(30)
    site.postgres.stop()
    site.postgres.start()


def cut_backends(site: Site, chance: random.Random) -> None:
    """Terminate some backends of the server, or all, those of the application too."""
    with site.control.connect() as connection:
        connection.execute(sa.text(_CUT), {"share": chance.choice((0.3, 1.0))})


def cut_connections(site: Site, _: random.Random) -> None:
    """Cut every connection to PostgreSQL on its way."""
    if not site.meddler.cut():
        raise InVain


def cut_before_a_commit(site: Site, _: random.Random) -> None:
    """Cut a connection when it sends COMMIT: the server never hears of it."""
    site.meddler.arm("before")


def cut_behind_a_commit(site: Site, _: random.Random) -> None:
    """Cut a connection when the server has committed: nobody hears of it."""
    site.meddler.arm("after")


def slow_down(site: Site, chance: random.Random) -> None:
    """Delay everything on its way to PostgreSQL and back for a moment."""
    site.meddler.delay = chance.uniform(0.005, 0.05)
    time.sleep(chance.uniform(0.5, 2))
    site.meddler.delay = 0.0


def repeat_messages(site: Site, chance: random.Random) -> None:
    """Put messages that are waiting, or are at work, into their queues once more, up to four times."""
    with raw_client(site.redis.url) as client:
        found = [(queue.encode(), entry) for queue in _queues() for entry in client.lrange(queue, 0, -1)]
        for kept in client.hvals("unacked"):
            message, _, queue = json.loads(kept)
            found.append((queue.encode(), json.dumps(message).encode()))
        if not found:
            raise InVain
        for queue, entry in chance.sample(found, min(5, len(found))):
            for _ in range(chance.randint(1, 4)):
                client.lpush(queue, entry)
            site.counts["messages repeated"] += 1


def delay_messages(site: Site, chance: random.Random) -> None:
    """Take every waiting message away, and bring all back later in another order."""
    with raw_client(site.redis.url) as client:
        taken: list[tuple[str, Any]] = []
        for queue in _queues():
            while entry := client.rpop(queue):
                taken.append((queue, entry))
        if not taken:
            raise InVain
        time.sleep(chance.uniform(0.5, 3))
        chance.shuffle(taken)
        for queue, entry in taken:
            client.lpush(queue, entry)
        site.counts["messages delayed"] += len(taken)


def _queues() -> list[str]:
    return sorted(WORKERS[SEALER])


def _shim(site: Site) -> Shim:
    if site.shim is None:
        raise InVain
    return site.shim


def _child(site: Site, chance: random.Random) -> psutil.Process:
    children = site.children(chance.choice(sorted(WORKERS)))
    if not children:
        raise InVain
    return chance.choice(children)


def _main(site: Site, name: str) -> list[psutil.Process]:
    process = site.processes.get(name)
    return [psutil.Process(process.process.pid)] if process and process.alive else []


def _freeze(site: Site, chance: random.Random, processes: list[psutil.Process]) -> None:
    if not processes:
        raise InVain
    for process in processes:
        process.suspend()

    def thaw() -> None:
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()

    site.later(chance.uniform(3.5, 6), thaw)


#: Misfortunes that the proxy counts.
AT_A_COMMIT: Final = {cut_before_a_commit: "before", cut_behind_a_commit: "after"}
Misfortune = Callable[[Site, random.Random], None]
#: Each with how often it comes, beside the others; what takes everything away comes seldom.
MISFORTUNES: Final[Mapping[Misfortune, int]] = {
    kill_child: 6,
    freeze_child: 4,
    freeze_worker: 1,
    freeze_beat: 1,
    move_clock: 5,
    fill_disk: 3,
    kill_sealing_child: 3,
    kill_worker: 2,
    kill_sealer: 1,
    end_worker: 1,
    kill_beat: 2,
    kill_redis: 2,
    restart_redis: 1,
    cut_redis: 4,
    empty_redis: 2,
    lose_some_keys: 2,
    restart_postgres: 2,
    kill_postgres: 2,
    stop_postgres_immediately: 2,
    cut_backends: 5,
    cut_connections: 5,
    cut_before_a_commit: 8,
    cut_behind_a_commit: 8,
    slow_down: 2,
    repeat_messages: 5,
    delay_messages: 3,
}


def suffer(site: Site, misfortune: Misfortune, chance: random.Random) -> None:
    """Let one thing happen, also while another one has not passed yet."""
    try:
        misfortune(site, chance)
    except (InVain, redis.RedisError, sa.exc.DBAPIError, psutil.NoSuchProcess):
        site.counts["in vain"] += 1
    else:
        # What waits for a commit has only happened when there was one.
        site.counts[f"fault: {misfortune.__name__}"] += misfortune not in AT_A_COMMIT
