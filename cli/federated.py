"""`aegis federated`: aggregates over many people, their noise and their budgets."""

import io
import json
from pathlib import Path
from typing import Any, Final

import click
import numpy as np

from aegis.errors import UsageError
from api.federated import estimate_release, federated_aggregation_protect
from cli import budgets, output

_NPY: Final = b"\x93NUMPY"


@click.group()
def federated() -> None:
    """Protect aggregates over many people with noise, within a budget, and release each once."""


federated.add_command(budgets.budget)


@federated.command()
@click.argument("file", type=click.File("rb"))
@click.option(
    "--participants",
    "participant_count",
    type=int,
    required=True,
    metavar="N",
    help="How many people stand behind it; recorded nowhere.",
)
@click.option(
    "--min-participants",
    type=int,
    default=5,
    show_default=True,
    metavar="K",
    help="With fewer it is refused.",
)
@click.option(
    "--epsilon",
    "dp_epsilon",
    type=float,
    metavar="E",
    help="Of the whole release; without it the threshold stands alone.",
)
@click.option(
    "--sensitivity",
    "dp_sensitivity",
    type=float,
    default=1.0,
    show_default=True,
    metavar="S",
    help="Most that one participant changes of all numbers together: L1 for laplace, L2 for gaussian.",
)
@click.option("--per-field", is_flag=True, help="The sensitivity is that of each number by itself.")
@click.option("--mechanism", type=click.Choice(["laplace", "gaussian"]), default="laplace", show_default=True)
@click.option("--delta", "dp_delta", type=float, metavar="D", help="For gaussian.")
@click.option("--budget", metavar="NAME", help="The account that is charged (default: `default`).")
@click.option(
    "--public",
    "public_fields",
    multiple=True,
    metavar="FIELD",
    help="A field that leaves as it is; may be repeated.",
)
@click.option("--id", "idempotency_key", metavar="ID", help="The release's id: again, it is the same bytes.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where the result goes; an array (.npy) needs it.",
)
@click.option(
    "--execute", is_flag=True, help="Draw, charge and release; without it, only say what that would do."
)
@output.actor_option(required=False)
@output.json_option
def release(
    *,
    file: Any,
    participant_count: int,
    min_participants: int,
    idempotency_key: str | None,
    out: Path | None,
    execute: bool,
    actor: str,
    as_json: bool,
    **terms: Any,
) -> None:
    """Protect the aggregate in FILE (JSON or .npy; - for stdin) and release it.

    Without --execute it says how much noise there would be, and what that would cost.
    """
    value = _read(file.read())
    if isinstance(value, np.ndarray) and execute and out is None:
        message = "an array needs --out FILE.npy"
        raise click.UsageError(message)
    if not execute:
        _estimate(value, min_participants, terms, as_json=as_json)
        return
    _refuse_unwritable(out)
    released, report = federated_aggregation_protect(
        value,
        participant_count,
        min_participants,
        idempotency_key=idempotency_key,
        return_report=True,
        actor=actor,
        **terms,
    )
    _write(released, out)
    if as_json:
        shown = None if isinstance(released, np.ndarray) else released
        output.print_json({"value": shown, "report": report})
    elif out is None:
        output.print_json(released)
    _tell(report)


def _read(data: bytes) -> Any:
    """Return an aggregate from JSON, or from NumPy's format.

    Raises:
        UsageError: it is neither.

    """
    try:
        if data.startswith(_NPY):
            return np.load(io.BytesIO(data), allow_pickle=False)
        return json.loads(data)
    except (ValueError, EOFError, RecursionError):
        message = "the file is neither JSON nor an array in NumPy's format (.npy)"
        raise UsageError(message) from None


def _refuse_unwritable(out: Path | None) -> None:
    """Refuse a file that cannot be written, before noise is drawn and charged that nobody would get."""
    if out is None:
        return
    new = not out.exists()
    try:
        out.open("ab").close()
    except OSError as error:
        message = f"{out} cannot be written: {error.strerror}. Nothing was released"
        raise UsageError(message) from None
    if new:
        out.unlink()


def _write(released: Any, out: Path | None) -> None:
    if out is None:
        return
    if isinstance(released, np.ndarray):
        with out.open("wb") as file:
            np.save(file, released, allow_pickle=False)
        return
    out.write_text(json.dumps(released) + "\n", encoding="utf-8")


def _estimate(value: Any, min_participants: int, terms: dict[str, Any], *, as_json: bool) -> None:
    if terms["dp_epsilon"] is None:
        output.say("Without --epsilon there is no noise: the threshold alone is no differential privacy.")
        return
    found = estimate_release(value, min_participants=min_participants, **terms)
    if as_json:
        output.print_json(found)
        return
    numbers = f"{found['coordinates']:,} number{'s' if found['coordinates'] != 1 else ''}"
    output.say(
        f"{found['mechanism'].capitalize()} noise of scale {found['scale']:.6g} on {numbers}: "
        f"standard deviation {found['standard_deviation']:.4g} each."
    )
    for each in found["budgets"]:
        left = "no limit" if each["left"] is None else f"{each['left']:g} left"
        output.say(f"  budget {each['budget']}: {each['cost']:g} of {each['unit']}, {left}")
    if not found["enough"]:
        output.say("That is more than there is: it would be refused.")
    output.say("Nothing was drawn, charged or released; --execute does it, once for each --id.")


def _tell(report: dict[str, Any]) -> None:
    """Say what was done, beside the value and not in it."""
    click.echo(report["guarantee"], err=True)
    if "budget" in report:
        left = "no limit" if report["remaining"] is None else f"{report['remaining']:g} left"
        click.echo(f"budget {report['budget']}: {left}; release {report['release']}", err=True)
