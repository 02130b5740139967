"""The formats by name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aegis.audit.exports.batches import Batch, Leaf
from aegis.audit.exports.formats import cef, ecs, jsonl, ocsf, rfc5424
from aegis.errors import UsageError

#: The format that is a folder of files, not of lines.
TILES: Final = "tiles"
_JSON_LINES: Final = "application/x-ndjson"
_PLAIN: Final = "text/plain; charset=utf-8"


@dataclass(frozen=True, kw_only=True)
class Format:
    """How batches become lines."""

    name: str
    lines: Callable[[Batch], Sequence[bytes]]
    #: How each line begins; a torn last line is cut off only where it is one of these.
    begins: tuple[bytes, ...]
    #: What a receiver over HTTP is told.
    media: str
    #: The same as syslog messages; none where the lines are not one for each event.
    messages: Callable[[Batch], Sequence[bytes]] | None


def _format(name: str, render: Callable[[Leaf], bytes], begins: bytes, media: str) -> Format:
    def lines(batch: Batch) -> Sequence[bytes]:
        return [render(leaf) for leaf in batch.leaves]

    def wrapped(batch: Batch) -> Sequence[bytes]:
        return [rfc5424.wrap(leaf, render(leaf)) for leaf in batch.leaves]

    messages = lines if render is rfc5424.render else wrapped
    return Format(name=name, lines=lines, begins=(begins,), media=media, messages=messages)


FORMATS: Final[Mapping[str, Format]] = {
    made.name: made
    for made in (
        Format(
            name="jsonl",
            lines=jsonl.lines,
            begins=(jsonl.LEAF, jsonl.PRUNED, jsonl.CHECKPOINT),
            media=_JSON_LINES,
            messages=None,
        ),
        _format("ocsf", ocsf.render, ocsf.BEGINS, _JSON_LINES),
        _format("ecs", ecs.render, ecs.BEGINS, _JSON_LINES),
        _format("cef", cef.render, cef.BEGINS, _PLAIN),
        _format("rfc5424", rfc5424.render, rfc5424.BEGINS, _PLAIN),
    )
}
NAMES: Final = (*FORMATS, TILES)


def format_named(name: str) -> Format:
    """Return a format of lines.

    Raises:
        UsageError: there is none of this name.

    """
    found = FORMATS.get(name)
    if found is None:
        message = f"there is no format {name!r}: expected one of {', '.join(NAMES)}"
        raise UsageError(message)
    return found
