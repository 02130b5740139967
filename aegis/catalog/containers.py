"""What the keys of sampled documents say: they are names too, as those of columns are."""

import re
from collections.abc import Sequence
from typing import Final

from aegis.catalog.facts import column
from aegis.catalog.findings import Findings
from aegis.catalog.matching import best
from aegis.catalog.names import concepts
from aegis.catalog.natures import Nature

#: A key of a document that may have been cut off anywhere.
_KEY: Final = re.compile(r'"([A-Za-z_][A-Za-z0-9_ -]{0,40})"\s*:')
#: Different keys that are looked at; a document that has more is keyed by data.
_MOST: Final = 200
_SURE: Final = 0.8
#: What `Findings.valid` calls them.
KEYS: Final = "keys"
PERSONAL_KEYS: Final = "personal keys"


def examine_documents(values: Sequence[str | None]) -> Findings:
    """Count the different keys of documents, and those that read like names of personal columns."""
    texts = [value for value in values if value and value.strip()]
    keys = {key for text in texts for key in _KEY.findall(text)}
    counted = {KEYS: len(keys)}
    if len(keys) <= _MOST:
        counted[PERSONAL_KEYS] = sum(map(_is_personal, keys))
    return Findings(rows=len(values), values=len(texts), valid=counted, distinct=len(set(texts)))


def _is_personal(key: str) -> bool:
    match, _ = best(column(key, "text"), concepts(key), Nature.UNKNOWN)
    return match is not None and match.strength >= _SURE
