"""
A progress bar on standard error for work that takes longer than a second; nothing where nobody watches.
Must not know what the work is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from time import monotonic
from typing import Final, TypeAlias

__all__ = ["PATIENCE_S", "Advance", "progress_bar"]

PATIENCE_S: Final = 1.0
"""Seconds that pass without a word."""

Advance: TypeAlias = "Callable[[int, int], None]"
"""Called with how much is done and how much there is."""


@contextmanager
def progress_bar(title: str) -> Iterator[Advance | None]:
    """
    Show a bar while the block runs, from its second second on, gone afterwards.

    Yields:
        What to call now and then, cheap before there is a bar; None when standard error is no terminal.
    """
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    with ExitStack() as shown:
        yield _advance(title, shown)


def _advance(title: str, shown: ExitStack) -> Advance:
    begun = monotonic()
    update: Advance | None = None

    def advance(done: int, total: int) -> None:
        nonlocal update
        if update is None:
            if monotonic() - begun < PATIENCE_S:
                return
            update = _bar(title, shown)
        update(done, total)

    return advance


def _bar(title: str, shown: ExitStack) -> Advance:
    from rich.console import Console
    from rich.progress import Progress

    bars = shown.enter_context(Progress(console=Console(stderr=True), transient=True))
    bar = bars.add_task(title, total=None)
    return lambda done, total: bars.update(bar, completed=done, total=total)
