"""What an error of Aegis may say of the message that it came from."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.redaction import REDACTED, without_arguments

PERSONS = ("carol@example.com", "K\u00e1ra Quill", "+49 30 5550", "17", "o'hara@example.com", "a b")


@pytest.mark.parametrize("person", PERSONS)
def test_what_is_no_name_of_a_thing_is_not_shown(person: str) -> None:
    """However deep in the message it stands, and however the error quotes it."""
    for arguments in ({"who": person}, [person], {"who": [{"x": person}]}, {person: 1}, (person, 2)):
        for text in (f"there is no policy {person}; try another", f"no column {person!r} in visits"):
            shown = without_arguments(text, arguments)
            assert person not in shown
            assert REDACTED in shown


def test_words_of_a_longer_text() -> None:
    """A condition is quoted in part; each of its words that may be a person is taken out."""
    condition = "email = 'carol@example.com' AND lower(phone) = '+4930'"
    text = "lower is a function; near '+4930' and 'carol@example.com' in visits"
    assert without_arguments(text, {"filter_sql": condition}) == (
        f"lower is a function; near '{REDACTED}' and '{REDACTED}' in visits"
    )


@pytest.mark.parametrize("name", ["old_things", "sales.visits", "3f1c2d34-1111-7111-8111-111111111111"])
def test_names_of_things_are_shown(name: str) -> None:
    """Without them nobody could mend anything."""
    text = f"there is no policy {name}; `aegis policy list` lists those there are"
    assert without_arguments(text, {"policies": [name], "dry_run": True, "tenant_id": None}) == text


def test_words_in_the_middle_of_others_stay() -> None:
    """A short argument does not tear other words and numbers apart."""
    text = "expected 1 to 21 days for tenant 1, got 0 2 * * *"
    assert without_arguments(text, {"tenant_id": "1", "cron": "*"}) == (
        f"expected {REDACTED} to 21 days for tenant {REDACTED}, got 0 2 * * *"
    )


@given(st.text(), st.recursive(st.text() | st.integers() | st.none(), st.lists, max_leaves=5))
def test_anything_at_all(text: str, arguments: object) -> None:
    """No message makes it fail."""
    assert isinstance(without_arguments(text, arguments), str)
