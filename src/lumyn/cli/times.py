"""
Times as people type them: a moment, or how long ago.
Must not know what is looked for since then.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

import typer

from lumyn.core.clock import rfc3339

__all__ = ["since_text"]

_AGO: Final = re.compile(r"([0-9]{1,6})([smhdw])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_HINT: Final = "give a time such as 2026-01-15 or 2026-01-15T12:00:00Z, or how long ago, such as 2h or P1D"


def since_text(text: str, *, now_ms: int) -> str:
    """
    Return the moment that `text` means, as records write it.

    Args:
        text: ISO 8601: a date, a time (UTC where it names no offset), a duration before now; or such as `90s`, `2h`.

    Raises:
        typer.BadParameter: It is none of these.
    """
    from lumyn.vectors.reading import duration

    ago = _AGO.fullmatch(text)
    by = timedelta(**{_UNITS[ago[2]]: int(ago[1])}) if ago else duration(text)
    if by is not None:
        return rfc3339(max(0, now_ms - by // timedelta(milliseconds=1)))
    try:
        moment = datetime.fromisoformat(text)
        at = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return rfc3339(max(0, (at - _EPOCH) // timedelta(milliseconds=1)))
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"the time cannot be understood: {_HINT}", param_hint="--since") from None
