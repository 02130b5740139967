"""What the doors take: a wrong argument is refused at the door, whatever the door does."""

import datetime as dt
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, get_type_hints

import pytest

from aegis.arguments import MOST, Long, Parsed, door
from aegis.errors import UsageError
from api import archives, audit, budgets, privacy

#: What fits an argument that is no text.
FITTING = {dt.datetime: "2027-01-31T02:00:00Z", dt.date: "2027-01-31"}
#: What no text of a door may be.
NO_TEXT: tuple[Any, ...] = (None, 5, True, b"x", ["x"], "", "  ", "x" * 16_001, "a\0b", "\ud800")


def _doors() -> Iterator[tuple[str, Callable[..., Any]]]:
    for module in (archives, audit, budgets, privacy):
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if function.__module__ == module.__name__ and not name.startswith("_"):
                yield f"{module.__name__}.{name}", function


def _texts(function: Callable[..., Any]) -> list[str]:
    """Return the texts that a door needs, or has a default for."""
    return [name for name, hint in get_type_hints(function).items() if hint is str and name != "return"]


CASES = [(name, function, word) for name, function in _doors() for word in _texts(function)]


@pytest.mark.parametrize(
    ("function", "word"), [case[1:] for case in CASES], ids=[f"{c[0]}:{c[2]}" for c in CASES]
)
def test_every_text_of_every_door_is_text(function: Callable[..., Any], word: str) -> None:
    """None, a number, a list, an empty or an endless text is refused by name, before anything is done."""
    needed = {
        name: FITTING.get(given.annotation, "x")
        for name, given in inspect.signature(function).parameters.items()
        if given.default is given.empty and given.kind is not given.VAR_KEYWORD
    }
    for wrong in NO_TEXT if word != "text" else NO_TEXT[:5]:
        with pytest.raises(UsageError, match=rf"^{word} must be text"):
            function(**{**needed, word: wrong})


@door
def taking(
    name: str = "x",
    *,
    words: Long | None = None,
    day: dt.date | None = None,
    at: dt.datetime | None = None,
    names: Sequence[str] | None = None,
    mapping: Mapping[str, Any] | None = None,
    sure: bool = False,
    raw: bytes = b"",
    written: Parsed = "",
    anything: Any = None,
) -> dict[str, Any]:
    """Return what arrived."""
    return dict(locals())


@pytest.mark.parametrize(
    ("given", "arrived"),
    [
        ({"name": "é" * MOST}, "é" * MOST),
        ({"words": "two\nlines" * 100}, "two\nlines" * 100),
        ({"words": None}, None),
        ({"day": "2027-01-31"}, dt.date(2027, 1, 31)),
        ({"day": dt.date(2027, 1, 31)}, dt.date(2027, 1, 31)),
        ({"at": "2027-01-31T02:00:00Z"}, dt.datetime(2027, 1, 31, 2, tzinfo=dt.UTC)),
        ({"names": ["a", "b"]}, ("a", "b")),
        ({"names": []}, ()),
        ({"mapping": {"a": 1}}, {"a": 1}),
        ({"raw": b"\x00"}, b"\x00"),
        ({"written": "  \0" + "x" * MOST}, "  \0" + "x" * MOST),
        ({"anything": 5}, 5),
    ],
    ids=str,
)
def test_what_fits_arrives(given: dict[str, Any], arrived: Any) -> None:
    """Days and instants may be written as JSON has them; the rest arrives as it is."""
    ((name, _),) = given.items()
    assert taking(**given)[name] == arrived


@pytest.mark.parametrize(
    "given",
    [
        {"name": "x" * (MOST + 1)},
        {"day": "soon"},
        {"day": 20270131},
        {"day": dt.datetime(2027, 1, 31, tzinfo=dt.UTC)},
        {"at": "yesterday"},
        {"at": dt.date(2027, 1, 31)},
        {"names": "abc"},
        {"names": {"a": 1}},
        {"names": 5},
        {"names": ["a", 5]},
        {"names": [""]},
        {"mapping": ["a"]},
        {"mapping": "a"},
        {"sure": "no"},
        {"sure": 0},
        {"raw": "text"},
        {"raw": [1]},
        {"written": b"bytes"},
        {"written": 5},
    ],
    ids=str,
)
def test_what_does_not_fit_is_named_and_not_quoted(given: dict[str, Any]) -> None:
    """The message has the argument and what was expected, and nothing of what was given."""
    ((name, value),) = given.items()
    with pytest.raises(UsageError, match=rf"\b{name} must be ") as caught:
        taking(**given)
    assert repr(value) not in str(caught.value)


def test_a_doors_own_signature_is_seen() -> None:
    """Whoever asks for help sees the arguments, and one that is unknown is Python's own error."""
    assert list(inspect.signature(privacy.disable_retention_policy).parameters) == ["name", "actor"]
    with pytest.raises(TypeError, match="nope"):
        taking(nope=1)  # type: ignore[call-arg]
