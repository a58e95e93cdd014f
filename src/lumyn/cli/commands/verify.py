"""`lumyn verify`: whether the store still holds what was written. Reads the store and changes nothing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from lumyn.cli.console import Console, counted_noun
from lumyn.cli.deciding import STDIN
from lumyn.cli.exit_codes import ExitCode
from lumyn.cli.options import JsonFlag, StoreOption
from lumyn.cli.workspace import open_store_only

if TYPE_CHECKING:
    from lumyn.core.verify import Finding, Verification
    from lumyn.store.checkpoint import Checkpoint

__all__ = ["register"]

_NOUNS: Final = {"decision": "decision", "event": "event", "memory": "memory item", "policy": "policy text"}
_HANG: Final = 2


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(verify)


def verify(
    context: typer.Context,
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            metavar="FILE",
            help="A checkpoint kept outside the store, or - for standard input.",
            show_default=False,
        ),
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Also decide every decision again.")] = False,
    store: StoreOption = None,
    json: JsonFlag = False,
) -> int:
    """
    Verify that the store holds what was written: whole, in order, unedited.

    Exits 1 when something is wrong, 4 when there is no store that can be opened. Without --against, rows cut from the
    end cannot be seen, and it says so.

    JSON (`lumyn.cli.verify.v0`): `ok`; `store_id`; `rows` by kind; `against`, with `origin`, `size`, `root`, or null;
    `replayed` and `not_replayable`, null without --full; `counts` by code; `findings`, each with `code`, `message`,
    `table`, `seq`, `id`, `hint`, at most 20 of each code; `notes`, of the same form: what could not be verified.
    """
    from lumyn.cli.progress import progress_bar
    from lumyn.core.verify import verify as verify_store

    anchor = None if against is None else _read_checkpoint(against)
    opened, store_id = open_store_only(context.obj, store)
    with progress_bar("verifying") as progress:
        found = verify_store(opened, against=anchor, full=full, store_id=store_id, progress=progress)
    console = Console()
    if json:
        console.json("verify", _document(found))
    else:
        _print(console, found)
    return ExitCode.OK if found.ok else ExitCode.FAILED


def _read_checkpoint(file: str) -> Checkpoint:
    from lumyn.documents import Limits, read_bytes
    from lumyn.store.checkpoint import CHECKPOINT_BYTES, InvalidCheckpointError, parse_checkpoint

    if file == STDIN:
        return parse_checkpoint(b"" if sys.stdin is None else sys.stdin.buffer.read(CHECKPOINT_BYTES + 1))
    limits = Limits(max_bytes=CHECKPOINT_BYTES)
    return parse_checkpoint(read_bytes(Path(file), error=InvalidCheckpointError, limits=limits))


def _document(found: Verification) -> dict[str, object]:
    against = found.against
    return {
        "ok": found.ok,
        "store_id": found.store_id or None,
        "rows": dict(found.rows),
        "against": None
        if against is None
        else {"origin": against.origin, "size": against.size, "root": against.root_text},
        "replayed": found.replayed,
        "not_replayable": None if found.replayed is None else found.not_replayable,
        "counts": dict(sorted(found.counts.items())),
        "findings": [_finding(each) for each in found.findings],
        "notes": [_finding(each) for each in found.notes],
    }


def _finding(finding: Finding) -> dict[str, object]:
    return {
        "code": finding.code,
        "message": finding.message,
        "table": finding.table,
        "seq": finding.seq,
        "id": finding.row_id,
        "hint": finding.hint,
    }


def _print(console: Console, found: Verification) -> None:
    hints: dict[str, None] = {}
    for finding in found.findings:
        where = _place(finding)
        console.line((finding.code, "bold red"), f"  {where}{': ' if where else ''}{finding.message}", hang=_HANG)
        if finding.hint:
            hints[finding.hint] = None
    hidden = sum(found.counts.values()) - len(found.findings)
    if hidden:
        console.line(f"and {hidden} more; `--json` counts them by code", hang=_HANG)
    for hint in hints:
        console.line(f"hint: {hint}", hang=_HANG)
    for note in found.notes:
        console.line((note.code, "bold yellow"), f"  {note.message}", hang=_HANG)
        if note.hint:
            console.line(f"hint: {note.hint}", hang=_HANG)
    if found.against is not None and found.ok:
        console.line(f"begins with the {counted_noun(found.against.size, 'row')} of the checkpoint", hang=_HANG)
    if found.replayed is not None:
        left = f"; {found.not_replayable} could not be" if found.not_replayable else ""
        console.line(f"{counted_noun(found.replayed, 'decision')} decided again{left}", hang=_HANG)
    counts = ", ".join(counted_noun(found.rows[kind], noun) for kind, noun in _NOUNS.items())
    verdict = ("ok", "bold green") if found.ok else (counted_noun(sum(found.counts.values()), "finding"), "bold red")
    console.line(verdict, f"  {counts}", hang=_HANG)


def _place(finding: Finding) -> str:
    parts = [finding.table or "", "" if finding.seq is None else f"seq {finding.seq}", finding.row_id or ""]
    return " ".join(part for part in parts if part)
