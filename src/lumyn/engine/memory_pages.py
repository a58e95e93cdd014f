"""
Places with an id and tokens each, kept as one bitmap a token, so that all places are weighed at once.
Must not know what a place or a token stands for, nor how weights become scores.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Final, Protocol

__all__ = ["Page", "Sums", "Wanted"]

_LISTED: Final = 16
"""A token on more places than this gets a bitmap; before, its places are listed."""


class Wanted(Protocol):
    """What a search still has use for."""

    def admits(self, rank: int, memory_id: str) -> bool:
        """Return whether a match of this rank and id, or a greater id, could still change the answer."""


class Page:
    """
    Places numbered from 0, searched by integer arithmetic on bitmaps whose bit `p` stands for place `p`.

    Attributes:
        ids: A lower bound of the ids at each place.
        floor: A lower bound of all ids.
        strays: The places whose ids are not where ascending order would put them.
    """

    __slots__ = ("_held", "_top", "floor", "ids", "strays")

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.floor = ""
        self.strays = 0
        self._top = ""
        # A token on one place, the usual case of a rare one, is kept as the complement of the place.
        self._held: dict[Hashable, int | list[int]] = {}

    def append(self, memory_id: str) -> int:
        """Add a place and return its number."""
        place = len(self.ids)
        self.ids.append(memory_id)
        if not place:
            self.floor = self._top = memory_id
        elif memory_id > self._top:
            self._top = memory_id
        else:
            self.strays |= 1 << place
            self.floor = min(self.floor, memory_id)
        return place

    def lower(self, place: int, memory_id: str) -> None:
        """Take note that an id came to a place."""
        if memory_id < self.ids[place]:
            self.ids[place] = memory_id
            self.strays |= 1 << place
            self.floor = min(self.floor, memory_id)

    def put(self, token: Hashable, place: int) -> None:
        """Give a place a token; once is enough."""
        held = self._held.get(token)
        if held is None:
            self._held[token] = ~place
        elif isinstance(held, list):
            if place not in held:
                held.append(place)
                if len(held) > _LISTED:
                    self._held[token] = _bitmap(held)
        elif held >= 0:
            if not held >> place & 1:
                self._held[token] = held | 1 << place
        elif held != ~place:
            self._held[token] = [~held, place]

    def bits(self, token: Hashable) -> int:
        """Return the places that have a token."""
        held = self._held.get(token, 0)
        if isinstance(held, list):
            return _bitmap(held)
        return held if held >= 0 else 1 << ~held

    def visit(self, places: int, rank: int, wanted: Wanted) -> Iterator[int]:
        """Yield those of some places that are wanted at this rank when their turn comes, ids ascending but strays."""
        astray = places & self.strays
        for place in _ones(astray):
            if wanted.admits(rank, self.ids[place]):
                yield place
        for place in _ones(places ^ astray):
            if not wanted.admits(rank, self.ids[place]):
                return
            yield place


class Sums:
    """
    A sum for each of some places, added up for all of them at once.

    Args:
        every: The places.
    """

    __slots__ = ("_every", "_least", "_planes")

    def __init__(self, every: int) -> None:
        self._every = every
        self._least = 0
        # Bit `p` of plane `b` is bit `b` of the sum at place `p`, above what all places have in common.
        self._planes: list[int] = []

    def add(self, weight: int, places: int) -> None:
        """Add a weight to the sums at some places."""
        places &= self._every
        if places == self._every:
            self._least += weight
            return
        planes = self._planes
        at = 0
        while weight and places:
            if weight & 1:
                carry, plane = places, at
                while carry:
                    while plane >= len(planes):
                        planes.append(0)
                    planes[plane], carry = planes[plane] ^ carry, planes[plane] & carry
                    plane += 1
            weight >>= 1
            at += 1

    def levels(self, places: int, *, falling: bool) -> Iterator[tuple[int, int]]:
        """Yield each sum that occurs among some of the places, in order, with the places that have it."""
        stack = [(len(self._planes), places, self._least)]
        while stack:
            plane, places, value = stack.pop()
            if not plane:
                if places:
                    yield value, places
                continue
            plane -= 1
            ones = places & self._planes[plane]
            zeros = places ^ ones
            without, having = (plane, zeros, value), (plane, ones, value + (1 << plane))
            # The one pushed last is looked at first.
            for branch in (without, having) if falling else (having, without):
                if branch[1]:
                    stack.append(branch)


def _bitmap(places: list[int]) -> int:
    bits = 0
    for place in places:
        bits |= 1 << place
    return bits


def _ones(bits: int) -> Iterator[int]:
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest
