"""Needles: a person's values in every way they may be written, and nobody else's."""

import html
import json
import unicodedata
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aegis.erasure.residual.anchors import Anchors
from aegis.erasure.residual.needles import Needle, is_unique, needles_of
from aegis.erasure.residual.spellings import folded, plain, readings

VALUES = (
    "Anna.Schmidt@x.de",
    "anna+news@x.de",
    "\u00c4nne.M\u00fcller@stra\u00dfe.de",
    "o'neill_100%@x.de",
    'a"b\\c@example.com',
    "CORP\\nanna",
    "nanna.berg",
    "udead_user",
    "x41bel.user",
    "abel@x.de",
    "\u041c\u0430\u0440\u0438\u044f \u0418\u0432\u0430\u043d\u043e\u0432\u0430",
    "\u039f\u0394\u039f\u03a3\u03a3",
    "\u0130stanbul",
    "anna\nschmidt",
    "\U0001f600smile@x.de",
    "Smith & <Sons>",
)
#: How a text may be written down.
WRITTEN: dict[str, Callable[[str], str]] = {
    "as it is": lambda text: text,
    "upper": lambda text: text.upper() if plain(text.upper()) == plain(text) else text,
    "decomposed": lambda text: unicodedata.normalize("NFD", text),
    "JSON": lambda text: json.dumps({"k": text}),
    "JSON in a key": lambda text: json.dumps({text: 1}, ensure_ascii=False),
    "JSON in JSON": lambda text: json.dumps([json.dumps([text])]),
    "JSON in an array of PostgreSQL": lambda text: _array(json.dumps(text)),
    "in a row of PostgreSQL": lambda text: f"(1,{_doubled(text)})",
    "URL": lambda text: f"https://x.org/?a=1&q={quote(text, safe='')}&b=2",
    "bytes": lambda text: "\\x" + text.encode().hex(),
    "bytes in an array": lambda text: _array(f"\\x{text.encode().hex()}"),
    "HTML": lambda text: f"<p>{html.escape(text)}</p>",
    "in a sentence": lambda text: f"Dear {text}, you",
    "behind a backslash": lambda text: f"CORP\\{text}",
    "behind a percent sign": lambda text: f"100% {text}",
}


