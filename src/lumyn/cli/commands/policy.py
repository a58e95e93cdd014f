"""`lumyn policy`: check policies and read them. Never changes one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lumyn.cli.console import Console, counted_noun
from lumyn.cli.deciding import STDIN
from lumyn.cli.exit_codes import ExitCode
from lumyn.cli.options import JsonFlag
from lumyn.cli.workspace import find_config
from lumyn.errors import InvalidPolicyError

if TYPE_CHECKING:
    from lumyn.policy.spec import Condition, Policy, Rule

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(name="policy", help="Check policies and read them.", no_args_is_help=True)
    group.command()(validate)
    group.command()(show)
    app.add_typer(group)


def validate(
    context: typer.Context,
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PATH]...", help="Policy files, or - for standard input; default the configured one."),
    ] = None,
    json: JsonFlag = False,
) -> int:
    """
    Check policies, and print every problem with its place.

    JSON (`lumyn.cli.policy_validate.v0`): `policies`, each with `file`, `valid`, `problems`, and when valid
    `policy_id`, `policy_version`, `policy_hash`, `rules`, `actions`.
    """
    from lumyn.discovery import policy_path

    files = paths or [str(policy_path(find_config(context.obj)))]
    console = Console()
    reports: list[dict[str, object]] = []
    for file in files:
        try:
            policy = _load(file)
        except InvalidPolicyError as error:
            reports.append({"file": file, "valid": False, "problems": error.to_dict()["problems"]})
            if not json:
                _print_problems(console, file, error)
        else:
            reports.append({"file": file, "valid": True, "problems": [], **_counts(policy)})
            if not json:
                _print_valid(console, file, policy)
    if json:
        console.json("policy_validate", {"policies": reports})
    return ExitCode.OK if all(report["valid"] for report in reports) else ExitCode.INVALID


def show(
    context: typer.Context,
    path: Annotated[
        str | None, typer.Argument(metavar="[PATH]", help="A policy file; default the configured one.")
    ] = None,
    json: JsonFlag = False,
) -> int:
    """
    Show what a policy says, rule by rule in the order of the stages.

    JSON (`lumyn.cli.policy_show.v0`): `file`, `policy_id`, `policy_version`, `policy_hash`, `rules`, `actions`, and
    `document`, the policy itself.
    """
    from lumyn.discovery import policy_path

    file = path or str(policy_path(find_config(context.obj)))
    policy = _load(file)
    console = Console()
    if json:
        console.json("policy_show", {"file": file, **_counts(policy), "document": policy.document})
        return ExitCode.OK
    _print_head(console, policy)
    for rule in sorted(policy.rules, key=_stage_order):
        _print_rule(console, policy, rule)
    return ExitCode.OK


def _load(file: str) -> Policy:
    from lumyn.policy.loader import load_policy, parse_policy

    if file != STDIN:
        return load_policy(Path(file))
    return parse_policy(b"" if sys.stdin is None else sys.stdin.buffer.read(), file="<stdin>")


def _counts(policy: Policy) -> dict[str, object]:
    return {
        "policy_id": policy.policy_id,
        "policy_version": policy.policy_version,
        "policy_hash": policy.policy_hash,
        "rules": len(policy.rules),
        "actions": list(policy.action_types),
    }


def _print_valid(console: Console, file: str, policy: Policy) -> None:
    counted = f"{counted_noun(len(policy.rules), 'rule')}, {counted_noun(len(policy.action_types), 'action')}"
    console.line(("ok", "green"), f" {file}: {policy.policy_id} {policy.policy_version}, {counted}", hang=3)
    console.line((policy.policy_hash, "dim"), indent=3)


def _print_problems(console: Console, file: str, error: InvalidPolicyError) -> None:
    for problem in error.problems:
        console.line(
            f"{problem.span or file}: ", ("error", "red"), f": {problem.message} ", (f"[{problem.code}]", "dim"), hang=2
        )
        if problem.hint:
            console.line(f"hint: {problem.hint}", indent=2, hang=8)
    console.line(("invalid", "red"), f" {file}: {counted_noun(len(error.problems), 'problem')}")


def _print_head(console: Console, policy: Policy) -> None:
    default = f"default {policy.default_verdict.value} {policy.default_reason_code}"
    console.line((f"{policy.policy_id} {policy.policy_version}", "bold"), f"  {policy.mode.value}, {default}", hang=2)
    console.line((policy.policy_hash, "dim"), indent=2)
    for action, keys in policy.required_evidence.items():
        console.line(f"{action} requires {', '.join(keys)}", indent=2, hang=4)


def _print_rule(console: Console, policy: Policy, rule: Rule) -> None:
    from lumyn.cli.rendering import verdict_part

    actions = ", ".join(rule.actions) if rule.actions is not None else "every action"
    console.line("")
    console.line((rule.rule_id, "bold"), f"  {rule.stage.value}  ", verdict_part(rule.verdict), f"  {actions}", hang=2)
    if rule.is_requirements_check:
        console.line("when a required key is missing", indent=2)
    for block in rule.blocks:
        word = "any of" if block.kind.value == "if_any" else "all of"
        groups = [" and ".join(_condition(each) for each in group) for group in block.groups]
        if len(groups) == 1:
            console.line(f"if {groups[0]}", indent=2, hang=4)
            continue
        console.line(f"if {word}:", indent=2)
        for text in groups:
            console.line(f"- {text}", indent=4, hang=6)
    console.line((", ".join(rule.reason_codes), "dim"), indent=2, hang=4)


def _condition(condition: Condition) -> str:
    from lumyn.policy.scalars import decimal_text

    def text(value: object) -> str:
        if isinstance(value, bool):
            return "true" if value else "false"
        return value if isinstance(value, str) else decimal_text(value)  # type: ignore[arg-type]

    operand = condition.operand
    shown = f"[{', '.join(text(each) for each in operand)}]" if isinstance(operand, tuple) else text(operand)
    name = f" ({condition.threshold})" if condition.threshold else ""
    return f"{condition.fact} {condition.operator.symbol} {shown}{name}"


def _stage_order(rule: Rule) -> tuple[int, int]:
    from lumyn.model import EVALUATION_ORDER

    return EVALUATION_ORDER.index(rule.stage), rule.index
