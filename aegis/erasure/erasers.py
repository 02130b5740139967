"""Calling the application's erasers, some people at a time, and what they reported.

It is kept after each portion, so that whoever goes on calls none again that is done. What was asked for and
is not finished is asked again later; a person resumes what failed, and then each portion is called once more.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

from aegis.datamap.erasers import Erased, Eraser, Person, load_erasers
from aegis.erasure.persons import Kept, KeptPerson
from aegis.erasure.portions import in_portions
from aegis.erasure.residual.needles import needles_of
from aegis.erasure.residual.spellings import readings
from aegis.errors import Refused
from aegis.operations.states import Wait, Waits
from aegis.operations.system import System

#: People in one call.
TOGETHER: Final = 500
#: How long it is waited for what was asked for, before it is asked again.
WAIT_SECONDS: Final = 300.0
#: Messages of one call, and the letters of each.
MOST_MESSAGES: Final = 20
LONGEST_MESSAGE: Final = 200
#: Under this name a run's report has what its erasers reported.
REPORTED: Final = "erasers"


@dataclass(kw_only=True)
class Portion:
    """What an eraser reported of one portion of the people."""

    #: Of all calls together.
    erased: int = 0
    #: Of the last call.
    retained: int = 0
    messages: Sequence[str] = ()
    calls: int = 0
    done: bool = False


class Reported:
    """What erasers reported: name → portions of the people, in their order."""

    def __init__(self, portions: Mapping[str, list[Portion]]) -> None:
        self.portions = dict(portions)

    @classmethod
    def read(cls, report: Mapping[str, Any] | None) -> Self:
        """Return it from a run's report."""
        kept = (report or {}).get(REPORTED) or {}
        return cls({name: [Portion(**one) for one in portions] for name, portions in kept.items()})

    def plain(self) -> dict[str, Any]:
        """Return it as a part of a run's report; empty where nobody was called."""
        kept = {name: [asdict(one) for one in portions] for name, portions in self.portions.items()}
        return {REPORTED: kept} if kept else {}

    def anew(self) -> Self:
        """Return it for a new plan: everything is asked for again, and what was erased is not forgotten."""
        return type(self)(
            {name: [Portion(erased=one.erased) for one in them] for name, them in self.portions.items()}
        )

    def told(self) -> list[dict[str, Any]]:
        """Return what the receipt says."""
        return [
            {
                "name": name,
                "erased": sum(one.erased for one in portions),
                "retained": sum(one.retained for one in portions),
                "messages": list(dict.fromkeys(text for one in portions for text in one.messages)),
            }
            for name, portions in sorted(self.portions.items())
        ]

    def counts(self) -> dict[str, dict[str, int]]:
        """Return what an event says: counts by the eraser's name; empty where nobody was called."""
        told = self.told()
        return {word: {one["name"]: one[word] for one in told} for word in ("erased", "retained") if told}


