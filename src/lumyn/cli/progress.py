"""
A progress bar on standard error for work that takes long; nothing where nobody watches.
Must not know what the work is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

__all__ = ["Advance", "progress_bar"]

Advance: TypeAlias = "Callable[[int, int], None]"
"""Called with how much is done and how much there is."""


@contextmanager
def progress_bar(title: str) -> Iterator[Advance | None]:
    """Show a bar while the block runs, gone afterwards; None when standard error is no terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task(title, total=None)
        yield lambda done, total: bars.update(bar, completed=done, total=total)
