"""Every strategy on every database: the same values become the same, and what is declared is true."""

import datetime as dt
import hashlib
import hmac
import json
import re
from decimal import Decimal
from typing import Any, Final

import pytest
import sqlalchemy as sa

from aegis.db.engines import reading, writing
from aegis.db.reflection import read_layout
from aegis.errors import AegisError, InvalidPolicy
from aegis.masking.addresses import NOWHERE
from aegis.masking.constants import REDACTED
from aegis.masking.strategies import strategy_of
from aegis.masking.texts import ScrubText
from tests.maskbench import KEY, Outcome, mask, parsed
from tests.worlds import EACH_DATABASE, World, on

#: Plain, other scripts, combining, outside the first plane, letters that change their length; what SQL reads.
TEXTS: Final = (
    "Anna Schmidt",
    "a",
    "",
    "Stra\u00dfe 1",
    "\u0130stanbul",
    "Rene\u0301e",
    "\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "\u4f60\u597d \u4e16\u754c",
    "100% o'Neill \\ \\n %s %(a)s :b ? {c}",
    "a\nb\tc",
    "anna@example.com",
    "x" * 100,
    "\u00e9" * 100,
    None,
)
HEX: Final = "[0-9a-f]"


def token(text: str) -> str:
    """Return what Python makes of a text with the key."""
    digest = hmac.new(KEY.subkey("token"), text.encode(), hashlib.sha256).hexdigest()
    return f"k3_{digest[:32]}"


def partial(text: str, first: int, last: int) -> str:
    """Return what Python makes of a text."""
    if len(text) < first + 3 + last:
        return "***"
    return f"{text[:first]}***{text[len(text) - last :]}"


@on(*EACH_DATABASE)
def test_texts(world: World) -> None:
    """Constants, tokens and parts of every text are what Python makes of it."""
    models: dict[str, tuple[Any, Any]] = {
        "t_empty": ("empty", lambda _: ""),
        "t_redact": ("redact", lambda _: REDACTED),
        "t_word": ({"redact": "gel\u00f6scht"}, lambda _: "gel\u00f6scht"),
        "t_hmac": ("hmac", token),
        "t_mail": ("hmac_email", lambda text: f"{token(text)}@masked.invalid"),
        "t_first": ({"partial": {"first": 2}}, lambda text: partial(text, 2, 0)),
        "t_both": ({"partial": {"first": 1, "last": 3}}, lambda text: partial(text, 1, 3)),
    }
    for name, (spec, model) in models.items():
        found = mask(world, name, "{text}", spec, TEXTS).first
        assert found == [None if text is None else model(text) for text in TEXTS], name
    forms = {
        "surrogate_email": f"s1_{HEX}{{32}}@masked\\.invalid",
        "random_token": f"r1_{HEX}{{48}}",
        "surrogate": f"s1_{HEX}{{32}}",
    }
    for spec, form in forms.items():
        found = mask(world, f"t_{spec}", "{text}", spec, TEXTS).first
        assert all(text is None or re.fullmatch(form, text) for text in found), spec


@on(*EACH_DATABASE)
def test_a_near_token_is_no_token(world: World) -> None:
    """One character more or less, another case, or a line's end behind it: it is masked again."""
    body = "0a" * 16
    near = {
        "hmac": [
            f"k3_{body}0",
            f"k3_{body}\n",
            f"K3_{body}",
            f"k_{body}",
            f"k123456789_{body}",
            f"k3_{body}".upper(),
        ],
        "surrogate_email": [
            f"s1_{body}@masked.invalid\n",
            f"s1_{body}@masked-invalid",
            f"S1_{body}@masked.invalid",
        ],
        "random_token": [f"r1_{body}", f"r1_{'0' * 48}\n", f"r1_{'A' * 48}"],
    }
    real = {
        "hmac": f"k9z_{body}",
        "surrogate_email": f"s1_{body}@masked.invalid",
        "random_token": f"r1_{'0' * 48}",
    }
    for spec, values in near.items():
        found = mask(world, f"n_{spec}", "VARCHAR(100)", spec, values).first
        assert not set(found) & set(values), spec
        assert mask(world, f"r_{spec}", "VARCHAR(100)", spec, [real[spec]], copies=1).texts == [real[spec]]


