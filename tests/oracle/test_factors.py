"""What amounts can make great dollars: z3 names any product, and a search for its factors has to end."""

from __future__ import annotations

import pytest
from z3_model import WHY_NOT, z3
from z3_requests import divisors

pytestmark = [pytest.mark.oracle, pytest.mark.skipif(z3 is None, reason=WHY_NOT)]


def test_divisors_are_all_but_twos_and_fives() -> None:
    """Every odd number that divides is there, once."""
    for number in range(1, 2_000):
        found, all_of_them = divisors(number)
        wanted = [each for each in range(1, number + 1) if number % each == 0 and each % 2 and each % 5]
        assert (sorted(found), all_of_them) == (wanted, True)
    assert divisors(0) == ([], True)


def test_two_great_primes_stay_together() -> None:
    """A factor no search finds in time leaves the answer open, and is never read as a prime."""
    assert divisors(1_000_003 * 1_000_033) == ([1, 1_000_003 * 1_000_033], False)
    found, all_of_them = divisors(2**53 - 1)
    assert len(found) == 8
    assert all_of_them
