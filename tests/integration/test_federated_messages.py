"""What services send to have an aggregate protected: answered sealed, refused visibly, never in clear."""

import base64
import datetime as dt
import hashlib
import io
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from aegis.client import Client
from aegis.envelopes import workers_public_key
from aegis.errors import (
    Expired,
    NotPrepared,
    OperationFailed,
    Pending,
    Tampered,
    Unreachable,
    UsageError,
)
from aegis.federated import answering, messages, outputs, wire
from aegis.keys import Secret, new_client_key
from aegis.operations.stores import open_store
from api import federated
from tests.services import Service, service
from tests.worlds import EACH_DATABASE, World, on

DAY = dt.timedelta(days=1)
WORDS: dict[str, Any] = {"participant_count": 20}
LARGE = np.linspace(-1, 1, 50_000, dtype=np.float32)


@pytest.fixture
def asking(world: World, tmp_path: Path) -> Iterator[Service]:
    """A service of the world's system."""
    made = service(world.system, tmp_path)
    yield made
    made.client.close()


def row(world: World, request_id: str) -> Any:
    """Return a request's row."""
    query = sa.text("SELECT * FROM aegis_requests WHERE request_id = :id")
    with world.control.connect() as connection:
        return connection.execute(query, {"id": request_id}).one_or_none()


def files(url: str) -> list[str]:
    """Return the names of the files in a place that is a folder."""
    return sorted(file.name for file in Path(url).iterdir()) if Path(url).exists() else []


@on(*EACH_DATABASE)
def test_there_and_back(world: World, asking: Service) -> None:
    """A number, a nested dict and a large array come back in their shape, as often as they are asked for."""
    nested = {"loss": 0.25, "layers": [np.arange(6, dtype=np.float32).reshape(2, 3)], "rounds": 3}
    large = np.linspace(-1, 1, 100_000, dtype=np.float32)
    values: dict[str, Any] = {"number": 3.5, "nested": nested, "large": large}
    for request, value in values.items():
        told = asking.ask(value, request)
        assert told == {"operation": "federated.protect", "outcome": "done", "request": request}
        first, report = asking.client.result(request, timeout=0)
        again, same_report = asking.client.result(request, timeout=0)
        assert wire.encode(first) == wire.encode(again) == wire.encode(value)
        assert report == same_report
        assert asking.client.status(request).state == "done"
        assert set(asking.post.sent[-1][1]) == {"request_id", "sealed"}
    assert len(asking.post.sent[-1][1]["sealed"]) < 1000
    assert row(world, "number").sealed_result
    assert row(world, "large").sealed_result is None
    assert len(files(world.settings.outputs_url)) == 1
    # What the client wrote is gone with the answer.
    assert files(world.settings.inputs_url) == []


@on("sqlite-one")
def test_places_that_are_stores(world: World, tmp_path: Path) -> None:
    """Both places may be stores that fsspec knows: written, read, bounded, and emptied when it is time."""
    places: dict[str, Any] = {
        "inputs": f"memory://{tmp_path}/inputs",
        "outputs": f"memory://{tmp_path}/outputs",
    }
    world.configure(federated=replace(world.settings.federated, keep_hours=1e-9, **places))
    asking = service(world.system, tmp_path)
    assert asking.ask(LARGE, "large")["outcome"] == "done"
    assert asking.client.result("large", timeout=0)[0].tobytes() == LARGE.tobytes()
    taken, kept = (open_store(place) for place in places.values())
    assert (len(taken.sizes("")), len(kept.sizes(""))) == (0, 1)
    taken.put("model", "round.npy", npy(LARGE))
    for name, said in {
        "model/round.npy": "",
        "model": "no plain file",
        "gone": "not there",
        "..": "out",
    }.items():
        found = {"name": name, "sha256": hashlib.sha256(npy(LARGE)).hexdigest()}
        request = f"of-{len(name)}"
        told = federated.protect_request(request, reference=found, reply_to=asking.public, **WORDS)
        assert told["outcome"] == ("refused" if said else "done")
        assert said in (row(world, request).reason or "")
    with pytest.raises(UsageError, match="more than 10 bytes"):
        taken.take("model/round.npy", 10)
    asking.client.protect(LARGE, 20, request_id="left")
    federated.tend_releases()
    assert (list(taken.sizes("")), list(kept.sizes(""))) == (["model"], [])
    asking.client.close()