@on("postgresql-one", "mariadb-one")
def test_texts_of_every_type(world: World) -> None:
    """Padded text, and on MariaDB text in other encodings, is masked as it is read."""
    kinds = ["CHAR(100)"]
    if world.dialect == "mariadb":
        kinds += ["VARCHAR(100) CHARACTER SET latin1", "VARCHAR(100) CHARACTER SET ascii COLLATE ascii_bin"]
    text = "anna@example.com 10.20.30.40"
    expected = {
        "hmac": token(text),
        "redact": REDACTED,
        "scrub_text": "[email] [ip]",
        "truncate_ip": NOWHERE,
        "empty": "",
    }
    for number, kind in enumerate(kinds):
        for spec, after in expected.items():
            found = mask(world, f"kind{number}_{spec}", kind, spec, [text]).texts
            assert [str(value).rstrip() for value in found] == [after]
        masked = mask(world, f"kind{number}_partial", kind, {"partial": {"last": 2}}, [text]).texts
        assert [str(value).rstrip() for value in masked] == ["***40"]


@on(*EACH_DATABASE)
def test_numbers(world: World) -> None:
    """Numbers fall to the bound below them, to the last digit, on either side of zero."""
    ints = [0, 1, 9, 10, 11, 17, 18, 64, 65, 99_999, -1, -10, -11, None]
    tens = [0, 0, 0, 10, 10, 10, 10, 60, 60, 99_990, -10, -10, -20, None]
    assert mask(world, "g_int", "INT", {"generalize": 10}, ints).first == tens
    bands = [0, 0, 0, 0, 0, 0, 18, 18, 65, 65, 0, 0, 0, None]
    assert mask(world, "g_bands", "INT", {"generalize": [0, 18, 65]}, ints).first == bands
    wide = [0, 99_999, 100_000, 123_456, -1]
    assert mask(world, "g_wide", "INT", {"generalize": 100_000}, wide).first == [
        0,
        0,
        100_000,
        100_000,
        -100_000,
    ]
    money = [Decimal(text) for text in ("0.05", "12.34", "12.50", "-0.01", "99999.99")]
    stored = [float(number) for number in money] if world.dialect == "sqlite" else money
    half = mask(world, "g_money", "NUMERIC(10,2)", {"generalize": "0.5"}, stored).first
    assert [Decimal(str(number)) for number in half] == [
        Decimal(t) for t in ("0", "12", "12.5", "-0.5", "99999.5")
    ]
    places = [13.3777, 0.3, 0.7, 52.52, -0.05, 1e15 + 0.5]
    kinds = ["DOUBLE PRECISION", *(["REAL"] if world.dialect == "postgresql" else [])]
    for number, kind in enumerate(kinds):
        found = mask(world, f"g_float{number}", kind, {"generalize": 0.1}, places[:5]).first
        assert found == [13.3, 0.3, 0.7, 52.5, -0.1]


@on(*EACH_DATABASE)
def test_noise(world: World) -> None:
    """Each row is moved by its own number, which keeps within the bound and to the column's digits."""
    found = mask(world, "n_int", "INT", {"noise": 3}, [1000] * 60, marked=True)
    moves = {value - 1000 for value in found.first + found.second}
    assert moves == set(range(-3, 4))
    money = mask(world, "n_money", "NUMERIC(10,2)", {"noise": "0.25"}, [7.5] * 60, marked=True)
    amounts = {Decimal(str(value)) - Decimal("7.5") for value in money.first + money.second}
    assert max(map(abs, amounts)) <= Decimal("0.25")
    assert len(amounts) > 20
    assert all(amount == round(amount, 2) for amount in amounts)
    floats = mask(world, "n_float", "DOUBLE PRECISION", {"noise": 0.5}, [52.52] * 9, marked=True).first
    assert len(set(floats)) == 9
    assert all(abs(value - 52.52) <= 0.5 + 1e-9 for value in floats)


