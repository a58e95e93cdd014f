"""`lumyn vectors suggest`: vectors that would notice what none does. Writes one new file, and only when asked."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lumyn.cli.console import Console, counted_noun
from lumyn.cli.exit_codes import ExitCode
from lumyn.cli.options import JsonFlag
from lumyn.cli.workspace import find_config
from lumyn.errors import InvalidVectorError, Problem

if TYPE_CHECKING:
    from lumyn.analysis.suggest import Suggestion

__all__ = ["suggest"]


def suggest(
    context: typer.Context,
    policy: Annotated[
        str | None, typer.Option("--policy", metavar="FILE", help="The policy; default the configured one.")
    ] = None,
    vectors: Annotated[
        list[str] | None, typer.Option("--vectors", metavar="PATH", help="The vectors there are; default every one.")
    ] = None,
    write: Annotated[
        Path | None, typer.Option("--write", metavar="FILE", help="Write them to this new file, below the workspace.")
    ] = None,
    most: Annotated[int | None, typer.Option("--max", min=1, metavar="N", help="At most N, the most valuable.")] = None,
    full: Annotated[bool, typer.Option("--full", help="Against every kind of edit, not only the core.")] = False,
    json: JsonFlag = False,
) -> int:
    """
    Suggest vectors for the edits of a policy that no vector notices, and for what none exercises.

    Most change one field of a vector there is. Each is run before it is shown, expects what the policy says today, and
    has `status: proposed`: it counts once `lumyn vectors approve` was told so. Exits 5 when nothing is missing.

    JSON (`lumyn.cli.vectors_suggest.v0`): `policy`, `path` or null, `suggestions`, each with `name`, `base`, `changed`,
    `kills`, `goals`, `vector`; `left`, how many edits none of them notices.
    """
    from lumyn.analysis.emit import suggestion_document, suggestions_text
    from lumyn.analysis.mutants import Scope
    from lumyn.analysis.mutation import assess
    from lumyn.analysis.suggest import suggest as suggestions_for
    from lumyn.cli.analysing import load_vectors, observed, policy_at
    from lumyn.discovery import policy_path

    config = find_config(context.obj)
    file = str(policy_path(config)) if policy is None else policy
    loaded = policy_at(file)
    usable, _ = load_vectors(config.folder, vectors)
    rows, scope = observed(usable, loaded), Scope.FULL if full else Scope.CORE
    found = suggestions_for(loaded, rows, scope=scope, most=most)
    survivors = assess(loaded, rows, scope=scope).survivors
    left = len({each.mutant.mutant_id for each in survivors} - {name for each in found for name in each.kills})
    shown = Path(os.path.relpath(Path(file).absolute(), config.folder.absolute())).as_posix()
    text = suggestions_text(found, policy_file=shown)
    _prove(text, config.folder, write)
    if write is not None and found:
        from lumyn.cli.files import new_file

        with new_file(write) as stream:
            stream.write(text.encode())
    console = Console()
    if json:
        data: dict[str, object] = {
            "policy": shown,
            "path": None if write is None or not found else str(write),
            "suggestions": [
                {
                    "name": (vector := suggestion_document(each))["name"],
                    "base": each.base,
                    "changed": each.changed,
                    "kills": list(each.kills),
                    "goals": list(each.goals),
                    "vector": vector,
                }
                for each in found
            ],
            "left": left,
        }
        console.json("vectors_suggest", data)
    else:
        _print(console, found, left, write)
    return ExitCode.OK if found else ExitCode.NOTHING_TO_DO


def _prove(text: str, folder: Path, path: Path | None) -> None:
    """Run every suggested vector, as it will be written, through the gate; raises InvalidVectorError if one fails."""
    from lumyn.documents import load
    from lumyn.vectors.loader import parse_suite
    from lumyn.vectors.runner import Outcome, run

    place = (path or folder / "suggested.yml").absolute()
    document = load(text.encode(), file=place.name, error=InvalidVectorError)
    if isinstance(document.value, dict) and not document.value.get("vectors"):
        return
    suite = parse_suite(document, path=place, root=folder)
    problems = [*suite.problems, *(problem for vector in suite.vectors for problem in vector.problems)]
    for vector in suite.vectors:
        if not problems and run(vector).outcome is not Outcome.PASSED:
            message = f"`{vector.vector_id}` does not come out as it was computed"
            problems.append(Problem(code="SUGGESTION_FAILED", message=message, hint="this is a defect of Lumyn"))
    if problems:
        raise InvalidVectorError(problems)


def _print(console: Console, found: Sequence[Suggestion], left: int, path: Path | None) -> None:
    from lumyn.analysis.emit import suggestion_document
    from lumyn.report.strength import case_text

    if not found and not left:
        console.line(("nothing is missing", "bold green"), ": every edit that a request can tell apart is noticed")
        return
    for number, each in enumerate(found, start=1):
        closes = counted_noun(len(each.kills), "edit") + (
            f", {counted_noun(len(each.goals), 'goal')}" if each.goals else ""
        )
        fact = (each.changed,) if each.changed.startswith("evidence.") else ()
        console.line((f"{number:3} ", "dim"), (str(suggestion_document(each)["name"]), "bold"), f"  {closes}", hang=4)
        base = f"{each.base}, another {each.changed.removeprefix('evidence.')}: " if each.base else ""
        codes = ", ".join(each.evaluation.reason_codes)
        console.line(f"{base}{case_text(each.case, fact)}", indent=4, hang=6)
        console.line(f"{each.evaluation.verdict} [{codes}], right?", indent=4, hang=6)
    if left:
        console.line((f"{counted_noun(left, 'edit')} left that none of these notices", "yellow"))
    if path is not None and found:
        console.line(f"wrote {path}: `lumyn vectors approve {path}::NAME` makes one count")
    elif found:
        console.line("`--write FILE` writes them, proposed")
