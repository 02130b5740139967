"""Events: one spelling, ids in the order of time, and a form that stays readable for ever."""

import datetime as dt
import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.audit import actions, events
from aegis.audit.actions import Action
from aegis.errors import UsageError

GOLDEN = Path(__file__).parents[1] / "golden"
MOMENT = dt.datetime(2026, 5, 17, 2, 0, 0, 123456, tzinfo=dt.timezone(dt.timedelta(hours=2)))
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=20,
)


def event(**changes: Any) -> events.Event:
    """Compose an event."""
    words: dict[str, Any] = {
        "action": "retention:batch",
        "outcome": "success",
        "actor_ref": "a1_00",
        "target_type": "policy",
        "target_ref": "safety_90",
        "moment": MOMENT,
        "clear": {"rows": 17, "table": "safety_events", "action": "delete"},
        "tenant": "café",
        "correlation_id": "r",
    }
    return events.compose(**{**words, **changes})


def test_the_form_of_an_entry_never_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes of the first version are those of the golden file, and parse reads them."""
    monkeypatch.setattr(events, "uuid7", lambda: "019e0000-0000-7000-8000-000000000000")
    made = event(sealed=b"sealed", sealed_with="l1_00")
    golden = (GOLDEN / "entry.v1.json").read_bytes().rstrip(b"\n")
    assert made.entry == golden
    assert events.parse(golden, b"sealed") == made


@given(PLAIN)
def test_canonical_is_one_spelling(value: Any) -> None:
    """It reads back to the same data, and writing that again gives the same bytes."""
    text = events.canonical(value)
    assert json.loads(text) == value
    assert events.canonical(json.loads(text)) == text
    assert b"\n" not in text


@given(st.dictionaries(st.text(max_size=5), st.integers()))
def test_the_order_of_keys_does_not_matter(value: dict[str, int]) -> None:
    """Two ways to write the same data have the same bytes."""
    backwards = dict(reversed(list(value.items())))
    assert events.canonical(value) == events.canonical(backwards)


@pytest.mark.parametrize("value", [object(), {1: 2}, {"a": {1: 2}}, b"x", {"a": {1, 2}}, "\ud800"])
def test_what_is_not_plain_is_refused(value: Any) -> None:
    """Anything that other languages would write in another way is refused."""
    with pytest.raises(UsageError, match="plain data"):
        events.canonical(value)


def test_floats_become_text() -> None:
    """No floating point number enters the bytes."""
    assert events.canonical({"a": [0.1, 1e300]}) == b'{"a":["0.1","1e+300"]}'


def test_too_large_is_refused() -> None:
    """Neither entry nor sealed details above 32 KiB."""
    with pytest.raises(UsageError, match="32768"):
        event(clear={"table": "x" * 40_000})
    with pytest.raises(UsageError, match="32768"):
        event(sealed=bytes(40_000), sealed_with="l1_00")


def test_ids_are_version_7_and_in_order_of_time() -> None:
    """The first 48 bits are milliseconds; a thousand ids are a thousand ids."""
    before = dt.datetime.now(dt.UTC).timestamp() * 1000
    ids = [uuid.UUID(events.uuid7()) for _ in range(1000)]
    after = dt.datetime.now(dt.UTC).timestamp() * 1000
    assert {(one.version, one.variant) for one in ids} == {(7, uuid.RFC_4122)}
    assert len(set(ids)) == 1000
    times = [one.int >> 80 for one in ids]
    assert times == sorted(times)
    assert before - 1 <= times[0] <= times[-1] <= after


@pytest.mark.parametrize("action", list(Action))
def test_every_action_has_its_clear_fields(action: Action) -> None:
    """Each has an allow-list, and what is not in it is sealed."""
    assert actions.CLEAR[action]
    clear, hidden = actions.split(action, {"email": "x", "rows": 1, "reason": object()})
    assert "email" in hidden
    assert "email" not in clear


def test_other_actions_have_no_clear_field() -> None:
    """An unknown action seals everything, and nobody can write one of Aegis's own."""
    assert actions.split("custom:x", {"rows": 1}) == ({}, {"rows": 1})
    assert actions.public_name("retention:batch") == "custom:retention:batch"
    assert actions.public_name("custom:x") == "custom:x"
