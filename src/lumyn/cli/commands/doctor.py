"""`lumyn doctor`: what is wrong with an installation or a workspace, and how to mend it. Mends only with --fix."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from lumyn.cli.console import Console, counted_noun
from lumyn.cli.exit_codes import ExitCode
from lumyn.cli.options import JsonFlag
from lumyn.cli.workspace import find_config
from lumyn.errors import InvalidConfigError, LumynError

if TYPE_CHECKING:
    from lumyn.cli.diagnosis import Finding, Setting
    from lumyn.config import Config

__all__ = ["register"]

_STYLES: Final = {"ok": "green", "warning": "bold yellow", "problem": "bold red", "fixed": "green"}
_SQLITE: Final = "sqlite:///"
_STATUS_CHARS: Final = 9
_CHECK_CHARS: Final = 15


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(doctor)


def doctor(
    context: typer.Context,
    fix: Annotated[
        bool, typer.Option("--fix", help="Mend what can be mended safely: file modes, .gitignore, editor schemas.")
    ] = False,
    json: JsonFlag = False,
) -> int:
    """
    Say what is configured and from where, and what is wrong, each with its fix.

    Exits 1 when there is a problem; a warning alone is fine. Secrets are never shown, and nothing is decided or stored.

    JSON (`lumyn.cli.doctor.v0`): `ok`; `settings`, each with `key`, `value`, `source`, `origin`; `environment`, each
    `variable` and whether it is `read`; `findings`, each with `check`, `status`, `code`, `message`, `hint`, `fixable`;
    `fixed`, what --fix did; `not_fixed`, what it could not.
    """
    from lumyn.cli.diagnosis import Status, settings
    from lumyn.cli.diagnosis.settings import variables

    config = _config(context.obj)
    findings = _examine(config)
    fixed, not_fixed = _repair(findings) if fix else ([], [])
    if fixed:
        findings = _examine(config)
    listed = [] if isinstance(config, InvalidConfigError) else list(settings(config))
    fine = not any(finding.status is Status.PROBLEM for finding in findings)
    console = Console()
    if json:
        data: dict[str, object] = {
            "ok": fine,
            "settings": [_setting(each) for each in listed],
            "environment": [{"variable": name, "read": read} for name, read in variables(os.environ).items()],
            "findings": [_finding(each) for each in findings],
            "fixed": fixed,
            "not_fixed": not_fixed,
        }
        console.json("doctor", data)
    else:
        _print(console, listed, findings, fixed, not_fixed)
    return ExitCode.OK if fine else ExitCode.FAILED


def _config(file: Path | None) -> Config | InvalidConfigError:
    try:
        return find_config(file, demo=True)
    except InvalidConfigError as error:
        return error


def _examine(config: Config | InvalidConfigError) -> list[Finding]:
    from lumyn.cli.diagnosis import configuration, examine
    from lumyn.cli.progress import progress_bar

    usable = None if isinstance(config, InvalidConfigError) else config
    if usable is not None and usable.file is None and usable.policy.path is None:
        usable = None  # nothing is configured, so there is no workspace to look at
    with progress_bar("reading the store") as progress:
        return [*configuration(config), *examine(usable, progress=progress)]


def _repair(findings: Sequence[Finding]) -> tuple[list[str], list[str]]:
    """Mend what can be; return what was done and what could not be."""
    done: list[str] = []
    failed: list[str] = []
    for finding in findings:
        if finding.repair is None:
            continue
        try:
            done.append(finding.repair())
        except LumynError as error:
            failed.append(error.message)
        except OSError as error:
            failed.append(f"{finding.message}: {(error.strerror or 'i/o error').lower()}")
    return done, failed


def _print(
    console: Console,
    listed: Sequence[Setting],
    findings: Sequence[Finding],
    fixed: Sequence[str],
    not_fixed: Sequence[str],
) -> None:
    if listed:
        rows = [(each.key, _short(each.value), (each.origin or "not set", "dim")) for each in listed]
        console.table(["setting", "value", "from"], rows)
        console.line("")
    for finding in findings:
        _print_finding(console, finding)
    for status, texts in (("fixed", fixed), ("not fixed", not_fixed)):
        for text in texts:
            console.line((status.ljust(_STATUS_CHARS), _STYLES.get(status, "bold red")), text, hang=_STATUS_CHARS)
    counts = {status: sum(each.status == status for each in findings) for status in ("problem", "warning")}
    told = ", ".join(counted_noun(count, status) for status, count in counts.items() if count)
    console.line("")
    style = next((_STYLES[status] for status, count in counts.items() if count), "bold green")
    console.line((told or "all is well", style))


def _short(value: str | None) -> str:
    """Return a value for people: a store below the working directory without what leads there."""
    here = f"{_SQLITE}{Path.cwd()}{os.sep}"
    return _SQLITE + value.removeprefix(here) if value and value.startswith(here) else value or "-"


def _print_finding(console: Console, finding: Finding) -> None:
    status = (finding.status.value.ljust(_STATUS_CHARS), _STYLES[finding.status.value])
    indent = _STATUS_CHARS + _CHECK_CHARS
    hang = indent if console.width is None or console.width >= 80 else _STATUS_CHARS
    code = (f" [{finding.code}]", "dim") if finding.code else ""
    console.line(status, finding.check.ljust(_CHECK_CHARS), finding.message, code, hang=hang)
    if finding.hint:
        console.line(f"hint: {finding.hint}", indent=hang, hang=hang + 6)


def _setting(setting: Setting) -> dict[str, object]:
    source = None if setting.source is None else setting.source.value
    return {"key": setting.key, "value": setting.value, "source": source, "origin": setting.origin}


def _finding(finding: Finding) -> dict[str, object]:
    return {
        "check": finding.check,
        "status": finding.status.value,
        "code": finding.code,
        "message": finding.message,
        "hint": finding.hint,
        "fixable": finding.repair is not None,
    }
