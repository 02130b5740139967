"""What a column may hold, guessed from its name and type: suggestions for people, never decisions."""

import re
from typing import Final

import sqlalchemy as sa

#: A pattern of the name, what it is called among data categories, and strategies to think about.
_GUESSES: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), category, strategies)
    for pattern, category, strategies in (
        (r"e_?mail", "user.contact.email", "surrogate_email"),
        (r"phone|mobile|(^|_)tel(_|$)|fax", "user.contact.phone_number", '"null" or surrogate'),
        (r"(^|_)ip(_|$|v[46])|ip_?addr|remote_addr", "user.device.ip_address", 'truncate_ip or "null"'),
        (r"passw|secret|token|(^|_)otp|salt|api_?key", "user.authorization.credentials", "random_token"),
        (r"street|address|city|zip|postal|postcode", "user.contact.address", '"null" or redact'),
        (
            r"(^|_)(first|last|full|display|middle|sur|nick|user)?_?name$|login|handle",
            "user.name",
            "surrogate",
        ),
        (r"birth|(^|_)dob(_|$)", "user.demographic.date_of_birth", 'generalize or "null"'),
        (r"iban|account_?n|card|(^|_)bic(_|$)|tax_?id|vat|ssn", "user.financial", '"null"'),
        (r"user_?agent|browser|device|fingerprint|session", "user.device", '"null"'),
        (r"avatar|photo|picture|image", "user.content", '"null"'),
        (r"body|comment|message|note|description|bio|text|content|reason|subject|title", "user.content", ""),
    )
)


def strategies(column: sa.Column[object]) -> str:
    """Return strategies to think about, for a comment; empty: none comes to mind."""
    for pattern, _, found in _GUESSES:
        if pattern.search(column.name):
            return found or "scrub_text or preserve"
    name = column.type.__visit_name__
    if name in {"JSON", "JSONB"}:
        return "json_set or json_delete"
    if name in {"INET", "CIDR", "INET4", "INET6"}:
        return 'truncate_ip or "null"'
    return ""


def category(name: str) -> str | None:
    """Return the data category that a column of this name most likely has."""
    return next((found for pattern, found, _ in _GUESSES if pattern.search(name)), None)


def identifier(name: str) -> str | None:
    """Return the kind of identifier that a column of this name most likely is."""
    kinds = {"user.contact.email": "email", "user.contact.phone_number": "phone", "user.name": "name"}
    return kinds.get(category(name) or "")
