"""
Reads vector files: once in short for collecting and running, and whole again where somebody asks for more.
Must not know pytest's nodes, nor how a vector is run.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Final

from lumyn.documents import load, read_bytes
from lumyn.errors import InvalidVectorError, Problem, Span
from lumyn.policy.spec import Policy
from lumyn.vectors.format import Suite, Vector
from lumyn.vectors.loader import load_suite
from lumyn.vectors.packing import PackedSuite, PackedVector, from_lines, pack, to_lines, unpack
from lumyn.vectors.sources import LIMITS, Sources, bytes_digest, display_name
from pytest_lumyn.cache import Cache

__all__ = ["Shelf"]

_KEPT: Final = 4
"""How many suites are kept whole: vectors that fail come file by file."""


class Shelf:
    """
    The vector files of one run.

    What is needed of a vector that passes is packed, so that ten thousand of them take little room, and kept for the
    next run. A vector that does not pass is read from its file again, with the places of all its parts.
    """

    def __init__(self, base: Path, cache: Cache | None) -> None:
        self._base = base
        self._cache = cache
        self._parse = load if cache is None else cache.parse
        self._sources = Sources(base, self._parse)
        self._whole: OrderedDict[tuple[Path, str], Suite] = OrderedDict()
        self._digests: dict[str, str] = {}

    def read(self, path: Path, override: Policy | None) -> PackedSuite | Suite:
        """
        Return the vectors of a file: in short, or whole where one of them has a problem.

        Raises:
            LumynError: The file cannot be used.
        """
        name = self._entry(path, override)
        packed = self._kept(name, path, override)
        if packed is not None:
            return packed
        suite = load_suite(path, root=self._base, policy_override=override, parse=self._parse)
        packed = None if suite.problems else pack(suite, lambda named: self.policy(named, override))
        if packed is None:
            return suite
        if self._cache is not None and all(packed.inputs.values()):
            self._cache.put(name, [_hash(override), *to_lines(packed)])
        return packed

    def ready(self, packed: PackedVector, path: Path, override: Policy | None) -> Vector:
        """Return a vector to run."""
        return unpack(packed, path=path, policy_of=lambda named: self.policy(named, override))

    def suite(self, path: Path) -> Suite:
        """
        Return the suite of a file as it is now, against the policy it names itself.

        Raises:
            InvalidDocumentError: The file cannot be used.
        """
        return load_suite(path, root=self._base, parse=self._parse, revising=True)

    def whole(self, path: Path, override: Policy | None, *, digest: str) -> Suite:
        """
        Return the suite of a file that was read already, with all that explains it.

        Args:
            digest: Of the file as it was then.

        Raises:
            LumynError: The file has changed since.
        """
        key = (path, _hash(override))
        suite = self._whole.pop(key, None)
        if suite is None:
            suite = load_suite(path, root=self._base, policy_override=override, parse=self._parse)
            if len(self._whole) >= _KEPT:
                self._whole.popitem(last=False)
        self._whole[key] = suite
        if suite.digest != digest:
            message = "the file was changed while its vectors were being run"
            raise InvalidVectorError([Problem(code="VECTORS_CHANGED", message=message, span=Span(suite.file, 1, 1))])
        return suite

    def _kept(self, name: str, path: Path, override: Policy | None) -> PackedSuite | None:
        lines = None if self._cache is None else self._cache.get(name)
        if lines is None or lines[0] != _hash(override):
            return None
        packed = from_lines(lines[1:])
        file = display_name(path, self._base)
        if packed.file != file or any(self._digest(each) != digest for each, digest in packed.inputs.items()):
            return None
        above = [each for each in packed.inputs if Path(each).name.startswith("_defaults.")]
        return packed if sorted(above) == sorted(self._sources.defaults_names(path)) else None

    def _digest(self, name: str) -> str:
        """Return the digest of a file, read once in a run; nothing where it cannot be read."""
        if name not in self._digests:
            try:
                data = read_bytes(self._base / name, error=InvalidVectorError, limits=LIMITS, root=self._base)
            except InvalidVectorError:
                return ""
            self._digests[name] = bytes_digest(data)
        return self._digests[name]

    def policy(self, name: str, override: Policy | None) -> Policy:
        """Return the policy of a name as vectors write it; the one put in place of all where there is one."""
        if not name and override is not None:
            return override
        return self._sources.policy_at(name)

    def _entry(self, path: Path, override: Policy | None) -> str:
        # Two places for a file: trying another policy shall not cost the run after it.
        chosen = "named" if override is None else "chosen"
        return f"suite:{chosen}:{display_name(path, self._base)}"


def _hash(override: Policy | None) -> str:
    return "" if override is None else override.policy_hash
