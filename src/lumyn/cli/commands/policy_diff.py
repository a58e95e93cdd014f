"""`lumyn policy diff`: what another version of a policy changes, for all requests. Changes nothing itself."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from lumyn.cli.console import Console, counted_noun
from lumyn.cli.exit_codes import ExitCode
from lumyn.cli.options import JsonFlag
from lumyn.cli.workspace import find_config

if TYPE_CHECKING:
    from lumyn.analysis.diff import Change, PolicyDiff
    from lumyn.policy.spec import Policy

__all__ = ["add"]

_STYLES: Final = {"new TRUST": "bold red", "looser": "red", "tighter": "green", "reason codes only": "dim"}
_MOST_FACTS: Final = 2


class FailOn(StrEnum):
    """What fails the command."""

    NEW_TRUST = "new-trust"
    LOOSER = "looser"
    UNCOVERED = "uncovered"
    ANY = "any"


def add(group: typer.Typer) -> None:
    """Add the command."""
    group.command()(diff)


def diff(
    context: typer.Context,
    old: Annotated[str, typer.Argument(metavar="OLD", help="A policy file, or git:REV:PATH.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="A policy file, or git:REV:PATH.")],
    fail_on: Annotated[
        list[FailOn] | None,
        typer.Option(
            "--fail-on",
            help="Exit 1 on such changes; repeatable. What could not be told within its budget counts as any of them.",
        ),
    ] = None,
    vectors: Annotated[
        list[str] | None,
        typer.Option("--vectors", metavar="PATH", help="Vectors to look for changes in; default every one."),
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown, for a pull request.")] = False,
    json: JsonFlag = False,
) -> int:
    """
    Compare two versions of a policy: which requests are decided differently, with one of each kind.

    Exits 1 when `--fail-on` names what was found, 0 otherwise. No change printed is a proof that there is none.

    JSON (`lumyn.cli.policy_diff.v0`): `old`, `new`, `empty`, `actions`, `observed`, `unknown`, `changes`.
    """
    from lumyn.analysis.diff import diff as compare
    from lumyn.analysis.shown import confirmed_diff
    from lumyn.cli.analysing import load_vectors, observed, policy_at

    before, after = policy_at(old), policy_at(new)
    folder: Path = find_config(context.obj).folder
    usable, unusable = load_vectors(folder, vectors)
    rows = observed(usable, after, before)
    found = confirmed_diff(before, after, compare(before, after, rows))
    console = Console()
    if json:
        data: dict[str, object] = {
            "old": _named(old, before),
            "new": _named(new, after),
            "empty": found.empty,
            "actions": found.actions,
            "observed": found.observed,
            "unknown": list(found.unknown),
            "changes": [change.to_dict() for change in found.changes],
        }
        console.json("policy_diff", data)
    elif markdown:
        for line in _markdown(old, new, found):
            console.line(line)
    else:
        _print(console, found)
        if unusable:
            files = counted_noun(unusable, "vector file")
            console.line((f"{files} could not be used and saw nothing; `lumyn vectors run` says why", "yellow"))
    return ExitCode.FAILED if _fails(found, fail_on or []) else ExitCode.OK


def _named(name: str, policy: Policy) -> dict[str, object]:
    return {
        "file": name,
        "policy_id": policy.policy_id,
        "policy_version": policy.policy_version,
        "policy_hash": policy.policy_hash,
    }


def _fails(found: PolicyDiff, fail_on: list[FailOn]) -> bool:
    from lumyn.analysis.pairs import Severity

    if found.unknown and fail_on:
        return True
    failing = {
        FailOn.NEW_TRUST: found.of(Severity.NEW_TRUST),
        FailOn.LOOSER: found.of(Severity.NEW_TRUST, Severity.LOOSER),
        FailOn.UNCOVERED: found.uncovered,
        FailOn.ANY: found.changes,
    }
    return any(failing[kind] for kind in fail_on)


def _print(console: Console, found: PolicyDiff) -> None:
    if found.empty:
        console.line(("no change", "bold green"), f": every request is decided alike, {_scope(found)}")
        return
    kinds = "kind of request is" if len(found.changes) == 1 else "kinds of requests are"
    console.line((f"{len(found.changes)} {kinds} decided differently", "bold"), f", {_scope(found)}")
    for change in found.changes:
        label = change.severity.label
        console.line((f"{label:18}", _STYLES[label]), _change(change), hang=18)
        console.line((_seen(change), "dim"), indent=18)
    for action in found.unknown:
        console.line(("unknown           ", "bold red"), f"{action}: too many steps; nothing more is claimed of it")


def _scope(found: PolicyDiff) -> str:
    return f"{counted_noun(found.actions, 'action')} compared"


def _change(change: Change) -> str:
    from lumyn.report.strength import difference_text

    rule = f"{change.rule}  " if change.rule else ""
    return rule + difference_text(change.difference, change.facts[:_MOST_FACTS])


def _seen(change: Change) -> str:
    if not change.seen_by:
        return "no vector sees it"
    more = f" and {len(change.seen_by) - 1} more" if len(change.seen_by) > 1 else ""
    return f"seen by {change.seen_by[0]}{more}"


def _markdown(old: str, new: str, found: PolicyDiff) -> list[str]:
    from lumyn.report.markdown import code, table

    title = f"### Policy: {code(old)} to {code(new)}"
    if found.empty:
        return [title, "", f"Every request is decided alike ({_scope(found)})."]
    rows = [
        (
            f"**{change.severity.label}**" if change.severity <= 1 else change.severity.label,
            code(change.rule, cell=True) if change.rule else "",
            code(_change(change).removeprefix(f"{change.rule}  "), cell=True),
            str(len(change.seen_by)) if change.seen_by else "**none**",
        )
        for change in found.changes
    ]
    lines = [title, "", f"{len(found.changes)} kinds of requests are decided differently ({_scope(found)}).", ""]
    lines += table(("kind", "rule", "for example", "vectors that see it"), rows)
    lines += [f"- unknown: {code(action)}, too many steps" for action in found.unknown]
    return lines
