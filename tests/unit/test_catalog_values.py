"""Sampled values: what they are valid as, and how they vote; nothing keeps them."""

import pytest

from aegis.catalog import validators
from aegis.catalog.containers import KEYS, PERSONAL_KEYS, examine_documents
from aegis.catalog.decision import ColumnDecision, Verdict
from aegis.catalog.findings import Findings
from aegis.catalog.natures import Nature
from aegis.catalog.validators import examine
from aegis.catalog.voting import with_values


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("anna.k+x@mail.example.org", "email"),
        ("+49 30 901820", "phone"),
        ("192.168.7.1", "ip address"),
        ("2001:db8::1", "ip address"),
        ("00:1A:2b:3c:4d:5e", "hardware address"),
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36", "user agent"),
        ("$2y$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy", "password hash"),
        ("pbkdf2_sha256$600000$salt$aGFzaA==", "password hash"),
        ("https://www.linkedin.com/in/somebody", "profile link"),
        ("DE89 3704 0044 0532 0130 00", "iban"),
        ("4111 1111 1111 1111", "card number"),
        ("12345678Z", "national id"),
        ("RSSMRA85T10A562S", "national id"),
    ],
)
def test_a_value_is_told_by_its_form_or_its_check_digits(value: str, kind: str) -> None:
    """And counted as that kind."""
    assert examine([value]).valid.get(kind) == 1


@pytest.mark.parametrize(
    "value",
    [
        *("hello", "anna@", "1.2.3.4", "2.31.0", "10", "2024-05-01T10:00:00", "DE89370400440532013001"),
        *(
            "4111111111111112",
            "550e8400-e29b-41d4-a716-446655440000",
            "+1 2",
            "12:30",
            "12345678A",
            # No country has it.
            "+000 1234567",
            "user@host",
        ),
    ],
)
def test_what_only_looks_like_one_is_none(value: str) -> None:
    """Versions, times, UUIDs, and numbers whose check digits are wrong."""
    assert not examine([value]).valid


def test_without_the_extra_numbers_are_never_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forms still are: the scan goes on, and says what it cannot tell."""
    monkeypatch.setattr(validators, "PRESENT", False)
    assert not examine(["DE89370400440532013000", "+4930901820", "4111111111111111"]).valid
    assert examine(["a@b.example"]).valid == {"email": 1}


def test_empty_values_are_none() -> None:
    """NULL, empty and blank ones are not looked at."""
    assert examine([None, "", "  ", "x", "x"]) == Findings(rows=5, values=2, valid={}, distinct=1)


def test_keys_of_documents_are_names_too() -> None:
    """Also in a document that was cut off; one that is keyed by data is told, not read."""
    found = examine_documents(['{"email": "a@b.example", "n": 1, "first_name": "A', '{"n": 2}', None])
    assert (found.values, found.valid) == (2, {KEYS: 3, PERSONAL_KEYS: 2})
    many = "{" + ", ".join(f'"k{i}": {i}' for i in range(300)) + "}"
    assert examine_documents([many]).valid == {KEYS: 300}


def decided(verdict: Verdict, category: str | None = None, confidence: float = 0.75) -> ColumnDecision:
    """Make a decision by names."""
    return ColumnDecision(
        table="t", column="c", type="text", verdict=verdict, category=category, confidence=confidence
    )


def test_values_that_agree_make_it_surer() -> None:
    """And the evidence has the counts."""
    name = decided(Verdict.PERSONAL, "user.contact.email")
    sure = with_values(name, Findings(rows=50, values=50, valid={"email": 48}, distinct=50), Nature.PERSON)
    assert sure.confidence > 0.9
    assert sure.evidence[-1] == "48 of 50 samples are valid as email"


def test_values_that_do_not_agree_make_it_less_sure() -> None:
    """A hashed address is one all the same; a weak name is for a person to look at."""
    strong = decided(Verdict.PERSONAL, "user.contact.email", 0.95)
    nothing = Findings(rows=50, values=50, valid={}, distinct=50)
    doubted = with_values(strong, nothing, Nature.PERSON)
    assert (doubted.verdict, doubted.confidence < 0.75) == (Verdict.PERSONAL, True)
    weak = decided(Verdict.PERSONAL, "user.contact.email", 0.62)
    assert with_values(weak, nothing, Nature.PERSON).verdict is Verdict.UNKNOWN


def test_values_tell_what_names_do_not() -> None:
    """In a table of things they are for a person to look at: they may be the organisation's own."""
    phones = Findings(rows=20, values=20, valid={"phone": 20}, distinct=20)
    found = with_values(decided(Verdict.NONE), phones, Nature.OWNED)
    assert (found.verdict, found.category) == (Verdict.PERSONAL, "user.contact.phone_number")
    assert with_values(decided(Verdict.NONE), phones, Nature.THING).verdict is Verdict.UNKNOWN
    empty = with_values(decided(Verdict.NONE), Findings(rows=0, values=0), Nature.OWNED)
    assert empty.evidence[-1] == "no rows to look at"
    nulls = with_values(decided(Verdict.NONE), Findings(rows=7, values=0), Nature.OWNED)
    assert nulls.evidence[-1] == "0 values in 7 rows, too few to say anything"
    few = Findings(rows=2, values=2, valid={"phone": 2}, distinct=2)
    assert with_values(decided(Verdict.NONE), few, Nature.OWNED).verdict is Verdict.NONE
    constant = Findings(rows=90, values=90, valid={"card number": 90}, distinct=1)
    assert with_values(decided(Verdict.NONE), constant, Nature.OWNED).verdict is Verdict.NONE


def test_a_list_of_words_is_nobodys() -> None:
    """Few different ones among many values."""
    words = Findings(rows=100, values=100, valid={}, distinct=3)
    assert with_values(decided(Verdict.UNKNOWN, None, 0.35), words, Nature.PERSON).verdict is Verdict.NONE
    texts = Findings(rows=100, values=100, valid={}, distinct=90)
    assert with_values(decided(Verdict.UNKNOWN, None, 0.35), texts, Nature.PERSON).verdict is Verdict.UNKNOWN


def test_a_container_of_personal_keys_is_personal() -> None:
    """Whatever its own name says."""
    keys = Findings(rows=9, values=9, valid={KEYS: 4, PERSONAL_KEYS: 2}, distinct=9)
    found = with_values(decided(Verdict.NONE), keys, Nature.THING)
    assert (found.verdict, found.category) == (Verdict.PERSONAL, "user.content.private")


def test_documents_that_are_keyed_by_data_are_told() -> None:
    """Their keys are no names of columns: the decision stays as it was."""
    keyed = Findings(rows=9, values=9, valid={KEYS: 300}, distinct=9)
    found = with_values(decided(Verdict.NONE), keyed, Nature.OWNED)
    assert found.verdict is Verdict.NONE
    assert found.evidence == ("its documents have 300 different keys: they are data themselves",)
