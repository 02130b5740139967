"""The applications whose columns are labelled, and which of them a classifier's author may look at."""

from dataclasses import dataclass
from typing import Final, Literal

Split = Literal["dev", "heldout"]


@dataclass(frozen=True, kw_only=True)
class Application:
    """One application in one version."""

    name: str
    #: What it is for.
    domain: str
    #: Where its schema comes from: registry, packages and versions.
    source: str
    #: What its schema is written in.
    style: str
    split: Split
    #: Its tables stand in other tests of this project, whose authors have seen them.
    seen: bool = False


APPLICATIONS: Final = (
    Application(
        name="byro",
        domain="members and dues of an association",
        source="PyPI: byro 2023.1.0",
        style="Django",
        split="dev",
    ),
    Application(
        name="roundcube",
        domain="webmail",
        source="Debian 12: roundcube-core 1.6.5+dfsg-1+deb12u13",
        style="SQL",
        split="dev",
    ),
)


def named(name: str) -> Application:
    """Return an application.

    Raises:
        ValueError: there is none of this name.

    """
    for application in APPLICATIONS:
        if application.name == name:
            return application
    message = f"no application {name!r}; there are {', '.join(it.name for it in APPLICATIONS)}"
    raise ValueError(message)


def of_split(split: Split | None) -> list[Application]:
    """Return the applications of a split, or all."""
    return [it for it in APPLICATIONS if split in (None, it.split)]
