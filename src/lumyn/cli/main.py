"""
The `lumyn` application: its root options and the commands, each loaded only when it is needed.
Must not know what any command does.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Final

import typer

from lumyn._version import __version__
from lumyn.cli.commands import COMMANDS
from lumyn.cli.console import Console, safe, write
from lumyn.cli.exit_codes import ExitCode
from lumyn.errors import StoreUnavailableError

__all__ = ["build_app", "run_app"]

# Typer has carried its own copy of click since 0.26 and names only some of its errors.
_USAGE_ERROR: Final[type[Exception]] = next(
    kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "UsageError"
)
_OF_COMMANDS: Final = {"--json"}
"""What every command takes and `lumyn` itself does not."""
_CONTEXT: Final = {"help_option_names": ["-h", "--help"]}


def run_app(argv: Sequence[str]) -> int:
    """Run a command line through Typer and return its exit code; errors of Lumyn pass through."""
    command = typer.main.get_command(build_app(argv))
    try:
        code = command.main(args=list(argv), prog_name="lumyn", standalone_mode=False)
    except _USAGE_ERROR as error:
        return _usage_error(error, as_json="--json" in argv)
    except typer.Abort:
        return ExitCode.INTERRUPTED
    except OSError as error:
        # Typer writes files of its own only to install completion, into the user's home.
        if "--install-completion" not in argv or error.filename is None:
            raise
        reason = (error.strerror or "i/o error").lower()
        message = f"cannot write `{error.filename}`: {reason}"
        raise StoreUnavailableError(message, detail="PATH_NOT_WRITABLE") from None
    except SystemExit as end:
        # Rich's answer to a reader who stops in the middle of the help.
        if not isinstance(end.__context__, BrokenPipeError):
            raise
        return ExitCode.PIPE_CLOSED
    return code if isinstance(code, int) else ExitCode.OK


def build_app(argv: Sequence[str] = ()) -> typer.Typer:
    """Return the application: with the one command that `argv` starts with, or with all of them."""
    app = typer.Typer(
        name="lumyn",
        help="A deterministic gate in front of the write actions of AI systems.",
        pretty_exceptions_enable=False,
        context_settings=_CONTEXT,
    )
    app.callback(invoke_without_command=True)(_root)
    named = [argv[0]] if argv and argv[0] in COMMANDS else COMMANDS
    for name in named:
        import_module(f"lumyn.cli.commands.{name}").register(app)
    _flow(app)
    return app


def _flow(app: typer.Typer) -> None:
    """Let the help of every command wrap where the terminal ends, not where its source does."""
    for group in app.registered_groups:
        if group.typer_instance is not None:
            _flow(group.typer_instance)
    for command in app.registered_commands:
        text = inspect.getdoc(command.callback) or ""
        command.help = "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def _root(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", metavar="FILE", help="Use this configuration file, instead of the nearest lumyn.toml."
        ),
    ] = None,
    version: Annotated[bool, typer.Option("--version", "-V", help="Print the version and exit.")] = False,
) -> None:
    if version:
        write(sys.stdout, f"lumyn {__version__}\n")
        raise typer.Exit(ExitCode.OK)
    if context.invoked_subcommand is None:
        context.get_help()
        raise typer.Exit(ExitCode.USAGE)
    context.obj = config


def _usage_error(error: Exception, *, as_json: bool) -> int:
    if type(error).__name__ == "NoArgsIsHelpError":  # the help is printed already
        return ExitCode.USAGE
    describe = getattr(error, "format_message", None)
    message = " ".join(str(describe() if callable(describe) else error).split()).removesuffix(".")
    message = (message[:1].lower() + message[1:]).replace(": Value error, ", ": ")
    path = getattr(getattr(error, "ctx", None), "command_path", "lumyn")
    hint = f"`{path} --help` lists what it takes"
    option = getattr(error, "option_name", None) if type(error).__name__ == "NoSuchOption" else None
    if option == "--config":
        message, hint = f"no such option: {option}", "it goes before the command: `lumyn --config FILE show`"
    elif option in _OF_COMMANDS and path == "lumyn":
        message, hint = f"no such option: {option}", f"it goes behind the command: `lumyn show {option}`"
    if as_json:
        Console().json("error", {"error": {"reason_code": "USAGE", "message": message, "hint": hint}})
    write(sys.stderr, f"{safe(f'error: {message}')}\n{safe(f'hint: {hint}')}\n")
    return ExitCode.USAGE
