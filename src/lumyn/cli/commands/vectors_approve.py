"""`lumyn vectors approve`: proposed vectors become vectors. Takes out `status: proposed` and touches nothing else."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Annotated

import typer

from lumyn.cli.console import Console
from lumyn.cli.exit_codes import ExitCode
from lumyn.cli.options import JsonFlag
from lumyn.cli.workspace import find_config
from lumyn.errors import InvalidVectorError, NotFoundError, Problem

__all__ = ["approve"]


def approve(
    context: typer.Context,
    ids: Annotated[
        list[str], typer.Argument(metavar="ID...", help="FILE::NAME of a proposed vector, or FILE for all.")
    ],
    json: JsonFlag = False,
) -> int:
    """
    Make proposed vectors count: what they expect is right.

    Each must pass today; one that does not is left as it is, and then no file is changed.

    JSON (`lumyn.cli.vectors_approve.v0`): `approved`, the ids.
    """
    folder = find_config(context.obj).folder
    wanted: dict[Path, set[str] | None] = {}
    for text in ids:
        name, _, vector = text.partition("::")
        path = Path(name).absolute()
        held = wanted.setdefault(path, set())
        if not vector or held is None:
            wanted[path] = None
        else:
            held.add(vector)
    changes = [_approved(path, names, folder) for path, names in wanted.items()]
    approved = [name for _, _, names in changes for name in names]
    _write([change for change in changes if change[2]], folder)
    console = Console()
    if json:
        console.json("vectors_approve", {"approved": approved})
    else:
        for name in approved:
            console.line(("approved ", "green"), name)
        if not approved:
            console.line("no vector is proposed there")
    return ExitCode.OK if approved else ExitCode.NOTHING_TO_DO


def _approved(path: Path, names: set[str] | None, folder: Path) -> tuple[Path, str, list[str]]:
    """Return a file's new text and the ids it approves; raises for a vector that is not proposed there, or fails."""
    from lumyn.documents.editing import EditRefusedError, edited
    from lumyn.vectors.loader import load_suite
    from lumyn.vectors.rewrite import FileRefusedError, read_document
    from lumyn.vectors.runner import Outcome, run

    suite = load_suite(path, root=folder)
    proposed = [vector for vector in suite.vectors if vector.proposed and (names is None or vector.name in names)]
    missing = (names or set()) - {vector.name for vector in proposed}
    if missing:
        raise NotFoundError(f"no proposed vector is called `{min(missing)}` in `{path.name}`")
    for vector in proposed:
        if vector.problems or run(vector).outcome is not Outcome.PASSED:
            message = f"`{vector.name}` does not come out as it expects: change what it expects before approving it"
            raise InvalidVectorError([Problem(code="SUGGESTION_FAILED", message=message, span=vector.span)])
    try:
        document = read_document(path, path.name, folder)
        value = copy.deepcopy(document.value)
        cases = value.get("vectors", [value]) if isinstance(value, dict) else []
        chosen = {vector.name for vector in proposed}
        for case in cases if isinstance(cases, list) else []:
            if isinstance(case, dict) and (case.get("name") in chosen or case is value):
                case.pop("status", None)
        text = edited(document, value).text
    except (EditRefusedError, FileRefusedError) as error:
        raise InvalidVectorError([Problem(code="LAYOUT_REFUSED", message=f"`{path.name}`: {error}")]) from None
    return path, text, [vector.node_id for vector in proposed]


def _write(changes: list[tuple[Path, str, list[str]]], folder: Path) -> None:
    from lumyn.vectors.rewrite import FileRefusedError, read_document, replace_text

    for path, text, _ in changes:
        try:
            replace_text(path, read_document(path, path.name, folder), text, root=folder)
        except FileRefusedError as error:
            raise InvalidVectorError([Problem(code="LAYOUT_REFUSED", message=f"`{path.name}`: {error}")]) from None
