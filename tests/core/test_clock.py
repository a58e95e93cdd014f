"""Time and identity: pinned, monotonic, and well-formed at the edges of the calendar."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from lumyn.core.clock import FixedClock, SeededIds, SystemClock, UlidSource, parse_rfc3339, rfc3339, ulid

ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")


def test_ulid_of_a_known_time() -> None:
    """The first ten characters are the time of the specification's example."""
    assert "01ARYZ6S41" == ulid(1469918176385, 0)[:10]
    assert "7ZZZZZZZZZZZZZZZZZZZZZZZZZ" == ulid(2**48 - 1, 2**80 - 1)


@pytest.mark.parametrize("moment", [-1, -5, 0, 1, 1023, 1469918176385, 2**40, 2**48 - 1, 2**48, 2**60])
@pytest.mark.parametrize("random", [0, 1, 2**40 - 1, 2**40, 0x5A5A5A5A5A5A5A5A5A5A, 2**80 - 1])
def test_ulid_is_the_number_in_base_32(moment: int, random: int) -> None:
    """Time and random part are written apart; together they are one number of 128 bits, digit by digit."""
    number = min(max(moment, 0), 2**48 - 1) << 80 | random
    digits = "".join("0123456789ABCDEFGHJKMNPQRSTVWXYZ"[number >> 5 * place & 31] for place in range(25, -1, -1))
    assert digits == ulid(moment, random) == ulid(moment, random)


@pytest.mark.parametrize("moment", [-1, -1000, 0])
def test_the_first_time_that_is_written_may_be_any(moment: int) -> None:
    """Nothing is remembered of a time before one was written."""
    code = f"from lumyn.core.clock import rfc3339, ulid; print(rfc3339({moment}), ulid({moment}, 0))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert f"{rfc3339(moment)} {'0' * 26}" == printed.strip()
    assert 24 == len(rfc3339(moment))


def test_ids_grow_when_the_clock_stands_still_or_goes_back() -> None:
    """Nothing may depend on the clock going forward."""
    source = UlidSource()
    made = [source.new(now) for now in (1000, 1000, 1000, 500, 2000, -5)]
    assert sorted(set(made)) == made
    assert all(ULID.fullmatch(each) for each in made)


def test_seeded_ids_repeat_and_differ_by_seed() -> None:
    """The same seed gives the same ids, so that vectors are reproducible to the byte."""
    one, two, other = SeededIds("a"), SeededIds("a"), SeededIds("b")
    first = [one.new(5) for _ in range(3)]
    assert first == [two.new(5) for _ in range(3)]
    assert len({*first, other.new(5)}) == 4


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (2**31 * 1000, "2038-01-19T03:14:08.000Z"),
        (253402300799999, "9999-12-31T23:59:59.999Z"),
        (-62135596800000, "0001-01-01T00:00:00.000Z"),
    ],
)
def test_time_is_written_with_milliseconds(moment: int, text: str) -> None:
    """Also before 1970, after 2038 and at both ends of the calendar."""
    assert text == rfc3339(moment) == rfc3339(moment)


def test_fixed_clock_moves_only_when_told() -> None:
    """It starts where it is told, whatever the offset, and may go back."""
    clock = FixedClock("2026-01-15T14:00:00+02:00")
    assert datetime(2026, 1, 15, 12, tzinfo=UTC) == clock.now()
    clock.advance(timedelta(days=1))
    clock.advance(timedelta(hours=-1))
    assert "2026-01-16T11:00:00.000Z" == rfc3339(clock.now_ms())


@pytest.mark.parametrize("text", ["2026-01-15", "2026-01-15T12:00:00", "noon", ""])
def test_time_without_offset_is_refused(text: str) -> None:
    """A time that means another moment elsewhere is not a time."""
    with pytest.raises(ValueError, match=r".*"):
        parse_rfc3339(text)


def test_system_clock_tells_this_century() -> None:
    """Milliseconds, not seconds or nanoseconds."""
    assert 1_700_000_000_000 < SystemClock().now_ms() < 10_000_000_000_000
