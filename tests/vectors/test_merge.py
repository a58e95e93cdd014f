"""Deep merge and dotted paths: maps merge, lists replace, null deletes, and nothing is changed in place."""

from __future__ import annotations

import copy

import pytest

from lumyn.vectors.merge import PathError, literal, merge, merge_request, parse_path, put, value_at


@pytest.mark.parametrize(
    ("base", "over", "expected"),
    [
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"a": {"x": 1, "y": 2}}, {"a": {"y": 3}}, {"a": {"x": 1, "y": 3}}),
        ({"a": [1, 2, 3]}, {"a": [4]}, {"a": [4]}),
        ({"a": 1, "b": 2}, {"a": None}, {"b": 2}),
        ({"a": {"x": 1}}, {"a": {"x": None}}, {"a": {}}),
        ({}, {"a": None}, {}),
        ({}, {"a": {"x": None, "y": 1}}, {"a": {"y": 1}}),
        ({"a": 1}, {"a": {"x": 1}}, {"a": {"x": 1}}),
        ({"a": {"x": 1}}, {"a": 2}, {"a": 2}),
        ({"a": {"x": 1}}, {"a": {"$value": {"y": 2}}}, {"a": {"y": 2}}),
        ({"a": 1}, {"a": {"$value": None}}, {"a": None}),
        ({"a": {"x": 1}}, {}, {"a": {"x": 1}}),
    ],
)
def test_merge(base: dict, over: dict, expected: dict) -> None:
    """Maps merge, anything else replaces, null deletes, `$value` is taken as it is written."""
    before = copy.deepcopy((base, over))
    assert expected == merge(base, over)
    assert before == (base, over)


def test_merge_can_keep_a_null_that_deletes_nothing() -> None:
    """In a request a null is data, unless it takes something away."""
    assert {"a": None, "b": {"c": None}} == merge({}, {"a": None, "b": {"c": None}}, keep_null=True)
    assert {"b": {}} == merge({"a": 1, "b": {"c": 2}}, {"a": None, "b": {"c": None}}, keep_null=True)


def test_a_top_level_null_of_a_request_stays() -> None:
    """It says that the member is left out, so that no default comes back."""
    assert {"subject": None} == merge_request({"subject": {"type": "user"}}, {"subject": None})
    assert {"subject": None} == merge_request({}, {"subject": None})
    assert {"subject": {"id": "a"}} == merge_request({"subject": None}, {"subject": {"id": "a"}})


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("a.b", 2, {"a": {"b": 2, "c": [1, 2]}}),
        ("a.d.e", 5, {"a": {"b": 1, "c": [1, 2], "d": {"e": 5}}}),
        ("a.c.1", 9, {"a": {"b": 1, "c": [1, 9]}}),
        ("a.b", None, {"a": {"c": [1, 2]}}),
        ("a.x.y", None, {"a": {"b": 1, "c": [1, 2]}}),
        ("z", None, {"a": {"b": 1, "c": [1, 2]}}),
        ("a", {"b": 3}, {"a": {"b": 3}}),
        ("a.b", {"$value": None}, {"a": {"b": None, "c": [1, 2]}}),
    ],
)
def test_put(path: str, value: object, expected: dict) -> None:
    """A value is put at a path, objects on the way are made, null deletes."""
    root = {"a": {"b": 1, "c": [1, 2]}}
    assert expected == put(root, parse_path(path), value)
    assert {"a": {"b": 1, "c": [1, 2]}} == root


@pytest.mark.parametrize("path", ["a.b.c", "a.c.2", "a.c.x"])
def test_put_refuses_paths_through_scalars_and_past_lists(path: str) -> None:
    """A path that leads nowhere is an error, never a silent no-op."""
    with pytest.raises(PathError):
        put({"a": {"b": 1, "c": [1, 2]}}, parse_path(path), 3)


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", "a..b", "a b", "a/b", "a.ü", "a\n"])
def test_malformed_paths(text: str) -> None:
    """Tokens are plain names."""
    with pytest.raises(PathError):
        parse_path(text)


def test_parse_path_reads_indices() -> None:
    """Digits are list indices, everything else is a key."""
    assert ("steps", 0, "decide", "x-1") == parse_path("steps.0.decide.x-1")


def test_value_at_and_literal() -> None:
    """Look-ups never raise."""
    assert value_at({"a": [{"b": 1}]}, ("a", 0, "b")) == 1
    assert value_at({"a": [{"b": 1}]}, ("a", 1, "b")) is None
    assert value_at({"a": 1}, ("a", "b")) is None
    assert {"$value": 1, "x": 2} == literal({"$value": 1, "x": 2})
