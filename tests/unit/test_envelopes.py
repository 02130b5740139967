"""Envelopes open for one key and one purpose; they are HPKE as RFC 9180 says, and stay what they are."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from aegis.envelopes import (
    OVERHEAD,
    checked_client_key,
    checked_workers_key,
    client_public_key,
    open_,
    seal,
    workers_public_key,
)
from aegis.errors import Conflict, NotPrepared, SettingsError, Tampered, UsageError
from aegis.keys import Secret, client_key, new_client_key
from tests.rfc9180 import Suite

#: A.1.1 of RFC 9180: AES-128-GCM, the first message.
RFC_PRIVATE = "4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8"
RFC_SEALED = (
    "37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431"
    "f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e13c512a"
)
OURS = Suite(aead=2, key_bytes=32)
WORKER = Secret(key_id="0" * 8, material=bytes(range(32)))
#: What services have written down, and what waits in a queue while workers are upgraded.
PUBLIC = "aegis-workers-1:bunRoc/SSG03WC7cb7A2ZnVv54IMm7M76uww71FFWFg="
SEALED = (
    "5b8e18438ef6a6eafa7f750a680ecc23d026c835d990800ceb5b6494f7cfd850fcdf1fd5bc6d658ba7238db2cfab09b7315b"
    "009664b776258582bb16827174f19ea815"
)


def test_the_standard_written_down_is_the_standard() -> None:
    """What the tests check Aegis's envelopes with opens the RFC's own example."""
    private = X25519PrivateKey.from_private_bytes(bytes.fromhex(RFC_PRIVATE))
    info = b"Ode on a Grecian Urn"
    opened = Suite(aead=1, key_bytes=16).open(private, bytes.fromhex(RFC_SEALED), info=info, aad=b"Count-0")
    assert opened == b"Beauty is truth, truth beauty"


def test_both_directions_with_the_standard() -> None:
    """Whoever seals by the RFC is understood, and whoever opens by the RFC understands."""
    private = X25519PrivateKey.from_private_bytes(WORKER.subkey("envelope"))
    info = b"aegis/v1/envelope\nwhat it is about"
    sealed = seal(workers_public_key(WORKER), b"content", about=b"what it is about")
    assert OURS.open(private, sealed, info=info) == b"content"
    assert len(sealed) == len(b"content") + OVERHEAD
    foreign = OURS.seal(private.public_key(), b"content", info=info)
    assert open_(WORKER, foreign, about=b"what it is about") == b"content"


def test_golden() -> None:
    """The public half of a worker key, and an envelope sealed to it, stay what they are."""
    assert workers_public_key(WORKER) == PUBLIC
    assert open_(WORKER, bytes.fromhex(SEALED), about=b"golden") == b"an envelope of 2026"


def test_nobody_else_and_nothing_else() -> None:
    """Another key, another purpose, one bit, a part: nothing opens, and what is said is the same."""
    sealed = seal(workers_public_key(WORKER), b"content", about=b"this")
    other = Secret(key_id="1" * 8, material=bytes(32))
    flipped = [bytes([*sealed[:at], sealed[at] ^ 1, *sealed[at + 1 :]]) for at in range(len(sealed))]
    cut = [sealed[:length] for length in range(len(sealed))]
    said = set()
    for secret, body, about in [
        (other, sealed, b"this"),
        (WORKER, sealed, b"that"),
        (WORKER, sealed, b""),
        *((WORKER, body, b"this") for body in (*flipped, *cut, bytes(100), b"")),
    ]:
        with pytest.raises(Tampered) as told:
            open_(secret, body, about=about)
        said.add(str(told.value))
    assert len(said) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "aegis-workers-1:",
        "aegis-workers-1:AAAA",
        "aegis-workers-1:***",
        "aegis-workers-2:" + "A" * 43 + "=",
        "nonsense",
    ],
)
def test_what_is_no_public_key(text: str) -> None:
    """A text that is no key is refused before anything is sealed, and so is the key of the other side."""
    with pytest.raises(UsageError, match="aegis-workers-1:<base64>"):
        checked_workers_key(text)
    with pytest.raises(UsageError):
        seal(text, b"", about=b"")
    with pytest.raises(UsageError, match="aegis-client-1:<base64>"):
        checked_client_key(workers_public_key(WORKER))
    with pytest.raises(UsageError):
        # The point zero has no shared secret with anybody.
        seal("aegis-workers-1:" + "A" * 43 + "=", b"", about=b"")


def test_a_services_own_key(tmp_path: Path) -> None:
    """It is made once, readable by its owner alone, and is no key of Aegis's own."""
    path = tmp_path / "service.key"
    made = new_client_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert client_key(path) == made
    assert open_(made, seal(client_public_key(made), b"x", about=b"y"), about=b"y") == b"x"
    assert made.material.hex() not in repr(made)
    with pytest.raises(Conflict, match="never overwritten"):
        new_client_key(path)
    with pytest.raises(NotPrepared, match="folder"):
        new_client_key(tmp_path / "nowhere" / "service.key")
    path.chmod(0o640)
    with pytest.raises(SettingsError, match="chmod 600"):
        client_key(path)
    with pytest.raises(NotPrepared, match="--new"):
        client_key(tmp_path / "other.key")


def test_every_envelope_is_another() -> None:
    """Equal contents cannot be told by their envelopes."""
    key = workers_public_key(WORKER)
    assert seal(key, b"x", about=b"y")[32:] != seal(key, b"x", about=b"y")[32:]
