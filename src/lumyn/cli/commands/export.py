"""`lumyn export`: a stored decision as JSON or as a pack, or many as JSON Lines. Changes nothing in the store."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from lumyn.cli.console import Console, safe_json, write, write_bytes
from lumyn.cli.deciding import STDIN
from lumyn.cli.exit_codes import ExitCode
from lumyn.cli.options import JsonFlag, StoreOption
from lumyn.cli.workspace import open_stored, resolve_stored
from lumyn.model import Verdict

if TYPE_CHECKING:
    from lumyn.store.base import StoredDecision
    from lumyn.store.journal import InspectableStore

__all__ = ["register"]

_STDOUT: Final = STDIN
_CHUNK_BYTES: Final = 65_536
_SHOWN_EVERY: Final = 1_000


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(export)


def export(
    context: typer.Context,
    decision: Annotated[
        str | None,
        typer.Argument(metavar="ID", help="A decision id, the beginning of one, or @last.", show_default=False),
    ] = None,
    pack: Annotated[
        bool, typer.Option("--pack", help="A pack: a file that anybody can check and decide again.")
    ] = False,
    jsonl: Annotated[bool, typer.Option("--jsonl", help="Many decisions, one a line, newest first.")] = False,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write to this file, or - for standard output."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, help="With --jsonl: at most so many.")] = None,
    verdict: Annotated[
        Verdict | None, typer.Option("--verdict", case_sensitive=False, help="With --jsonl: only this verdict.")
    ] = None,
    action: Annotated[
        str | None, typer.Option("--action", metavar="TYPE", help="With --jsonl: only this action.")
    ] = None,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="CODE", help="With --jsonl: only this reason code.")
    ] = None,
    tenant: Annotated[
        str | None, typer.Option("--tenant", metavar="ID", help="With --jsonl: only this tenant.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="With --jsonl: none decided before: a time, or 2h, 7d, P1D."),
    ] = None,
    store: StoreOption = None,
    json: JsonFlag = False,
) -> int:
    """
    Export one decision, or many with --jsonl.

    A record goes to standard output exactly as it is stored. A pack goes to lumyn-ID.zip, unless -o says otherwise.
    What is there already is never replaced without --force.

    JSON (`lumyn.cli.export.v0`): `kind`, `record`, `pack` or `records`; `decision_id`, or null; `path`, or null without
    a file; `count`, of records; `bytes` and `sha256` of the file; `record`, where one is exported without a file.
    """
    from lumyn.cli.times import since_text
    from lumyn.core.clock import SystemClock
    from lumyn.core.listing import Wanted

    chosen = any(value is not None for value in (verdict, action, reason, tenant, since, limit))
    after = None if since is None else since_text(since, now_ms=SystemClock().now_ms())
    _check_usage(decision, pack=pack, jsonl=jsonl, chosen=chosen)
    wanted = Wanted(verdict=verdict, reason_code=reason, action_type=action, tenant_id=tenant, since=after)
    with closing(open_stored(context.obj, store)) as opened:
        if jsonl:
            rows = opened.decisions(
                limit=sys.maxsize if reason is not None or limit is None else limit,
                verdict=None if verdict is None else verdict.value,
                action_type=wanted.action_type,
                tenant_id=wanted.tenant_id,
                since=wanted.since,
            )
            return _write(_lines(rows, reason, limit), "records", None, output or _STDOUT, force=force, as_json=json)
        decision_id = resolve_stored(opened, decision or "")
        if pack:
            target = output or f"lumyn-{decision_id}.zip"
            return _write(_pack(opened, decision_id), "pack", decision_id, target, force=force, as_json=json)
        record = opened.decision(decision_id).record_json
    if json and output in (None, _STDOUT):
        from json import loads

        data = f"{record}\n".encode()
        told = _document("record", decision_id, None, count=1, size=len(data), digest=sha256(data).hexdigest())
        Console().json("export", told | {"record": loads(record)})
        return ExitCode.OK
    whole = iter([f"{record}\n".encode()])
    return _write(whole, "record", decision_id, output or _STDOUT, force=force, as_json=json)


def _check_usage(decision: str | None, *, pack: bool, jsonl: bool, chosen: bool) -> None:
    if pack and jsonl:
        raise typer.BadParameter("--pack and --jsonl exclude each other")
    if jsonl and decision is not None:
        raise typer.BadParameter("--jsonl exports many decisions: leave the ID out")
    if not jsonl and decision is None:
        raise typer.BadParameter("name a decision, such as @last, or export many with --jsonl")
    if not jsonl and chosen:
        raise typer.BadParameter("--limit and the filters choose among many decisions: add --jsonl")


def _lines(rows: Iterator[StoredDecision], reason: str | None, limit: int | None) -> Iterator[bytes]:
    """Yield records as lines, one at a time: a store may hold more of them than memory does."""
    from lumyn.core.records import record_from_json

    texts = (
        row.record_json for row in rows if reason is None or reason in record_from_json(row.record_json).reason_codes
    )
    for text in islice(texts, limit):
        yield f"{text}\n".encode()


def _pack(store: InspectableStore, decision_id: str) -> Iterator[bytes]:
    from lumyn.packs import pack_decision

    yield pack_decision(store, decision_id)


def _write(
    parts: Iterator[bytes], kind: str, decision_id: str | None, target: str, *, force: bool, as_json: bool
) -> int:
    """Write parts to a file or standard output, and say where they are when that is a file."""
    if target == _STDOUT:
        if as_json:
            raise typer.BadParameter("--json tells about a file: name one with -o FILE")
        _to_stdout(parts, binary=kind == "pack")
        return ExitCode.OK
    from lumyn.cli.files import new_file
    from lumyn.cli.progress import progress_bar

    path, digest, size, count = Path(target), sha256(), 0, 0
    with new_file(path, force=force) as stream, progress_bar("exporting") as advance:
        for part in parts:
            stream.write(part)
            digest.update(part)
            size += len(part)
            count += 1
            if advance is not None and not count % _SHOWN_EVERY:
                advance(count, count)
    console = Console()
    if as_json:
        told = _document(kind, decision_id, target, count=count, size=size, digest=digest.hexdigest())
        console.json("export", told)
    elif kind == "records":
        console.line(f"wrote {count} {'record' if count == 1 else 'records'} to {target}", hang=2)
    else:
        console.line(f"wrote {target}", hang=2)
        console.line((f"sha256:{digest.hexdigest()}", "dim"), indent=2, hang=2)
    return ExitCode.OK


def _document(
    kind: str, decision_id: str | None, path: str | None, *, count: int, size: int, digest: str
) -> dict[str, object]:
    data: dict[str, object] = {"kind": kind, "decision_id": decision_id, "path": path, "count": count}
    return {**data, "bytes": size, "sha256": digest, "record": None}


def _to_stdout(parts: Iterator[bytes], *, binary: bool) -> None:
    """Write to standard output: as it is into a pipe, and on a terminal with nothing that could steer it."""
    stream = sys.stdout
    if stream is None:
        return
    if stream.isatty():
        if binary:
            raise typer.BadParameter("a pack is no text for a terminal: name a file with -o FILE")
        for part in parts:
            write(stream, safe_json(part.decode()))
        return
    pending = bytearray()
    for part in parts:
        pending += part
        if len(pending) >= _CHUNK_BYTES:
            write_bytes(stream, bytes(pending))
            pending.clear()
    write_bytes(stream, bytes(pending))
