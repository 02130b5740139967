"""Masks on the command line: how they are written, and how they and what they did are shown."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import click
import yaml

from aegis.db.tables import DataRetentionPolicy
from aegis.masking.masks import masks_of
from aegis.retention.preview import Preview
from cli import output

#: Strategies whose argument is the text that they write.
_TEXTS: Final = frozenset({"constant", "redact"})
#: What was done to rows, by the action.
DONE: Final[Mapping[str, str]] = {"delete": "deleted", "anonymize": "anonymized"}
#: What would be done to them.
WOULD: Final[Mapping[str, str]] = {"delete": "would go", "anonymize": "would be anonymized"}


def given(items: Sequence[str]) -> dict[str, Any] | None:
    """Return column → strategy from `COLUMN=STRATEGY`, with an argument behind a colon.

    The argument of `constant` and `redact` is text as it stands; any other is written as in a policy file.
    """
    masks: dict[str, Any] = {}
    for item in items:
        column, equals, written = item.partition("=")
        if not equals or not column or not written:
            message = "--mask: expected COLUMN=STRATEGY, for example email=surrogate or name=constant:removed"
            raise click.UsageError(message)
        if column in masks:
            message = f"--mask names column {column} twice"
            raise click.UsageError(message)
        strategy, colon, argument = written.partition(":")
        masks[column] = {strategy: _argument(column, strategy, argument)} if colon else strategy
    return masks or None


def _argument(column: str, strategy: str, written: str) -> Any:
    if strategy in _TEXTS:
        return written
    try:
        return yaml.safe_load(written)
    except yaml.YAMLError:
        message = (
            f"--mask: the argument of {strategy} for column {column} cannot be read; expected YAML or JSON"
        )
        raise click.UsageError(message) from None


def shown(masks: Mapping[str, Any] | None) -> str | None:
    """Return masks as `--mask` takes them, in one line."""
    return masks_of(masks).label if masks else None


def action(policy: DataRetentionPolicy) -> str:
    """Return what a policy does to rows."""
    if policy.delete_after_days is None:
        return policy.action
    return f"{policy.action}, and delete after {output.counted(policy.delete_after_days, 'day')} more"


def counts(actions: Mapping[str, int], words: Mapping[str, str]) -> str:
    """Return rows by action; only the word where there is one action."""
    if len(actions) == 1:
        (name,) = actions
        return words.get(name, name)
    return ", ".join(f"{output.number(rows)} {words.get(name, name)}" for name, rows in actions.items())


def facts(preview: Preview) -> list[tuple[str, str | None]]:
    """Return what a preview says of masks, as people read it."""
    policy, dear = preview.policy, ", ".join(preview.cold_indexes)
    why = f"{dear} hold masked columns, so updates are not HOT" if dear else None
    return [("masks", shown(policy.masks)), ("marker", policy.marker_column), ("slower by", why)]


def document(preview: Preview) -> dict[str, Any]:
    """Return the same as plain data."""
    policy = preview.policy
    return {
        "actions": dict(preview.actions),
        "masks": policy.masks,
        "marker_column": policy.marker_column,
        "delete_after_days": policy.delete_after_days,
        "indexes_over_masks": list(preview.cold_indexes),
    }
