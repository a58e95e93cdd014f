"""`lumyn policy`: check policies, read them, and lay them out. Never changes what one says."""

from __future__ import annotations

import re
import stat
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from lumyn.cli.commands import policy_check, policy_diff, policy_prove
from lumyn.cli.console import Console, counted_noun, write_document
from lumyn.cli.deciding import STDIN
from lumyn.cli.exit_codes import ExitCode
from lumyn.cli.options import JsonFlag
from lumyn.cli.workspace import find_config, open_reading
from lumyn.errors import InvalidPolicyError, NotFoundError, StoreUnavailableError

if TYPE_CHECKING:
    from lumyn.policy.spec import Policy

__all__ = ["register"]

_STDIN_NAME: Final = "<stdin>"
_DIFF_STYLES: Final = {"+": "green", "-": "red", "@": "cyan"}
_HASH: Final = re.compile("(sha256:)?([0-9a-f]{8,64})")
"""A whole hash or its beginning: records, reports and failures print twelve digits of it."""
_HASH_DIGITS: Final = 64
_SHOWN_CANDIDATES: Final = 4


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(name="policy", help="Check policies, read them, and lay them out.", no_args_is_help=True)
    group.command()(validate)
    group.command()(show)
    group.command()(fmt)
    policy_check.add(group)
    policy_diff.add(group)
    policy_prove.add(group)
    app.add_typer(group)


def validate(
    context: typer.Context,
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="PATH", help="Policy files, or - for standard input; default the configured one."),
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
            metavar="PATH|HASH",
            help="A policy file, -, or the hash of one that decided, whole or begun; default the configured one.",
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
    digits = _digits(path)
    file = None if digits else path if path is not None else str(policy_path(find_config(context.obj)))
    policy = _load_stored(context.obj, digits) if digits else _load(file or "")
    console = Console()
    if json:
        data = {"file": file, **_counts(policy), "document": policy.document, "stages": stage_documents(policy)}
        console.json("policy_show", data)
    elif source:
        write_document(sys.stdout, policy.source)
    else:
        console.line((f"{policy.policy_id} {policy.policy_version}", "bold"), f"  {policy.mode.value}", hang=2)
        console.line((policy.policy_hash, "dim"), indent=2)
        print_sections(console, policy_sections(policy))
    return ExitCode.OK


def _digits(text: str | None) -> str | None:
    """Return the digits when `text` is a hash or the beginning of one; a file of that name comes first."""
    given = _HASH.fullmatch(text or "")
    if given is None or (given[1] is None and len(given[2]) < _HASH_DIGITS and Path(given[2]).exists()):
        return None
    return given[2]


def _load_stored(config_file: Path | None, digits: str) -> Policy:
    from lumyn.core.replay import stored_policy

    store, _ = open_reading(config_file)
    with closing(store):
        found = store.policy_hashes(f"sha256:{digits}", limit=_SHOWN_CANDIDATES + 1)
        if len(found) > 1:
            shown = ", ".join(found[:_SHOWN_CANDIDATES]) + (", ..." if len(found) > _SHOWN_CANDIDATES else "")
            raise NotFoundError(
                f"`{digits}` is the beginning of several hashes: {shown}",
                reason_code="POLICY_NOT_FOUND",
                hint="give more of it",
            )
        return stored_policy(store, found[0] if found else f"sha256:{digits}")


def fmt(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE", help="Policy files, or - for standard input.", show_default=False)
    ],
    check: Annotated[bool, typer.Option("--check", help="Change nothing; exit 1 where a file would change.")] = False,
    json: JsonFlag = False,
) -> int:
    """
    Lay policies out in the canonical way; what they say, their hash and their comments stay.

    With `-`, the policy from standard input goes to standard output. A file is replaced whole or not at all.

    JSON (`lumyn.cli.policy_fmt.v0`): `files`, each with `file`, `status` (`unchanged`, `formatted`, `would_change`,
    `invalid`), `diff` for one that would change, and `problems`.
    """
    if STDIN in files and (len(files) > 1 or (json and not check)):
        raise typer.BadParameter("`-` stands alone, and goes to standard output as it is")
    console = Console()
    reports = [_format(file, check=check, console=None if json else console) for file in files]
    if json:
        console.json("policy_fmt", {"files": reports})
    statuses = {report["status"] for report in reports}
    if "invalid" in statuses:
        return ExitCode.INVALID
    return ExitCode.FAILED if "would_change" in statuses else ExitCode.OK


def _format(file: str, *, check: bool, console: Console | None) -> dict[str, object]:
    """Format one file; say so on the console, if there is one, and return what was done."""
    from lumyn.documents import read_bytes
    from lumyn.policy.layout import formatted_policy

    name = _STDIN_NAME if file == STDIN else file
    try:
        data = _stdin() if file == STDIN else read_bytes(Path(file), error=InvalidPolicyError)
        text = formatted_policy(data, file=name)
    except InvalidPolicyError as error:
        if file == STDIN and not check:
            raise  # standard output is for the policy
        if console is not None:
            _print_problems(console, name, error)
        return {"file": file, "status": "invalid", "diff": None, "problems": error.to_dict()["problems"]}
    if file == STDIN and not check:
        write_document(sys.stdout, text)
        return {"file": file, "status": "formatted", "diff": None, "problems": []}
    if data == text.encode():
        return {"file": file, "status": "unchanged", "diff": None, "problems": []}
    if check:
        diff = _diff(data.decode(errors="replace"), text, name)
        if console is not None:
            console.laid_out([[(line, _DIFF_STYLES.get(line[:1], ""))] for line in diff])
        return {"file": file, "status": "would_change", "diff": "\n".join(diff), "problems": []}
    _replace(Path(file), data, text)
    if console is not None:
        console.line(("formatted", "green"), f" {file}", hang=2)
    return {"file": file, "status": "formatted", "diff": None, "problems": []}


def _replace(path: Path, before: bytes, text: str) -> None:
    from lumyn.cli.files import replace_file
    from lumyn.documents import read_bytes

    target = path.resolve()  # a link stays one
    if read_bytes(target, error=InvalidPolicyError) != before:
        raise StoreUnavailableError(f"`{path}` was changed meanwhile, and is left as it is", detail="PATH_NOT_WRITABLE")
    replace_file(target, text, mode=stat.S_IMODE(target.stat().st_mode))


def _diff(before: str, after: str, name: str) -> list[str]:
    from difflib import unified_diff

    lines = unified_diff(
        before.splitlines(), after.splitlines(), f"{name} (as it is)", f"{name} (formatted)", lineterm=""
    )
    return list(lines) or [f"{name}: only its line ends would change, to one kind of them"]


def _stdin() -> bytes:
    from lumyn.documents import Limits

    # One byte more than allowed is enough for the check that follows to refuse it.
    return b"" if sys.stdin is None else sys.stdin.buffer.read(Limits().max_bytes + 1)


def _load(file: str) -> Policy:
    from lumyn.policy.loader import load_policy, parse_policy

    if file != STDIN:
        return load_policy(Path(file))
    return parse_policy(_stdin(), file=_STDIN_NAME)


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
