"""
Every value of the configuration, with where it came from and without what is secret.
Must not judge any value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from lumyn.cli.diagnosis.paths import shown
from lumyn.config import CONFIG_PATH_VARIABLE, Config, Source, variable_for
from lumyn.config.values import CHECKS

__all__ = ["MASK", "Setting", "masked", "settings", "variables"]

MASK: Final = "***"
"""What stands in place of a secret."""

_PREFIX: Final = "LUMYN_"
_USER_INFO: Final = re.compile(r"(?<=://)[^/?#]*@")
_PARAMETER: Final = re.compile(r"(?i)([?&;][^=&;]*(?:pass|secret|token|key|credential)[^=&;]*=)[^&;]*")
_SECRET_KEY: Final = re.compile(r"(?i)pass|secret|token|credential|(^|[._])key")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """
    One key of the configuration.

    Attributes:
        value: As text, masked; None when the key has no value.
        source: `argument`, `environment`, `file` or `default`; None when the key has no value.
        origin: The variable, or the file with line and column; None like `source`.
    """

    key: str
    value: str | None
    source: Source | None
    origin: str | None


def settings(config: Config) -> Iterator[Setting]:
    """Yield every key there is, in the order of the documentation, whether or not it has a value."""
    for key in CHECKS:
        origin = config.origins.get(key)
        if origin is None:
            yield Setting(key=key, value=None, source=None, origin=None)
            continue
        section, name = key.split(".")
        place = str(origin)
        if origin.span is not None:
            place = f"{shown(Path(origin.span.file))}:{origin.span.line}:{origin.span.column}"
        value = masked(key, _text(getattr(getattr(config, section), name)))
        yield Setting(key=key, value=value, source=origin.source, origin=place)


def variables(environ: Mapping[str, str]) -> dict[str, bool]:
    """Return the names of this program's environment variables -> whether a setting is read from it; never a value."""
    known = {CONFIG_PATH_VARIABLE, *(variable_for(key) for key in CHECKS)}
    return {name: name in known for name in sorted(environ) if name.startswith(_PREFIX)}


def masked(key: str, text: str) -> str:
    """Return a value without user, password and tokens, which URLs may hold."""
    if _SECRET_KEY.search(key):
        return MASK
    return _PARAMETER.sub(rf"\1{MASK}", _USER_INFO.sub(f"{MASK}@", text))


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return json.dumps([str(each) for each in value], ensure_ascii=False)
    if isinstance(value, Path):
        return shown(value)
    return value.value if isinstance(value, StrEnum) else str(value)
