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
    Application(
        name="wger",
        domain="fitness: gyms, workouts, diet",
        source="PyPI: wger 2.1",
        style="Django",
        split="dev",
    ),
    Application(
        name="ghost",
        domain="publishing with paying members",
        source="npm: ghost 5.130.6",
        style="JavaScript",
        split="dev",
    ),
    Application(
        name="gnuhealth",
        domain="hospital on an ERP",
        source="PyPI: gnuhealth 5.0.6 with eight of its modules, trytond 7.0",
        style="Tryton, English names, no id suffix",
        split="dev",
    ),
    Application(
        name="indico",
        domain="conferences and room booking",
        source="PyPI: indico 3.2.9",
        style="SQLAlchemy, several database schemas",
        split="heldout",
    ),
    Application(
        name="kolibri",
        domain="school and learning",
        source="PyPI: kolibri 0.19.5",
        style="Django",
        split="dev",
    ),
    Application(
        name="mediawiki",
        domain="wiki",
        source="Debian 12: mediawiki 1:1.39.17-1+deb12u2",
        style="SQL for MySQL, a prefix for each table, no foreign keys",
        split="heldout",
    ),
    Application(
        name="pretalx",
        domain="calls for papers",
        source="PyPI: pretalx 2025.2.2",
        style="Django",
        split="heldout",
    ),
    Application(
        name="rt",
        domain="tickets of a help desk",
        source="Debian 12: request-tracker5 5.0.3+dfsg-3~deb12u6",
        style="SQL, CamelCase, no foreign keys",
        split="heldout",
    ),
    Application(
        name="usershub",
        domain="accounts and organizations of national parks",
        source="PyPI: pypnusershub 3.3.1",
        style="SQL, French names",
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
