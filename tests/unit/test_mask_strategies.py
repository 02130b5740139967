"""How strategies are written, what they say of themselves, and what their patterns do to any text."""

import re
from typing import Any, get_args

import pytest
import sqlalchemy as sa
from hypothesis import example, given
from hypothesis import strategies as st

from aegis.errors import InvalidPolicy, UsageError
from aegis.masking.keys import MaskKey
from aegis.masking.masks import masks_of
from aegis.masking.strategies import PLAIN, WITH_ARGUMENT, strategy_of
from aegis.masking.strategy import Outcome
from aegis.masking.texts import FOUND, SUBJECT, ScrubText
from aegis.masking.words import OUTCOMES, WORDS

SPECS: dict[str, Any] = {
    # as it is written: in its canonical form
    "null": "null",
    "default": "default",
    "empty": "empty",
    "redact": "redact",
    "surrogate": "surrogate",
    "surrogate_email": "surrogate_email",
    "random_token": "random_token",
    "hmac": "hmac",
    "hmac_email": "hmac_email",
    "truncate_ip": "truncate_ip",
    "scrub_text": "scrub_text",
    "preserve": "preserve",
}
WRITTEN: list[tuple[Any, Any]] = [
    *SPECS.items(),
    (None, "null"),
    ({"constant": 5}, {"constant": 5}),
    ({"redact": "[redacted]"}, "redact"),
    ({"redact": "gone"}, {"redact": "gone"}),
    ({"hmac": {"linkable": "join"}}, {"hmac": {"linkable": "join"}}),
    ({"partial": {"last": 4}}, {"partial": {"first": 0, "last": 4}}),
    ({"generalize": 0.1}, {"generalize": "0.1"}),
    ({"generalize": "10.0"}, {"generalize": 10}),
    ({"generalize": [0, 18, "65.5"]}, {"generalize": [0, 18, "65.5"]}),
    ({"noise": 1000}, {"noise": 1000}),
    ({"truncate_date": "month"}, {"truncate_date": "month"}),
    ({"shift_date": {"days": 3, "by": "who"}}, {"shift_date": {"days": 3, "by": "who"}}),
    ({"truncate_ip": {"v4": 24}}, "truncate_ip"),
    ({"truncate_ip": {"v4": 16}}, {"truncate_ip": {"v4": 16, "v6": 48}}),
    ({"json_set": {'$."a"."b c"': None}}, {"json_set": {'$.a."b c"': "null"}}),
    ({"json_delete": ["$.b", "$.a", "$.b"]}, {"json_delete": ["$.a", "$.b"]}),
]
WRONG: list[tuple[Any, str]] = [
    ("partial", "no strategy 'partial'.*partial: VALUE"),
    ({"null": 1}, "no strategy"),
    ({"redact": ""}, "with the text that it writes"),
    ({"hmac": {"key": "x"}}, "written with linkable"),
    ({"hmac": {"linkable": True}}, "says in words why"),
    ({"partial": 2}, "written with first, last"),
    ({"partial": {"first": 0}}, "at least one character"),
    ({"partial": {"first": -1}}, "keeps 0 to 64"),
    ({"generalize": 0}, "a step above 0"),
    ({"generalize": "x"}, "takes numbers"),
    ({"generalize": float("nan")}, "takes numbers"),
    ({"generalize": True}, "takes numbers"),
    ({"generalize": []}, "bounds ascend"),
    ({"generalize": [5, 5]}, "bounds ascend"),
    ({"noise": -1}, "the most that is added"),
    ({"truncate_date": "week"}, "one of year, month, day"),
    ({"shift_date": {"days": 0, "by": "who"}}, "1 to 3650 days"),
    ({"shift_date": {"days": 5}}, "whose the row is"),
    ({"truncate_ip": {"v4": 25}}, "v4 keeps 8, 16, 24"),
    ({"json_set": {}}, "says what is done where"),
    ({"json_set": {"email": "null"}}, "a path is"),
    ({"json_set": {"$.items[*].email": "null"}}, "name the array"),
    ({"json_set": {'$."0"': "null"}}, "none of which is a number"),
    ({"json_set": {"$.a": "null", "$.a.b": "null"}}, "lead to the same"),
    ({"json_set": {"$.a": {"generalize": 5}}}, "generalize cannot mask"),
    ({"json_set": {"$.a": {"json_delete": ["$.b"]}}}, "json_delete cannot mask"),
    ({"json_set": {"$.a": "preserve"}}, "preserve cannot mask"),
    ({"json_set": {"$.a": "default"}}, "default cannot mask"),
    ({"json_delete": "$.a"}, "a list of paths"),
]


