"""Which drifts let more happen than was expected."""

from __future__ import annotations

from pathlib import Path

import pytest
from vector_suites import POLICY, Root

from lumyn.vectors import Drift, DriftKind, RunHooks, run
from lumyn.vectors.transition import Direction, direction


@pytest.mark.parametrize(
    ("amount", "expect", "moved"),
    [
        (12, "{ verdict: ESCALATE }", Direction.LOOSER),
        (12, "{ verdict: { in: [ESCALATE, ABSTAIN] } }", Direction.LOOSER),
        (12, "{ verdict: { in: [TRUST, ABSTAIN] } }", Direction.OTHER),
        (12, "{ verdict: TRUST }", Direction.OTHER),
        (190, "{ verdict: { in: [TRUST, ABSTAIN] } }", Direction.OTHER),
        (12, "{ error: INVALID_REQUEST_SCHEMA }", Direction.LOOSER),
        (12, "{ record: { verdict: ABSTAIN } }", Direction.LOOSER),
        (190, "{ verdict: TRUST }", Direction.TIGHTER),
        (190, "{ verdict: QUERY }", Direction.LOOSER),
        (190, "{ error: INVALID_REQUEST_SCHEMA }", Direction.OTHER),
    ],
)
def test_direction(tmp_path: Path, amount: int, expect: str, moved: Direction) -> None:
    """A verdict below every one that was expected is looser; a permission in place of an error is too."""
    root = Root(tmp_path)
    root.write("policies/p.yml", POLICY)
    codes = "" if "error" in expect else "reason_codes: [NO_MATCH_DEFAULT_ESCALATE], "
    text = f"""\
    - name: one
      request: {{ $use: small, $with: {{ action.amount.value: {amount} }} }}
      expect: {{ {codes}{expect[1:]}
    """
    (vector,) = root.suite(text).vectors
    assert moved is direction(run(vector))


def test_a_drift_into_what_was_expected_is_no_move(tmp_path: Path) -> None:
    """A comparison that somebody added may object to a verdict that was allowed: nothing became looser."""
    root = Root(tmp_path)
    root.write("policies/p.yml", POLICY)
    (vector,) = root.suite("- { name: one, request: { $use: small }, expect: { verdict: TRUST } }\n").vectors
    objection = Drift(kind=DriftKind.VERDICT, path="verdict", expected="TRUST", actual="TRUST", message="not today")
    result = run(vector, hooks=RunHooks(compare=lambda *_: [objection]))
    assert Direction.OTHER is direction(result)
