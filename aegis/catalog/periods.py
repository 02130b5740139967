"""How long rows of each kind are kept where nobody has said so: a number to begin with, and where it is from.

None of this is legal advice. A number is what an authority, a court or common practice has named for such
data; what is right for a given application is for a person to decide, who has to accept every policy.
"""

from dataclasses import dataclass
from typing import Final, Literal

#: Stands behind every number.
CAVEAT: Final = "not legal advice"
_LIMITATION: Final = "GDPR art. 5(1)(e)"
_CNIL_LOGS: Final = "CNIL, recommendation on logging, deliberation 2021-122: six months to one year"


@dataclass(frozen=True, kw_only=True)
class Period:
    """How long, what happens then, and why."""

    days: int
    action: Literal["delete", "anonymize"]
    #: A sentence for the person who decides.
    reason: str
    #: Who named the number.
    source: str

    @property
    def evidence(self) -> str:
        """The number with its reason and its source, in a line."""
        return f"{self.days} days: {self.reason} ({self.source}; {CAVEAT})"


ENDED: Final = Period(
    days=30,
    action="delete",
    reason="what has ended is of use for a short while, to look into misuse",
    source=f"{_LIMITATION}; practice: 30 to 90 days",
)
UNUSED: Final = Period(
    days=90,
    action="delete",
    reason="it says no end, so the longer time of practice counts, from its last use or its beginning",
    source=f"{_LIMITATION}; practice: 30 to 90 days",
)
MAIL: Final = Period(
    days=90,
    action="delete",
    reason="a log of mail answers questions about deliveries",
    source=f"{_LIMITATION}; practice: 30 to 90 days",
)
ADDRESSES: Final = Period(
    days=90,
    action="anonymize",
    reason="addresses and devices in a log serve security, for as long as an attack is looked into",
    source=f"{_LIMITATION}; practice: 90 days",
)
LOGS: Final = Period(
    days=365,
    action="delete",
    reason="access and audit logs show misuse, which is found late",
    source=_CNIL_LOGS,
)
DELETED: Final = Period(
    days=30,
    action="anonymize",
    reason="its author deleted it, and may want it back for a while",
    source=f"GDPR art. 17 and 12(3); {_LIMITATION}",
)
INACTIVE: Final = Period(
    days=730,
    action="anonymize",
    reason="an account that nobody has used for two years is no longer needed",
    source="CNIL, SAN-2022-020 of 10 November 2022 (Discord)",
)
BEHAVIOUR: Final = Period(
    days=395,
    action="delete",
    reason="what somebody did serves statistics, for a year and a month so that years can be compared",
    source="CNIL, guidelines on cookies, deliberation 2020-091: 13 months",
)
CARTS: Final = Period(
    days=90,
    action="delete",
    reason="a basket that was never ordered is no business record",
    source=f"{_LIMITATION}; practice: 7 to 90 days",
)


@dataclass(frozen=True, kw_only=True)
class Floor:
    """How long the law wants rows to be kept: a floor, no ceiling."""

    #: ISO 8601; the longest of those that the basis names.
    period: str
    reason: str
    basis: str


RECORDS: Final = Floor(
    period="P10Y",
    reason="tax and commercial law",
    basis="FR Code de commerce L123-22: 10 years; DE AO §147: 8 years; take your country's",
)
#: Kinds of which no number is proposed → what a person is asked.
ASKED: Final = {
    "medical": "health data: the time follows from the law of your country and from the treatment",
    "employment": (
        "employment data: the time follows from labour law; of refused applicants at most 730 days "
        "(CNIL, guide on recruitment)"
    ),
    "consent": "proof of a consent is kept as long as the consent is used, and some time for disputes",
    "device": "a device is somebody's way in for as long as they use it",
    "unknown": "nobody can tell what a row of it is, and it holds something personal",
}