@pytest.mark.parametrize(("written", "canonical"), WRITTEN, ids=lambda value: repr(value)[:40])
def test_one_canonical_form(written: Any, canonical: Any) -> None:
    """However a strategy is written, its canonical form is one, and reads as the same strategy."""
    assert strategy_of(written).spec == canonical
    assert strategy_of(canonical).spec == canonical
    assert strategy_of(written).label.startswith(strategy_of(written).name)


@pytest.mark.parametrize(("written", "message"), WRONG, ids=lambda value: repr(value)[:40])
def test_what_cannot_be_meant(written: Any, message: str) -> None:
    """The refusal names the column and shows how it is written."""
    with pytest.raises(InvalidPolicy, match=f"mask of column v: .*{message}"):
        masks_of({"v": written})


def test_every_name_of_the_design() -> None:
    """Nothing is missing, and nothing else is there."""
    names = (
        "null constant default empty redact hmac hmac_email surrogate surrogate_email random_token partial "
        "generalize truncate_ip truncate_date shift_date noise json_set json_delete scrub_text preserve"
    )
    assert {*PLAIN, *WITH_ARGUMENT} == {*names.split()}


def test_a_key_is_asked_for() -> None:
    """Without a key a keyed strategy writes nothing, also inside a document."""
    column = sa.column("v", sa.String())
    for spec in ("hmac", "hmac_email", {"json_set": {"$.a": "hmac"}}):
        with pytest.raises(InvalidPolicy, match=r"hmac.* needs a key"):
            strategy_of(spec).expression(column)
    assert strategy_of({"json_set": {"$.a": "hmac"}}).needs_key
    assert strategy_of({"json_set": {"$.a": "hmac"}}).linkable is None
    assert strategy_of({"json_set": {"$.a": {"hmac": {"linkable": "join"}}}}).linkable == "join"


@pytest.mark.parametrize("words", [{"id": "A"}, {"id": ""}, {"id": "123456789"}, {"secret": bytes(31)}])
def test_a_key_that_tokens_cannot_name(words: dict[str, Any]) -> None:
    """An id that does not fit into a token, and a short secret, are refused; the secret is not shown."""
    with pytest.raises(UsageError, match="at least 32 bytes"):
        MaskKey(**{"id": "3", "secret": bytes(32), **words})
    assert "secret" not in repr(MaskKey(id="3", secret=bytes(32)))


PIECES = st.sampled_from(
    [
        "a",
        "7",
        "@",
        "%40",
        ".",
        ":",
        "::",
        "-",
        " ",
        "(",
        ")",
        "+",
        "/",
        "[email]",
        "\n",
        "2024-01-15",
        "12",
        "\u00e9",
        "f",
        "1.2.3.4",
    ]
)


@given(st.lists(PIECES, max_size=40).map("".join))
@example("1.2.3.4712::")
@example("a@a.@a")
def test_scrubbing_twice_is_scrubbing_once(text: str) -> None:
    """Nothing that is looked for is left, whatever stands beside it."""
    once = scrubbed(text)
    assert scrubbed(once) == once
    assert not re.search(r"[0-9]{7}", once)


def scrubbed(text: str) -> str:
    """Return what Python makes of a text."""
    for pattern, word in FOUND:
        text = re.sub(pattern, word, text)
    return text


def test_identifiers_are_nowhere_in_the_specification() -> None:
    """A subject's identifiers are looked for, and neither shown nor stored."""
    strategy = ScrubText().for_subject(["Anna Schmidt"])
    assert (strategy.spec, strategy.label) == ("scrub_text", "scrub_text")
    assert len(strategy.patterns()) == len(FOUND) + 1
    masks = masks_of({"a": {"json_set": {"$.b": "scrub_text"}}, "c": "surrogate"})
    known = masks.for_subject(["Anna Schmidt"])
    assert known.spec == masks.spec
    column, dialect = sa.column("a", sa.JSON()), sa.create_engine("sqlite://").dialect
    written = [m.strategies["a"].expression(column).compile(dialect=dialect).params for m in (masks, known)]
    assert [SUBJECT in params.values() for params in written] == [False, True]


