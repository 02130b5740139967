"""The ways in which a value may be written down: in which case, composed or not, and escaped by what.

`plain` tells no upper from lower case. `readings` undoes, step by step, what JSON, SQL, URLs and HTML write
in place of a character, so that a value can be looked for letter by letter. `folded` does so at once for
thousands of rows and leaves out everything but letters and digits: whatever holds a value holds its folded
form, and what holds only that has to be read again.
"""

import html
import re
import string
import unicodedata
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

#: Deeper than anybody escapes: JSON in JSON, in an array, in a row.
_DEPTH: Final = 5
_PLAIN_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v"}
#: Each undone for itself: what one of them wrote may look like another one's.
_ESCAPED: Final = (
    re.compile(
        r"(?P<utf16>(?:\\u[0-9a-fA-F]{4})+)"
        r"|\\(?P<utf8>x(?:[0-9a-fA-F]{2})+(?:\\x(?:[0-9a-fA-F]{2})+)*)"
        r"|\\(?P<char>.)"
        r"|(?P<quote>\"\"|'')",
        re.DOTALL,
    ),
    re.compile(r"(?P<url>(?:%[0-9a-fA-F]{2})+)"),
    re.compile(r"(?P<html>&#?[0-9A-Za-z]{2,8};)"),
)
_DROPPED: Final = bytes(set(range(128)) - set(f"{string.ascii_letters}{string.digits}\n\t".encode()))
#: What parts cells and rows.
BREAKS: Final = b"\n\t"
_NO_BREAKS: Final = bytes.maketrans(BREAKS, b"  ")


def plain(text: str) -> str:
    """Return a text in lower case and composed (NFC)."""
    if text.isascii():
        return text.lower()
    # A capital sigma becomes another letter at the end of a word, and a part of a text ends elsewhere.
    lower = unicodedata.normalize("NFC", text).lower().replace("\u03c2", "\u03c3")
    return unicodedata.normalize("NFC", lower)


def readings(text: str) -> Iterator[str]:
    """Yield a text, and what it means if it is escaped, once or several times; all plain."""
    known = {text: None}
    newest = list(known)
    for _ in range(_DEPTH):
        deeper = dict.fromkeys(e.sub(_unescaped, text) for text in newest for e in _ESCAPED)
        newest = [text for text in deeper if text not in known]
        known |= dict.fromkeys(newest)
    yield from map(plain, known)


def folded(text: bytes) -> bytes:
    """Return UTF-8 without what tells one way of writing from another: only letters and digits are left.

    Tabs and newlines stay where they are, and none are added: they part cells and rows.
    """
    text = text.lower()
    for _ in range(_DEPTH):
        # What one escape hid may begin another: JSON within a URL, or in a column of bytes.
        before = text
        if b"\\" in text:
            text = _without_backslashes(text)
        for begin, run, read in _RUNS:
            if begin in text:
                text = run.sub(partial(_inside, read), text)
        if text == before:
            break
    if not text.isascii():
        text = plain(text.decode("utf-8", "replace")).encode()
    return text.translate(None, _DROPPED)


def _without_backslashes(text: bytes) -> bytes:
    """Return a text in which each escape has one backslash, and those of a control character are spaces."""
    while b"\\\\" in text:
        text = text.replace(b"\\\\", b"\\")
    for letter in _PLAIN_ESCAPES:
        text = text.replace(b"\\" + letter.encode(), b" ")
    return text


def _inside(read: Callable[[str], str], found: re.Match[bytes]) -> bytes:
    return read(found[0].decode()).lower().encode("utf-8", "replace").translate(_NO_BREAKS)


def _unescaped(found: re.Match[str]) -> str:
    kind, text = str(found.lastgroup), found[0]
    if kind == "char":
        return _PLAIN_ESCAPES.get(found["char"], found["char"])
    if kind == "quote":
        return text[0]
    return {"utf16": _of_utf16, "utf8": _of_hex, "url": _of_hex, "html": html.unescape}[kind](text)


def _of_utf16(text: str) -> str:
    return bytes.fromhex(text.replace("\\u", "")).decode("utf-16-be", "replace")


def _of_hex(text: str) -> str:
    return bytes.fromhex(re.sub(r"[\\x%]", "", text)).decode("utf-8", "replace")


#: What begins an escape; the whole of one, in lower case and with one backslash; what reads it.
_RUNS: Final[tuple[tuple[bytes, re.Pattern[bytes], Callable[[str], str]], ...]] = (
    (b"\\u", re.compile(rb"\\u[0-9a-f]{4}(?:\\u[0-9a-f]{4})*"), _of_utf16),
    (b"\\x", re.compile(rb"\\x(?:[0-9a-f]{2})+(?:\\x(?:[0-9a-f]{2})+)*"), _of_hex),
    (b"%", re.compile(rb"%[0-9a-f]{2}(?:%[0-9a-f]{2})*"), _of_hex),
    (b"&", re.compile(rb"&#?[0-9a-z]{2,8};"), html.unescape),
)
