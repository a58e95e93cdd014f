"""`lumyn vectors approve`: proposed vectors become vectors. Takes out `status: proposed` and touches nothing else."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from lumyn.cli.console import Console
from lumyn.cli.exit_codes import ExitCode
from lumyn.cli.options import JsonFlag
from lumyn.cli.workspace import find_config
from lumyn.errors import InvalidVectorError, NotFoundError, Problem

if TYPE_CHECKING:
    from lumyn.documents import Document
    from lumyn.vectors.format import Suite

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
        name, colons, vector = text.partition("::")
        if colons and not (name and vector):
            raise typer.BadParameter(f"`{text}` is half an id: write FILE::NAME, or FILE for all in it")
        path = Path(name).absolute()
        if not colons and not path.suffix and not os.path.lexists(path):
            hint = "an id is FILE::NAME, as pytest prints it"
            raise InvalidVectorError([Problem(code="PATH_NOT_FOUND", message=f"no such file: `{text}`", hint=hint)])
        held = wanted.setdefault(path, set())
        if not vector or held is None:
            wanted[path] = None
        else:
            held.add(vector)
    drafts = [_approved(path, names, folder) for path, names in wanted.items()]
    approved = [name for draft in drafts for name in draft.ids]
    _write([draft for draft in drafts if draft.ids], folder)
    console = Console()
    if json:
        console.json("vectors_approve", {"approved": approved})
    else:
        for name in approved:
            console.line(("approved ", "green"), name)
        if not approved:
            console.line("no vector is proposed there")
    return ExitCode.OK if approved else ExitCode.NOTHING_TO_DO


class _Draft(NamedTuple):
    path: Path
    document: Document
    text: str
    ids: list[str]


def _approved(path: Path, names: set[str] | None, folder: Path) -> _Draft:
    """Return a file's new text and the ids it approves; raises for a vector that is not proposed there, or fails."""
    from lumyn.documents import load
    from lumyn.documents.editing import EditRefusedError, edited
    from lumyn.vectors.loader import load_suite, parse_suite
    from lumyn.vectors.rewrite import FileRefusedError, read_document
    from lumyn.vectors.runner import Outcome, run
    from lumyn.vectors.sources import LIMITS

    suite = load_suite(path, root=folder)
    proposed = [vector for vector in suite.vectors if vector.proposed and (names is None or vector.name in names)]
    missing = (names or set()) - {vector.name for vector in proposed}
    if missing:
        raise _not_proposed(min(missing), suite, path.name)
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
    again = load(text.encode(), file=path.name, error=InvalidVectorError, limits=LIMITS)
    left = {each.vector_id for each in parse_suite(again, path=path, root=folder).vectors if each.proposed}
    for vector in proposed:
        if vector.vector_id in left:
            message = f"`{vector.vector_id}` stays proposed: its `status` is not a key of the vector itself"
            hint = "take the column `status` out of its table"
            raise InvalidVectorError([Problem(code="LAYOUT_REFUSED", message=message, span=vector.span, hint=hint)])
    return _Draft(path, document, text, [vector.node_id for vector in proposed])


def _not_proposed(name: str, suite: Suite, file: str) -> NotFoundError:
    """Return why nothing of this name can be approved."""
    from lumyn.vectors.findings import did_you_mean

    proposed = {vector.name for vector in suite.vectors if vector.proposed}
    for vector in suite.vectors:
        if vector.vector_id == name and vector.name in proposed:
            return NotFoundError(
                f"`{name}` is a row in `{file}`: its table is approved as a whole", hint=f"name it `{vector.name}`"
            )
        if name in (vector.name, vector.vector_id):
            return NotFoundError(f"`{name}` in `{file}` is not proposed: it counts already")
    return NotFoundError(f"no vector is called `{name}` in `{file}`", hint=did_you_mean(name, proposed))


def _write(drafts: list[_Draft], folder: Path) -> None:
    from lumyn.vectors.rewrite import FileRefusedError, replace_text

    for draft in drafts:
        try:
            replace_text(draft.path, draft.document, draft.text, root=folder)
        except FileRefusedError as error:
            raise InvalidVectorError(
                [Problem(code="LAYOUT_REFUSED", message=f"`{draft.path.name}`: {error}")]
            ) from None