def test_what_is_left_of_a_person() -> None:
    """One strategy that keeps a part makes the whole pseudonymous; what is not written to does not count."""
    assert masks_of({"a": "null", "b": "preserve"}).outcome == "anonymous"
    assert masks_of({"a": "null", "b": {"json_set": {"$.c": "hmac"}}}).outcome == "pseudonymous"
    assert masks_of({"a": {"partial": {"first": 1}}, "b": "null"}).outcome == "pseudonymous"


def test_each_strategy_has_words() -> None:
    """Nobody has to read code to know what a strategy does, and what an outcome means."""
    assert WORDS.keys() == PLAIN.keys() | WITH_ARGUMENT.keys()
    assert OUTCOMES.keys() == set(get_args(Outcome))


#: What: the type of a column, a strategy, what is said.
UNFIT: dict[str, tuple[Any, Any, str]] = {
    "a step of texts": (sa.Text, {"generalize": 5}, "generalize masks .*whole numbers"),
    "noise in texts": (sa.Text, {"noise": 5}, "noise masks .*use null"),
    "too much noise": (sa.Integer, {"noise": 2**41}, "so much noise cannot be made"),
    "a subject that is a day": (
        sa.Date,
        {"shift_date": {"days": 5, "by": "day"}},
        "day is date; a column of text or whole numbers says whose",
    ),
    "a word for a number": (sa.Numeric(4, 1), {"constant": "x"}, "holds decimal numbers"),
    "an infinite number": (sa.Numeric, {"constant": "Infinity"}, "holds decimal numbers"),
    "a word for a day": (sa.Date, {"constant": "some day"}, "holds dates"),
}


@pytest.mark.parametrize("what", UNFIT)
def test_what_no_column_of_a_kind_takes(what: str) -> None:
    """It is said before any row is read, with what to do instead."""
    kind, spec, said = UNFIT[what]
    sa.Table("t", sa.MetaData(), column := sa.Column[Any]("v", kind), sa.Column("day", sa.Date))
    assert re.search(said, strategy_of(spec).unfit(column) or "")


def test_a_number_of_any_size_fits_where_the_column_says_none() -> None:
    """NUMERIC without digits takes every number as it is written."""
    column = sa.Column("v", sa.Numeric)
    for number in ("0.000001", "-123456789012345678901234567890"):
        assert strategy_of({"constant": number}).unfit(column) is None


@pytest.mark.parametrize(
    ("kind", "spec", "said"),
    [
        (sa.Integer, {"constant": "x"}, "does not take the constant any more"),
        (sa.Integer, "default", "has no constant default any more"),
        (
            sa.Date,
            {"shift_date": {"days": 5, "by": "who", "linkable": "research"}},
            "no column 'who' beside the masked one",
        ),
    ],
    ids=["constant", "default", "shift_date"],
)
def test_a_column_that_changed_since(kind: Any, spec: Any, said: str) -> None:
    """A mask that the live column takes no longer is not put on by halves: the policy is registered again."""
    sa.Table("t", sa.MetaData(), column := sa.Column[Any]("v", kind))
    with pytest.raises(InvalidPolicy, match=f"{said}.*register the policy again"):
        strategy_of(spec).expression(column, MaskKey(id="3", secret=bytes(32)))


def test_a_mask_that_nobody_can_see_needs_a_marker() -> None:
    """Without one nobody could tell which rows are due."""
    table = sa.Table("t", sa.MetaData(), sa.Column("pay", sa.Integer), sa.Column("masked", sa.Boolean))
    with pytest.raises(InvalidPolicy, match="whether pay is masked; name a marker_column"):
        masks_of({"pay": {"noise": 5}}).due(table)
    assert str(masks_of({"pay": {"noise": 5}}, "masked").due(table)) == "t.masked IS NULL"
