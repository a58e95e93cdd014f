"""Drifts as values: what was lost and gained, where, and the itemised difference."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vector_suites import Root

from lumyn.vectors import Drift, Outcome, run
from lumyn.vectors.drift import itemise


def drifts(root: Root, expect: str, changes: str = "") -> list[Drift]:
    """Return the drifts of one vector."""
    with_ = f", $with: {{ {changes} }}" if changes else ""
    text = f"- {{ name: one, request: {{ $use: small{with_} }}, expect: {{ {expect} }} }}\n"
    return list(run(root.vector(text)).drifts)


@pytest.mark.parametrize(
    ("expect", "lost", "gained"),
    [
        ("reason_codes: [ACME_LARGE]", ("ACME_LARGE",), ("ACME_SMALL",)),
        ("reason_codes: [ACME_SMALL, ACME_LARGE]", ("ACME_LARGE",), ()),
        ("reason_codes: { contains: [ACME_LARGE, ACME_SMALL] }", ("ACME_LARGE",), ()),
        ("reason_codes: { excludes: [ACME_SMALL] }", (), ("ACME_SMALL",)),
        ("reason_codes: { any_order: [ACME_LARGE] }", ("ACME_LARGE",), ("ACME_SMALL",)),
        ("reason_codes: { is_empty: true }", (), ("ACME_SMALL",)),
        ("reason_codes: { contains: [ACME_LARGE], excludes: [ACME_SMALL] }", ("ACME_LARGE",), ("ACME_SMALL",)),
        ("matched_rules: [R030]", ("R030",), ("R050",)),
        ("matched_rules: [{ rule_id: R050, stage: DEFAULT }]", (), ()),
    ],
)
def test_lost_and_gained(suite_root: Root, expect: str, lost: tuple[str, ...], gained: tuple[str, ...]) -> None:
    """Names, not positions."""
    (drift,) = drifts(suite_root, expect)
    assert (lost, gained) == (drift.lost, drift.gained)


def test_places(suite_root: Root) -> None:
    """A dotted path into the record, and where the expectation is written."""
    signals = "risk_signals: { failure_similarity: { score: 1 }, uncertainty_score: 1 }"
    first, second, third = drifts(suite_root, f"{signals}, record: {{ policy: {{ mode: advisory }} }}")
    assert ("risk_signals.failure_similarity.score", 1, 0) == (first.path, first.expected, first.actual)
    assert ("expect", "risk_signals", "failure_similarity", "score") == first.origin
    assert "risk_signals.uncertainty_score" == second.path
    assert ("policy.mode", "advisory", "enforce") == (third.path, third.expected, third.actual)
    assert ("expect", "record", "policy", "mode") == third.origin


@pytest.mark.parametrize("changes", ["", "action.amount.value: -1"])
def test_what_expects_nothing_yet_is_met_by_nothing(suite_root: Root, changes: str) -> None:
    """Neither a record nor an error: a vector to be filled in is never green before it is."""
    text = f"- {{ name: one, request: {{ $use: small, $with: {{ {changes} }} }} }}\n"
    result = run(suite_root.vector(text, open_expectations=True))
    assert Outcome.FAILED is result.outcome
    assert ["error" if changes else "missing"] == [drift.kind for drift in result.drifts]


def test_an_absent_value_says_so(suite_root: Root) -> None:
    """Null and nothing are not the same."""
    (drift,) = drifts(suite_root, "record: { links: { gt: 1 } }")
    assert (None, "absent") == (drift.actual, drift.message)


def test_drifts_are_plain_data(suite_root: Root) -> None:
    """They travel between processes as JSON."""
    found = drifts(suite_root, "verdict: ESCALATE, reason_codes: [ACME_LARGE], record: { policy: { mode: x } }")
    data = json.loads(json.dumps([drift.to_dict() for drift in found]))
    assert ["verdict", "reason_codes", "record"] == [each["kind"] for each in data]
    assert ("ESCALATE", "TRUST") == (data[0]["expected"], data[0]["actual"])


def test_error_drifts_carry_the_problems(suite_root: Root) -> None:
    """Codes, and the message; never a value of the request."""
    (drift,) = drifts(suite_root, "verdict: TRUST", "action.type: secret")
    assert "INVALID_REQUEST_SCHEMA" == drift.actual
    assert drift.gained
    assert "secret" not in drift.message


def test_itemise() -> None:
    """The innermost places, by path, numbers by value."""
    expected = {"a": [1, {"b": 2}], "c": 3.0, "d": {"e": 1}}
    actual = {"a": [1, {"b": 5}, 7], "c": 3, "f": 2, "d": {}}
    assert [("a.1.b", 2, 5), ("a.2", None, 7), ("d.e", 1, None), ("f", None, 2)] == [
        (each.path, each.expected, each.actual) for each in itemise(expected, actual)
    ]
    assert () == itemise(expected, expected)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, JSON)
def test_itemise_finds_something_exactly_when_values_differ(expected: object, actual: object) -> None:
    """Whatever the shapes; a boolean is not a number here either."""
    from lumyn.vectors.expect import equal

    assert equal(expected, actual) is not bool(itemise(expected, actual))


def test_deepdiff_is_loaded_to_itemise_and_not_before() -> None:
    """A failing run does not need it either, until somebody reads the details."""
    script = (
        "import sys; from lumyn.vectors.drift import itemise\n"
        "assert 'deepdiff' not in sys.modules\n"
        "itemise({'a': 1}, {'a': 2})\n"
        "assert 'deepdiff' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
