"""Aggregates that a message names by reference: files below the place for inputs.

A service writes NumPy's own format (`.npy`, versions 1 and 2, without objects); a client writes
envelopes that only the workers open, under names of its own, which Aegis removes.
"""

import datetime as dt
import hashlib
import hmac
import io
import math
import re
import secrets
from typing import Any, Final

import numpy as np

from aegis.envelopes import OVERHEAD, open_
from aegis.errors import Tampered, UsageError
from aegis.federated import wire
from aegis.federated.messages import Reference, about_input
from aegis.federated.reasons import NotAccepted, Reason
from aegis.federated.wireformat import TAGS
from aegis.operations.stores import Store, open_store
from aegis.operations.system import System

#: A file that a client wrote, and what it leaves when it is killed before it has finished one.
_OURS: Final = re.compile(r"aegis-input-[0-9a-f]{16}-[0-9a-f]{16}\.aegis|\.[0-9a-f]{16}\.new")


def new_name(request_id: str) -> str:
    """Return the name for an envelope of a client's, by which its request may remove it and no other."""
    return f"{_beginning(request_id)}{secrets.token_hex(8)}.aegis"


def read(system: System, found: Reference, request_id: str) -> Any:
    """Return the aggregate that a reference names.

    Raises:
        NotAccepted: the file is missing, another, too large, outside of the place, or no array of numbers.
        Unreachable: the place cannot be read.

    """
    try:
        most = system.settings.federated.max_bytes + (OVERHEAD if found.sealed else 0)
        data = place(system).take(found.name, most)
        if not hmac.compare_digest(hashlib.sha256(data).hexdigest(), found.sha256):
            message = "the file that was named has another SHA-256 than the reference says"
            raise NotAccepted(Reason.REFERENCE, message)
        if found.sealed:
            return wire.decode(open_(system.worker_key, data, about=about_input(request_id)))
        return _array(data)
    except Tampered:
        message = "the sealed file was sealed to another key or for another request id"
        raise NotAccepted(Reason.REFERENCE, message) from None
    except UsageError as error:
        raise NotAccepted(Reason.REFERENCE, str(error)) from None


def drop(system: System, found: Any, request_id: str) -> None:
    """Remove the file of a reference if a client wrote it for this request; a service's files are its own."""
    name = found.name if isinstance(found, Reference) else ""
    if _OURS.fullmatch(name) and name.startswith(_beginning(request_id)):
        place(system).remove("", name)


def drop_orphans(system: System, before: dt.datetime) -> int:
    """Remove what clients wrote before a moment; return how many files went."""
    there = place(system)
    old = [name for name, moment in there.written("").items() if moment < before and _OURS.fullmatch(name)]
    for name in old:
        there.remove("", name)
    return len(old)


def place(system: System) -> Store:
    """Return the place where aggregates are read by reference."""
    return open_store(system.settings.inputs_url)


def _beginning(request_id: str) -> str:
    return f"aegis-input-{hashlib.sha256(request_id.encode()).hexdigest()[:16]}-"


def _array(data: bytes) -> Any:
    """Return the array of a `.npy` file; no claimed shape is believed before its bytes are there."""
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, fortran, dtype = read_header(stream)
    except (ValueError, KeyError):
        message = "the file that was named is not in NumPy's format (.npy, version 1 or 2)"
        raise UsageError(message) from None
    at = stream.tell()
    if dtype.str not in TAGS:
        message = f"the file that was named has no numbers in it but {dtype.name}"
        raise UsageError(message)
    if math.prod(shape) * dtype.itemsize != len(data) - at:
        message = "the file that was named has other bytes than its header says"
        raise UsageError(message)
    flat = np.frombuffer(data, dtype=dtype, offset=at)
    return flat.reshape(shape, order="F" if fortran else "C")
