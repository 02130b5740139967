"""A signature fits one message of one producer at one time, and stays what other languages made it to be."""

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from aegis.errors import UsageError
from aegis.keys import Secret, client_key
from aegis.producers import (
    Message,
    Signature,
    checked_producer,
    checked_producer_key,
    producer_public_key,
    read_signature,
    sign,
)

KEY: Final = Secret(key_id="0" * 8, material=bytes(range(32)))
PUBLIC: Final = producer_public_key(KEY)
OTHER: Final = producer_public_key(Secret(key_id="1" * 8, material=bytes(32)))
MESSAGE: Final = Message(task="aegis.users.anonymize", id="1", body=b"[[], {}, {}]")
GOLDEN: Final[Any] = json.loads((Path(__file__).parents[1] / "golden" / "message.v1.json").read_text())


def signature(message: Message = MESSAGE) -> Signature:
    """Return how the key's owner signs a message."""
    found = read_signature(sign(message, KEY, producer="shop", time=1_790_000_000))
    assert found is not None
    return found


def test_golden(tmp_path: Path) -> None:
    """From the file of a service's key to the header: what other languages do as well, and did before."""
    path = tmp_path / "service.key"
    path.write_text(GOLDEN["client_key"] + "\n")
    path.chmod(0o600)
    key = client_key(path)
    assert key.subkey("message").hex() == GOLDEN["seed"]
    assert producer_public_key(key) == GOLDEN["producer_key"]
    message = Message(task=GOLDEN["task"], id=GOLDEN["id"], body=base64.b64decode(GOLDEN["body"]))
    header = GOLDEN["header"]
    assert sign(message, key, producer=header["producer"], time=header["time"]) == header


def test_by_the_rule_alone() -> None:
    """Ed25519 over the six parts as the module says them, with nothing of Aegis but the seed."""
    header, private = GOLDEN["header"], Ed25519PrivateKey.from_private_bytes(bytes.fromhex(GOLDEN["seed"]))
    parts = ["aegis/v1/message", GOLDEN["task"], GOLDEN["id"], header["producer"], str(header["time"])]
    signed = "\n".join(parts).encode() + b"\n" + base64.b64decode(GOLDEN["body"])
    assert base64.b64encode(private.sign(signed)).decode() == header["signature"]


def test_any_of_the_keys() -> None:
    """While one key takes another's place, messages by both are the producer's."""
    assert signature().fits(MESSAGE, [PUBLIC])
    assert signature().fits(MESSAGE, [OTHER, PUBLIC])
    assert not signature().fits(MESSAGE, [OTHER])
    assert not signature().fits(MESSAGE, [])


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (replace(signature(), producer="another"), MESSAGE),
        (replace(signature(), time=1_790_000_001), MESSAGE),
        (replace(signature(), content=bytes(64)), MESSAGE),
        (signature(), replace(MESSAGE, task="aegis.audit.record")),
        (signature(), replace(MESSAGE, id="2")),
        (signature(), replace(MESSAGE, id="")),
        (signature(), replace(MESSAGE, id="1\nshop\n1790000000")),
        (signature(), replace(MESSAGE, id="\ud800")),
        (signature(), replace(MESSAGE, body=b"[[],{},{}]")),
        (signature(), replace(MESSAGE, body=MESSAGE.body + b"\n")),
    ],
)
def test_changed(made: Signature, message: Message) -> None:
    """Who, when, what, which and every byte of it: none can be another."""
    assert not made.fits(message, [PUBLIC])


@pytest.mark.parametrize("number", ["", " ", "1\n2", "\u00e9", "\ud800", "x" * 256])
def test_ids_that_cannot_be_signed(number: str) -> None:
    """An id could otherwise look like what stands behind it."""
    with pytest.raises(UsageError, match="visible ASCII"):
        sign(replace(MESSAGE, id=number), KEY, producer="shop", time=0)


@pytest.mark.parametrize(
    "header",
    [
        {},
        [],
        "x",
        7,
        {**GOLDEN["header"], "more": 1},
        {name: GOLDEN["header"][name] for name in ("producer", "time")},
        {**GOLDEN["header"], "producer": "a\nshop"},
        {**GOLDEN["header"], "producer": ["shop"]},
        {**GOLDEN["header"], "time": "1790000000"},
        {**GOLDEN["header"], "time": 1790000000.0},
        {**GOLDEN["header"], "time": True},
        {**GOLDEN["header"], "time": -1},
        {**GOLDEN["header"], "time": 10**400},
        {**GOLDEN["header"], "signature": None},
        {**GOLDEN["header"], "signature": "%%%"},
        {**GOLDEN["header"], "signature": "\u00e9"},
        {**GOLDEN["header"], "signature": base64.b64encode(bytes(63)).decode()},
    ],
)
def test_no_header(header: object) -> None:
    """What is in another form is no signature, and no error."""
    assert read_signature(header) is None


@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists)
    | st.fixed_dictionaries({name: st.integers() | st.text() for name in GOLDEN["header"]})
)
def test_any_header(header: object) -> None:
    """Whatever it is, it is read or not, and fits nothing."""
    found = read_signature(header)
    assert found is None or not found.fits(MESSAGE, [PUBLIC])


def test_what_is_shown() -> None:
    """Neither a message nor a signature shows its content."""
    assert "[]" not in repr(MESSAGE)
    assert "content" not in repr(signature())


def test_keys() -> None:
    """A public half has one form; a key of another kind is told from it."""
    assert checked_producer_key(f" {PUBLIC}\n") == PUBLIC
    spelled = PUBLIC[:-2] + chr(ord(PUBLIC[-2]) + 1) + "="
    assert base64.b64decode(spelled.partition(":")[2]) == base64.b64decode(PUBLIC.partition(":")[2])
    assert checked_producer_key(spelled) == PUBLIC
    for text in ("", "x", PUBLIC[:-4], PUBLIC.replace("producer", "client"), "aegis-producer-1:\u00e9"):
        with pytest.raises(UsageError, match="aegis-producer-1:<base64>"):
            checked_producer_key(text)


@pytest.mark.parametrize(
    "point",
    [
        "01" + 31 * "00",
        "ec" + 30 * "ff" + "7f",
        32 * "00",
        31 * "00" + "80",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    ],
)
def test_keys_that_everybody_can_sign_for(point: str) -> None:
    """The eight points of small order, zeros among them: a signature that nobody made fits."""
    key = "aegis-producer-1:" + base64.b64encode(bytes.fromhex(point)).decode()
    forged = replace(signature(), content=bytes([1]) + bytes(63))
    assert any(forged.fits(replace(MESSAGE, id=str(number)), [key]) for number in range(200))
    with pytest.raises(UsageError, match="everybody can sign"):
        checked_producer_key(key)


def test_names() -> None:
    """A producer is called like a service, and not like Aegis itself."""
    assert checked_producer("shop-2.eu_west") == "shop-2.eu_west"
    for name in ("", "a b", "a\n", "x" * 65):
        with pytest.raises(UsageError, match="1 to 64 letters"):
            checked_producer(name)
    with pytest.raises(UsageError, match="another name"):
        checked_producer("aegis")
