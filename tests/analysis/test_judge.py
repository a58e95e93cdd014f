"""
Two ways to tell a mutant from its policy, all requests at once and by search, say the same of it.
And what is said is made good by the engine when somebody looks.
"""

from __future__ import annotations

import random

import golden
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import examples, policies

from lumyn.analysis import judge
from lumyn.analysis.boxes import BUDGET, BudgetExceededError
from lumyn.analysis.candidates import SpaceTooLargeError
from lumyn.analysis.grid import Grid
from lumyn.analysis.judge import Judge
from lumyn.analysis.mutant import Mutant
from lumyn.analysis.mutants import Scope, mutants
from lumyn.analysis.scale import Severity
from lumyn.policy.spec import Policy

UNKNOWN = "unknown"


def said(by: Judge, mutant: Mutant) -> Severity | str | None:
    """Return what is found of a mutant, shown by the engine where there is something to show."""
    try:
        found = by.finding(mutant)
    except (BudgetExceededError, SpaceTooLargeError):
        return UNKNOWN
    if found is None:
        return None
    assert found.severity is found.show().severity
    return found.severity


def by_search(policy: Policy, made: list[Mutant]) -> Judge:
    """Return a judge for which every grid is too large."""
    searching = Judge(policy, made)
    searching._base = lambda action, mutant: None  # type: ignore[method-assign]
    return searching


@given(policy=policies(), seed=st.integers(0, 2**32))
@examples(30)
def test_all_at_once_and_by_search_agree(policy: Policy, seed: int) -> None:
    """The kind of the gravest change is the same, and so is what no request can tell apart."""
    made = mutants(policy, Scope.FULL)
    chosen = random.Random(seed).sample(made, min(len(made), 6))
    at_once, searching = Judge(policy, made), by_search(policy, made)
    for mutant in chosen:
        assert said(at_once, mutant) == said(searching, mutant), mutant.mutant_id


@pytest.mark.parametrize("file", golden.POLICY_FILES)
def test_they_agree_about_the_policies_that_ship(file: str) -> None:
    """The same holds for them; a grid answers most of it."""
    policy = golden.policy(file)
    made = mutants(policy, Scope.FULL)
    at_once, searching = Judge(policy, made), by_search(policy, made)
    asked: list[str] = []
    search = at_once._by_search
    at_once._by_search = lambda space, mutant: asked.append(mutant.mutant_id) or search(space, mutant)  # type: ignore[method-assign,func-returns-value]
    for mutant in made[::4]:
        assert said(at_once, mutant) == said(searching, mutant), mutant.mutant_id
    assert len(set(asked)) < len(made[::4]) / 4


def test_a_grid_is_not_made_where_it_would_be_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then a search answers."""
    policy = golden.policy(golden.POLICY_FILES[0])
    made = mutants(policy)
    made_grids: list[Grid] = []
    monkeypatch.setattr(judge, "Grid", lambda *given: made_grids.append(Grid(*given)) or made_grids[-1])
    (raised,) = (each for each in made if each.mutant_id == "thresholds/refund_trust_max_usd/up")
    assert Severity.NEW_TRUST is said(Judge(policy, made), raised)
    assert len(made_grids) == 1
    monkeypatch.setattr(judge, "_A_POINT", BUDGET + 1)
    assert Severity.NEW_TRUST is said(Judge(policy, made), raised)
    assert len(made_grids) == 1
