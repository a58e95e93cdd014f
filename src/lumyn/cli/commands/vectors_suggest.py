"""`lumyn vectors suggest`: vectors that would notice what none does. Writes one new file, and only when asked."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from lumyn.cli.commands.init import vector_modeline
from lumyn.cli.console import Console, counted_noun
from lumyn.cli.exit_codes import ExitCode
from lumyn.cli.options import JsonFlag
from lumyn.cli.progress import progress_bar
from lumyn.cli.workspace import find_config
from lumyn.errors import InvalidVectorError, Problem

if TYPE_CHECKING:
    from lumyn.analysis.suggest import Suggestion, Suggestions
    from lumyn.config import Config
    from lumyn.policy.spec import Policy
    from lumyn.vectors.format import Vector

__all__ = ["suggest"]

_SUFFIXES: Final = (".yml", ".yaml")
_MOST_LEFT: Final = 3
_MOST_BYTES: Final = 1_000_000
"""Of a vector file; one that is larger than 1 MiB is not read."""
_NOT_READ: Final = "`pytest --lumyn-vectors` reads what is below `vectors`, unless ini `lumyn_paths` says otherwise"


def suggest(
    context: typer.Context,
    policy: Annotated[
        str | None,
        typer.Option(
            "--policy", metavar="FILE", help="The policy; default the configured one, else the one that vectors name."
        ),
    ] = None,
    vectors: Annotated[
        list[str] | None, typer.Option("--vectors", metavar="PATH", help="The vectors there are; default every one.")
    ] = None,
    write: Annotated[
        Path | None, typer.Option("--write", metavar="FILE", help="Write them to this new file, below the workspace.")
    ] = None,
    most: Annotated[int | None, typer.Option("--max", min=1, metavar="N", help="At most N, the most valuable.")] = None,
    full: Annotated[bool, typer.Option("--full", help="Against every kind of edit, not only the core.")] = False,
    minimal: Annotated[
        bool, typer.Option("--minimal", help="Fewer of them, that change several fields where that saves one.")
    ] = False,
    json: JsonFlag = False,
) -> int:
    """
    Suggest vectors for the edits of a policy that no vector notices, and for what none exercises.

    Most change one field of a vector there is. Each is run before it is shown, expects what the policy says today, and
    has `status: proposed`: it counts once `lumyn vectors approve` was told so. Exits 5 when nothing is missing.

    JSON (`lumyn.cli.vectors_suggest.v0`): `policy`, `path` or null, `suggestions`, each with `name`, `base` or null,
    `changed`, `kills`, `goals`, `vector`; `left`, what none of them closes, each with `name`, `title`, `reason`;
    `unusable`, how many vector files; `failing`, ids of vectors; `others`, policies that vectors name as well.
    """
    from lumyn.analysis.emit import suggestions_text
    from lumyn.analysis.mutants import Scope
    from lumyn.analysis.suggest import suggest as suggestions_for
    from lumyn.cli.analysing import load_vectors, observed, policy_at, print_failing, print_unusable

    config = find_config(context.obj)
    path = _target(write, config.folder)
    usable, unusable = load_vectors(config.folder, vectors)
    file = _policy_file(config, usable) if policy is None else policy
    loaded = policy_at(file)
    others = _others(loaded, usable)
    rows, failing = observed(usable, loaded)
    scope = Scope.FULL if full else Scope.CORE
    with progress_bar("looking for vectors") as advance:
        found = suggestions_for(loaded, rows, scope=scope, most=most, minimal=minimal, advance=advance)
    shown = Path(os.path.relpath(Path(file).absolute(), config.folder.absolute())).as_posix()
    place = (path or config.folder / "suggested.yml").absolute()
    modeline = "" if path is None else vector_modeline(config.folder, place)
    found, text = _fitting(found, lambda some: suggestions_text(some, policy_file=shown, modeline=modeline))
    _prove(found.found, text, config.folder, place)
    if path is not None and found.found:
        from lumyn.cli.files import new_file

        with new_file(path) as stream:
            stream.write(text.encode())
    console = Console()
    if json:
        data = _document(found, shown, path)
        console.json("vectors_suggest", {**data, "unusable": len(unusable), "failing": failing, "others": others})
    else:
        print_unusable(console, unusable)
        print_failing(console, failing)
        if others:
            console.line(("about ", "dim"), f"{shown}; vectors also name {', '.join(others)}: `--policy FILE`", hang=6)
        _print(console, found, path)
        for key, value in sorted(_fractions(loaded, found.found).items()):
            _print_fraction(console, key, value)
        if path is not None and found.found and not _read_by_default(path, config.folder):
            console.line(("note: ", "yellow"), _NOT_READ, hang=6)
    return ExitCode.OK if found.found else ExitCode.NOTHING_TO_DO


def _fitting(found: Suggestions, written: Callable[[tuple[Suggestion, ...]], str]) -> tuple[Suggestions, str]:
    """Return as many suggestions as a vector file can hold, the most valuable, and the text of it."""
    while len(found.found) > 1 and len(written(found.found).encode()) > _MOST_BYTES:
        found = found.first(len(found.found) * 9 // 10)
    return found, written(found.found)


def _policy_file(config: Config, vectors: Sequence[Vector]) -> str:
    """Return the configured policy, else the one that all vectors name; raises for none and for several."""
    from lumyn.discovery import policy_path

    named = sorted({vector.policy_file for vector in vectors if vector.policy_file})
    if config.policy.path is not None or not named:
        return str(policy_path(config))
    if len(named) > 1:
        raise typer.BadParameter(f"vectors name several policies, choose one with --policy: {', '.join(named)}")
    return str(config.folder / named[0])


def _others(policy: Policy, vectors: Sequence[Vector]) -> list[str]:
    """Return the files of policies of another name that vectors are about."""
    held = [(each.policy, each.policy_file) for each in vectors]
    return sorted({file for other, file in held if other is not None and other.policy_id != policy.policy_id})


def _read_by_default(path: Path, folder: Path) -> bool:
    """Return whether a run that is told nothing else reads a file."""
    from lumyn.vectors.discovery import DEFAULT_PATTERNS

    below, *patterns = DEFAULT_PATTERNS
    named = any(path.name.endswith(each.rpartition("*")[2]) for each in patterns)
    return named or path.resolve().is_relative_to((folder / below).resolve())


def _target(path: Path | None, folder: Path) -> Path | None:
    """Return where to write; raises before any work is done for what could not be written, or not be read back."""
    from lumyn.vectors.discovery import is_support

    if path is None:
        return None
    if path.suffix not in _SUFFIXES:
        raise typer.BadParameter("a vector file is called *.yml or *.yaml")
    if is_support(path.name):
        raise typer.BadParameter(f"`{path.name}` would never be run: names that begin with `_` are support files")
    if not path.resolve().is_relative_to(folder.resolve()):
        message = f"`{path}` leads outside the workspace `{folder}`"
        hint = "vectors live where `pytest --lumyn-vectors` finds them, such as vectors/suggested.yml"
        raise InvalidVectorError([Problem(code="PATH_OUTSIDE_ROOT", message=message, hint=hint)])
    if os.path.lexists(path):
        message = f"`{path}` is there already: a vector file is never written over"
        hint = "name another one with --write FILE"
        raise InvalidVectorError([Problem(code="PATH_EXISTS", message=message, hint=hint)])
    return path


def _prove(found: Sequence[Suggestion], text: str, folder: Path, path: Path) -> None:
    """Run every suggested vector, as it will be written, through the gate; raises InvalidVectorError if one fails."""
    from lumyn.analysis.changes import apart
    from lumyn.documents import load
    from lumyn.vectors.format import DecideStep
    from lumyn.vectors.loader import parse_suite
    from lumyn.vectors.runner import Outcome, run

    if not found:
        return
    suite = parse_suite(load(text.encode(), file=path.name, error=InvalidVectorError), path=path, root=folder)
    problems = [*suite.problems, *(problem for vector in suite.vectors for problem in vector.problems)]
    for vector, suggestion in zip(suite.vectors, found, strict=False):
        if problems:
            break
        step = vector.steps[0]
        asked = step.request if isinstance(step, DecideStep) else {}
        if apart(asked, suggestion.case.request) or run(vector).outcome is not Outcome.PASSED:
            message = f"`{vector.vector_id}` would not be what was computed in `{path.name}`"
            hint = "a `_defaults` file that applies there changes it: write to another folder"
            problems.append(Problem(code="SUGGESTION_FAILED", message=message, hint=hint))
    if problems:
        raise InvalidVectorError(problems)


def _document(found: Suggestions, policy: str, path: Path | None) -> dict[str, object]:
    from lumyn.analysis.emit import suggestion_document
    from lumyn.analysis.naming import names

    return {
        "policy": policy,
        "path": None if path is None or not found.found else str(path),
        "suggestions": [
            {
                "name": name,
                "base": None if each.base is None else each.base.name,
                "changed": list(each.changed),
                "kills": sorted(mutant.mutant_id for mutant in each.kills),
                "goals": list(each.goals),
                "vector": suggestion_document(name, each),
            }
            for name, each in zip(names(found.found), found.found, strict=True)
        ],
        "left": [{"name": each.name, "title": each.title, "reason": each.reason} for each in found.left],
    }


def _print(console: Console, found: Suggestions, path: Path | None) -> None:
    from lumyn.analysis.naming import names

    if not found.found and not found.left:
        console.line(("nothing is missing", "bold green"), ": every edit that a request can tell apart is noticed")
        return
    for number, (name, each) in enumerate(zip(names(found.found), found.found, strict=True), start=1):
        closes = [
            counted_noun(count, noun) for count, noun in ((len(each.kills), "edit"), (len(each.goals), "goal")) if count
        ]
        console.line((f"{number:3} ", "dim"), (name, "bold"), f"  {', '.join(closes)}", hang=4)
        for text in _told(each):
            console.line(text, indent=4, hang=6)
        codes = ", ".join(each.evaluation.reason_codes)
        console.line(f"{each.evaluation.verdict} [{codes}]", ", right?", indent=4, hang=6)
    _print_left(console, found)
    if path is not None and found.found:
        console.line(f"wrote {path}: `lumyn vectors approve {path}::NAME` makes one count")
    elif found.found:
        console.line("`--write FILE` writes them, proposed")
    if found.more:
        counted = f"the {len(found.found)} most valuable of more: "
        console.line((counted, "yellow"), "approve what is right, then run it again for the rest", hang=2)


def _fractions(policy: Policy, found: Sequence[Suggestion]) -> dict[str, float]:
    """Return evidence that is suggested as a fraction though rules compare it with whole numbers only; a value each."""
    from lumyn.policy.spec import EvidenceType

    cuts: dict[str, list[Decimal]] = {}
    for condition in (condition for rule in policy.rules for condition in rule.conditions):
        spec = policy.evidence.get(condition.evidence_key or "")
        if spec is not None and spec.type is EvidenceType.NUMBER and spec.step is None:
            operand = condition.operand if isinstance(condition.operand, tuple) else (condition.operand,)
            cuts.setdefault(spec.key, []).extend(each for each in operand if isinstance(each, Decimal))
    whole = {key for key, numbers in cuts.items() if numbers and all(each == each.to_integral() for each in numbers)}
    evidence = [each.case.request.get("evidence") for each in found]
    values = ((key, value) for each in evidence if isinstance(each, dict) for key, value in each.items())
    return {key: value for key, value in values if key in whole and isinstance(value, float) and not value.is_integer()}


def _print_fraction(console: Console, key: str, value: float) -> None:
    said = (
        f"{key} {value}: without a `step` neighbouring values are a hundredth apart; if it counts something, declare "
    )
    console.line(("note: ", "yellow"), f"{said}`{key}: {{ type: integer }}` under `evidence`", hang=6)


def _told(suggestion: Suggestion) -> list[str]:
    from lumyn.analysis.naming import change_texts, notice_text
    from lumyn.report.strength import case_text

    if suggestion.base is None:
        asked = f"{case_text(suggestion.case)}: a plain request"
    elif suggestion.base.proposed:
        asked = f"{case_text(suggestion.case)}: a plain request {', '.join(change_texts(suggestion))}"
    else:
        asked = f"{suggestion.base.name}, {', '.join(change_texts(suggestion))}"
    return [asked, notice_text(suggestion, most=2)]


def _print_left(console: Console, found: Suggestions) -> None:
    reasons: dict[str, list[str]] = {}
    for each in found.left:
        reasons.setdefault(each.reason, []).append(each.title)
    for reason, titles in reasons.items():
        more = f", and {len(titles) - _MOST_LEFT} more" if len(titles) > _MOST_LEFT else ""
        console.line(
            (f"{len(titles)} left open", "yellow"), f": {reason}: {'; '.join(titles[:_MOST_LEFT])}{more}", hang=2
        )
