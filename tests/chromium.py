"""A real headless browser for the tests, driven through a pipe: no port, and no profile that stays."""

import base64
import fcntl
import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
_FLAGS: Final = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
#: Content of an A4 page between the margins of the style sheet, in CSS pixels.
PAPER: Final = 665
#: What reaches over an edge: it would be cut off, or make the page scroll sideways. Headings of tables
#: that are cards on a telephone are put aside on purpose.
_OVER: Final = """JSON.stringify([
  document.documentElement.scrollWidth > innerWidth ? 'the page' : null,
  ...[...document.querySelectorAll('body *')].filter(e => {
    const box = e.getBoundingClientRect();
    const inked = e instanceof HTMLElement && e.clientWidth > 0 && e.scrollWidth > e.clientWidth + 1;
    const beside = box.left < -1 || box.right > innerWidth + 1;
    return box.width > 0 && !e.closest('thead')?.matches('.cards > *') && (beside || inked);
  }).map(e => `${e.tagName} ${e.getAttribute('class') || ''} ${(e.textContent || '').slice(0, 60)}`),
  ...[...document.querySelectorAll('svg[role]')].flatMap(svg => {
    const words = [...svg.querySelectorAll('text')].map(e => [e.textContent, e.getBoundingClientRect()]);
    return words.flatMap(([one, a], place) => words.slice(place + 1).filter(([other, b]) =>
      a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom
    ).map(([other, b]) => `${one} lies on ${other}`));
  }),
].filter(Boolean))"""


def found() -> str | None:
    """Return the browser that is installed here; None: there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@dataclass(frozen=True, kw_only=True)
class Sight:
    """How somebody looks at a page."""

    name: str
    width: int
    height: int = 900
    mobile: bool = False
    dark: bool = False
    media: str = "screen"


PHONE: Final = Sight(name="phone", width=360, height=780, mobile=True)
DARK_PHONE: Final = Sight(name="phone-dark", width=360, height=780, mobile=True, dark=True)
DESKTOP: Final = Sight(name="desktop", width=1280)
DARK_DESKTOP: Final = Sight(name="desktop-dark", width=1280, dark=True)
PRINTED: Final = Sight(name="paper", width=PAPER, media="print")
SIGHTS: Final = (PHONE, DARK_PHONE, DESKTOP, DARK_DESKTOP, PRINTED)


@dataclass(kw_only=True)
class Seen:
    """A page as the browser had it."""

    #: Sight → what reaches over an edge.
    over: dict[str, list[str]] = field(default_factory=dict)
    #: Addresses that were asked for, the page's own left out, and those that its policy forbade.
    asked: list[str] = field(default_factory=list)
    #: What the browser complains of.
    complaints: list[str] = field(default_factory=list)
    pdf: bytes = b""


def _pipe() -> tuple[int, int]:
    """Return the ends of a pipe under numbers that a child's third and fourth do not meet."""
    low = os.pipe()
    high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in low]
    for end in low:
        os.close(end)
    return high[0], high[1]


class Chromium:
    """One browser for some pages; ended with the block."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = 0
        self._session = ""
        self._events: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        """Start it, with a page of its own."""
        (theirs_in, ours_out), (ours_in, theirs_out) = _pipe(), _pipe()

        def third_and_fourth() -> None:
            os.dup2(theirs_in, 3)
            os.dup2(theirs_out, 4)

        program = found()
        assert program is not None
        profile = f"--user-data-dir={self._folder / 'profile'}"
        self._process = subprocess.Popen(
            [program, *_FLAGS, profile, "about:blank"],
            preexec_fn=third_and_fourth,  # noqa: PLW1509 - no thread of ours has a lock then
            close_fds=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._out, self._in = os.fdopen(ours_out, "wb", buffering=0), os.fdopen(ours_in, "rb")
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for room in ("Page", "Network", "Log", "Runtime"):
            self.call(f"{room}.enable")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        self._out.close()
        self._in.close()

    def look(self, page: Path, shots: Path | None = None, *, whole: bool = False) -> Seen:
        """Open a page, look at it in every way, and print it.

        Args:
            page: its file.
            shots: keep pictures there, of what a screen shows at first.
            whole: of the whole page, which takes longer.

        """
        seen = Seen()
        self._events.clear()
        self.call("Page.navigate", url=page.as_uri())
        self._await("Page.loadEventFired")
        for sight in SIGHTS:
            self._put_on(sight)
            seen.over[sight.name] = json.loads(self.value(_OVER))
            if shots is not None:
                shot = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
                (shots / f"{page.stem}-{sight.name}.png").write_bytes(base64.b64decode(shot["data"]))
        printed = self.call("Page.printToPDF", preferCSSPageSize=True, printBackground=True)
        seen.pdf = base64.b64decode(printed["data"])
        if shots is not None:
            (shots / f"{page.stem}.pdf").write_bytes(seen.pdf)
        seen.asked, seen.complaints = self._asked(page), self._complaints()
        return seen

    def value(self, script: str) -> Any:
        """Return what a script of the test's own finds in the page."""
        return self.call("Runtime.evaluate", expression=script, returnByValue=True)["result"]["value"]

    def call(self, method: str, **words: Any) -> Any:
        """Ask the browser and return its answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": words}
        if self._session:
            message["sessionId"] = self._session
        self._out.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def _put_on(self, sight: Sight) -> None:
        size = {"width": sight.width, "height": sight.height}
        self.call("Emulation.setDeviceMetricsOverride", **size, deviceScaleFactor=1, mobile=sight.mobile)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if sight.dark else "light"}
        self.call("Emulation.setEmulatedMedia", media=sight.media, features=[scheme])

    def _await(self, event: str) -> None:
        while not any(each["method"] == event for each in self._events):
            self._read()

    def _asked(self, page: Path) -> list[str]:
        """Return what left the page; what its own policy forbade never did."""
        forbidden = {
            each["requestId"]
            for each in self._of("Network.loadingFailed")
            if each.get("blockedReason") == "csp"
        }
        sent = [each for each in self._of("Network.requestWillBeSent") if each["requestId"] not in forbidden]
        return [each["request"]["url"] for each in sent if each["request"]["url"] != page.as_uri()]

    def _complaints(self) -> list[str]:
        return [each["entry"]["text"] for each in self._of("Log.entryAdded")]

    def _of(self, method: str) -> list[dict[str, Any]]:
        return [each["params"] for each in self._events if each["method"] == method]

    def _read(self) -> dict[str, Any]:
        text = bytearray()
        while (byte := self._in.read(1)) != b"\0":
            assert byte, "the browser has gone"
            text += byte
        answer: dict[str, Any] = json.loads(text)
        if "method" in answer:
            self._events.append(answer)
        return answer
