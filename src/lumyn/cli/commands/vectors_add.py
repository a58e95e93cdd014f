"""`lumyn vectors add`: an incident becomes a golden vector. Writes one new file, and never over one that is there."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from lumyn.cli.commands.init import vector_modeline
from lumyn.cli.console import Console, write_document
from lumyn.cli.deciding import STDIN
from lumyn.cli.exit_codes import ExitCode
from lumyn.cli.layout import cells
from lumyn.cli.options import DecisionId, JsonFlag
from lumyn.cli.workspace import find_config, open_workspace, resolve_stored
from lumyn.errors import InvalidVectorError, Problem, StoreIntegrityError
from lumyn.model import Verdict

if TYPE_CHECKING:
    from lumyn.core.decide import Gate
    from lumyn.core.records import DecisionRecord
    from lumyn.engine.similarity import MemorySnapshot
    from lumyn.policy.spec import Policy
    from lumyn.vectors.incident import Incident

__all__ = ["add"]

_FOLDER: Final = Path("vectors", "incidents")
_SUFFIXES: Final = (".yml", ".yaml")
_LABEL_CHARS: Final = 12


def add(
    context: typer.Context,
    decision: DecisionId,
    expect: Annotated[
        Verdict | None,
        typer.Option("--expect", case_sensitive=False, help="The verdict it should have had.", show_default=False),
    ] = None,
    reason: Annotated[
        list[str] | None,
        typer.Option("--reason", metavar="CODE", help="A reason code it should have had; repeat for more."),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write to this new file, or - for standard output."),
    ] = None,
    json: JsonFlag = False,
) -> int:
    """
    Make a golden vector of a stored decision: its request, the memory it saw, its time, and what must come out.

    Goes to a new file in vectors/incidents/. It expects what came out, or the verdict of --expect: then it fails until
    the policy is changed. It is run before it is written, and refused when it does not give what was recorded.

    JSON (`lumyn.cli.vectors_add.v0`): `decision_id`; `id`, the vector's; `path`, or null; `expected`; `outcome`,
    `passed` or `failed`, with the policy of today; `verdict` and `reason_codes` that come out; `notes`; `text`.
    """
    from lumyn.vectors.incident import incident_name, incident_vector

    config = find_config(context.obj, demo=True)
    with open_workspace(context.obj) as gate:
        record = gate.record(resolve_stored(gate.store, decision))
        path = _target(output, config.folder / _FOLDER / f"{incident_name(record)}.yml")
        decided_by, memory = _saw(gate, record)
        made = incident_vector(
            record,
            path=path,
            root=config.folder,
            policy=gate.policy,
            policy_file=config.policy.path or Path(),
            decided_by=decided_by,
            memory=memory,
            expect=expect,
            reason_codes=tuple(reason or ()),
            modeline=vector_modeline(config.folder, path),
        )
    if output != STDIN:
        from lumyn.cli.files import new_file

        with new_file(path) as stream:
            stream.write(made.text.encode())
    console = Console()
    if json:
        console.json("vectors_add", _document(record, made, written=output != STDIN))
    elif output == STDIN:
        write_document(sys.stdout, made.text)
    else:
        _print(console, record, made)
    return ExitCode.OK


def _target(output: str | None, default: Path) -> Path:
    path = default if output in (None, STDIN) else Path(output or "")
    if path.suffix not in _SUFFIXES:
        raise typer.BadParameter("a vector file is called *.yml or *.yaml")
    if os.path.lexists(path):
        message = f"`{_shown(path)}` is there already: a vector file is never written over"
        hint = "name another one with -o FILE"
        raise InvalidVectorError([Problem(code="PATH_EXISTS", message=message, hint=hint)])
    return path


def _saw(gate: Gate, record: DecisionRecord) -> tuple[Policy, MemorySnapshot]:
    """Return the policy that decided, and the memory the decision saw."""
    from lumyn.engine.similarity import MemorySnapshot
    from lumyn.policy.loader import parse_policy

    kept = gate.store.policy(record.policy_hash)
    row = gate.store.decision(record.decision_id)
    count = int(record.memory_snapshot.split(":")[1])
    memory = MemorySnapshot()
    for item in gate.store.memory_items(row.tenant_id, row.action_type, limit=count) if count else ():
        memory.add(item)
    if memory.digest != record.memory_snapshot:
        message = "the experience this decision saw is not in the store as it was"
        raise StoreIntegrityError(message, hint="`lumyn verify` names what changed")
    return parse_policy(kept.source, file=f"<policy {kept.policy_hash}>"), memory


def _document(record: DecisionRecord, made: Incident, *, written: bool) -> dict[str, object]:
    came = made.result.record
    return {
        "decision_id": record.decision_id,
        "id": made.vector.node_id,
        "path": _shown(made.path) if written else None,
        "expected": made.vector.document["expect"],
        "outcome": made.result.outcome.value,
        "verdict": None if came is None else came.verdict.value,
        "reason_codes": [] if came is None else list(came.reason_codes),
        "notes": list(made.notes),
        "text": made.text,
    }


def _print(console: Console, record: DecisionRecord, made: Incident) -> None:
    from lumyn.vectors.runner import Outcome

    console.line(f"wrote {_shown(made.path)}", hang=2)
    came = made.result.record
    got = "an error" if came is None else f"{came.verdict} ({', '.join(came.reason_codes)})"
    if made.result.outcome is Outcome.PASSED:
        _field(console, "passes", f"{got} comes out, as it expects")
    else:
        _field(console, "fails", f"{got} comes out: it fails until {made.vector.policy_file} is changed")
    for note in made.notes:
        _field(console, "note", note)
    _field(console, "run it", f"lumyn vectors run {_shown(made.path)}")


def _field(console: Console, label: str, text: str) -> None:
    padding = " " * max(0, _LABEL_CHARS - cells(label))
    console.line((label + padding, "dim"), text, indent=2, hang=2 + _LABEL_CHARS)


def _shown(path: Path) -> str:
    """Return a path as it can be typed from here."""
    absolute, here = path.absolute(), Path.cwd()
    return (absolute.relative_to(here) if absolute.is_relative_to(here) else absolute).as_posix()