MOMENTS: Final = (
    dt.datetime(2024, 2, 29, 23, 59, 59, 999_999, tzinfo=dt.UTC),
    dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
    dt.datetime(1969, 12, 31, 12, 30, tzinfo=dt.UTC),
    None,
)


def instants(found: list[Any]) -> list[str | None]:
    """Return times as text in UTC, to the second."""
    return [None if value is None else _instant(value) for value in found]


def _instant(value: Any) -> str:
    moment = value if isinstance(value, dt.datetime) else dt.datetime.fromisoformat(value)
    utc = moment.astimezone(dt.UTC) if moment.tzinfo else moment
    return utc.strftime("%Y-%m-%d %H:%M:%S")


@on(*EACH_DATABASE)
def test_truncated_dates(world: World) -> None:
    """Dates and times become the first instant of their unit in UTC."""
    days = [dt.date(2024, 2, 29), dt.date(2024, 1, 1), dt.date(1999, 12, 31), None]
    assert mask(world, "d_month", "DATE", {"truncate_date": "month"}, days).texts == [
        "2024-02-01",
        "2024-01-01",
        "1999-12-01",
        None,
    ]
    assert mask(world, "d_year", "DATE", {"truncate_date": "year"}, days).texts == [
        "2024-01-01",
        "2024-01-01",
        "1999-01-01",
        None,
    ]
    units = {
        "day": ["2024-02-29 00:00:00", "2024-01-01 00:00:00", "1969-12-31 00:00:00", None],
        "month": ["2024-02-01 00:00:00", "2024-01-01 00:00:00", "1969-12-01 00:00:00", None],
        "year": ["2024-01-01 00:00:00", "2024-01-01 00:00:00", "1969-01-01 00:00:00", None],
    }
    walls = [value and value.replace(tzinfo=None) for value in MOMENTS]
    # MariaDB's TIMESTAMP begins in 1970.
    first = 3 if world.dialect == "mariadb" else len(MOMENTS)
    for unit, expected in units.items():
        found = mask(world, f"m_{unit}", "{wall}", {"truncate_date": unit}, walls).first
        assert instants(found) == expected
        if unit != "year":
            aware = [v for n, v in enumerate(MOMENTS) if n < first - 1 or v is None]
            kept = [e for e, v in zip(expected, MOMENTS, strict=True) if v in aware]
            assert (
                instants(mask(world, f"i_{unit}", "{instant}", {"truncate_date": unit}, aware).first) == kept
            )


@on(*EACH_DATABASE)
def test_shifted_dates(world: World) -> None:
    """All dates of one subject move by one number of days that Python computes alike; hours stay."""
    days = [dt.date(2024, 3, n + 1) for n in range(14)]
    spec = {"shift_date": {"days": 30, "by": "who"}}
    found = mask(world, "s_day", "DATE", spec, days, marked=True).texts
    expected = [str(day + shift(str(n % 7))) for n, day in enumerate(days)]
    assert found == expected
    walls = [dt.datetime(2024, 3, n + 1, 11, 22, 33) for n in range(14)]  # noqa: DTZ001 - a time without a zone
    moved = instants(mask(world, "s_wall", "{wall}", spec, walls, marked=True).first)
    assert moved == [str(wall + shift(str(n % 7))) for n, wall in enumerate(walls)]
    aware = [wall.replace(tzinfo=dt.UTC) for wall in walls]
    assert instants(mask(world, "s_instant", "{instant}", spec, aware, marked=True).first) == moved


def shift(subject: str) -> dt.timedelta:
    """Return by how much Python moves a subject's dates, by 30 days at most."""
    digest = hmac.new(KEY.subkey("shift"), subject.encode(), hashlib.sha256).hexdigest()
    return dt.timedelta(days=int(digest[:12], 16) % 61 - 30)


@on("sqlite-one")
def test_times_as_text(world: World) -> None:
    """SQLite: what is written has the form of what was read; what is no time becomes NULL."""
    forms = {
        "2024-02-29": "2024-02-01",
        "2024-02-29 10:20": "2024-02-01 00:00",
        "2024-02-29T10:20:30Z": "2024-02-01T00:00:00Z",
        "2024-02-29 10:20:30.123": "2024-02-01 00:00:00.000",
        "2024-03-01T00:30:00+02:00": "2024-02-01T00:00:00+00:00",
        "tomorrow": None,
        "2024-02-30": None,
    }
    found = mask(world, "f", "DATETIME", {"truncate_date": "month"}, list(forms)).first
    assert found == list(forms.values())
    assert mask(
        world, "g", "DATETIME", {"shift_date": {"days": 1, "by": "who"}}, ["never"], marked=True
    ).first == [None]


