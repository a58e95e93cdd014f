"""`lumyn vectors`: its commands, and the one that runs golden vectors without pytest. Never changes one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from lumyn.cli.commands.vectors_add import add
from lumyn.cli.commands.vectors_approve import approve
from lumyn.cli.commands.vectors_fmt import fmt
from lumyn.cli.commands.vectors_show import show
from lumyn.cli.commands.vectors_suggest import suggest
from lumyn.cli.console import Console, counted_noun
from lumyn.cli.exit_codes import ExitCode
from lumyn.cli.options import JsonFlag
from lumyn.cli.progress import progress_bar
from lumyn.cli.workspace import find_config
from lumyn.errors import InvalidVectorError, Problem
from lumyn.model import JsonObject, JsonValue

if TYPE_CHECKING:
    from lumyn.policy.spec import Policy
    from lumyn.vectors.format import Suite
    from lumyn.vectors.runner import Outcome, VectorResult

__all__ = ["register"]

_ORDER: Final = ("passed", "failed", "invalid", "skipped", "xfailed")
_BAD: Final = ("failed", "invalid")
_UNFOLDED: Final = 100_000
_STYLES: Final = {
    "place": "bold",
    "name": "bold",
    "label": "dim",
    "trust": "bold green",
    "escalate": "bold magenta",
    "query": "bold",
    "abstain": "bold red",
    "lost": "red",
    "gained": "green",
    "dim": "dim",
    "error": "red",
    "warning": "bold red",
}


@dataclass(frozen=True, slots=True)
class _Result:
    """What came of a vector, and how it counts once `skip` and `xfail` are considered."""

    of: VectorResult
    outcome: Outcome
    reason: str


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(name="vectors", help="Run, add, suggest, show and format golden vectors.", no_args_is_help=True)
    group.callback()(lambda: None)
    group.command()(run)
    group.command()(add)
    group.command()(show)
    group.command()(fmt)
    group.command()(suggest)
    group.command()(approve)
    app.add_typer(group)


def run(
    context: typer.Context,
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATH",
            help="Vector files or folders; default vectors/ and every *.lumyn.yml.",
            show_default=False,
        ),
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option("--policy", metavar="FILE", help="Decide by this policy, instead of the one each vector names."),
    ] = None,
    json: JsonFlag = False,
) -> int:
    """
    Run golden vectors, and print what drifted.

    Exits 1 on drift, 3 when a vector or its policy is invalid, 5 when there is none.

    JSON (`lumyn.cli.vectors_run.v0`): `counts` by outcome; `vectors`, each with `id`, `line`, `outcome`, `verdict`,
    `reason_codes`, `drifts`, `problems`; `problems`, those of whole files.
    """
    from lumyn.policy.loader import load_policy

    override = None if policy is None else load_policy(policy)
    suites, broken = _load(find_config(context.obj).folder, paths, override)
    results = _run_all(suites)
    console = Console()
    counts = Counter(str(result.outcome) for result in results)
    if json:
        data: dict[str, object] = {
            "counts": {outcome: counts[outcome] for outcome in _ORDER},
            "vectors": [_document(result) for result in results],
            "problems": [problem for error in broken for problem in _problems(error.problems)],
        }
        console.json("vectors_run", data)
    else:
        _print(console, results, broken, counts, named=override is None)
    if broken or counts["invalid"]:
        return ExitCode.INVALID
    return ExitCode.FAILED if counts["failed"] else ExitCode.OK


def _load(
    folder: Path, paths: list[str] | None, override: Policy | None
) -> tuple[list[Suite], list[InvalidVectorError]]:
    from lumyn.vectors.discovery import DEFAULT_PATTERNS, discover
    from lumyn.vectors.loader import load_suite, unused_shared_fixtures

    patterns = DEFAULT_PATTERNS if not paths else [str(Path(path).absolute()) for path in paths]
    suites: list[Suite] = []
    broken: list[InvalidVectorError] = []
    try:
        files = discover(folder, patterns)
    except OSError as error:
        message = f"cannot search for vectors: {(error.strerror or 'i/o error').lower()}"
        raise InvalidVectorError([Problem(code="PATH_NOT_READABLE", message=message)]) from None
    for file in files:
        try:
            suites.append(load_suite(file, root=folder, policy_override=override))
        except InvalidVectorError as error:
            broken.append(error)
    # Whether a shared fixture is used can be told only when everything below it was read.
    if not paths and not broken and (unused := unused_shared_fixtures(suites)):
        broken.append(InvalidVectorError(unused))
    return suites, broken


def _run_all(suites: Sequence[Suite]) -> list[_Result]:
    total = sum(len(suite.vectors) for suite in suites)
    results: list[_Result] = []
    with progress_bar("running vectors") as progress:
        for suite in suites:
            for result in _results(suite):
                results.append(result)
                if progress is not None:
                    progress(len(results), total)
    return results


def _results(suite: Suite) -> Iterator[_Result]:
    from lumyn.vectors.runner import Outcome, VectorResult, run, settle

    today = datetime.now(UTC).date()
    for vector in suite.vectors:
        if vector.skip is not None and not vector.problems:
            yield _Result(VectorResult(vector=vector, outcome=Outcome.SKIPPED), Outcome.SKIPPED, vector.skip)
            continue
        result = run(vector)
        yield _Result(result, *settle(result, today=today))


def _print(
    console: Console,
    results: Sequence[_Result],
    broken: Sequence[InvalidVectorError],
    counts: Counter[str],
    *,
    named: bool,
) -> None:
    """Print what is wrong, and the counts; `named`: each vector ran against the policy it names."""
    from lumyn.report.text import render
    from lumyn.vectors.update import acceptance

    for error in broken:
        for problem in error.problems:
            console.line(("error", "red"), f": {problem}", hang=2)
    for result in results:
        if result.outcome in _BAD:
            if result.reason:
                console.line(f"{result.of.vector.node_id}: {result.reason}", hang=2)
            command = f'pytest "{result.of.vector.node_id}" --lumyn-vectors'
            accept = acceptance(result.of, command) if named else None
            lines = render(result.of, width=console.width or _UNFOLDED, accept=accept)
            console.laid_out([[(piece.text, _STYLES.get(piece.style.value, "")) for piece in line] for line in lines])
            console.line("")
    told = ", ".join(f"{counts[outcome]} {outcome}" for outcome in _ORDER if counts[outcome])
    style = "bold red" if broken or any(counts[outcome] for outcome in _BAD) else "bold green"
    files = f" and {counted_noun(len(broken), 'unusable file')}" if broken else ""
    console.line((f"{counted_noun(len(results), 'vector')}{files}", style), f": {told}" if told else "")


def _document(result: _Result) -> JsonObject:
    vector, record = result.of.vector, result.of.record
    return {
        "id": vector.node_id,
        "line": vector.span.line,
        "outcome": result.outcome,
        "reason": result.reason,
        "verdict": None if record is None else record.verdict.value,
        "reason_codes": [] if record is None else list(record.reason_codes),
        "drifts": [drift.to_dict() for drift in result.of.drifts],
        "problems": _problems(result.of.problems),
    }


def _problems(problems: Sequence[Problem]) -> list[JsonValue]:
    return [
        {"code": each.code, "message": each.message, "at": None if each.span is None else str(each.span)}
        for each in problems
    ]
