"""
Runs one command line and turns everything that can happen into an exit code and at most ten lines.
Answers a plain `decide` without Typer, which would cost more than the decision; must not know any other command.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lumyn.cli.entry import COMPLETION_VARIABLE
from lumyn.cli.exit_codes import ExitCode, for_error
from lumyn.errors import LumynError

if TYPE_CHECKING:
    from typing import TextIO

__all__ = ["run_guarded"]


def run_guarded(argv: Sequence[str]) -> int:
    """Run one command line and return its exit code. Raises nothing but `SystemExit`, for shell completion."""
    for stream in (sys.stdout, sys.stderr):
        _accept_any_text(stream)
    try:
        return int(_dispatch(argv))
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except LumynError as error:
        return _failed(error, as_json=_wants_json(argv))
    except Exception as error:  # noqa: BLE001 - the outermost handler: no traceback ever reaches a user
        return _unexpected(error)
    finally:
        _silence_closed_pipe()


def _dispatch(argv: Sequence[str]) -> int:
    request = None if COMPLETION_VARIABLE in os.environ else _plain_decide(argv)
    if request is not None:
        from lumyn.cli.deciding import decide_file

        return decide_file(request, as_json=_wants_json(argv))
    from lumyn.cli.main import run_app

    return run_app(argv)


def _plain_decide(argv: Sequence[str]) -> str | None:
    """Return FILE of `decide FILE [--json]`, or None for any other command line: those are Typer's to read."""
    if not argv or argv[0] != "decide":
        return None
    rest = [argument for argument in argv[1:] if argument != "--json"]
    return rest[0] if len(rest) == 1 and (rest[0] == "-" or not rest[0].startswith("-")) and rest[0] else None


def _wants_json(argv: Sequence[str]) -> bool:
    options = argv[: list(argv).index("--")] if "--" in argv else argv
    return "--json" in options


def _failed(error: LumynError, *, as_json: bool) -> int:
    from lumyn.cli.console import Console, OutputError, PipeClosedError, print_error

    try:
        if as_json:
            Console().json("error", {"error": error.to_dict()})
        print_error(error)
    except PipeClosedError:
        return ExitCode.PIPE_CLOSED
    except OutputError:
        return for_error(error)
    return for_error(error)


def _unexpected(error: Exception) -> int:
    from lumyn.cli.console import OutputError, PipeClosedError, safe, write

    error = _of_the_stream(error)
    if isinstance(error, PipeClosedError):
        return ExitCode.PIPE_CLOSED
    with contextlib.suppress(PipeClosedError, OutputError):
        if isinstance(error, OutputError):
            hint = f"\nhint: {safe(error.hint)}" if error.hint else ""
            write(sys.stderr, f"{safe(f'error: {error} [{error.reason_code}]')}{hint}\n")
            return ExitCode.STORAGE
        if os.environ.get("LUMYN_DEBUG") == "1":
            import traceback

            write(sys.stderr, "".join(traceback.format_exception(error)))
        # The text of an unexpected exception may quote a request, so only its kind is shown.
        kind = safe(type(error).__name__)
        write(sys.stderr, f"error: unexpected {kind} [INTERNAL_ERROR]; set LUMYN_DEBUG=1 to see the traceback\n")
    return ExitCode.STORAGE if isinstance(error, OutputError) else ExitCode.INTERNAL


def _of_the_stream(error: Exception) -> Exception:
    """Return what an error means that Typer met when it printed help itself; any other one is returned as it is."""
    import errno

    from lumyn.cli.console import OutputError, PipeClosedError

    if isinstance(error, OSError) and error.filename is None:
        if error.errno == errno.EPIPE:
            return PipeClosedError()
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            return OutputError(f"cannot write the output: {error.strerror}")
    return error


def _accept_any_text(stream: TextIO | None) -> None:
    """Let text that the stream's encoding lacks come out as escapes instead of as an exception."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        # It writes out what is pending; a pipe that is closed is reported by what is written next.
        with contextlib.suppress(OSError, ValueError):
            reconfigure(errors="backslashreplace")


def _silence_closed_pipe() -> None:
    """Keep the interpreter from complaining at exit about a pipe whose reader has gone."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream.fileno())
                os.close(nowhere)
