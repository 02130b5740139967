"""What to do with the old rows of a table, by its kind: the draft of a policy, or why there is none."""

from dataclasses import dataclass, field
from typing import Any, Final

from aegis.catalog import conditions, periods
from aegis.catalog.clocks import LADDERS, Age, Meaning, best
from aegis.catalog.masks import mask_for
from aegis.catalog.names import concepts, words
from aegis.catalog.natures import Nature
from aegis.catalog.periods import Period
from aegis.catalog.survey import Survey
from aegis.datamap.model import PRESERVE, TODO

#: Ways in that stay open until somebody closes them: of age they die only where they say when.
_LASTING: Final = frozenset(
    [
        "api",
        "ssh",
        "pgp",
        "gpg",
        "passkey",
        "webauthn",
        "authenticator",
        "mfa",
        "otp",
        "totp",
        "factor",
        "pat",
        "secret",
        "credential",
        "password",
        "identity",
        "authentication",
        "application",
        "client",
        "device",
        "certificate",
        "key",
    ]
)
_CARTS: Final = frozenset({"cart", "basket"})
_WISHES: Final = frozenset({"wishlist"})
#: What is counted rather than kept: a vote or a favourite stays as long as its person.
_COUNTED: Final = frozenset(
    {
        "view",
        "productview",
        "pageview",
        "hit",
        "click",
        "impression",
        "visit",
        "tracking",
        "swipe",
        "conversion",
    }
    | {"scrobble", "play", "playback", "watch"}
)
_EVENTS: Final = frozenset({Nature.ACTIVITY, Nature.BEHAVIOUR, Nature.SEARCH})
#: What people did to get in: a log.
_ENTERED: Final = frozenset({"login", "signin", "access", "authentication"})


@dataclass(kw_only=True)
class Draft:
    """A policy while it is put together."""

    survey: Survey
    label: str
    age: Age
    period: Period
    suffix: str
    sure: float = 0.9
    condition: str | None = None
    masks: dict[str, Any] | None = None
    delete_after: int | None = None
    #: What a person is told besides.
    notes: list[str] = field(default_factory=list)


def draft(survey: Survey, label: str, found: list[Age]) -> Draft | str | None:
    """Return the draft of a table's policy, or why it gets none; None for a kind of which nothing is known.

    Args:
        survey: the data source, with what was found in it.
        label: the table.
        found: its columns that tell a row's age.

    """
    nature = survey.natures[label]
    make = {
        Nature.ORDER: _order,
        Nature.PAYMENT: _order,
        Nature.SESSION: _session,
        Nature.LOG: _log,
        Nature.MAIL: _mail,
        Nature.PERSON: _person,
        Nature.CONTENT: _content,
    }.get(nature, _event if nature in _EVENTS else None)
    return make(survey, label, found) if make else None


def _session(survey: Survey, label: str, found: list[Age]) -> Draft | str:
    age = best(found, LADDERS["session"], survey.table(label))
    ends = age is not None and age.meaning is Meaning.END
    said = {*words(survey.facts[label].name), *concepts(survey.facts[label].name)}
    if not ends and said & _LASTING:
        return "no clock: it is a way in that stays open until somebody closes it, and it says no end"
    if age is None:
        return "no clock"
    period = periods.ENDED if ends else periods.UNUSED
    return Draft(survey=survey, label=label, age=age, period=period, suffix="ended" if ends else "unused")


def _log(survey: Survey, label: str, found: list[Age]) -> Draft | str:
    age = best(found, LADDERS["event"], survey.table(label))
    if age is None:
        return "no clock"
    device = ("user.device", "user.location")
    named = {n: d for n, d in survey.personal(label).items() if str(d.category).startswith(device)}
    masks = {n: mask_for(survey.table(label), n, d.category) for n, d in named.items()}
    masks = {n: spec for n, spec in masks.items() if spec not in {TODO, PRESERVE} or isinstance(spec, dict)}
    if not masks:
        return Draft(survey=survey, label=label, age=age, period=periods.LOGS, suffix="old")
    draft = Draft(
        survey=survey, label=label, age=age, period=periods.ADDRESSES, suffix="addresses", masks=masks
    )
    draft.delete_after = periods.LOGS.days - periods.ADDRESSES.days
    draft.notes.append(f"deleted at {periods.LOGS.evidence}")
    return draft


def _mail(survey: Survey, label: str, found: list[Age]) -> Draft | str:
    age = best(found, LADDERS["mail"], survey.table(label))
    return (
        Draft(survey=survey, label=label, age=age, period=periods.MAIL, suffix="sent") if age else "no clock"
    )


def _event(survey: Survey, label: str, found: list[Age]) -> Draft | str:
    said = {*concepts(survey.facts[label].name), *words(survey.facts[label].name)}
    if survey.natures[label] is Nature.ACTIVITY and said & _ENTERED:
        return _log(survey, label, found)
    if survey.natures[label] is not Nature.SEARCH and not said & _COUNTED:
        return "what somebody marked or chose stays as long as they do, and goes with them"
    age = best(found, LADDERS["event"], survey.table(label))
    if age is None:
        return "no clock"
    return Draft(survey=survey, label=label, age=age, period=periods.BEHAVIOUR, suffix="statistics", sure=0.7)


def _person(survey: Survey, label: str, found: list[Age]) -> Draft | str:
    age = best(found, LADDERS["person"], survey.table(label))
    if age is None:
        return "no clock: nothing says when somebody was last here; who registered long ago may be here today"
    personal = survey.personal(label)
    table = survey.table(label)
    masks = {n: mask_for(table, n, d.category) for n, d in personal.items() if n != age.column}
    draft = Draft(survey=survey, label=label, age=age, period=periods.INACTIVE, suffix="inactive", sure=0.8)
    draft.masks = masks or {TODO: TODO}
    draft.condition = conditions.of_people(table)
    draft.notes.append(
        "it masks this row alone; `aegis erasure run --group inactive` erases everything of such people"
    )
    return draft


def _content(survey: Survey, label: str, found: list[Age]) -> Draft | str:
    table = survey.table(label)
    age, condition = best(found, LADDERS["content"], table), None
    if age is None:
        condition = conditions.of_deleted(table)
        age = best(found, (Meaning.CHANGED,), table) if condition else None
    if age is None:
        return "content: it lives as long as its author wants, and goes with them"
    masks = {n: mask_for(table, n, d.category) for n, d in survey.personal(label).items()}
    if not masks:
        return "deleted content in which nothing personal was found"
    draft = Draft(survey=survey, label=label, age=age, period=periods.DELETED, suffix="deleted", masks=masks)
    draft.condition = condition
    return draft


def _order(survey: Survey, label: str, found: list[Age]) -> Draft | str:
    name = set(concepts(survey.facts[label].name))
    if name & _CARTS:
        return _cart(survey, label, found)
    if name & _WISHES:
        return "a wish list lives as long as the person whose it is, and goes with them"
    return f"kept: {periods.RECORDS.reason} wants it for a time (a floor, in the data map)"


def _cart(survey: Survey, label: str, found: list[Age]) -> Draft | str:
    open_ages = [age for age in found if age.meaning is not Meaning.DONE]
    age = best(open_ages, LADDERS["cart"], survey.table(label))
    if age is None:
        return "no clock"
    draft = Draft(survey=survey, label=label, age=age, period=periods.CARTS, suffix="abandoned", sure=0.6)
    draft.condition = conditions.of_carts(survey.table(label), found) or TODO
    if draft.condition == TODO:
        draft.notes.append("filter: which baskets were never ordered? Nothing in the schema says it")
    return draft
