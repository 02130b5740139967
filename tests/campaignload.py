"""What the application, its services and its people do in the fault campaign, while everything breaks."""

import contextlib
import datetime as dt
import random
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

import sqlalchemy as sa

from aegis.errors import AegisError, Unreachable
from api import erasure, privacy
from tests import campaigntables as tables
from tests.campaignsite import BUDGET, EXPORTS, Asked, Held, Site
from tests.campaigntables import ASKER, PERSON, POLICIES

#: Before everything that the campaign does.
LONG_AGO: Final = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
#: The quiet hours that are closed whenever it is.
_POLICY: Final = "letters_30"


def born(site: Site, rows: int) -> None:
    """Let a new member come, with rows; its number is only used when all is committed."""
    number = site.number()
    for source in ("shop", "app"):
        tables.insert(site.sources[source], source, number, rows)
    site.members.append(number)
    site.counts["members born"] += 1


def remove(site: Site, chance: random.Random) -> None:
    """Remove some rows, and change others."""
    tables.remove(site.sources["app"], chance.randrange(97))


def come_back(site: Site, chance: random.Random) -> None:
    """Let somebody who was erased come back, as with rows from a backup, and a service ask for a replay."""
    with site.control.connect() as connection:
        query = sa.text("SELECT request_id FROM aegis_requests WHERE state = 'done'")
        done = {row[0] for row in connection.execute(query)}
    erased = [one.member for one in site.asked if one.id in done and one.member is not None]
    if not erased:
        return
    with contextlib.suppress(sa.exc.IntegrityError):
        tables.insert(site.sources["app"], "app", chance.choice(erased), 8, "members", "visits")
        site.counts["members come back"] += 1
    with contextlib.suppress(AegisError):
        site.client.replay_erasures(since=LONG_AGO, actor=ASKER.email, datasource="app", execute=True)


def export(site: Site, chance: random.Random) -> None:
    """Let a service have the log exported."""
    with contextlib.suppress(AegisError):
        site.client.export_audit(name=chance.choice(EXPORTS))
        site.counts["exports asked"] += 1


def hold(site: Site, chance: random.Random) -> None:
    """Place a legal hold or stop everything in one source; or else look at what is held, and let it go."""
    if site.held is not None:
        let_go(site)
        return
    kind = chance.choice(("table", "row", "stop"))
    member = chance.choice(site.members) if site.members else 0
    with contextlib.suppress(AegisError):
        look = _placed(site, kind, member)
        # From here on it is in force.
        site.held = Held(kind=kind, look=look, seen=look())
        site.counts[f"held: {kind}"] += 1


def _placed(site: Site, kind: str, member: int) -> Callable[[], Any]:
    app = site.sources["app"]
    words: dict[str, Any] = {
        "matter": PERSON.text,
        "owner": ASKER.email,
        "review_by": dt.datetime.now(dt.UTC).date() + dt.timedelta(days=30),
        "datasource": "app",
    }
    if kind == "table":
        privacy.place_hold(table="visits", **words)
        return lambda: tables.changed(app, "app")[0]["visits"]
    if kind == "row":
        privacy.place_hold(table="members", key={"id": member}, **words)
        return lambda: _there(app, member)
    (stopped,) = privacy.stop_operations("the campaign", ASKER.email, datasource="app")
    if not stopped.in_force:
        raise Unreachable(stopped.reason)
    return lambda: tables.changed(app, "app")


def _there(app: sa.Engine, member: int) -> bool:
    with app.connect() as connection:
        query = sa.text("SELECT count(*) FROM members WHERE id = :id")
        return bool(connection.scalar(query, {"id": member}))


def let_go(site: Site) -> None:
    """See that nothing was changed that is held; then let it go."""
    held, now = site.held, None if site.held is None else site.held.look()
    if held is not None and now != held.seen:
        site.findings.append(f"a hold on a {held.kind} was in force, and yet {held.seen} became {now}")
    site.held = None
    with contextlib.suppress(AegisError):
        release()


def release() -> None:
    """Release every hold and stop, those too of which nobody was told whether they were placed."""
    for found in privacy.list_holds():
        if found["kind"] == "hold":
            privacy.release_hold(found["id"], ASKER.email)
    privacy.start_operations(ASKER.email, everywhere=True)


def set_hours(site: Site, chance: random.Random) -> None:
    """Close or open the quiet hours of a policy."""
    with contextlib.suppress(AegisError):
        hours(closed=chance.random() < 0.5)
        site.counts["quiet hours set"] += 1


def hours(*, closed: bool) -> None:
    """Let a policy run at no time that is near, or at any."""
    table, words = POLICIES[_POLICY]
    later = dt.datetime.now(dt.UTC) + dt.timedelta(hours=6)
    windows = (f"{later:%H}:00-{later:%H}:30",) if closed else ()
    privacy.register_retention_policy(_POLICY, table, retention_days=30, windows=windows, **words)


def replay_all(site: Site) -> None:
    """Erase again whoever is back."""
    for _ in site.sources:
        found = erasure.replay_erasures(LONG_AGO, actor=ASKER.email, datasource="app", execute=True)
        if not any(each.returned for each in found):
            return


def ask(site: Site, chance: random.Random) -> None:
    """Let a service ask for something; what the broker does not take is sent when all is calm."""
    number, actor = site.number(), ASKER.email
    kind = chance.choices(("enforce", "erase", "note", "protect"), (4, 3, 3, 2))[0]
    name = f"{kind}-{number}"
    words: dict[str, Any] = {"request_id": name, "actor": actor}
    member: int | None = None
    send: Callable[..., str] = site.client.enforce_retention
    if kind == "erase" and site.members:
        member = site.members.pop(chance.randrange(len(site.members)))
        words |= {"user_id": member, "datasource": "app"}
        send = site.client.anonymize_user
    elif kind == "note":
        words |= {"action": "note", "target_type": "user", "target_id": ASKER.email}
        words |= {"details": {"why": PERSON.text}}
        send = site.client.record_audit
    elif kind == "protect":
        words |= {"value": 7.5, "participant_count": 20, "dp_epsilon": 0.1, "budget": BUDGET}
        send = site.client.protect
    else:
        kind = "enforce"
        words |= {"dry_run": False, "policies": chance.sample(sorted(POLICIES), 2)}
    site.asked.append(Asked(kind=kind, id=name, member=member, send=lambda: send(**words)))
    site.counts[f"asked: {kind}"] += 1
    with contextlib.suppress(AegisError):
        site.asked[-1].send()


@contextlib.contextmanager
def busy(site: Site, chance: random.Random, rows: int) -> Iterator[None]:
    """Let the application and its people do one thing after the other while the block runs."""
    over = threading.Event()
    doings: dict[Callable[[], None], int] = {
        lambda: ask(site, chance): 10,
        lambda: born(site, rows): 4,
        lambda: remove(site, chance): 2,
        lambda: hold(site, chance): 3,
        lambda: set_hours(site, chance): 1,
        lambda: come_back(site, chance): 1,
        lambda: export(site, chance): 2,
    }

    def work() -> None:
        while not over.wait(chance.uniform(0.1, 0.6)):
            try:
                # Its own connections are cut too; `births` knows what was committed.
                with contextlib.suppress(sa.exc.OperationalError, sa.exc.InterfaceError):
                    chance.choices([*doings], [*doings.values()])[0]()
            except Exception as error:  # noqa: BLE001 - nobody else would hear of it
                site.findings.append(f"the application: {type(error).__name__}: {error}")

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
