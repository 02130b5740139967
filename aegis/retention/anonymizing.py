"""What a policy says of masks: that it can be meant, and that its table can take it."""

from collections.abc import Mapping
from typing import Any, Final, Protocol

import sqlalchemy as sa

from aegis.errors import InvalidPolicy
from aegis.masking.masks import Masks, masks_of
from aegis.masking.preflight import refuse_unfit
from aegis.retention.target import Target

ANONYMIZE: Final = "anonymize"
DELETE: Final = "delete"
_LONGEST_DAYS: Final = 36_500


class Wish(Protocol):
    """The part of a policy that speaks of masks."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def action(self) -> str: ...  # noqa: D102
    @property
    def masks(self) -> Mapping[str, Any] | None: ...  # noqa: D102
    @property
    def marker_column(self) -> str | None: ...  # noqa: D102
    @property
    def delete_after_days(self) -> int | None: ...  # noqa: D102


def deletes(wish: Wish) -> bool:
    """Say whether rows of the policy's table go in the end."""
    return wish.action == DELETE or wish.delete_after_days is not None


def check(wish: Wish) -> None:
    """Refuse masks that cannot be meant, without a look at the database.

    Raises:
        InvalidPolicy: an unknown strategy, or fields that do not go together.

    """
    named = f"policy {wish.name}"
    if wish.action != ANONYMIZE:
        given = [name for name in ("masks", "marker_column", "delete_after_days") if getattr(wish, name)]
        if given:
            message = (
                f"{named}: {', '.join(given)} belongs to the action anonymize, and this one is {wish.action}"
            )
            raise InvalidPolicy(message)
        return
    if not isinstance(wish.masks, Mapping) or not wish.masks:
        message = f"{named}: to anonymize, say what is masked: masks={{COLUMN: surrogate, …}}"
        raise InvalidPolicy(message)
    days = wish.delete_after_days
    if days is not None and (
        isinstance(days, bool) or not isinstance(days, int) or not 1 <= days <= _LONGEST_DAYS
    ):
        message = f"{named}: expected 1 to {_LONGEST_DAYS} whole delete_after_days, got {repr(days)[:40]}"
        raise InvalidPolicy(message)
    try:
        _check_lasting(masks_of(wish.masks, wish.marker_column))
    except InvalidPolicy as error:
        message = f"{named}: {error}"
        raise InvalidPolicy(message) from None


def _check_lasting(masks: Masks) -> None:
    """Refuse what a run that comes again each night cannot hold to."""
    for column, strategy in masks.strategies.items():
        if strategy.outcome == "unchanged":
            message = f"mask of column {column}: {strategy.name} writes nothing; leave the column out"
            raise InvalidPolicy(message)
        if strategy.needs_key and strategy.linkable is None:
            message = (
                f"mask of column {column}: {strategy.name} needs a key that lasts, so whoever has it can "
                "link every token to its value; say why that must be, with "
                'linkable: "REASON" in its argument, or use surrogate'
            )
            raise InvalidPolicy(message)


def refuse_unfit_masks(connection: sa.Connection, target: Target, wish: Wish) -> None:
    """Refuse masks that the policy's table cannot take.

    Raises:
        UsageError: names the table, the column and what to do.

    """
    if target.masks is None:
        return
    try:
        refuse_unfit(connection, target.layout, target.masks, roles=_roles(target))
    except InvalidPolicy as error:
        message = f"policy {wish.name}: {error}"
        raise InvalidPolicy(message) from None


def in_digest(masks: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the masks as an approval covers them, however they were written."""
    return masks_of(masks).spec if masks else None


def _roles(target: Target) -> dict[str, str]:
    roles = {column.name: "decides which rows are chosen" for column in target.condition_columns}
    if target.tenant_column is not None:
        roles[target.tenant_column.name] = "tells tenants apart"
    return roles | {target.clock_column.name: "tells a row's age"}
