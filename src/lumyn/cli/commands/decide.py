"""`lumyn decide`: decide one request. The command line only; `lumyn.cli.deciding` does the work."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lumyn.cli.deciding import decide_file
from lumyn.cli.options import JsonFlag

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(decide)


def decide(
    context: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="A request as JSON, or - for standard input.")],
    json: JsonFlag = False,
) -> int:
    """
    Decide one request, and exit 0 only when the action may proceed.

    Otherwise 10 ESCALATE, 11 QUERY, 12 ABSTAIN, 3 when the request, policy or configuration is invalid: so
    `lumyn decide request.json && refund` is safe.

    JSON (`lumyn.cli.decide.v0`): `permits`, whether the action may proceed; `persisted`; `record`, the whole record.
    """
    config_file: Path | None = context.obj
    return decide_file(file, as_json=json, config_file=config_file)
