"""`lumyn policy`: check policies and read them. Never changes one."""

from __future__ import annotations

import re
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from lumyn.cli.console import Console, counted_noun, write
from lumyn.cli.deciding import STDIN
from lumyn.cli.exit_codes import ExitCode
from lumyn.cli.options import JsonFlag
from lumyn.cli.workspace import find_config, open_reading
from lumyn.errors import InvalidPolicyError

if TYPE_CHECKING:
    from lumyn.policy.spec import Policy

__all__ = ["register"]

_HASH: Final = re.compile("(?:sha256:)?([0-9a-f]{64})")


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
        str | None,
        typer.Argument(
            metavar="[PATH|HASH]",
            help="A policy file, - for standard input, or the hash of one that decided; default the configured one.",
            show_default=False,
        ),
    ] = None,
    source: Annotated[bool, typer.Option("--source", help="Print the text itself, as it was loaded.")] = False,
    json: JsonFlag = False,
) -> int:
    """
    Show a policy in words: what is required, the thresholds, and each rule as a sentence, stage by stage.

    JSON (`lumyn.cli.policy_show.v0`): `file` (null for a hash), `policy_id`, `policy_version`, `policy_hash`, `rules`,
    `actions`, `document`, the policy itself, and `stages`, each with `stage` and `rules`: `rule_id`, `verdict`,
    `sentence`, `reason_codes`, `line`.
    """
    from lumyn.cli.telling import print_sections
    from lumyn.discovery import policy_path
    from lumyn.report.policy_words import policy_sections, stage_documents

    if source and json:
        raise typer.BadParameter("give one of --json and --source")
    stored = _HASH.fullmatch(path or "")
    file = None if stored else path if path is not None else str(policy_path(find_config(context.obj)))
    policy = _load_stored(context.obj, stored[1]) if stored else _load(file or "")
    console = Console()
    if json:
        data = {"file": file, **_counts(policy), "document": policy.document, "stages": stage_documents(policy)}
        console.json("policy_show", data)
    elif source:
        write(sys.stdout, policy.source)
    else:
        console.line((f"{policy.policy_id} {policy.policy_version}", "bold"), f"  {policy.mode.value}", hang=2)
        console.line((policy.policy_hash, "dim"), indent=2)
        print_sections(console, policy_sections(policy))
    return ExitCode.OK


def _load_stored(config_file: Path | None, digits: str) -> Policy:
    from lumyn.core.replay import stored_policy

    store, _ = open_reading(config_file)
    with closing(store):
        return stored_policy(store, f"sha256:{digits}")


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
