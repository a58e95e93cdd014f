"""
`lumyn serve`: the HTTP service, until it is told to stop. Prints where it listens; the service itself is another face,
which is named here and found when the command runs, so that nothing of it is needed for any other command.
"""

from __future__ import annotations

import pkgutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Protocol

import typer

from lumyn.cli.console import Console, OutputError, PipeClosedError
from lumyn.cli.exit_codes import ExitCode
from lumyn.cli.options import JsonFlag
from lumyn.errors import InstallationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from lumyn.config import Config

__all__ = ["register"]

_SERVICE: Final = "lumyn.api.server:serve"
_EXTRA: Final = frozenset({"fastapi", "starlette", "uvicorn", "h11", "prometheus_client", "pydantic"})
_INSTALL: Final = 'pip install "lumyn[service] @ git+<URL of the repository>", or `pip install -e ".[service]"`'


class _Listening(Protocol):
    """What the service says of itself once it listens."""

    @property
    def url(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def store_id(self) -> str: ...
    @property
    def policy_id(self) -> str: ...
    @property
    def policy_version(self) -> str: ...
    @property
    def policy_hash(self) -> str: ...
    @property
    def mode(self) -> str: ...
    @property
    def keys(self) -> tuple[tuple[str, tuple[str, ...]], ...]: ...


class _Serve(Protocol):
    """The service: runs until it is told to stop."""

    def __call__(self, config: Config, *, announce: Callable[[_Listening], None]) -> None: ...


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(serve)


def serve(
    context: typer.Context,
    host: Annotated[
        str | None, typer.Option("--host", metavar="ADDRESS", help="Listen at this interface.", show_default=False)
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", min=0, max=65_535, help="Listen at this port; 0 takes a free one.", show_default=False),
    ] = None,
    policy: Annotated[
        Path | None, typer.Option("--policy", metavar="FILE", help="Decide by this policy.", show_default=False)
    ] = None,
    store: Annotated[
        str | None,
        typer.Option("--store", metavar="URL", help="This store, instead of the configured one.", show_default=False),
    ] = None,
    json: JsonFlag = False,
) -> int:
    """
    Answer decision requests over HTTP, until Ctrl-C or SIGTERM.

    Without keys it listens on this machine only. SIGHUP, or a change of the file, reloads the policy; one that cannot
    be used leaves the last good one in force. Says what happens in lines of JSON on standard error. See service.md.

    JSON (`lumyn.cli.serve.v0`), once it listens: `url`, `host`, `port`, `store_id`, `policy`, `signed`, `keys`.
    """
    from lumyn.config import load_config

    arguments = {"service.bind_host": host, "service.bind_port": port, "policy.path": policy, "store.url": store}
    config_file: Path | None = context.obj
    run = _service()
    config = load_config(file=config_file, arguments=arguments)
    run(config, announce=lambda listening: _announced(listening, as_json=json))
    return ExitCode.OK


def _service() -> _Serve:
    """Return the service. Raises `InstallationError` without the extra."""
    try:
        found: _Serve = pkgutil.resolve_name(_SERVICE)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in _EXTRA:
            raise
        message = f"the service needs `{error.name.partition('.')[0]}`, which is not installed"
        raise InstallationError(message, reason_code="EXTRA_NOT_INSTALLED", hint=_INSTALL) from None
    return found


def _announced(listening: _Listening, *, as_json: bool) -> None:
    # It listens, whether or not anybody reads that.
    with suppress(PipeClosedError, OutputError):
        _announce(listening, as_json=as_json)


def _announce(listening: _Listening, *, as_json: bool) -> None:
    console = Console()
    keys = [{"id": name, "scopes": list(scopes)} for name, scopes in listening.keys]
    if as_json:
        policy = {
            "policy_id": listening.policy_id,
            "policy_version": listening.policy_version,
            "policy_hash": listening.policy_hash,
            "mode": listening.mode,
        }
        data = {
            "url": listening.url,
            "host": listening.host,
            "port": listening.port,
            "store_id": listening.store_id,
            "policy": policy,
            "signed": bool(keys),
            "keys": keys,
        }
        console.json("serve", data, one_line=True)
        return
    console.line(f"listening at {listening.url}")
    version = f"{listening.policy_id} {listening.policy_version}, {listening.mode}"
    console.line(f"policy   {version}", indent=2, hang=11)
    console.line(f"         {listening.policy_hash}", indent=2, hang=11)
    console.line(f"store    {listening.store_id}", indent=2, hang=11)
    if keys:
        named = "; ".join(f"{name} ({', '.join(scopes)})" for name, scopes in listening.keys)
        console.line(f"signed   {named}", indent=2, hang=11)
    else:
        console.line("unsigned: any program on this machine may ask and label", indent=2, hang=11)
