"""`lumyn replay`: decide a stored decision, or the one in a pack, again, and say whether it comes out the same."""

from __future__ import annotations

import re
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from lumyn.cli.console import Console
from lumyn.cli.deciding import STDIN
from lumyn.cli.exit_codes import ExitCode
from lumyn.cli.options import JsonFlag, StoreOption
from lumyn.cli.workspace import LAST, open_stored, resolve_stored
from lumyn.model import JsonObject, JsonValue

if TYPE_CHECKING:
    from lumyn.core.replay import Difference, Replay
    from lumyn.packs import Pack, PackReplay

__all__ = ["register"]

_ID: Final = re.compile("[0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{1,26}")
_LABEL_CHARS: Final = 12
_MOST_SHOWN: Final = 20
_VALUE_CHARS: Final = 160
_MEANINGS: Final = {
    "full": "all of it, with the policy and the memory it saw",
    "facts": "what was decided; the resemblance to failures was taken from the record",
    "verdict_only": "nothing could be decided again",
    "no": "nothing could be decided again",
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(replay)


def replay(
    context: typer.Context,
    decision: Annotated[
        str,
        typer.Argument(
            metavar="ID|PACK",
            help="A decision id, the beginning of one, @last, or a pack: a file, or -.",
            show_default=False,
        ),
    ],
    store: StoreOption = None,
    json: JsonFlag = False,
) -> int:
    """
    Decide a decision again, with the policy and the memory it was decided with, and compare.

    A pack needs no workspace: everything is in it, and every digest in it is checked first. Exits 0 when the decision
    comes out the same, 1 when it does not or a digest does not match, 3 when the file is not a pack.

    JSON (`lumyn.cli.replay.v0`): `match`; `decision_id`; `status`, `full`, `facts`, `verdict_only` or `no`, and
    `reason`, why not more; `verdict`, with `stored` and `replayed`; `differences`, each with `path`, `stored`,
    `replayed`; `pack`, null for an id, else with `sha256`, `vector` (`passed`, `failed`, `invalid`, or null where it
    does not reproduce the decision), `checkpoint`, with `origin`, `size`, `root`.
    """
    if decision == LAST or (_ID.fullmatch(decision) and not Path(decision).exists()):
        from lumyn.core.replay import replay_decision

        with closing(open_stored(context.obj, store)) as opened:
            found, of_pack = replay_decision(opened, resolve_stored(opened, decision)), None
        differences, matches = found.differences, _comes_out(found)
    else:
        from lumyn.packs import read_pack, replay_pack

        of_pack = replay_pack(read_pack(_read(decision)))
        found, differences, matches = of_pack.replay, of_pack.differences, of_pack.matches
    console = Console()
    if json:
        console.json("replay", _document(found, differences, of_pack, matches=matches))
    else:
        _print(console, found, differences, of_pack, matches=matches)
    return ExitCode.OK if matches else ExitCode.FAILED


def _comes_out(found: Replay) -> bool:
    return found.record is not None and not found.differences


def _read(file: str) -> bytes:
    from lumyn.documents import Limits, read_bytes
    from lumyn.errors import InvalidPackError
    from lumyn.packs import MAX_PACK_BYTES

    if file != STDIN:
        return read_bytes(Path(file), error=InvalidPackError, limits=Limits(max_bytes=MAX_PACK_BYTES))
    # One byte more than allowed is enough for it to be refused.
    return b"" if sys.stdin is None else sys.stdin.buffer.read(MAX_PACK_BYTES + 1)


def _document(
    found: Replay, differences: tuple[Difference, ...], of_pack: PackReplay | None, *, matches: bool
) -> dict[str, object]:
    stored, record = found.stored, found.record
    return {
        "match": matches,
        "decision_id": None if stored is None else stored.decision_id,
        "status": found.status.value,
        "reason": found.reason,
        "verdict": {
            "stored": None if stored is None else stored.verdict.value,
            "replayed": None if record is None else record.verdict.value,
        },
        "differences": [{"path": each.path, "stored": each.stored, "replayed": each.replayed} for each in differences],
        "pack": None if of_pack is None else _pack_document(of_pack),
    }


def _pack_document(of_pack: PackReplay) -> JsonObject:
    checkpoint = of_pack.pack.inclusion.checkpoint
    return {
        "sha256": of_pack.pack.digest.removeprefix("sha256:"),
        "vector": None if of_pack.vector is None else of_pack.vector.outcome.value,
        "checkpoint": {"origin": checkpoint.origin, "size": checkpoint.size, "root": checkpoint.root_text},
    }


def _print(
    console: Console,
    found: Replay,
    differences: tuple[Difference, ...],
    of_pack: PackReplay | None,
    *,
    matches: bool,
) -> None:
    from lumyn.cli.rendering import verdict_part
    from lumyn.report.words import action_words

    word = ("match", "bold green") if matches else ("mismatch", "bold red")
    stored = found.stored
    if stored is None:
        console.line(word, f"  {found.reason}", hang=2)
        return
    console.line(word, "  ", verdict_part(stored.verdict), "  ", action_words(stored.to_dict()), hang=2)
    for difference in differences[:_MOST_SHOWN]:
        _field(console, "differs", difference.path)
        _field(console, "", f"stored    {_value(difference.stored)}")
        _field(console, "", f"replayed  {_value(difference.replayed)}")
    if len(differences) > _MOST_SHOWN:
        _field(console, "", f"and {len(differences) - _MOST_SHOWN} more; `--json` lists all")
    reason = f": {found.reason}" if found.reason else ""
    _field(console, "replayed", f"{found.status.value}: {_MEANINGS[found.status.value]}{reason}")
    _field(console, "decision", stored.decision_id)
    _field(console, "policy", f"{stored.policy_id} {stored.policy_version} {stored.policy_hash}")
    _field(console, "memory", stored.memory_snapshot)
    if of_pack is not None:
        _print_pack(console, of_pack.pack, of_pack)


def _print_pack(console: Console, pack: Pack, of_pack: PackReplay) -> None:
    checkpoint = pack.inclusion.checkpoint
    _field(console, "pack", f"{pack.digest}: every digest in it is right")
    vector = "not run: it does not reproduce the decision" if of_pack.vector is None else of_pack.vector.outcome.value
    _field(console, "vector", vector)
    _field(console, "journal", f"{checkpoint.origin}, row {checkpoint.size}, root {checkpoint.root_text}")
    _field(console, "note", "whoever makes a pack can make all of it: a checkpoint kept elsewhere vouches for the root")


def _value(value: JsonValue) -> str:
    from json import dumps

    text = "absent" if value is None else dumps(value, ensure_ascii=False)
    return text if len(text) <= _VALUE_CHARS else f"{text[:_VALUE_CHARS]}..."


def _field(console: Console, label: str, text: str) -> None:
    console.line((label.ljust(_LABEL_CHARS), "dim"), text, indent=2, hang=2 + _LABEL_CHARS)
