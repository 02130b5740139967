"""Random bits: AES-256 in counter mode under a release's own key.

Block n of the main stream is E(n). A draw that needs more bits takes them from a stream of its own,
E(2^127 + draw·2^64 + n), never from the main one: so which draws need more changes no other draw.
The two never meet, since no main stream reaches block 2^127 and no draw takes 2^64 blocks.
"""

import struct
from collections.abc import Iterator
from typing import Final

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR
from numpy.typing import NDArray

KEY_BYTES: Final = 32
_WORD: Final = 8
_BLOCK: Final = 16
_OWN_STREAMS: Final = 1 << 127


class Bits:
    """The bits of one key: words in order, and more of them for a single draw."""

    def __init__(self, key: bytes) -> None:
        self._algorithm = AES256(key)
        self._main = self._stream(0)
        self._zeros = b""

    def words(self, count: int) -> NDArray[np.uint64]:
        """Return the next `count` words of 64 bits."""
        size = count * _WORD
        if len(self._zeros) != size:
            self._zeros = bytes(size)
        return np.frombuffer(self._main.update(self._zeros), dtype="<u8").astype(np.uint64, copy=False)

    def more(self, draw: int) -> Iterator[int]:
        """Yield further words that belong to one draw alone."""
        stream = self._stream(_OWN_STREAMS + (draw << 64))
        while True:
            yield from struct.unpack("<2Q", stream.update(bytes(_BLOCK)))

    def _stream(self, block: int) -> CipherContext:
        return Cipher(self._algorithm, CTR(block.to_bytes(_BLOCK, "big"))).encryptor()