ADDRESSES: Final = {
    "192.168.17.255": "192.168.17.0",
    "10.0.0.0": "10.0.0.0",
    "255.255.255.255": "255.255.255.0",
    "::ffff:192.168.17.255": "192.168.17.0",
    "::FFFF:1.2.3.4": "1.2.3.0",
    "2001:db8:abcd:12:34:56:78:9a": "2001:db8:abcd::",
    "2001:0DB8:00cd::1": "2001:db8:cd::",
    "fe80::1": "fe80::",
    "0:0:5:6:7:8:9:a": "0:0:5::",
    "1:2:3:4:5:6:7::": "1:2:3::",
    "1:2:3:4:5:6:1.2.3.4": "1:2:3::",
    "::1.2.3.4": "::",
    "::": "::",
    "::1": "::",
    "": NOWHERE,
    "1.2.3": NOWHERE,
    "01.2.3.4": NOWHERE,
    "256.1.1.1": NOWHERE,
    "1.2.3.4\n": NOWHERE,
    " 1.2.3.4": NOWHERE,
    "1.2.3.4/24": NOWHERE,
    "1.2.3.4, 5.6.7.8": NOWHERE,
    "fe80::1%eth0": NOWHERE,
    "1:2:3:4:5:6:7:8:9": NOWHERE,
    "1::2::3": NOWHERE,
    "12345::": NOWHERE,
    "localhost": NOWHERE,
    "\u0661.2.3.4": NOWHERE,
}


@on(*EACH_DATABASE)
def test_addresses(world: World) -> None:
    """An address becomes its network, and a text that is none becomes no address."""
    found = mask(world, "ip", "{text}", "truncate_ip", [*ADDRESSES, None]).first
    assert dict(zip(ADDRESSES, found, strict=False)) == ADDRESSES
    short = mask(
        world, "ip16", "{text}", {"truncate_ip": {"v4": 16, "v6": 32}}, ["10.20.30.40", "2001:db8::1"]
    ).first
    assert short == ["10.20.0.0", "2001:db8::"]
    if world.dialect == "postgresql":
        native = {
            "10.20.30.40": "10.20.30.0/24",
            "10.0.0.0/8": "10.0.0.0/8",
            "::ffff:10.20.30.40": "::ffff:a14:1e00/120",
            "2001:db8:abcd:12::1": "2001:db8:abcd::/48",
        }
        assert mask(world, "inet", "INET", "truncate_ip", list(native)).texts == list(native.values())
        assert mask(world, "cidr", "CIDR", "truncate_ip", ["10.20.30.40/32", "10.0.0.0/8"]).texts == [
            "10.20.30.0/24",
            "10.0.0.0/8",
        ]


SCRUBBED: Final = {
    "Write to anna@example.com, please.": "Write to [email], please.",
    "<anna.b+c@ex-ample.co.uk>; J\u00f6rg@m\u00fcller.de!": "<[email]>; [email]!",
    "mailto:a@b%20x anna%40example.com": "mailto:[email] [email]",
    "a@b@c.de": "[email]@c.de",
    "@anna and anna@ are none": "@anna and anna@ are none",
    "Call +49 (30) 123-45 67 or 0301234567now": "Call [phone] or [phone]now",
    "on 2024-01-15 10:20:30, 12 of 345": "on 2024-01-15 10:20:30, 12 of 345",
    "(2024-01-15) 2024-01-15 2024-01-16": "(2024-01-15) 2024-01-15 2024-01-16",
    "4111 1111 1111 1111": "[phone]",
    "from 192.168.17.4, fe80::1:2 and ::ffff:10.0.0.1": "from [ip], [ip] and [ip]",
    "2001:db8:1:2:3:4:5:6 std::vector 10:20": "[ip] std::vector 10:20",
    "\u4f60\u597d \U0001f600 100% \\1 $1 &": "\u4f60\u597d \U0001f600 100% \\1 $1 &",
    "": "",
    "line one anna@example.com\nline two 0301234567\n": "line one [email]\nline two [phone]\n",
}
#: Much of what a pattern has to walk through; the expected text is short where it fits as a whole.
LONG: Final = {
    "a" * 30_000: "a" * 30_000,
    "1 " * 15_000: "[phone] ",
    "a@" * 10_000: None,
    "1:" * 10_000: None,
    "." * 30_000: "." * 30_000,
    "(" * 30_000: "(" * 30_000,
}


