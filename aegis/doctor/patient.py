"""What is examined, and what is known of it so far."""

from dataclasses import dataclass, field

from aegis.doctor.work import Work, read_work
from aegis.operations.system import System
from aegis.settings import Settings


@dataclass(kw_only=True)
class Patient:
    """One process's Aegis under examination.

    Checks are made in a fixed order, and the later ones need what the earlier ones learned.
    """

    system: System
    #: Whether nothing was made here yet, and the first command that needs it will.
    fresh: bool = False
    #: Whether the control database answered and has its tables.
    control_ready: bool = False
    #: The data sources that answered.
    answering: set[str] = field(default_factory=set)
    #: How far the clock of each database is ahead of this host's, in seconds.
    offsets: dict[str, float] = field(default_factory=dict)
    _works: dict[str, Work] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        """The settings that the system was made from."""
        return self.system.settings

    def work(self, name: str) -> Work:
        """Return what Aegis works on in a data source, read once.

        Raises:
            AegisError: the source does not answer, or its data map cannot be read.

        """
        if name not in self._works:
            self._works[name] = read_work(self.system, name, ready=self.control_ready)
        return self._works[name]