@on("sqlite-one")
def test_an_answer_in_a_file(world: World, asking: Service, tmp_path: Path) -> None:
    """Without the place of the files the client says what to give it; a file that was changed is refused."""
    asking.ask(LARGE, "large")
    blind = Client(
        asking.post,
        workers_key=workers_public_key(world.system.worker_key),
        key_file=tmp_path / "service.key",
        database_url=world.settings.control.url,
    )
    with pytest.raises(UsageError, match="the answer is a file: give outputs="):
        blind.result("large", timeout=0)
    blind.close()
    (name,) = files(world.settings.outputs_url)
    file = Path(world.settings.outputs_url) / name
    sealed = file.read_bytes()
    file.write_bytes(sealed[:-1] + bytes([sealed[-1] ^ 1]))
    with pytest.raises(Tampered, match="is not what the workers wrote"):
        asking.client.result("large", timeout=0)
    file.write_bytes(sealed)
    assert wire.encode(asking.client.result("large", timeout=0)[0]) == wire.encode(LARGE)


@on("sqlite-one")
def test_a_message_that_comes_again(world: World, asking: Service) -> None:
    """It is answered once: the row stays as it is, whatever comes with the same terms."""
    large = np.ones(100_000, dtype=np.float32)
    for request, value in [("small", 1), ("large", large)]:
        asking.ask(value, request)
        before, kept = row(world, request), files(world.settings.outputs_url)
        assert asking.deliver()["outcome"] == "done"
        assert asking.ask(value, request)["outcome"] == "done"
        assert (row(world, request), files(world.settings.outputs_url)) == (before, kept)


@on("sqlite-one")
def test_the_same_id_for_something_else(world: World, asking: Service) -> None:
    """Other terms, another reply key and another operation are refused; the first answer stands."""
    asking.ask(1.5, "one", dp_sensitivity=2.0)
    before = row(world, "one")
    assert asking.ask(1.5, "one", dp_sensitivity=3.0)["reason"] == "conflict"
    body: dict[str, Any] = {"aggregated_value": 1.5, "participant_count": 20, "dp_sensitivity": 2.0}
    body["reply_to"] = "aegis-client-1:" + base64.b64encode(bytes(range(32))).decode()
    assert federated.protect_request("one", sealed=asking.sealed("one", body))["reason"] == "conflict"
    assert federated.protect_request("one", sealed="nonsense")["reason"] == "envelope"
    assert row(world, "one") == before
    with world.control.begin() as connection:
        connection.execute(sa.text("UPDATE aegis_requests SET operation = 'another'"))
    assert asking.deliver()["reason"] == "conflict"
    assert federated.protect_request("one", sealed="nonsense")["reason"] == "envelope"
    assert row(world, "one").state == "done"


