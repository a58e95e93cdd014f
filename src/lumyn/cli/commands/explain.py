"""`lumyn explain`: why a decision came out as it did, and what would have changed it. Changes nothing."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lumyn.cli.console import Console, write_document
from lumyn.cli.exit_codes import ExitCode
from lumyn.cli.options import DecisionId, JsonFlag
from lumyn.cli.workspace import open_reading, resolve_stored

if TYPE_CHECKING:
    from lumyn.core.explain import Explanation
    from lumyn.report.decision import PolicyPlace

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(explain)


def explain(
    context: typer.Context,
    decision: DecisionId,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown, for a ticket.")] = False,
    json: JsonFlag = False,
) -> int:
    """
    Explain a decision: what decided, what would have changed it, every rule, evidence, memory, digests.

    JSON (`lumyn.cli.explain.v0`): `decision_id`, `created_at`, `verdict`, `reason_codes`, `policy`, `deciding`,
    `rules`, `alternatives`, `not_searched`, `evidence`, `memory`, `queries`, `obligations`, `digests`, `replay`.
    """
    from lumyn.cli.progress import progress_bar
    from lumyn.core.explain import explain_decision
    from lumyn.report.decision_json import explanation_document
    from lumyn.report.decision_markdown import markdown as as_markdown

    if json and markdown:
        raise typer.BadParameter("give one of --json and --markdown")
    store, config = open_reading(context.obj)
    with closing(store), progress_bar("explaining"):
        explanation = explain_decision(store, resolve_stored(store, decision))
    place = _policy_place(config.policy.path, explanation)
    if json:
        Console().json("explain", explanation_document(explanation, place))
    elif markdown:
        write_document(sys.stdout, as_markdown(explanation, place))
    else:
        _print(Console(), explanation, place)
    return ExitCode.OK


def _policy_place(path: Path | None, explanation: Explanation) -> PolicyPlace:
    """Return whether the configured policy file is, to the letter, the text that decided."""
    from lumyn.documents import read_bytes
    from lumyn.errors import InvalidPolicyError
    from lumyn.report.decision import PolicyPlace

    if path is None:
        return PolicyPlace()
    shown = _relative(path)
    try:
        data = read_bytes(path, error=InvalidPolicyError)
    except InvalidPolicyError:
        return PolicyPlace(file=shown)
    source = "" if explanation.policy is None else explanation.policy.source
    return PolicyPlace(file=shown, same=data.removeprefix(b"\xef\xbb\xbf") == source.encode())


def _relative(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)


def _print(console: Console, explanation: Explanation, place: PolicyPlace) -> None:
    from lumyn.cli.rendering import verdict_part
    from lumyn.cli.telling import print_sections
    from lumyn.report.decision import sections
    from lumyn.report.words import action_words

    record = explanation.record
    console.line(verdict_part(record.verdict), "  ", action_words(record.to_dict()), hang=2)
    console.line((f"decision {record.decision_id}, {record.created_at}", "dim"), indent=2)
    print_sections(console, sections(explanation, place))