@on(*EACH_DATABASE)
def test_scrubbed_texts(world: World) -> None:
    """Addresses and numbers give way to words, the same everywhere, and nothing else changes."""
    found = mask(world, "scrub", "TEXT", "scrub_text", [*SCRUBBED, None]).first
    assert dict(zip(SCRUBBED, found, strict=False)) == SCRUBBED
    kind = "LONGTEXT" if world.dialect == "mariadb" else "TEXT"
    long = mask(world, "scrub_long", kind, "scrub_text", list(LONG)).first
    for before, after in zip(LONG, long, strict=True):
        assert after == (LONG[before] if LONG[before] is not None else by_python(before))


def by_python(text: str) -> str:
    """Return what Python makes of a text."""
    for pattern, word in ScrubText().patterns():
        text = re.sub(pattern, word, text)
    return text


@on(*EACH_DATABASE)
def test_scrubbed_identifiers(world: World) -> None:
    """A subject's own identifiers go in capitals, small letters, both normal forms; short ones as words."""
    strategy = ScrubText(["Ren\u00e9e M\u00fcller", "Stra\u00dfe 7", "al", "a.b*c(d", "\u0130pek"])
    texts = {
        "for REN\u00c9E M\u00dcLLER's": "for [redacted]'s",
        "rene\u0301e mu\u0308ller": "[redacted]",
        "STRASSE 7, stra\u00dfe 7": "[redacted], [redacted]",
        "Al, AL and also pal \u00e9al al": "[redacted], [redacted] and also pal \u00e9al [redacted]",
        "a.b*c(d aXb*c(d": "[redacted] aXb*c(d",
        "\u0130PEK i\u0307pek": "[redacted] [redacted]",
    }
    assert mask(world, "own", "TEXT", strategy, list(texts)).first == list(texts.values())


DOCUMENTS: Final[tuple[Any, ...]] = (
    {"email": "anna@example.com", "age": 7, "contact": {"phone": "030", "tags": ["a", {"email": "b"}]}},
    {"email": 'Stra\u00dfe \U0001f600 "q" \\ 100%'},
    {"email": None, "contact": None},
    {"email": ["anna@example.com"], "contact": {"phone": {"own": "030"}}},
    {"email": 12, "contact": "anna"},
    {"email": True},
    {"Email": "anna", "e mail": "anna"},
    [{"email": "anna"}],
    "anna",
    {},
)


@on(*EACH_DATABASE)
def test_documents(world: World) -> None:
    """What stands at a path is masked as its text, an object there becomes null, and the rest stays."""
    values = [json.dumps(value, ensure_ascii=n % 2 == 0) for n, value in enumerate(DOCUMENTS)]
    spec = {"json_set": {"$.email": "hmac", "$.contact.phone": "redact"}}
    for name in ("JSON", "JSONB") if world.dialect == "postgresql" else ("JSON",):
        found = documents(mask(world, f"js_{name.lower()}", name, spec, [*values, None]))
        assert found == [*[set_by_python(value) for value in DOCUMENTS], None]
        spec_delete = {"json_delete": ["$.contact.phone", '$."e mail"']}
        found = documents(mask(world, f"jd_{name.lower()}", name, spec_delete, [*values, None]))
        assert found == [*[delete_by_python(value) for value in DOCUMENTS], None]
        assert documents(mask(world, f"je_{name.lower()}", name, "empty", values)) == [
            [] if isinstance(value, list) else {} for value in DOCUMENTS
        ]


