"""
What `lumyn doctor` finds out about an installation and a workspace. Changes nothing unless a repair is called.
Must not print, nor decide what a finding means for the exit code.
"""

from __future__ import annotations

from collections.abc import Iterator

from lumyn.cli.diagnosis.finding import Finding, Repair, Status, ok, problem, warning
from lumyn.cli.diagnosis.installation import installation
from lumyn.cli.diagnosis.paths import shown
from lumyn.cli.diagnosis.repository import repository
from lumyn.cli.diagnosis.rules import policy_and_vectors
from lumyn.cli.diagnosis.settings import Setting, settings
from lumyn.cli.diagnosis.storage import storage
from lumyn.cli.progress import Advance
from lumyn.config import Config, passed_over
from lumyn.errors import InvalidConfigError

__all__ = ["Finding", "Repair", "Setting", "Status", "configuration", "examine", "settings"]


def examine(config: Config | None, *, progress: Advance | None = None) -> Iterator[Finding]:
    """
    Yield what there is to say, the installation first; every check is made, whatever came of those before it.

    Args:
        config: The configuration, or None when there is no usable one.
        progress: Told how far the reading of the store is.
    """
    yield from installation()
    if config is None:
        return
    yield from policy_and_vectors(config)
    yield from storage(config.store, progress=progress)
    yield from repository(config)


def configuration(config: Config | InvalidConfigError) -> Iterator[Finding]:
    """Yield whether there is a configuration that can be used."""
    if isinstance(config, InvalidConfigError):
        for each in config.problems:
            where = f"{each.span}: " if each.span else ""
            yield problem("configuration", where + each.message, code=each.code, hint=each.hint)
    elif config.file is not None:
        yield ok("configuration", shown(config.file))
        other = passed_over(config.file)
        if other is not None:
            message = f"[tool.lumyn] in {shown(other)} is not read: {shown(config.file)} beside it goes before"
            hint = "keep one of them; what decides is what is listed above"
            yield warning("configuration", message, code="CONFIG_PASSED_OVER", hint=hint)
    elif config.policy.path is not None:
        yield ok("configuration", "from the environment, without a file")
    else:
        message = "no lumyn.toml here or in any folder above"
        yield problem("configuration", message, code="CONFIG_NOT_FOUND", hint="`lumyn init` makes a workspace here")
