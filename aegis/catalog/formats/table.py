"""Every format by its name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aegis.catalog.formats import csv, datahub, fides, openmetadata
from aegis.catalog.formats.labels import Label, Place


@dataclass(frozen=True, kw_only=True)
class Format:
    """One form, and what the tool is called."""

    title: str
    write: Callable[[Sequence[Label], Place], str]
    read: Callable[[str, str, Place, Sequence[str]], Mapping[tuple[str, str], str]]


FORMATS: Final[Mapping[str, Format]] = {
    "csv": Format(title="the table", write=csv.write, read=csv.read),
    "datahub": Format(title="DataHub", write=datahub.write, read=datahub.read),
    "fides": Format(title="Fides", write=fides.write, read=fides.read),
    "openmetadata": Format(title="OpenMetadata", write=openmetadata.write, read=openmetadata.read),
}
