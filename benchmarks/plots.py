"""Which plots are drawn from which tables."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.drawing import Axis, Bar, bars, lines
from benchmarks.sections import Section, find, number


@dataclass(frozen=True, kw_only=True)
class Plot:
    """One file beside RESULTS.md."""

    #: The part under whose title it is shown.
    part: str
    name: str
    #: For those who cannot see it.
    what: str
    svg: str

    @property
    def file(self) -> str:
        """Its name in the folder."""
        return f"{self.name}.svg"


def of(made: Mapping[str, list[Section]]) -> list[Plot]:
    """Return the plots of all tables that are there."""
    return [
        *_retention(made.get("retention", [])),
        *_latency(made.get("latency", [])),
        *_scaling(made.get("scaling", [])),
        *_queueing(made.get("queueing", [])),
        *_erasure(made.get("erasure", [])),
        *_audit(made.get("audit", [])),
        *_noise(made.get("noise", [])),
    ]


def _retention(sections: Sequence[Section]) -> Iterator[Plot]:
    title = "How fast rows go, beside one raw statement of the same repeat"
    groups = {}
    for section in sections:
        group: list[Bar] = []
        for line in section.lines[1:]:
            ratio, alone = section.cell(line[0], "ratio"), section.cell(line[0], "batches alone")
            group += _bar(line[0], ratio)
            group += _bar(f"{line[0]}: batches alone", alone)
        groups[section.title.partition(": ")[0]] = group
    yield from _bars("retention", title, Axis(name="ratio; 1 is as fast"), groups, mark=1.0)


def _latency(sections: Sequence[Section]) -> Iterator[Plot]:
    title = "99 of 100 UPDATEs of the application take less while rows go"
    sessions = {"hot row": "one hot row that stays", "due row": "rows that are due"}
    groups = {
        f"{section.title.partition(': ')[0].partition(', ')[2]}: UPDATEs of {what}": _column(
            section, f"{session} p99, ms"
        )
        for section in sections
        for session, what in sessions.items()
    }
    yield from _bars("latency", title, Axis(name="milliseconds", logarithmic=True), groups)


def _scaling(sections: Sequence[Section]) -> Iterator[Plot]:
    section = find(sections, "Larger")
    if section:
        rows = Axis(name="rows of the table; half of them go", logarithmic=True)
        costs = {"Aegis": "Aegis, µs a row", "one raw DELETE": "raw DELETE, µs a row"}
        for name, title, unit, series in (
            ("scaling-cost", "What a row costs in larger and larger tables", "µs a row", costs),
            ("scaling-memory", "Memory of the process that advances the run", "MiB", {"Aegis": "Aegis, MiB"}),
        ):
            drawn = {key: _points(section, column) for key, column in series.items()}
            svg = lines(title, rows, Axis(name=unit), drawn)
            yield Plot(part="scaling", name=name, what=f"{title}, in {unit}", svg=svg)


def _queueing(sections: Sequence[Section]) -> Iterator[Plot]:
    title = "What one request takes, from asking until it is done"
    run, event = find(sections, "A retention run"), find(sections, "An event")
    groups = {
        "A retention run over ten rows": _column(run, "fixed, ms") if run else [],
        "An event": _column(event, "one event, ms") if event else [],
    }
    yield from _bars("queueing", title, Axis(name="milliseconds"), groups)


def _erasure(sections: Sequence[Section]) -> Iterator[Plot]:
    section = find(sections, "Residual scan of*PostgreSQL")
    if section:
        title = "Residual scan for the values of more and more persons, PostgreSQL"
        series: dict[str, list[tuple[float, float]]] = {}
        for line in section.lines[1:]:
            cost = section.cell(line[0], "µs a row")
            if cost is not None:
                series.setdefault(line[0].rpartition(", ")[0], []).append((float(line[1]), cost))
        across, up = Axis(name="persons", logarithmic=True), Axis(name="µs a row", logarithmic=True)
        yield Plot(part="erasure", name="residual-scan", what=title, svg=lines(title, across, up, series))


def _audit(sections: Sequence[Section]) -> Iterator[Plot]:
    section = find(sections, "Recording")
    title = "Transactions with one event each, by eight processes, PostgreSQL"
    column = "transactions a second"
    groups = {"": _column(section, column)} if section else {}
    yield from _bars("audit", title, Axis(name=column), groups)


def _noise(sections: Sequence[Section]) -> Iterator[Plot]:
    groups = {
        section.title.partition(", medians")[0]: _column(section, "ms")
        for section in sections
        if "noise on" in section.title
    }
    yield from _bars("noise", "Noise on many numbers", Axis(name="milliseconds", logarithmic=True), groups)


def _bars(
    part: str, title: str, axis: Axis, groups: Mapping[str, Sequence[Bar]], *, mark: float | None = None
) -> Iterator[Plot]:
    there = {heading: group for heading, group in groups.items() if group}
    if there:
        svg = bars(title, axis, there, mark=mark)
        yield Plot(part=part, name=part, what=f"{title}: {axis.name}", svg=svg)


def _column(section: Section, heading: str) -> list[Bar]:
    """Return a bar for each line that has a figure there."""
    return [bar for line in section.lines[1:] for bar in _bar(line[0], section.cell(line[0], heading))]


def _bar(name: str, value: float | None) -> Iterator[Bar]:
    if value is not None:
        yield Bar(name=name, value=value, ours=name.startswith("Aegis"))


def _points(section: Section, column: str) -> list[tuple[float, float]]:
    values = [(number(line[0]), section.cell(line[0], column)) for line in section.lines[1:]]
    return [(rows, value) for rows, value in values if rows is not None and value is not None]
