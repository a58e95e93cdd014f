"""Every operator, on what it takes and on what it must refuse."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumyn.vectors.expect import ABSENT, OPERATORS, differences, equal, holds, is_operators

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("expected", "actual", "same"),
    [
        (25, 25.0, True),
        (0.1, 0.1, True),
        (0.1, 0.10000000000000002, False),
        (1, True, False),
        (True, True, True),
        (False, 0, False),
        (None, None, True),
        (None, ABSENT, False),
        ("1", 1, False),
        ([1, 2], [1.0, 2], True),
        ([1, 2], [2, 1], False),
        ([1], [1, 2], False),
        ({"a": 1}, {"a": 1.0}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({}, {}, True),
        ({}, [], False),
        ("a", ABSENT, False),
    ],
)
def test_equal(expected: object, actual: object, same: bool) -> None:
    """Numbers compare by value, a boolean is never a number, nothing else is converted."""
    assert same is equal(expected, actual)


TABLE = [
    ({"contains": ["A"]}, ["B", "A"], True),
    ({"contains": ["A", "C"]}, ["B", "A"], False),
    ({"contains": ["A"]}, [], False),
    ({"contains": ["A"]}, "A", False),
    ({"contains": ["A"]}, ABSENT, False),
    ({"excludes": ["A"]}, ["B"], True),
    ({"excludes": ["A", "B"]}, ["B"], False),
    ({"excludes": ["A"]}, ABSENT, False),
    ({"any_order": ["A", "B"]}, ["B", "A"], True),
    ({"any_order": ["A", "B"]}, ["B", "A", "A"], False),
    ({"any_order": ["A", "A"]}, ["B", "A"], False),
    ({"any_order": ["A", "B"]}, ["A"], False),
    ({"any_order": [{"a": 1}, {"a": 1, "b": 2}]}, [{"a": 1, "b": 2}, {"a": 1}], True),
    ({"any_order": [{"a": 1}, {"a": 1}]}, [{"a": 1}, {"a": 2}], False),
    ({"any_order": ["A"]}, "A", False),
    ({"any_order": ["A"]}, {"A": 1}, False),
    ({"any_order": ["A"]}, ABSENT, False),
    ({"excludes": ["A"]}, "B", False),
    ({"contains": ["A"]}, {"A": 1}, False),
    ({"is_empty": True}, [], True),
    ({"is_empty": True}, ABSENT, True),
    ({"is_empty": True}, ["A"], False),
    ({"is_empty": True}, 0, False),
    ({"is_empty": True}, False, False),
    ({"is_empty": False}, ["A"], True),
    ({"is_empty": False}, [], False),
    ({"is_empty": False}, ABSENT, False),
    ({"gt": 1}, 1.0000001, True),
    ({"gt": 1}, 1, False),
    ({"gte": 1}, 1, True),
    ({"gte": 1}, 0.9999999, False),
    ({"lt": 0.3}, 0.29, True),
    ({"lt": 0.3}, 0.3, False),
    ({"lte": 0.3}, 0.3, True),
    ({"lte": 0.3}, 0.30000000000000004, False),
    ({"gt": 0}, True, False),
    ({"gt": 0}, "1", False),
    ({"gte": 0}, None, False),
    ({"gte": 0}, ABSENT, False),
    ({"between": [1, 2]}, 1, True),
    ({"between": [1, 2]}, 2, True),
    ({"between": [1, 2]}, 2.1, False),
    ({"between": [1, 2]}, 0.9, False),
    ({"between": [1, 2]}, "1", False),
    ({"in": ["a", 2]}, 2.0, True),
    ({"in": ["a", 2]}, "b", False),
    ({"in": [1]}, True, False),
    ({"in": ["a"]}, ABSENT, False),
    ({"matches": "INC-[0-9]+"}, "INC-42", True),
    ({"matches": "INC-[0-9]+"}, "INC-42x", False),
    ({"matches": "INC-[0-9]+"}, "xINC-42", False),
    ({"matches": "INC-[0-9]+"}, "INC-42\n", False),
    ({"matches": "1"}, 1, False),
    ({"gte": 1, "lt": 2}, 1.5, True),
    ({"gte": 1, "lt": 2}, 2, False),
    ({"contains": ["A"], "excludes": ["B"]}, ["A", "B"], False),
    ({"contains": [{"rule_id": "R1"}]}, [{"rule_id": "R1", "stage": "X"}], True),
    ({"excludes": [{"rule_id": "R1"}]}, [{"rule_id": "R1", "stage": "X"}], False),
]


@pytest.mark.parametrize(("expected", "actual", "outcome"), TABLE)
def test_operators(expected: dict, actual: object, outcome: bool) -> None:
    """An operator never holds for a value of another kind."""
    assert outcome is holds(expected, actual)
    assert outcome is (not list(differences(expected, actual)))


def test_a_bound_is_the_number_that_was_written() -> None:
    """Not the one that a float of this size happens to stand for, which lies below it."""
    assert not holds({"gt": 1e23}, 10**23)
    assert holds({"lte": 1e23}, 10**23)


def test_every_operator_is_tested_both_ways() -> None:
    """The table above leaves none out."""
    for outcome in (True, False):
        assert set(OPERATORS) == {name for expected, _, held in TABLE if held is outcome for name in expected}


def test_objects_compare_the_members_written_and_lists_all_items() -> None:
    """A part of an object is an expectation; a part of a list is not."""
    assert holds({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}, "d": 3})
    assert not holds({"a": {"b": 1, "x": 1}}, {"a": {"b": 1}})
    assert holds([{"a": 1}], [{"a": 1, "b": 2}])
    assert not holds([{"a": 1}], [{"a": 1}, {"a": 1}])
    assert not holds({"a": 1}, [])
    assert not holds({}, [])


def test_an_object_with_other_keys_is_data() -> None:
    """A misspelt operator is compared as data and so fails; it is never ignored."""
    assert not is_operators({"gtee": 1})
    assert not is_operators({"gte": 1, "x": 2})
    assert not is_operators({})
    assert not holds({"gtee": 0}, 1)
    assert not holds({"gte": 0, "x": 1}, 1)


def test_differences_name_the_innermost_place() -> None:
    """What is equal is left out; a list of another length is named as a whole."""
    expected = {"a": {"b": 1, "c": [1, {"d": 2}]}, "e": [1]}
    actual = {"a": {"b": 2, "c": [1, {"d": 3}]}, "e": [1, 2]}
    assert [
        (("a", "b"), 1, 2),
        (("a", "c", 1, "d"), 2, 3),
        (("e",), [1], [1, 2]),
    ] == list(differences(expected, actual))


def test_an_absent_member_is_a_difference() -> None:
    """Null is expected to be there."""
    assert [(("a",), None, ABSENT)] == list(differences({"a": None}, {}))


@given(JSON)
def test_every_value_without_operators_equals_itself(value: object) -> None:
    """Equality is reflexive, and a value that is not made of operators holds of itself."""
    assert equal(value, value)


@given(JSON, JSON)
def test_there_are_differences_exactly_when_it_does_not_hold(expected: object, actual: object) -> None:
    """The two walks agree."""
    assert holds(expected, actual) is not bool(list(differences(expected, actual)))


@given(st.lists(st.integers(0, 3), max_size=5))
def test_any_order_accepts_every_permutation(items: list[int]) -> None:
    """And nothing else."""
    assert holds({"any_order": items}, sorted(items))
    assert not holds({"any_order": items}, [*items, 4])
