"""`lumyn policy diff`: what another version of a policy changes, for all requests. Changes nothing itself."""

from __future__ import annotations

import sys
from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from lumyn.cli.console import Console, counted_noun, write_document
from lumyn.cli.exit_codes import ExitCode
from lumyn.cli.options import JsonFlag
from lumyn.cli.workspace import find_config

if TYPE_CHECKING:
    from lumyn.analysis.beside import Beside
    from lumyn.analysis.diff import Change, PolicyDiff
    from lumyn.policy.spec import Policy

__all__ = ["add"]

_STYLES: Final = {"new TRUST": "bold red", "looser": "red", "tighter": "green", "reason codes only": "dim"}
_MOST_FACTS: Final = 2
_MOST_ROWS: Final = 100
"""A comment on a pull request holds 65,536 characters, and nobody reads more rows than that."""
_AMOUNTS: Final = "some amounts at some exchange rates could be neither reached nor ruled out; all else is told"


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

    JSON (`lumyn.cli.policy_diff.v0`): `old`, `new`, `empty`, `actions`, `observed`, `unusable`, `unknown`,
    `beside`, `changes`.
    """
    from lumyn.analysis.diff import diff as compare
    from lumyn.analysis.shown import confirmed_diff
    from lumyn.cli.analysing import load_vectors, observed, policy_at, print_failing, print_unusable

    before, after = policy_at(old), policy_at(new)
    folder: Path = find_config(context.obj).folder
    usable, unusable = load_vectors(folder, vectors)
    rows, failing = observed(usable, after, before)
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
            "unusable": len(unusable),
            "beside": [each.to_dict() for each in found.beside],
            "changes": [change.to_dict() for change in found.changes],
        }
        console.json("policy_diff", data)
    elif markdown:
        write_document(sys.stdout, "".join(f"{line}\n" for line in _markdown(old, new, found, len(unusable))))
    else:
        _print(console, found)
        print_unusable(console, unusable)
        print_failing(console, failing)
    return ExitCode.FAILED if _fails(found, fail_on or []) else ExitCode.OK


def _named(name: str, policy: Policy) -> dict[str, object]:
    return {
        "file": name,
        "policy_id": policy.policy_id,
        "policy_version": policy.policy_version,
        "policy_hash": policy.policy_hash,
    }


def _fails(found: PolicyDiff, fail_on: list[FailOn]) -> bool:
    from lumyn.analysis.scale import Severity

    if found.untold and fail_on:
        return True
    loosened = [each for each in found.beside if each.severity is Severity.NEW_TRUST]
    failing = {
        FailOn.NEW_TRUST: [*found.of(Severity.NEW_TRUST), *loosened],
        FailOn.LOOSER: [*found.of(Severity.NEW_TRUST, Severity.LOOSER), *loosened],
        FailOn.UNCOVERED: [*found.uncovered, *loosened],
        FailOn.ANY: [*found.changes, *(each for each in found.beside if each.decides)],
    }
    return any(failing[kind] for kind in fail_on)


def _print(console: Console, found: PolicyDiff) -> None:
    if found.empty:
        console.line(("no change", "bold green"), f": every request is decided alike, {_scope(found)}")
    elif not found.changes:
        console.line(("no rule decides otherwise", "bold"), f", {_scope(found)}")
    else:
        kinds = "kind of request is" if len(found.changes) == 1 else "kinds of requests are"
        console.line((f"{len(found.changes)} {kinds} decided differently", "bold"), f", {_scope(found)}")
    for each in (each for each in found.beside if each.decides):
        _print_beside(console, each)
    for change in found.changes:
        label = change.severity.label
        console.line((f"{label:18}", _STYLES[label]), _change(change), hang=18)
        console.line((_seen(change), "dim"), indent=18)
    for action in found.unknown:
        said = f"{action}: {_why_unknown(found, action)}"
        console.line(("unknown           ", "bold red"), said, hang=18)
    for each in (each for each in found.beside if not each.decides):
        _print_beside(console, each)


def _why_unknown(found: PolicyDiff, action: str) -> str:
    if action in found.amounts:
        return _AMOUNTS
    return "too many steps; nothing more is claimed of it"


def _print_beside(console: Console, each: Beside) -> None:
    label, style = _kind(each)
    console.line((f"{label:18}", style), _beside(each), hang=18)


def _kind(each: Beside) -> tuple[str, str]:
    """Return the label of what differs beside decisions, and its style."""
    if each.unknown:
        return "unknown", "bold red"
    return ("also", "dim") if each.severity is None else (each.severity.label, _STYLES[each.severity.label])


def _beside(each: Beside) -> str:
    if each.after is None:
        said = "dropped"
    elif each.before is None:
        said = f"new  {each.after}".rstrip()
    else:
        said = f"{each.before} -> {each.after}"
    return f"{each.what}  {said}" + (f": {each.why}" if each.why else "")


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


def _seen_markdown(change: Change) -> str:
    from lumyn.report.markdown import code

    if not change.seen_by:
        return "**none**"
    more = f" and {len(change.seen_by) - 1} more" if len(change.seen_by) > 1 else ""
    return code(change.seen_by[0], cell=True) + more


def _markdown(old: str, new: str, found: PolicyDiff, unusable: int) -> list[str]:
    from lumyn.report.markdown import code, table

    title = f"### Policy: {code(old)} to {code(new)}"
    asides = [""] if found.beside else []
    for each in found.beside:
        label, _ = _kind(each)
        asides.append(f"- {f'**{label}**' if each.decides else label}: {code(_beside(each))}")
    if unusable:
        asides += ["", f"{counted_noun(unusable, 'vector file')} could not be used and saw nothing."]
    if found.empty:
        return [title, "", f"Every request is decided alike ({_scope(found)}).", *asides]
    rows = [
        (
            f"**{change.severity.label}**" if change.severity <= 1 else change.severity.label,
            code(change.rule, cell=True) if change.rule else "",
            code(_change(change).removeprefix(f"{change.rule}  "), cell=True),
            _seen_markdown(change),
        )
        for change in found.changes
    ]
    told = "No rule decides otherwise"
    if rows:
        told = f"{len(rows)} {'kind of request is' if len(rows) == 1 else 'kinds of requests are'} decided differently"
    lines = [title, "", f"{told} ({_scope(found)})."]
    if rows:
        lines += ["", *table(("kind", "rule", "for example", "vectors that see it"), rows[:_MOST_ROWS])]
    if len(rows) > _MOST_ROWS:
        left = Counter(change.severity.label for change in found.changes[_MOST_ROWS:])
        kinds = ", ".join(f"{label} {count}" for label, count in left.items())
        lines += ["", f"and {len(rows) - _MOST_ROWS} more ({kinds}); without `--markdown` all are printed"]
    if found.unknown:
        lines += ["", *(f"- **unknown**: {code(each)}: {_why_unknown(found, each)}" for each in found.unknown)]
    return [*lines, *asides]
