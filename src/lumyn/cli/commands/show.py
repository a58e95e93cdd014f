"""`lumyn show`: one stored decision, or the most recent ones. Reads the store and changes nothing."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Final

import typer

from lumyn.cli.console import Console, PipeClosedError
from lumyn.cli.exit_codes import ExitCode
from lumyn.cli.options import JsonFlag, recent_ids
from lumyn.cli.workspace import open_reading, resolve_stored
from lumyn.model import JsonObject, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lumyn.core.listing import Wanted
    from lumyn.core.records import DecisionRecord
    from lumyn.store import Event, Store

__all__ = ["register"]

_POLL_S: Final = 0.5


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(show)


def show(
    context: typer.Context,
    decision: Annotated[
        str | None,
        typer.Argument(
            metavar="ID",
            help="A decision id, the beginning of one, @last, or - to read one.",
            show_default=False,
            autocompletion=recent_ids,
        ),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, max=10_000, help="How many to list.")] = 20,
    verdict: Annotated[
        Verdict | None,
        typer.Option("--verdict", case_sensitive=False, help="List only this verdict.", show_default=False),
    ] = None,
    reason: Annotated[
        str | None,
        typer.Option("--reason-code", "--reason", metavar="CODE", help="List only this code.", show_default=False),
    ] = None,
    action: Annotated[
        str | None, typer.Option("--action", metavar="TYPE", help="List only this action type.", show_default=False)
    ] = None,
    tenant: Annotated[
        str | None, typer.Option("--tenant", metavar="ID", help="List only this tenant.", show_default=False)
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="List none before: a time, or 2h, 7d, P1D.", show_default=False),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on listing new ones, until Ctrl-C.")] = False,
    json: JsonFlag = False,
) -> int:
    """
    Show one decision, or list the most recent ones.

    JSON with ID (`lumyn.cli.show.v0`): `record`, `events`. Without (`lumyn.cli.show_recent.v0`): `records`,
    newest first. With --follow, a line of JSON for each decision (`lumyn.cli.show_follow.v0`): `record`; oldest first.
    """
    from lumyn.cli.times import since_text
    from lumyn.core.clock import SystemClock
    from lumyn.core.listing import Wanted

    wanted = Wanted(
        verdict=verdict,
        reason_code=reason,
        action_type=action,
        tenant_id=tenant,
        since=None if since is None else since_text(since, now_ms=SystemClock().now_ms()),
    )
    if decision is not None and (follow or wanted != Wanted()):
        raise typer.BadParameter("an ID names one decision: leave it out to list some")
    if limit == 0 and not follow:
        raise typer.BadParameter("list at least one, or --follow new ones", param_hint="--limit")
    store, _ = open_reading(context.obj)
    with closing(store):
        if decision is not None:
            _show_one(store, decision, as_json=json)
        elif follow:
            _follow(store, wanted, limit, as_json=json)
        else:
            _list(store, wanted, limit, as_json=json)
    return ExitCode.OK


def _show_one(store: Store, decision: str, *, as_json: bool) -> None:
    from lumyn.cli.rendering import print_events, print_record
    from lumyn.core.records import record_from_json

    found = store.decision(resolve_stored(store, decision))
    record, events = record_from_json(found.record_json), store.events(found.decision_id)
    console = Console()
    if as_json:
        console.json("show", {"record": record.to_dict(), "events": [_event(event) for event in events]})
    else:
        print_record(console, record)
        print_events(console, events)


def _list(store: Store, wanted: Wanted, limit: int, *, as_json: bool) -> None:
    from lumyn.cli.rendering import print_records
    from lumyn.core.listing import Wanted, recent

    records = recent(store, wanted, limit=limit)
    console = Console()
    if as_json:
        console.json("show_recent", {"records": [record.to_dict() for record in records]})
    elif records:
        print_records(console, records)
    else:
        console.line("no decisions here" if wanted == Wanted() else "no decision is like that")


def _follow(store: Store, wanted: Wanted, limit: int, *, as_json: bool) -> None:
    from time import sleep

    from lumyn.core.listing import newest_seq, recent, since_seq

    console = Console()
    seen = newest_seq(store)
    _print_each(console, reversed(recent(store, wanted, limit=limit, up_to_seq=seen)), as_json=as_json)
    while True:
        records, seen = since_seq(store, wanted, after_seq=seen)
        _print_each(console, records, as_json=as_json)
        if _nobody_reads():
            raise PipeClosedError
        sleep(_POLL_S)


def _print_each(console: Console, records: Iterable[DecisionRecord], *, as_json: bool) -> None:
    from lumyn.cli.rendering import print_record_line

    for record in records:
        if as_json:
            console.json("show_follow", {"record": record.to_dict()}, one_line=True)
        else:
            print_record_line(console, record)


def _nobody_reads() -> bool:
    """Return whether the other end of the output is closed, which a program that writes nothing is not told."""
    import select

    try:
        watch = select.poll()
        watch.register(sys.stdout.fileno(), 0)
        return any(event & (select.POLLERR | select.POLLHUP) for _, event in watch.poll(0))
    except (AttributeError, OSError, ValueError):  # no such call on this system, or no such stream
        return sys.stdout is None


def _event(event: Event) -> JsonObject:
    return {
        "event_id": event.event_id,
        "at": event.at,
        "type": event.type,
        "data": event.data,
        "actor": event.actor,
    }
