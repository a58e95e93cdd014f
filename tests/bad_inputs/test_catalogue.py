"""Every case of the catalogue has a test, and the requests it starts from are good."""

from __future__ import annotations

import importlib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from bad_inputs.catalogue import CASES, WAITING
from bad_inputs.requests import CHANGE_EMAIL, CREDIT, REFUND, TEXT

from lumyn import Gate, Verdict

MODULES = sorted(path.stem for path in Path(__file__).parent.glob("test_*.py") if path.stem != "test_catalogue")


def covered() -> Counter[str]:
    """Return the cases that the tests of this folder name, with how many tests name them."""
    found: Counter[str] = Counter()
    for name in MODULES:
        module = importlib.import_module(f"bad_inputs.{name}")
        for function in vars(module).values():
            for mark in getattr(function, "pytestmark", ()):
                if mark.name == "parametrize" and (mark.args[0] == "case" or mark.args[0][0] == "case"):
                    found.update(str(param.id) for param in mark.args[1])
    return found


def test_every_case_has_a_test() -> None:
    """None is dropped without a word."""
    expected = {case for cases in CASES.values() for case in cases}
    assert 216 == len(expected) == sum(len(cases) for cases in CASES.values())
    assert expected == set(covered())


def test_what_is_waited_for_is_a_case() -> None:
    assert set(WAITING) <= {case for cases in CASES.values() for case in cases}


@pytest.mark.parametrize("request_", [REFUND, CREDIT, CHANGE_EMAIL, TEXT], ids=["refund", "credit", "email", "text"])
def test_unspoilt_request_is_trusted(gate: Gate, request_: Any) -> None:
    """So that whatever else comes out is the doing of what was spoilt."""
    assert Verdict.TRUST is gate.decide(request_).verdict
