"""`lumyn show`: one stored decision, or the most recent ones. Reads the store and changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lumyn.cli.console import Console
from lumyn.cli.exit_codes import ExitCode
from lumyn.cli.options import JsonFlag
from lumyn.cli.workspace import open_workspace, resolve_id
from lumyn.model import JsonObject, Verdict

if TYPE_CHECKING:
    from lumyn.store import Event

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(show)


def show(
    context: typer.Context,
    decision: Annotated[
        str | None,
        typer.Argument(metavar="[ID]", help="A decision id, the beginning of one, or @last.", show_default=False),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="How many to list.")] = 20,
    verdict: Annotated[Verdict | None, typer.Option("--verdict", help="List only this verdict.")] = None,
    action: Annotated[str | None, typer.Option("--action", metavar="TYPE", help="List only this action type.")] = None,
    reason: Annotated[str | None, typer.Option("--reason", metavar="CODE", help="List only this reason code.")] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", metavar="ID", help="List only this tenant.")] = None,
    json: JsonFlag = False,
) -> int:
    """
    Show one decision, or list the most recent ones.

    JSON with ID (`lumyn.cli.show.v0`): `record`, `events`. Without (`lumyn.cli.show_recent.v0`): `records`,
    newest first.
    """
    from lumyn.cli.rendering import print_events, print_record, print_records

    with open_workspace(context.obj) as gate:
        console = Console()
        if decision is None:
            records = gate.records(
                limit=limit, verdict=verdict, reason_code=reason, action_type=action, tenant_id=tenant
            )
            if json:
                console.json("show_recent", {"records": [record.to_dict() for record in records]})
            elif records:
                print_records(console, records)
            else:
                console.line("no decisions here")
            return ExitCode.OK
        record = gate.record(resolve_id(gate, decision))
        events = gate.events(record.decision_id)
        if json:
            console.json("show", {"record": record.to_dict(), "events": [_event(event) for event in events]})
        else:
            print_record(console, record)
            print_events(console, events)
    return ExitCode.OK


def _event(event: Event) -> JsonObject:
    return {
        "event_id": event.event_id,
        "at": event.at,
        "type": event.type,
        "data": event.data,
        "actor": event.actor,
    }