#: What is wrong with a message, and what is said about it.
UNFIT: dict[str, tuple[Callable[[Service], dict[str, Any]], str, str]] = {
    "in clear": (
        lambda _: {"aggregated_value": [0.123], **WORDS},
        "in_clear",
        "Seal it to the workers' public key",
    ),
    "in clear beside an envelope": (
        lambda one: {"aggregated_value": [0.123], "sealed": one.sealed("r", {})},
        "in_clear",
        "client-key",
    ),
    "no base64": (lambda _: {"sealed": "nonsense!"}, "envelope", "base64"),
    "no text": (lambda _: {"sealed": [1]}, "envelope", "base64"),
    "too large": (lambda _: {"sealed": "A" * 2_000_000}, "envelope", "at most"),
    "garbled": (
        lambda one: {"sealed": "AAAA" + one.sealed("r", {})[4:]},
        "envelope",
        "changed on the way",
    ),
    "of another request": (
        lambda one: {"sealed": one.sealed("r", full(one), about="other")},
        "envelope",
        "another request id",
    ),
    "to another key": (
        lambda one: {"sealed": one.sealed("r", full(one), key=one.public)},
        "envelope",
        "another key",
    ),
    "no wire": (lambda one: {"sealed": one.sealed("r", b"\xff")}, "envelope", "the format"),
    "no map": (lambda one: {"sealed": one.sealed("r", [1])}, "envelope", "expected a map"),
    "more in clear": (lambda one: {"sealed": one.sealed("r", full(one)), **WORDS}, "message", "alone"),
    "nothing": (lambda _: dict(WORDS), "message", "`sealed`"),
    "no value": (lambda one: {"sealed": one.sealed("r", dict(WORDS))}, "message", "one of the two"),
    "value and reference": (
        lambda one: {"sealed": one.sealed("r", {**full(one), "reference": {}})},
        "message",
        "one of the two",
    ),
    "unknown argument": (
        lambda one: {"sealed": one.sealed("r", {**full(one), "canary 0.123": 1})},
        "message",
        "1 arguments are not known",
    ),
    "no count": (
        lambda one: {"sealed": one.sealed("r", {"aggregated_value": 1, "reply_to": one.public})},
        "message",
        "participant_count is missing",
    ),
    "nobody to answer": (
        lambda one: {"sealed": one.sealed("r", {"aggregated_value": 0.123, **WORDS})},
        "no_reply_key",
        "sealed to nobody",
    ),
    "reply to the workers": (
        lambda one: {
            "sealed": one.sealed("r", {**full(one), "reply_to": workers_public_key(one.system.worker_key)})
        },
        "no_reply_key",
        "public key of a service",
    ),
    "people in clear": (
        lambda _: {"reference": {"name": "x", "sha256": "0" * 64}, "participants": ["canary"], **WORDS},
        "message",
        "not known",
    ),
    "reference to nobody": (
        lambda _: {"reference": {"name": "x", "sha256": "0" * 64}, **WORDS},
        "no_reply_key",
        "reply_to",
    ),
    "no reference": (lambda _: {"reference": "x.npy", **WORDS}, "reference", "64 hexadecimal"),
}


def full(one: Service) -> dict[str, Any]:
    """Return what an envelope has in it."""
    return {"aggregated_value": 0.123, "reply_to": one.public, **WORDS}


@on("sqlite-one")
@pytest.mark.parametrize("what", UNFIT)
def test_unfit_messages(world: World, asking: Service, what: str) -> None:
    """It is an outcome, and the producer sees why; the same id, put right, is answered."""
    message, reason, said = UNFIT[what]
    told = federated.protect_request("r", **message(asking))
    assert told == {"operation": "federated.protect", "outcome": "refused", "request": "r", "reason": reason}
    assert said in str(row(world, "r").reason)
    assert "0.123" not in repr(row(world, "r"))
    assert "canary" not in repr(row(world, "r"))
    with pytest.raises(UsageError, match="request r: "):
        asking.client.result("r", timeout=0)
    assert asking.ask(2.5, "r")["outcome"] == "done"
    assert asking.client.result("r", timeout=0)[0] == 2.5


@on("sqlite-one")
@pytest.mark.parametrize("request_id", ["", "x" * 65, "with space", "a\nb", "ümlaut", None, 7, ["x"]])
def test_what_is_no_id(world: World, asking: Service, request_id: Any) -> None:
    """It gets no row, and is not said again."""
    told = federated.protect_request(request_id, sealed=asking.sealed("r", full(asking)))
    assert (told["outcome"], told["request"]) == ("refused", None)
    with world.control.connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM aegis_requests")) == 0
    if request_id is not None:  # which asks for a new one
        with pytest.raises(UsageError, match="request_id"):
            asking.client.protect(1, 20, request_id=request_id)


def npy(array: Any, **options: Any) -> bytes:
    """Return an array in NumPy's format."""
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, **options)
    return stream.getvalue()


@on("sqlite-one")
@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype="<f4").reshape(2, 3),
        np.asfortranarray(np.arange(6, dtype=">f8").reshape(2, 3)),
        np.array(3, dtype="<i2"),
        np.ones((1, 2), dtype="<f2"),
    ],
    ids=str,
)
def test_a_file_that_a_service_wrote(world: World, asking: Service, array: Any) -> None:
    """NumPy's own format in a folder below the place, named in a message in clear; the file stays."""
    place = Path(world.settings.inputs_url) / "model"
    place.mkdir(parents=True)
    data = npy(array)
    (place / "round-12.npy").write_bytes(data)
    found = {"name": "model/round-12.npy", "sha256": hashlib.sha256(data).hexdigest()}
    told = federated.protect_request("r", reference=found, reply_to=asking.public, **WORDS)
    assert told["outcome"] == "done"
    value, _ = asking.client.result("r", timeout=0)
    assert (value.dtype, value.shape, value.tolist()) == (array.dtype, array.shape, array.tolist())
    assert (place / "round-12.npy").exists()


