"""`lumyn label`: say what became of a decision. The label becomes experience that later decisions are compared with."""

from __future__ import annotations

from typing import Annotated

import typer

from lumyn.cli.console import Console
from lumyn.cli.exit_codes import ExitCode
from lumyn.cli.options import DecisionId, JsonFlag
from lumyn.cli.workspace import open_workspace, resolve_id
from lumyn.model import Label

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(label)


def label(
    context: typer.Context,
    decision: DecisionId,
    failure: Annotated[bool, typer.Option("--failure", help="The action should not have been taken.")] = False,
    success: Annotated[bool, typer.Option("--success", help="The action was right.")] = False,
    near_miss: Annotated[bool, typer.Option("--near-miss", help="It went well, and only just.")] = False,
    note: Annotated[str | None, typer.Option("--note", help="Why, in a line.", show_default=False)] = None,
    actor: Annotated[str | None, typer.Option("--actor", help="Who says so.", show_default=False)] = None,
    json: JsonFlag = False,
) -> int:
    """
    Say what became of a decision, so that later decisions are compared with it.

    JSON (`lumyn.cli.label.v0`): `decision_id`, `memory_id`, `label`, `action_type`, `tenant_id`, `summary`.
    """
    chosen = _chosen(failure=failure, success=success, near_miss=near_miss)
    with open_workspace(context.obj) as gate:
        item = gate.label(resolve_id(gate, decision), chosen, note=note, actor=actor)
        console = Console()
        if json:
            console.json(
                "label",
                {
                    "decision_id": item.source_decision_id,
                    "memory_id": item.memory_id,
                    "label": item.label.value,
                    "action_type": item.action_type,
                    "tenant_id": item.tenant_id,
                    "summary": item.summary,
                },
            )
            return ExitCode.OK
        console.line(f"labelled {item.source_decision_id} {item.label.value}", hang=2)
        tenant = f" of tenant {item.tenant_id}" if item.tenant_id else ""
        console.line(f"memory of {item.action_type}{tenant} now holds {item.memory_id}: {item.summary}", indent=2)
    return ExitCode.OK


def _chosen(*, failure: bool, success: bool, near_miss: bool) -> Label:
    flags = {Label.FAILURE: failure, Label.SUCCESS: success, Label.NEAR_MISS: near_miss}
    chosen = [each for each, given in flags.items() if given]
    if len(chosen) != 1:
        raise typer.BadParameter("give exactly one of --failure, --success, --near-miss")
    return chosen[0]
