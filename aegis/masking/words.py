"""What each strategy does, in words for somebody who reads no SQL: a privacy officer, an auditor."""

from collections.abc import Mapping
from typing import Final

#: Strategy → what stands in the column afterwards. No argument is told: it could be a person's value.
WORDS: Final[Mapping[str, str]] = {
    "null": "emptied: nothing stands there any more",
    "constant": "the same fixed value in every row",
    "default": "the value that the column has in a new row",
    "empty": "an empty text or document",
    "redact": "a fixed note that something was removed, such as [redacted]",
    "surrogate": "a random token, another one in each row",
    "surrogate_email": "a random address that cannot exist, another one in each row",
    "random_token": "a random token in place of a secret: what was there opens nothing any more",
    "truncate_ip": "the network that the internet address belongs to, without the device's part",
    "truncate_date": "the beginning of the year, month or day that the date lies in",
    "generalize": "the range that the number lies in",
    "json_delete": "the document without the parts that the data map names",
    "json_set": "the document with the parts that the data map names written over",
    "partial": "the ends of the text, with *** for what is between them",
    "scrub_text": (
        "the text with words such as [email] in place of addresses, telephone numbers and, in an erasure, "
        "the person's own identifiers; other names are not found"
    ),
    "noise": "the number with a random one added to it",
    "hmac": "a token computed from the value with a secret key: equal values get equal tokens",
    "hmac_email": "a token computed from the address with a secret key, in the form of an address",
    "shift_date": "the date moved by some days, all dates of one group by as many",
    "preserve": "left as it is, because somebody decided so",
}
#: Outcome → what that means for the person.
OUTCOMES: Final[Mapping[str, str]] = {
    "anonymous": "nothing of the value is left, or only the group that it lies in",
    "pseudonymous": "with a key, or with what else is known, somebody could still tell whose it was",
    "unchanged": "nothing is written",
}
