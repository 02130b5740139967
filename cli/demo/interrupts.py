"""What becomes of Ctrl-C while the demo plays."""

import signal
from types import FrameType
from typing import Final, NoReturn

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Ctrl-C and SIGTERM: the first one ends the demo, and no second one hinders the servers' end."""

    def __init__(self) -> None:
        """Listen from now on."""
        #: Whether somebody interrupted the demo.
        self.happened = False
        for number in _SIGNALS:
            # Whoever started it in the background may have Ctrl-C ignored.
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._interrupt)

    def ignore(self) -> None:
        """Let nothing disturb the end."""
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)

    def obey(self) -> None:
        """Raise it again where it got lost, as in the end of an object.

        Raises:
            KeyboardInterrupt: it was interrupted before.

        """
        if self.happened:
            raise KeyboardInterrupt

    def _interrupt(self, number: int, frame: FrameType | None) -> NoReturn:
        del number, frame
        self.happened = True
        self.ignore()
        raise KeyboardInterrupt