@on("sqlite-one", "mariadb-one")
def test_what_is_no_document(world: World) -> None:
    """A text that is no JSON, or that names a key twice on the way, is not kept."""
    texts = [
        "anna@example.com",
        "{'email': 1}",
        '{"email": "a"',
        "",
        '{"email": "a", "email": "b"}',
        '{"a": NaN}',
    ]
    kind = "LONGTEXT" if world.dialect == "mariadb" else "TEXT"
    for name, spec in (("s", {"json_set": {"$.email": "null"}}), ("d", {"json_delete": ["$.email"]})):
        assert mask(world, f"no_{name}", kind, spec, texts).first == ["{}"] * len(texts)
    nested = ['{"a": {"b": 1}, "a": {"b": 2}}', '{"\\u0065mail": "a"}', '{"gr\\u00f6\\u00dfe": 1}']
    spec = {"json_set": {"$.a.b": "null", "$.email": "redact"}}
    key = {} if world.dialect == "mariadb" else {"email": REDACTED}
    assert documents(mask(world, "no_n", kind, spec, nested)) == [{}, key, {"gr\u00f6\u00dfe": 1}]


def documents(done: Outcome) -> list[Any]:
    """Return what became of documents, as data."""
    return [parsed(value) for value in done.first]


def set_by_python(value: Any) -> Any:
    """Return what Python makes of a document."""
    if not isinstance(value, dict):
        return value
    done = dict(value)
    if done.get("email") is not None:
        email = done["email"]
        done["email"] = (
            None if isinstance(email, list) else token(email if isinstance(email, str) else json.dumps(email))
        )
    contact = done.get("contact")
    if isinstance(contact, dict):
        done["contact"] = {**contact, "phone": None if isinstance(contact["phone"], dict) else REDACTED}
    return done


def delete_by_python(value: Any) -> Any:
    """Return what Python makes of a document."""
    if not isinstance(value, dict):
        return value
    done = {key: inner for key, inner in value.items() if key != "e mail"}
    if isinstance(done.get("contact"), dict):
        done["contact"] = {key: inner for key, inner in done["contact"].items() if key != "phone"}
    return done


@on(*EACH_DATABASE)
def test_defaults(world: World) -> None:
    """The column's own default is written and recognised, whatever its type."""
    kinds = {
        "VARCHAR(20) DEFAULT 'it''s'": ("x", "it's"),
        "INT DEFAULT 7": (5, "7"),
        "INT DEFAULT -7": (5, "-7"),
        "NUMERIC(6,2) DEFAULT 1.50": (5, "1.5"),
        "BOOLEAN DEFAULT FALSE": (True, "0"),
        "DATE DEFAULT '1900-01-01'": (dt.date(2000, 1, 1), "1900-01-01"),
    }
    for number, (kind, (value, expected)) in enumerate(kinds.items()):
        (found,) = mask(world, f"default{number}", kind, "default", [value]).first
        assert (
            str(int(found) if isinstance(found, bool) else found).rstrip("0" if "." in str(found) else "")
            == expected
        )


REFUSED: Final[dict[str, tuple[str, Any, str]]] = {
    # what: (column, strategy, what the message says)
    "no default": ("v {text}", "default", "no default that is a constant"),
    "a computed default": ("v {wall} DEFAULT CURRENT_TIMESTAMP", "default", "default masks"),
    "a default of a text that is computed": (
        "v {text} DEFAULT (lower('A'))",
        "default",
        "no default that is a constant",
    ),
    "a token too long": ("v VARCHAR(41)", "hmac", "42 characters.*takes 41"),
    "an address too long": ("v VARCHAR(49)", "surrogate_email", "50 characters.*takes 49"),
    "a secret too long": ("v VARCHAR(50)", "random_token", "51 characters.*takes 50"),
    "a part too long": ("v VARCHAR(4)", {"partial": {"first": 2}}, "5 characters.*takes 4"),
    "a network too long": ("v VARCHAR(15)", "truncate_ip", "16 characters.*takes 15"),
    "a step of too many digits": ("v NUMERIC(5,1)", {"generalize": "0.25"}, "keeps 1 digits"),
    "noise of too many digits": ("v INT", {"noise": "0.5"}, "keeps 0 digits"),
    "noise nobody sees": ("v INT", {"noise": 5}, "name a marker_column"),
    "a day of a date": ("v DATE", {"truncate_date": "day"}, "takes nothing away"),
    "nobody's date": ("v DATE", {"shift_date": {"days": 5, "by": "whose"}}, "no column 'whose'"),
    "a number for an address": ("v INT", "surrogate_email", "masks text"),
    "the same part in a unique column": (
        "v VARCHAR(9) UNIQUE",
        {"partial": {"first": 1}},
        "lets it stand once",
    ),
    "the same step in a unique column": ("v INT UNIQUE", {"generalize": 5}, "lets it stand once"),
    "a CHECK on a token": ("v VARCHAR(60), CONSTRAINT ck CHECK (v LIKE '%@%')", "hmac", "CHECK ck .*objects"),
    "a CHECK on a constant": ("v INT, CONSTRAINT ck CHECK (v > 0)", {"constant": 0}, "CHECK ck .*objects"),
}


