"""
`lumyn decide` itself: read a request, decide it, print the record, and answer with its exit code.
Imports neither Typer nor, into a pipe, Rich, so that a script pays for the decision only.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lumyn.cli.console import Console, OutputError
from lumyn.cli.exit_codes import ExitCode, for_record
from lumyn.errors import InvalidRequestError

if TYPE_CHECKING:
    from lumyn.core.records import DecisionRecord

__all__ = ["STDIN", "decide_file", "read_input"]

STDIN = "-"


def decide_file(file: str, *, as_json: bool, config_file: Path | None = None) -> ExitCode:
    """
    Decide the request in `file` (`-`: standard input) and print the record.

    JSON (`lumyn.cli.decide.v0`): `permits`, whether the action may proceed; `persisted`; `record`, the whole record.

    Raises:
        InvalidConfigError, InvalidPolicyError, InvalidRequestError, IdempotencyConflictError: Nothing was decided.
        OutputError: It was decided, and the record could not be printed.
    """
    from lumyn.config import load_config
    from lumyn.discovery import open_configured

    config = load_config(file=config_file)
    with open_configured(config) as gate:
        record = gate.decide(read_input(file, max_bytes=config.limits.request_bytes))
        try:
            _print(record, as_json=as_json)
        except OutputError as error:
            # Whoever waits for the record did not get it, so this must not read as permission; but it is stored.
            hint = (
                f"the decision is stored all the same: `lumyn show {record.decision_id}`" if record.persisted else None
            )
            raise OutputError(str(error), hint=hint) from None
    return for_record(record)


def _print(record: DecisionRecord, *, as_json: bool) -> None:
    from lumyn.cli.rendering import print_record

    console = Console()
    if as_json:
        data = {"permits": record.permits, "persisted": record.persisted, "record": record.to_dict()}
        console.json("decide", data)
    else:
        print_record(console, record)


def read_input(file: str, *, max_bytes: int) -> bytes:
    """
    Return the bytes of a request file, or of standard input for `-`.

    Raises:
        InvalidRequestError: It cannot be read, or is larger than `max_bytes`.
    """
    from lumyn.documents import Limits, read_bytes

    if file != STDIN:
        try:
            return read_bytes(Path(file), error=InvalidRequestError, limits=Limits(max_bytes=max_bytes))
        except InvalidRequestError as error:
            problem = error.problems[0]
            if problem.code != "PATH_NOT_FILE" or not Path(file).is_fifo():
                raise
            hint = f"a pipe goes to standard input: `COMMAND | lumyn decide {STDIN}`"
            raise InvalidRequestError([replace(problem, hint=hint)]) from None
    if sys.stdin is None:
        return b""
    # One byte more than allowed is enough for the check that follows to refuse it.
    return sys.stdin.buffer.read(max_bytes + 1)
