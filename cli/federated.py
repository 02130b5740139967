"""`aegis federated`: aggregates over many people, their noise and their budgets."""

import click

from cli import budgets


@click.group()
def federated() -> None:
    """Protect aggregates over many people with noise, within a budget, and release each once."""


federated.add_command(budgets.budget)