@on(*EACH_DATABASE)
def test_what_does_not_fit(world: World) -> None:
    """What a column cannot take is refused with the table, the column and the cure, before any row."""
    for number, (what, (column, spec, message)) in enumerate(REFUSED.items()):
        kind = column.removeprefix("v ")
        if world.dialect == "mariadb" and "CURRENT_TIMESTAMP" in kind:
            kind = "DATETIME DEFAULT CURRENT_TIMESTAMP"
        with pytest.raises(InvalidPolicy, match=message):
            mask(world, f"refused{number}", kind, spec, [None])
        assert what


@on(*EACH_DATABASE)
def test_checks_that_agree(world: World) -> None:
    """A CHECK that a token fulfils, and one that reads another column too, do not stand in the way."""
    kind = "VARCHAR(60), CONSTRAINT a CHECK (v LIKE '%@%'), CONSTRAINT b CHECK (v LIKE 'x%' OR id >= 0)"
    (found,) = mask(world, "agree", kind, "hmac_email", ["anna@example.com"]).first
    assert found.endswith("@masked.invalid")


@on("postgresql-one")
def test_domains(world: World) -> None:
    """PostgreSQL: a domain is masked as what it is made of, and its rules are asked beforehand."""
    world.execute("CREATE DOMAIN mail AS VARCHAR(80) CHECK (VALUE LIKE '%@%')")
    (found,) = mask(world, "mails", "mail", "surrogate_email", ["anna@example.com"], copies=1).first
    assert found.endswith("@masked.invalid")
    with pytest.raises(InvalidPolicy, match=r"domain mail of column v .*objects"):
        mask(world, "words", "mail", "surrogate", ["anna@example.com"])
    with pytest.raises(InvalidPolicy, match="make it jsonb"):
        mask(world, "docs", "TEXT", {"json_delete": ["$.a"]}, ["{}"])


@on(*EACH_DATABASE)
def test_no_key_in_an_error(world: World) -> None:
    """A statement that fails shows neither the key nor what is derived of it, nor a value."""
    world.execute("CREATE TABLE tight (id INT PRIMARY KEY, v VARCHAR(60) NOT NULL)")
    world.execute("INSERT INTO tight (id, v) VALUES (1, 'anna'), (2, 'anna')")
    engine = world.system.databases.source(world.datasource)
    inner, outer = KEY.pads("token")
    secrets = [KEY.secret, KEY.subkey("token"), inner, outer]
    with reading(engine, "test") as connection:
        table = read_layout(connection, "tight").table
    made = strategy_of("hmac").expression(table.c.v, KEY)
    statement = sa.update(table).values(id=5, v=sa.func.nullif(made, token("anna")))
    with pytest.raises(AegisError) as caught, writing(engine, "test") as writer:
        writer.execute(statement)
    shown = f"{caught.value} {caught.value.__context__} {statement.compile(dialect=engine.dialect)} {KEY!r}"
    assert "anna" not in shown
    for secret in secrets:
        assert not [form for form in (repr(secret)[2:-1], secret.hex()) if form in shown]