class Calls:
    """The calls of the erasers that one erasure needs.

    Args:
        system: this process's Aegis.
        datasource: the source's own name.
        subject: the kind of person.
        kept: who they are.
        reported: what was reported until now.

    """

    def __init__(self, system: System, datasource: str, subject: str, kept: Kept, reported: Reported) -> None:
        self.reported = reported
        self._erasers = erasers_of(system, datasource, subject)
        self._people = list(in_portions(kept.people, TOGETHER))
        for eraser in self._erasers:
            reported.portions.setdefault(eraser.name, [Portion() for _ in self._people])

    @property
    def open(self) -> bool:
        """Whether somebody has still to be called."""
        return any(not portion.done for _, portion in self._each())

    @property
    def asked(self) -> bool:
        """Whether something was asked for and is not finished."""
        return any(portion.calls and not portion.done for _, portion in self._each())

    def go_on(self, deadline: float, keep: Callable[[], None]) -> bool:
        """Call for each portion that is open, those first that were called least; return whether all were.

        Args:
            deadline: of `time.monotonic`; at least one call is made.
            keep: keeps what is reported; called after each call.

        Raises:
            Waits: something was asked for and is not finished.
            Refused: an eraser failed, or reported what cannot be.

        """
        waiting = [
            (portion.calls, number, eraser, portion)
            for eraser in self._erasers
            for number, portion in enumerate(self.reported.portions[eraser.name])
            if not portion.done
        ]
        waiting.sort(key=lambda item: item[:2])
        for place, (_, number, eraser, portion) in enumerate(waiting):
            if place and time.monotonic() >= deadline:
                return False
            try:
                _call(eraser, portion, self._people[number])
            finally:
                keep()
        if unfinished := sorted({eraser.name for eraser, portion in self._each() if not portion.done}):
            names = ", ".join(unfinished)
            why = f"{names} was asked, and is not finished; it is asked again in {WAIT_SECONDS:g} seconds"
            raise Waits(Wait.ERASER, why, seconds=WAIT_SECONDS)
        return True

    def _each(self) -> Iterator[tuple[Eraser, Portion]]:
        for eraser in self._erasers:
            yield from ((eraser, portion) for portion in self.reported.portions[eraser.name])


def erasers_of(system: System, datasource: str, subject: str) -> list[Eraser]:
    """Return the erasers that an erasure calls, in the order of their names.

    Raises:
        SettingsError: a module cannot be imported, or two erasers have the same name.

    """
    return [each for each in load_erasers(system.settings.hooks, datasource) if each.subject == subject]


def _call(eraser: Eraser, portion: Portion, people: Sequence[KeptPerson]) -> None:
    told = [Person(key=one.key, tenant=one.tenant, identifiers=dict(one.identifiers)) for one in people]
    try:
        said: Any = eraser.function(told)
    except Exception as error:  # noqa: BLE001 - foreign code; its text may quote anybody
        raise _failed(eraser, f"failed ({type(error).__name__})") from None
    if fault := _fault(said):
        raise _failed(eraser, fault)
    portion.calls += 1
    portion.erased += said.erased
    portion.retained = said.retained
    if _names(said.messages, people):
        raise _failed(eraser, "reported a message that names one of the people, and receipts name nobody")
    portion.messages, portion.done = list(said.messages), said.done


def _failed(eraser: Eraser, what: str) -> Refused:
    message = (
        f"eraser {eraser.name} ({eraser.label}) {what}; mend it, then `aegis erasure resume` calls it again"
    )
    return Refused(message)


def _fault(said: Any) -> str | None:
    """Return why what an eraser returned cannot be meant."""
    if not isinstance(said, Erased):
        return f"returned no Erased, but a {type(said).__name__}"
    counts: list[Any] = [said.erased, said.retained]
    if not all(type(count) is int and count >= 0 for count in counts):
        return "reported something else than whole numbers, 0 or more, as erased and retained"
    words: Any = said.messages
    fits = isinstance(words, list | tuple) and len(words) <= MOST_MESSAGES
    if not fits or not all(isinstance(text, str) and len(text) <= LONGEST_MESSAGE for text in words):
        return f"reported messages that are not at most {MOST_MESSAGES} texts of {LONGEST_MESSAGE} letters"
    done: Any = said.done
    return None if isinstance(done, bool) else "reported neither True nor False as done"


def _names(messages: Sequence[str], people: Sequence[KeptPerson]) -> bool:
    """Whether a message holds an identifier or the key of one of the people."""
    if not messages:
        return False
    forms = [tuple(readings(text)) for text in messages]
    return any(
        needle.found(form) is not None
        for number, person in enumerate(people)
        for needle in needles_of(number, {**person.identifiers, **_key(person)})
        for form in forms
    )


def _key(person: KeptPerson) -> dict[str, Any]:
    return {f"key {place}": value for place, value in enumerate(person.key)}
