"""
Spares the garbage collector from walking thousands of items again and again, and gives them back at the very end.
Must not know what the items are.
"""

from __future__ import annotations

import gc
from typing import Final

import pytest

__all__ = ["Thrift"]

MANY: Final = 1_000
"""From how many items on the time of the garbage collector shows."""


class Thrift:
    """
    Keeps what is there before the first item runs out of the collector's sight until the run is over.

    Given back after pytest has looked for errors of objects that nobody holds any more, which are those of the run.
    Of the cleanups of a run the first added is the last done, so this is to be made early.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._kept = False
        config.add_cleanup(self._give_back)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if len(session.items) >= MANY:
            self._kept = True
            gc.freeze()

    def _give_back(self) -> None:
        if self._kept:
            self._kept = False
            gc.unfreeze()
