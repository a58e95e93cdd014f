"""
Spares the garbage collector from walking thousands of items again and again, and gives them back at the very end.
Must not know what becomes of the items.
"""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from pytest_lumyn.item import VectorItem

__all__ = ["Thrift", "unwalked"]

MANY: Final = 1_000
"""From how many items on the time of the garbage collector shows."""
SELDOM: Final = 1_000
"""The third threshold where only vectors run: what is left of one that passed is its reports, which pytest keeps."""


class Thrift:
    """
    Keeps what is there before the first item runs out of the collector's sight until the run is over.

    Where all items are vectors, it does not walk what they leave behind either; code of the user's own, in other
    tests, may leave much that only the collector can free, and its thresholds stay as they are.

    Nor when the interpreter ends, which would walk all of them several times before the memory goes back at once.

    Given back after pytest has looked for errors of objects that nobody holds any more, which are those of the run.
    Of the cleanups of a run the first added is the last done, so this is to be made early.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._thresholds = gc.get_threshold()
        self._kept = False
        self._only_vectors = False
        config.add_cleanup(self._give_back)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if len(session.items) >= MANY:
            self._kept = True
            gc.freeze()
            self._only_vectors = all(isinstance(item, VectorItem) for item in session.items)
            if gc.isenabled() and self._only_vectors:
                self._thresholds = gc.get_threshold()
                gc.set_threshold(*self._thresholds[:2], SELDOM)

    def _give_back(self) -> None:
        if self._kept:
            self._kept = False
            gc.set_threshold(*self._thresholds)
            gc.unfreeze()
            if self._only_vectors:
                atexit.unregister(gc.freeze)
                atexit.register(gc.freeze)


@contextmanager
def unwalked() -> Iterator[None]:
    """Keep what is there out of the collector's sight for a while, unless it is already: what is made then is not."""
    if gc.get_freeze_count():
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
