"""
Which vectors rest on a golden record: nobody may change what others expect while it looks at one vector only.
Reads files and writes none; must not know why a record would change.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Final

from lumyn.documents import load, read_bytes
from lumyn.errors import InvalidVectorError
from lumyn.model import JsonValue
from lumyn.vectors.discovery import SKIPPED_FOLDERS, SUFFIXES
from lumyn.vectors.expectations import EXACT
from lumyn.vectors.format import DecideStep, Step, Vector
from lumyn.vectors.sources import LIMITS, display_name

__all__ = ["files_resting_on", "golden_of", "vectors_resting_on"]

_KEY: Final = EXACT.encode()


def golden_of(step: Step) -> str | None:
    """Return the file of the golden record that a step is compared with, as it is written, or None."""
    record = step.expect.document.get("record") if isinstance(step, DecideStep) else None
    name = record.get(EXACT) if isinstance(record, dict) else None
    return name if isinstance(name, str) else None


def vectors_resting_on(golden: str, vectors: Iterable[Vector], root: Path) -> tuple[str, ...]:
    """Return the ids of those that are compared with a golden record; of those that cannot be read nobody knows."""
    place = _place(golden, root)
    return tuple(
        vector.vector_id
        for vector in vectors
        if vector.problems or any(_is(golden_of(step), place, root) for step in vector.steps)
    )


def files_resting_on(golden: str, root: Path, *, besides: Collection[str]) -> Iterator[str]:
    """
    Yield the files below the root that name a golden record, `_defaults` files among them, by their names in messages.

    Folders whose name begins with a dot are passed over, as pytest does, unless one of `besides` lies in them. A file
    that cannot be read and speaks of a golden record of this name counts.

    Args:
        golden: Relative to the root.
        besides: Files that were looked at already, relative to the root.
    """
    place, name = _place(golden, root), Path(golden).name
    known = {_place(each, root) for each in besides}
    for folder, below, found in os.walk(root):
        below[:] = sorted(each for each in below if _is_visited(Path(folder, each), known))
        for each in sorted(found):
            path = Path(folder, each)
            if each.endswith(SUFFIXES) and path.resolve() not in known and _names(path, root, place, name):
                yield display_name(path, root)


def _is_visited(folder: Path, known: Collection[Path]) -> bool:
    if folder.name in SKIPPED_FOLDERS:
        return False
    return not folder.name.startswith(".") or any(path.is_relative_to(folder.resolve()) for path in known)


def _names(path: Path, root: Path, place: Path, name: str) -> bool:
    try:
        data = read_bytes(path, error=InvalidVectorError, limits=LIMITS, root=root)
    except InvalidVectorError:
        return False
    # Names of other letters may be written in more than one way.
    if _KEY not in data or (name.isascii() and name.encode() not in data):
        return False
    try:
        document = load(data, file=display_name(path, root), error=InvalidVectorError, limits=LIMITS)
    except InvalidVectorError:
        return True
    return any(_is(each, place, root) for each in _goldens(document.value))


def _goldens(value: JsonValue) -> Iterator[str]:
    if isinstance(value, dict):
        own = value.get(EXACT)
        if isinstance(own, str):
            yield own
    below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for each in below:
        yield from _goldens(each)


def _is(name: str | None, place: Path, root: Path) -> bool:
    return name is not None and _place(name, root) == place


def _place(name: str, root: Path) -> Path:
    return (root / name).resolve()
