"""What sampled values are valid as: kinds, found by their form or check digits. Values are only counted.

Addresses, links, hashes of passwords and browsers are told by their form. Numbers of telephones, accounts,
cards and persons need `phonenumbers` and `python-stdnum` (the extra `aegis-privacy-worker[catalog]`); without
them these kinds are never found, and `PRESENT` says so.
"""

import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from aegis.catalog.findings import Findings

#: Whether numbers can be told.
PRESENT: Final = find_spec("phonenumbers") is not None and find_spec("stdnum") is not None
#: Kind → category of what is valid as such.
CATEGORIES: Final[Mapping[str, str]] = {
    "email": "user.contact.email",
    "phone": "user.contact.phone_number",
    "ip address": "user.device.ip_address",
    "hardware address": "user.device.device_id",
    "user agent": "user.device",
    "password hash": "user.authorization.password",
    "bearer token": "user.authorization.credentials",
    "profile link": "user.contact.url",
    "iban": "user.financial.bank_account",
    "card number": "user.financial.credit_card",
    "national id": "user.government_id.national_identification_number",
}
#: Longer values are texts, and not looked at as one of these.
LONGEST: Final = 200

#: Words alone are none of the kinds.
_HINT: Final = re.compile(r"[@/$\d{]")
#: Whatever is a number of some kind.
_NUMBER: Final = re.compile(r"(?=.*\d)[\w+. :/()-]{3,45}")
_EMAIL: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24}")
_MAC: Final = re.compile(r"[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}")
_AGENT: Final = re.compile(
    r"(?:Mozilla|Opera|curl|okhttp|Dalvik)/\d"
    r"|[A-Za-z]+/[\d.]+ \((?:iPhone|iPad|Linux|Windows|Macintosh|Android)"
)
_HASH: Final = re.compile(
    r"\$(?:2[abxy]|argon2\w*|scrypt|[156]|P|H|S|pbkdf2[\w-]*)\$|(?:pbkdf2|bcrypt|argon2)[\w]*\$|\{S?SHA\d*\}"
)
_BEARER: Final = re.compile(
    r"eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}|(?:sk|pk|ghp|glpat|xox[abp])[-_][A-Za-z0-9_-]{10,}"
)
_NETWORKS: Final = "linkedin|facebook|twitter|x|instagram|github|gitlab|youtube|tiktok|xing|t"
_PROFILE: Final = re.compile(
    rf"(?:https?://)?(?:[\w-]+\.)?(?:{_NETWORKS})\.(?:com|me)/[^/\s]+", re.IGNORECASE
)
_PHONE: Final = re.compile(r"(?:\+|00)[\d\s().\-/]{7,22}")
_IBAN: Final = re.compile(r"[A-Za-z]{2}\d{2}[A-Za-z0-9 ]{11,36}")
_DIGITS: Final = re.compile(r"[\d .-]{9,24}")
#: Shapes of numbers that states give to persons, and the modules that know their check digits.
_NATIONAL: Final = (
    (re.compile(r"[A-Za-z]{6}\w{2}[A-Za-z]\w{2}[A-Za-z]\w{3}[A-Za-z]"), "stdnum.it.codicefiscale"),
    (re.compile(r"\d{8}-?[A-Za-z]"), "stdnum.es.dni"),
    (re.compile(r"[XYZxyz]\d{7}-?[A-Za-z]"), "stdnum.es.nie"),
    (re.compile(r"[A-Za-z]{4}\d{6}[HMhm][A-Za-z]{5}\w\d"), "stdnum.mx.curp"),
    (re.compile(r"[12]\d{2}(?:0[1-9]|1[0-2]|[2-9]\d)\s?[\d ABab]{8,14}"), "stdnum.fr.nir"),
    (re.compile(r"\d{3}\.\d{3}\.\d{3}-\d{2}"), "stdnum.br.cpf"),
    (re.compile(r"\d{6}[-+A]\d{3}[\dA-Ya-y]"), "stdnum.fi.hetu"),
    (re.compile(r"\d{6}[-+]?\d{4}"), "stdnum.se.personnummer"),
    (re.compile(r"\d{11}"), "stdnum.pl.pesel"),
)
#: The lengths of cards, and what they begin with.
_CARD: Final = re.compile(
    r"(?:4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2[2-7]\d{14}|3[47]\d{13}|3[068]\d{12}|6(?:011|5\d\d)\d{12})"
)


def examine(values: Sequence[str | None]) -> Findings:
    """Count what the values of one column are valid as."""
    texts = Counter(text for value in values if value is not None and (text := value.strip()))
    counts: Counter[str] = Counter()
    for text, times in texts.items():
        for kind in _kinds(text):
            counts[kind] += times
    return Findings(rows=len(values), values=texts.total(), valid=dict(counts), distinct=len(texts))


def _kinds(text: str) -> list[str]:
    """Return the kinds that a value is valid as; most are none, and told so at once."""
    if len(text) > LONGEST:
        return ["user agent"] if _AGENT.match(text) else []
    if not _HINT.search(text):
        return []
    kinds = [kind for kind, fits in _FORMS.items() if fits(text)]
    if _NUMBER.fullmatch(text):
        kinds += [kind for kind, fits in _NUMBERS.items() if fits(text)]
    return kinds


def _is_email(text: str) -> bool:
    return "@" in text and _EMAIL.fullmatch(text) is not None


def _is_address(text: str) -> bool:
    if not ("." in text or ":" in text) or text.count(":") == 1:
        return False
    try:
        ipaddress.ip_interface(text)
    except ValueError:
        return False
    # A version has four parts now and then; nobody has the address 1.0.0.0 or fewer.
    return not text.startswith(("0.", "1.", "2.", "3."))


def _is_phone(text: str) -> bool:
    if not PRESENT or not _PHONE.fullmatch(text):
        return False
    numbers: Any = import_module("phonenumbers")
    try:
        parsed = numbers.parse(re.sub(r"^00", "+", text), None)
    except numbers.NumberParseException:
        return False
    return bool(numbers.is_valid_number(parsed))


def _is_iban(text: str) -> bool:
    return _IBAN.fullmatch(text) is not None and _checks("stdnum.iban", text)


def _is_card(text: str) -> bool:
    digits = re.sub(r"[ -]", "", text)
    return (
        _DIGITS.fullmatch(text) is not None
        and _CARD.fullmatch(digits) is not None
        and _checks("stdnum.luhn", digits)
    )


def _is_national(text: str) -> bool:
    return any(shape.fullmatch(text) and _checks(module, text) for shape, module in _NATIONAL)


def _checks(module: str, text: str) -> bool:
    if not PRESENT:
        return False
    known: Any = import_module(module)
    return bool(known.is_valid(text))


def _is_link(text: str) -> bool:
    return "/" in text and _PROFILE.match(text) is not None


_FORMS: Final[Mapping[str, Callable[[str], object]]] = {
    "email": _is_email,
    "user agent": _AGENT.match,
    "password hash": _HASH.match,
    "bearer token": _BEARER.match,
    "profile link": _is_link,
}
_NUMBERS: Final[Mapping[str, Callable[[str], object]]] = {
    "phone": _is_phone,
    "ip address": _is_address,
    "hardware address": _MAC.fullmatch,
    "iban": _is_iban,
    "card number": _is_card,
    "national id": _is_national,
}
