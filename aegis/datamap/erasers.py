"""Erasers: code of the application that erases people where no SQL reaches.

    from aegis.datamap.erasers import Erased, eraser

    @eraser("avatars")
    def avatars(people):
        return Erased(erased=sum(bucket.remove(f"avatars/{person.key[0]}") for person in people))

`hooks` in aegis.toml names the modules, as for anonymizers.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from aegis.datamap.findings import Undecided
from aegis.datamap.hooks import CURE, Hook, imported
from aegis.datamap.names import meant
from aegis.errors import SettingsError

_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,60}")


@dataclass(frozen=True, kw_only=True)
class Person:
    """One of the people whom an eraser is to erase, as they were when it was asked for."""

    #: One value for each column of the subject's key.
    key: tuple[Any, ...] = field(repr=False)
    tenant: str | None = field(repr=False)
    #: identifier → value; those without one are left out.
    identifiers: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Erased:
    """What an eraser did."""

    #: What is gone by this call.
    erased: int = 0
    #: What stays, for a reason that `messages` tell.
    retained: int = 0
    #: For whoever reads the receipt; they name nobody.
    messages: Sequence[str] = ()
    #: False: it was asked for and is not finished, so that the eraser is called again later.
    done: bool = True


@dataclass(frozen=True, kw_only=True)
class Eraser(Hook):
    """What erases people somewhere else than in a database."""

    word = "eraser"
    #: As receipts and plans call it.
    name: str
    #: The kind of person, as the data map names it.
    subject: str


#: What an eraser is: it gets at most some hundred people at a time.
Function = Callable[[Sequence[Person]], Erased]
_ERASERS: Final[dict[tuple[str | None, str, str], Eraser]] = {}


def eraser(
    name: str, *, subject: str = "user", datasource: str | None = None
) -> Callable[[Function], Function]:
    """Register a function that erases people where no SQL reaches: files, a search index, a third party.

    It is called again after a crash or a retry, so it must do no harm by being called twice for somebody.

    Args:
        name: what plans and receipts call it.
        subject: the kind of person, as the data map names it.
        datasource: the data source; none: an erasure from each.

    Raises:
        SettingsError: another function has that name, or it is none.

    """
    if not _NAME.fullmatch(name):
        message = "the name of an eraser has at most 60 letters, digits, dots, hyphens and underscores"
        raise SettingsError(message)

    def register(function: Function) -> Function:
        made = Eraser(name=name, subject=subject, datasource=datasource, function=function)
        known = _ERASERS.setdefault((datasource, subject, name), made)
        _refuse_second(known, made)
        _ERASERS[datasource, subject, name] = made
        return function

    return register


def load_erasers(modules: Iterable[str], datasource: str) -> list[Eraser]:
    """Import the modules; return their erasers for a data source, in the order of their names.

    Raises:
        SettingsError: a module cannot be imported, or two erasers of one subject have the same name.

    """
    names = imported(modules)
    found = [e for e in _ERASERS.values() if e.function.__module__ in names]
    mine: dict[tuple[str, str], Eraser] = {}
    for each in found:
        if each.datasource in {None, datasource}:
            _refuse_second(mine.setdefault((each.subject, each.name), each), each)
    return [mine[key] for key in sorted(mine)]


def strangers(erasers: Iterable[Eraser], subjects: Iterable[str]) -> Iterator[Undecided]:
    """Find erasers of one data source that nobody would call: its map has no such subject."""
    known = sorted(subjects)
    for each in erasers:
        if each.datasource is not None and each.subject not in known:
            why = f"eraser {each.label}: there is no subject {each.subject}; {meant(each.subject, known)}"
            yield Undecided(kind="hook", table=each.subject, what=each.label, why=why, cure=CURE)


def _refuse_second(known: Eraser, made: Eraser) -> None:
    if known.label != made.label:
        message = f"two erasers are called {made.name}, {known.label} and {made.label}; call one otherwise"
        raise SettingsError(message)
