"""Number literals: exactly what a double carries, or refused."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumyn.documents.numbers import MAX_SAFE, NUMBER, NumberRefusedError, read_number


@given(st.floats(-MAX_SAFE, MAX_SAFE))
def test_shortest_form_is_read_back(value: float) -> None:
    """Every double in range can be written and read."""
    assert repr(value) == repr(read_number(repr(value)))


@given(st.integers(-MAX_SAFE, MAX_SAFE))
def test_integer_is_read_as_integer(value: int) -> None:
    """An integer literal stays an int."""
    assert value == read_number(str(value))
    assert type(read_number(str(value))) is int


@given(st.from_regex(r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][-+]?[0-9]{1,4})?", fullmatch=True))
def test_what_is_accepted_is_exact(text: str) -> None:
    """The value is the decimal that was written, never one near it."""
    assert NUMBER.fullmatch(text)
    try:
        value = read_number(text)
    except NumberRefusedError as refused:
        code = refused.code
    else:
        assert Decimal(text) == Decimal(repr(value))
        return
    if code == "NUMBER_OUT_OF_RANGE":
        assert not -MAX_SAFE <= Decimal(text) <= MAX_SAFE
    else:
        assert Decimal(text) != Decimal(repr(float(text)))


@pytest.mark.parametrize("text", ["9" * 100_000, "-" + "1" * 100_000, "1" * 18, "1" + "0" * 100_000 + ".0"])
def test_long_literal_is_refused_without_converting_it(text: str) -> None:
    """Neither time nor an interpreter limit is hit."""
    with pytest.raises(NumberRefusedError) as caught:
        read_number(text)
    assert "NUMBER_OUT_OF_RANGE" == caught.value.code