def _array(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'{{"{escaped}"}}'


def _doubled(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '""')
    return f'"{escaped}"'


def one(value: Any, identifier: str = "email") -> Needle:
    """Return the only needle for a value."""
    (needle,) = needles_of(0, {identifier: value})
    return needle


def anchored(needle: Needle, text: str) -> bool:
    """Whether the first look finds a row with this cell, as COPY writes it."""
    escaped = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")
    line = folded(f"\t1\t{escaped}\t\n".encode())
    return any(True for _ in Anchors(needle.anchors).find(line))


def found(needle: Needle, text: str) -> bool | None:
    """What both looks together say."""
    seen = needle.found(readings(text))
    if seen:
        assert anchored(needle, text), "the second look finds what the first one overlooks"
    return seen if anchored(needle, text) else None


@pytest.mark.parametrize("way", WRITTEN)
@pytest.mark.parametrize("value", VALUES)
def test_a_value_is_found_however_it_is_written(value: str, way: str) -> None:
    """In any case, composed or not, escaped by anything: it is the same value."""
    assert found(one(value), WRITTEN[way](value)) is True


@pytest.mark.parametrize("outer", sorted(set(WRITTEN) - {"upper", "behind a backslash"}))
@pytest.mark.parametrize("inner", WRITTEN)
@pytest.mark.parametrize("value", ["Ren\u00e9e.Q", "anna\nschmidt"])
def test_a_value_is_found_in_what_was_escaped_twice(value: str, inner: str, outer: str) -> None:
    """JSON within a URL, or JSON in a column of bytes: what one way of writing hides is begun by another."""
    assert found(one(value), WRITTEN[outer](WRITTEN[inner](value))) is True


@given(st.text(min_size=1, max_size=30), st.sampled_from(sorted(WRITTEN)))
@example("\x00aaaaa", "JSON")
@example("0\n:", "bytes")
@example("000%\n00", "HTML")
@example("\\F00", "bytes")
@example("0\\F%44", "bytes")
def test_any_text_is_found(text: str, way: str) -> None:
    """Whatever somebody is called, the first look does not miss what the second one finds."""
    for needle in needles_of(0, {"email": text}):
        written = WRITTEN[way](needle.value)
        if needle.found(readings(written)):
            assert anchored(needle, written)


@pytest.mark.parametrize(
    "other",
    [
        "schmidt@x.de",
        "Anna-Schmidt@x.de",
        "anna_schmidt@x.de",
        "annaschmidt@x.de",
        "anna.schmidt@x.d",
        "anna%schmidt@x.de",
        "anna.schmidt",
        "",
    ],
)
def test_nobody_elses_value_is_found(other: str) -> None:
    """Punctuation tells addresses apart, and no character stands for another one."""
    assert found(one("anna.schmidt@x.de"), other) is None


@pytest.mark.parametrize(
    "other",
    ["joanna.schmidt@x.de", "old-anna.schmidt@x.de", "anna.schmidt@x.design", "anna.schmidt@x.de.com"],
)
def test_a_longer_value_is_only_possible(other: str) -> None:
    """It may be somebody else's address, and may be this one with something before it."""
    assert found(one("anna.schmidt@x.de"), other) is False
    assert found(one("Anna Schmidt", "name"), "Joanna Schmidt") is None


def test_wildcards_are_characters() -> None:
    """Neither `%` nor `_` nor `.` stands for anything."""
    assert found(one("a_b%c.d@x.de"), "axbyc.d@x.de") is None
    assert found(one("a_b%c.d@x.de"), "A_B%C.D@X.DE") is True


PHONES = ("+49 30 1234-5678", "0049 (0)30 / 12345678", "+49(30)12345678", "030 123 456 78", "03012345678")


@pytest.mark.parametrize("phone", PHONES)
@pytest.mark.parametrize(
    "other", [*PHONES, "493012345678", "004930 12345678", "3012345678", "tel:+493012345678"]
)
def test_a_number_is_found_however_it_is_written(phone: str, other: str) -> None:
    """With a country code or without, with whatever stands between the digits."""
    assert any(found(needle, other) for needle in needles_of(0, {"phone": phone}))


@pytest.mark.parametrize("other", ["4930123456789", "30123456", "3012345679", "99123012345678"])
def test_another_number_is_not_found(other: str) -> None:
    """A digit more or less is somebody else's."""
    assert not any(found(needle, other) for needle in needles_of(0, {"phone": "+49 30 1234-5678"}))


def test_short_values_are_whole_values() -> None:
    """A part of a text that happens to be the same is no hit; so for three letters that are a whole name."""
    needle = one("Li", "user_name")
    assert found(needle, "li") is True
    assert found(needle, "LI   ") is True
    assert found(needle, '"li"') is True
    assert found(needle, "alien") is None
    assert found(needle, "Li is here") is None
    assert one("\u738b\u5c0f\u660e").whole
    assert not one("12345").whole


def test_nothing_is_no_needle() -> None:
    """An empty value, or one letter, would be everybody's."""
    assert needles_of(0, {"email": None, "phone": "", "name": "  ", "user_name": "x"}) == []


def test_which_names_are_advisory() -> None:
    """Two people may have the same name, and never the same user name."""
    assert [is_unique(name) for name in ("email", "phone", "username", "user_name", "login_name")] == [
        True
    ] * 5
    assert [is_unique(name) for name in ("name", "display_name", "Surname", "fullname")] == [False] * 4


def test_no_needle_shows_its_value() -> None:
    """Neither in a log nor in an error."""
    for needle in needles_of(0, {"email": "anna@x.de", "phone": "+49 30 1234567"}):
        assert "anna" not in repr(needle)
        assert "1234567" not in repr(needle)


@given(
    st.lists(st.binary(min_size=4, max_size=12), max_size=8),
    st.lists(st.binary(max_size=9), max_size=8),
    st.data(),
)
def test_anchors_are_found_like_one_by_one(
    texts: list[bytes], gaps: list[bytes], data: st.DataObject
) -> None:
    """However many there are, each is found wherever it stands."""
    pieces = data.draw(st.lists(st.sampled_from([*texts, *gaps]), max_size=12)) if texts or gaps else []
    block = b"".join(pieces)
    expected = {
        (start, text) for text in texts for start in range(len(block)) if block.startswith(text, start)
    }
    assert set(Anchors(texts).find(block)) == expected


@pytest.mark.parametrize("text", ["+49 30 1", "+1 22", "030 12"])
def test_a_number_too_short_to_be_anybodys(text: str) -> None:
    """So few digits stand everywhere: only the number as it is written is looked for."""
    assert [needle.number for needle in needles_of(0, {"phone": text})] == [None]


def test_escapes_within_escapes_come_to_an_end() -> None:
    """As deep as anybody escapes it is found; deeper than that it ends all the same."""
    text = "anna@schmidt.example"
    for depth in range(1, 12):
        text = "".join(f"%{byte:02x}" for byte in text.encode()) if depth == 1 else quote(text)
        assert depth > 5 or found(one("anna@schmidt.example"), text) is True
        assert len(folded(text.encode())) <= len(text)