def _lying(array: Any) -> bytes:
    return npy(array).replace(b"'shape': (3,)", b"'shape': (9,)")


#: Contents that are no array of numbers, and names that are none; what is said about each.
BAD_FILES: dict[str, tuple[bytes, str]] = {
    "objects": (npy(np.array([{"a": 1}], dtype=object), allow_pickle=True), "no numbers"),
    "truths": (npy(np.array([True])), "no numbers"),
    "complex": (npy(np.array([1j])), "no numbers"),
    "texts": (npy(np.array(["0.123"])), "no numbers"),
    "records": (npy(np.zeros(2, dtype=[("a", "<f4")])), "no numbers"),
    "claims more": (_lying(np.zeros(3)), "other bytes than its header"),
    "claims all": (npy(np.zeros(3)).replace(b"(3,), }         ", b"(1000000000,), }"), "other bytes"),
    "more bytes": (npy(np.zeros(3)) + b"\0", "other bytes"),
    "an archive": (b"PK\3\4" + bytes(100), "NumPy's format"),
    "a pickle": (b"\x80\x04K\x01.", "NumPy's format"),
    "nothing": (b"", "NumPy's format"),
    "version 3": (npy(np.zeros(3), version=(3, 0)), "NumPy's format"),
}


@on("sqlite-one")
@pytest.mark.parametrize("what", BAD_FILES)
def test_files_that_are_no_array_of_numbers(world: World, asking: Service, what: str) -> None:
    """Nothing is unpickled, no claimed length is believed, and no content is said again."""
    data, said = BAD_FILES[what]
    told = _named(world, asking, "round.npy", data)
    assert told["reason"] == "reference"
    assert said in row(world, "r").reason
    assert "0.123" not in row(world, "r").reason


@on("sqlite-one")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gone.npy", "is not there"),
        ("../secret.npy", "leads out"),
        ("a/../../secret.npy", "leads out"),
        ("/etc/passwd", "leads out"),
        ("", "leads out"),
        (".", "leads out"),
        ("a//b", "leads out"),
        ("x\0y", "leads out"),
        ("..\\secret.npy", "leads out"),
        ("link.npy", "leads out"),
        ("folder/secret.npy", "leads out"),
        ("loop.npy", "named"),
        ("pipe.npy", "no plain file"),
        ("inner", "named"),
        ("hidden.npy", "cannot be read"),
        ("large.npy", "more than 1000 bytes"),
        ("x" * 600, "named"),
        ("x" * 300, "is not there"),
    ],
)
def test_names_that_lead_elsewhere(world: World, asking: Service, name: str, said: str) -> None:
    """Out of the place by name or by symbolic link, or to what is no file: refused, and nothing is read."""
    settings = replace(world.settings.federated, max_bytes=1000)
    world.configure(federated=settings)
    place = Path(world.settings.inputs_url)
    (place / "inner").mkdir(parents=True)
    secret = place.parent / "secret.npy"
    secret.write_bytes(npy(np.zeros(3)))
    (place / "link.npy").symlink_to(secret)
    (place / "folder").symlink_to(place.parent, target_is_directory=True)
    (place / "loop.npy").symlink_to("loop.npy")
    os.mkfifo(place / "pipe.npy")
    (place / "large.npy").write_bytes(npy(np.zeros(1000)))
    if name == "hidden.npy":
        if os.geteuid() == 0:
            pytest.skip("root reads everything")
        (place / name).write_bytes(b"")
        (place / name).chmod(0)
    told = _named(world, asking, name, None, digest=hashlib.sha256(secret.read_bytes()).hexdigest())
    assert told["reason"] == "reference"
    assert said in row(world, "r").reason


