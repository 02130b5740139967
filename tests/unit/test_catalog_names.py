"""Names as words and concepts: cases, abbreviations, gaps, accents and languages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.catalog.names import column_concepts, concepts, shared_prefix, words


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("phone_number", ("phone", "number")),
        ("PhoneNumber2", ("phone", "number", "2")),
        ("PHONE_NO", ("phone", "no")),
        ("userIPAddress", ("user", "ip", "address")),
        ("HTMLBody", ("html", "body")),
        ("e-mail", ("e", "mail")),
        ("prénom", ("prenom",)),
        ("Straße", ("strasse",)),
        ("größe", ("groesse",)),
        ("płeć", ("plec",)),
        ("", ()),
        ("___", ()),
        ("电话", ()),
    ],
)
def test_a_name_is_cut_into_words(name: str, expected: tuple[str, ...]) -> None:
    """At humps, digits and everything that is no letter; accents and case do not matter."""
    assert words(name) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dob", ("birth", "date")),
        ("dateOfBirth", ("birth", "date")),
        ("Geburtsdatum", ("birth", "date")),
        ("fecha_nacimiento", ("date", "birth")),
        ("date_de_naissance", ("date", "birth")),
        ("firstname", ("first", "name")),
        ("voornaam", ("first", "name")),
        ("imię", ("first", "name")),
        ("emailaddr", ("email",)),
        ("usermail", ("user", "email")),
        ("addresses", ("address",)),
        ("categories", ("category",)),
        ("workoutlog", ("workout", "log")),
        ("kod_pocztowy", ("code", "postcode")),
        ("postage", ("postage",)),
        ("catalog", ("catalog",)),
        # In two ways: accesskey and word, too.
        ("accesskeyword", ("access", "keyword")),
        ("xqzzylog", ("xqzzy", "log")),
        ("xqzzylogs", ("xqzzy", "log")),
        ("xqzlog", ("xqzlog",)),
    ],
)
def test_words_stand_for_concepts(name: str, expected: tuple[str, ...]) -> None:
    """Abbreviations, languages, plurals and words without gaps come to the same."""
    assert concepts(name) == expected


def test_a_prefix_that_a_table_shares_says_nothing() -> None:
    """Unless it is a word that means something: then it belongs to the names."""
    names = ["rc_id", "rc_title", "rc_ip", "rc_user_text"]
    assert shared_prefix(names) == "rc"
    assert column_concepts("rc_ip", "rc") == ("ip",)
    assert not shared_prefix(["user_id", "user_name", "user_email"])
    assert not shared_prefix(["id", "name", "mail"])
    assert column_concepts("rc", "rc") == ("rc",)


@given(st.text(max_size=40))
def test_any_name_can_be_read(name: str) -> None:
    """Whatever somebody called a column; the same each time, in lower case."""
    found = concepts(name)
    assert found == concepts(name)
    assert all(word == word.lower() for word in found)
