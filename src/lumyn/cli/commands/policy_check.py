"""`lumyn policy check`: what is odd about a policy, whatever anybody asks of it. Changes nothing."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from lumyn.cli.console import Console, counted_noun, write_document
from lumyn.cli.exit_codes import ExitCode
from lumyn.cli.options import JsonFlag
from lumyn.cli.workspace import find_config

if TYPE_CHECKING:
    from lumyn.analysis.check import Finding
    from lumyn.policy.spec import Policy

__all__ = ["add"]

_STYLES: Final = {"error": "bold red", "warning": "yellow", "note": "dim"}


class Format(StrEnum):
    """How findings are printed."""

    TEXT = "text"
    SARIF = "sarif"
    GITHUB = "github"


def add(group: typer.Typer) -> None:
    """Add the command."""
    group.command()(check)


def check(
    context: typer.Context,
    path: Annotated[
        str | None,
        typer.Argument(metavar="PATH", help="A policy file, or git:REV:PATH; default the configured policy."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 on warnings too.")] = False,
    form: Annotated[
        Format, typer.Option("--format", help="text, sarif for code scanning, github for annotations.")
    ] = Format.TEXT,
    json: JsonFlag = False,
) -> int:
    """
    Check a policy for every request: rules that never fire or decide, absence that is rewarded, unused constants.

    Exits 1 on errors, and with `--strict` on warnings; what could not be told within its budget is an error. A
    comment `# lumyn: accept CODE: reason`, on the line of a finding or above it, accepts it.

    JSON (`lumyn.cli.policy_check.v0`): `file`, `policy_hash`, `findings`, each with `code`, `level`, `message`,
    `advice`, `line`, `column`, `request`, `examples`, `accepted`.
    """
    from lumyn.analysis.check import Level
    from lumyn.analysis.check import check as findings_of
    from lumyn.analysis.shown import confirmed_findings
    from lumyn.cli.analysing import policy_at
    from lumyn.cli.diagnosis.paths import shown
    from lumyn.discovery import policy_path

    file = shown(policy_path(find_config(context.obj))) if path is None else path
    policy = policy_at(file)
    findings = confirmed_findings(policy, findings_of(policy))
    if json:
        data: dict[str, object] = {
            "file": file,
            "policy_hash": policy.policy_hash,
            "findings": [finding.to_dict() for finding in findings],
        }
        Console().json("policy_check", data)
    elif form is Format.TEXT:
        _print(Console(), file, policy, findings)
    else:
        _print_for_machines(form, findings, file)
    failing = {Level.ERROR, Level.WARNING} if strict else {Level.ERROR}
    failed = any(finding.level in failing and finding.accepted is None for finding in findings)
    return ExitCode.FAILED if failed else ExitCode.OK


def _print_for_machines(form: Format, findings: list[Finding], text: str) -> None:
    from lumyn.cli.analysing import named_from
    from lumyn.cli.diagnosis.paths import repository_of
    from lumyn.report.findings import sarif, workflow_commands

    # Code hosts know files by their place in the repository, wherever the command was started.
    file = named_from(repository_of(Path.cwd()) or Path.cwd(), text)
    if form is Format.SARIF:
        write_document(sys.stdout, sarif(findings, file))
    else:
        write_document(sys.stdout, "".join(f"{line}\n" for line in workflow_commands(findings, file)))


def _print(console: Console, file: str, policy: Policy, findings: list[Finding]) -> None:
    from lumyn.report.findings import example_lines

    for finding in findings:
        place = file if finding.span is None else str(finding.span)
        level = finding.level.value
        console.line(
            f"{place}: ",
            (level, "dim" if finding.accepted is not None else _STYLES[level]),
            f": {finding.message} ",
            (f"[{finding.code}]", "dim"),
            hang=2,
        )
        if finding.accepted is not None:
            console.line((f"accepted: {finding.accepted}", "dim"), indent=2, hang=4)
            continue
        for line in example_lines(finding):
            console.line((line, "dim"), indent=2, hang=4)
        if finding.level.value != "note":
            console.line((f"what to do: {finding.advice}", "dim"), indent=2, hang=4)
    _print_counts(console, policy, findings)


def _print_counts(console: Console, policy: Policy, findings: list[Finding]) -> None:
    open_ = [finding.level.value for finding in findings if finding.accepted is None]
    style = "bold red" if "error" in open_ else "bold yellow" if "warning" in open_ else "bold green"
    told = ", ".join(counted_noun(open_.count(level), level) for level in _STYLES if level in open_) or "nothing odd"
    accepted = len(findings) - len(open_)
    told += f", {accepted} accepted" if accepted else ""
    rules = f"{counted_noun(len(policy.rules), 'rule')}, {counted_noun(len(policy.action_types), 'action')}"
    console.line((told, style), f": {policy.policy_id} {policy.policy_version}, {rules}, every request considered")