@on("sqlite-one")
def test_another_file_than_was_meant(world: World, asking: Service) -> None:
    """A digest that does not fit, and a sealed file of another request, are refused and stay there."""
    data = npy(np.zeros(3))
    assert _named(world, asking, "round.npy", data, digest="0" * 64)["reason"] == "reference"
    assert "another SHA-256" in row(world, "r").reason
    assert _named(world, asking, "round.npy", data)["outcome"] == "done"
    asking.client.protect(np.zeros(50_000), 20, request_id="first")
    (sealed,) = Path(world.settings.inputs_url).glob("*.aegis")
    digest = hashlib.sha256(sealed.read_bytes()).hexdigest()
    body = {**WORDS, "reply_to": asking.public}
    body["reference"] = {"name": sealed.name, "sha256": digest, "sealed": True}
    told = federated.protect_request("second", sealed=asking.sealed("second", body))
    assert told["reason"] == "reference"
    assert "another request id" in row(world, "second").reason
    assert asking.deliver()["outcome"] == "done"


def _named(
    world: World, asking: Service, name: str, data: bytes | None, digest: str | None = None
) -> dict[str, Any]:
    place = Path(world.settings.inputs_url)
    if data is not None:
        place.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(data)
    found = {"name": name, "sha256": digest or hashlib.sha256(data or b"").hexdigest()}
    return federated.protect_request("r", reference=found, reply_to=asking.public, **WORDS)


@on("sqlite-one")
def test_refused_releases(world: World, asking: Service) -> None:
    """Too few is a PermissionError for the service; the row tells neither a count nor more than that."""
    assert asking.ask(7.5, "few", participants=3, min_participants=9)["reason"] == "too_few"
    with pytest.raises(PermissionError, match="request few: "):
        asking.client.result("few", timeout=0)
    assert row(world, "few").reason == "too few took part; nothing was released"
    assert asking.deliver()["reason"] == "too_few"


@on("sqlite-one")
def test_a_place_that_does_not_answer(world: World, asking: Service, tmp_path: Path) -> None:
    """The message must come again: nothing is lost, no attempt is counted, and then it is answered."""
    blocked = tmp_path / "blocked"
    blocked.write_text("no folder")
    world.configure(federated=replace(world.settings.federated, outputs=str(blocked)))
    large = np.ones(50_000)
    for _ in range(3):
        with pytest.raises(Unreachable):
            asking.ask(large, "r")
        assert (row(world, "r").state, row(world, "r").attempts) == ("accepted", 0)
    with pytest.raises(Pending, match="is accepted"):
        asking.client.result("r", timeout=0)
    blocked.unlink()
    assert asking.deliver()["outcome"] == "done"


@on("sqlite-one")
def test_one_that_breaks_every_time(world: World, asking: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """After as many attempts as there may be it is over, and the service is told so."""

    def broken(*_: Any, **__: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(federated, "federated_aggregation_protect", broken)
    asking.client.protect(1.5, 20, request_id="r")
    for _ in range(world.settings.operations.max_attempts):
        with pytest.raises(MemoryError):
            asking.deliver()
    assert asking.deliver()["reason"] == "gave_up"
    with pytest.raises(OperationFailed, match="no attempt came to its end"):
        asking.client.result("r", timeout=0)


@on(*EACH_DATABASE)
def test_the_end_of_answers(world: World, asking: Service) -> None:
    """After their time answers, files and left-overs are gone; what is younger, or of others, stays."""
    large = np.ones(50_000)
    for request in ("old", "young"):
        asking.ask(large, request)
    asking.ask(1.5, "small")
    asking.ask(1.5, "few", participants=1)
    asking.client.protect(large, 20, request_id="lost")
    asking.client.protect(2.5, 20, request_id="waiting")
    message = {"sealed": asking.post.sent[-1][1]["sealed"]}
    with pytest.raises(Unreachable):
        answering.answer(world.system, "waiting", message, _away)
    ended = "request_id IN ('old', 'small', 'few')"
    past = f"UPDATE aegis_requests SET received_at = :past, finished_at = :past WHERE {ended}"  # noqa: S608
    older = "UPDATE aegis_requests SET received_at = :past WHERE request_id = 'waiting'"
    with world.control.begin() as connection:
        for statement in (past, older):
            connection.execute(sa.text(statement), {"past": world.value(dt.datetime.now(dt.UTC) - DAY)})
    outputs.keep(world.system, "left-over", b"x")
    outputs.keep(world.system, "fresh", b"x")
    place, taken = Path(world.settings.outputs_url), Path(world.settings.inputs_url)
    (place / "foreign.bin").touch()
    (taken / "round.npy").touch()
    (place / f".{'0' * 16}.new").touch()
    ancient = (dt.datetime.now(dt.UTC) - 2 * DAY).timestamp()
    for file in [*place.iterdir(), *taken.iterdir()]:
        if file.name != "fresh.aegis":
            os.utime(file, (ancient, ancient))
    federated.tend_releases()
    assert [asking.client.status(name).state for name in ("old", "small", "few", "young", "waiting")] == [
        *("expired", "expired", "failed", "done", "failed")
    ]
    assert row(world, "small").sealed_result is row(world, "few").sealed_result is None
    assert len([name for name in files(str(place)) if name.startswith("result-")]) == 1
    assert set(files(str(place))) >= {"foreign.bin", "fresh.aegis"}
    assert len(files(str(place))) == 3
    assert files(str(taken)) == ["round.npy"]
    with pytest.raises(Expired, match="kept for its time"):
        asking.client.result("old", timeout=0)
    with pytest.raises(Expired, match="under a new id"):
        asking.client.result("waiting", timeout=0)
    with pytest.raises(PermissionError):
        asking.client.result("few", timeout=0)
    assert asking.client.result("young", timeout=0)[0].tobytes() == large.tobytes()
    assert asking.ask(1.5, "small")["outcome"] == "expired"


def _away(*_: Any, **__: Any) -> Any:
    message = "a database does not answer"
    raise Unreachable(message)


@on("sqlite-one")
def test_what_the_client_says(world: World, asking: Service, tmp_path: Path) -> None:
    """What it cannot do it refuses with what to do; it shows no password and no key."""
    key = workers_public_key(world.system.worker_key)
    bare = Client("redis://:s3cr3t@127.0.0.1:1/0", workers_key=key)
    assert repr(bare) == "<Client of redis://:***@127.0.0.1:1/0>"
    with pytest.raises(UsageError, match="database_url="):
        bare.result("r")
    with pytest.raises(Unreachable, match="ask again"):
        bare.status("r")
    with pytest.raises(NotPrepared, match="key_file="):
        bare.protect(1, 20, request_id="r")
    with pytest.raises(UsageError, match="aegis-workers-1"):
        Client("redis://127.0.0.1:1/0", workers_key=asking.public)
    alone = service(world.system, tmp_path / "home", inputs=False)
    with pytest.raises(UsageError, match="inputs="):
        alone.client.protect(np.zeros(200_000), 20, request_id="r")
    with pytest.raises(UsageError, match="epsilon is no argument"):
        alone.client.protect(1, 20, request_id="r", epsilon=1)  # type: ignore[call-arg]
    assert alone.ask(np.zeros(100_000), "r")["outcome"] == "done"
    with pytest.raises(Pending, match="has not reached a worker"):
        asking.client.result("never", timeout=0)
    with pytest.raises(Tampered, match="does not open"):
        asking.client.result("r", timeout=0)
    for client in (bare, alone.client):
        client.close()


@on("sqlite-one")
def test_a_broker_that_is_away(world: World, tmp_path: Path) -> None:
    """The client tries a few times and says what to do; no file of it stays behind."""
    new_client_key(tmp_path / "service.key")
    client = Client(
        "redis://127.0.0.1:1/0",
        workers_key=workers_public_key(world.system.worker_key),
        key_file=tmp_path / "service.key",
        inputs=world.settings.inputs_url,
    )
    with pytest.raises(Unreachable, match="send the same id again"):
        client.protect(np.zeros(50_000), 20, request_id="r")
    assert files(world.settings.inputs_url) == []
    client.close()


def test_terms_tell_no_aggregate() -> None:
    """What stays behind as a digest has neither the aggregate nor how many there were."""
    words = {"participant_count": 7, "participants": ["a"], "dp_epsilon": 0.5}
    one = messages.Order(request_id="r", words=words, value=1.5, reply_to="k")
    other = replace(one, value=2.5, words={**words, "participant_count": 8, "participants": ["b"]})
    assert one.terms == other.terms
    assert one.terms != replace(one, reply_to="l").terms
    assert "1.5" not in repr(one)
    assert repr(Secret(key_id="x", material=b"y")).count("y") == 1
