"""
The compiled evaluator: one plan per policy and action type, generated as Python source, its outcomes remembered.
Must not know memory, stores or records; what it computes is defined by the traced evaluator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Final

from lumyn.engine import codegen, packed
from lumyn.engine._per_policy import PerPolicy
from lumyn.engine.outcome import Findings, conclude
from lumyn.engine.packed import Layout
from lumyn.engine.projection import Project
from lumyn.model import DecisionRequest, Evaluation, Facts
from lumyn.policy.spec import Policy, Rule

__all__ = ["ActionPlan", "CompiledPolicy", "compile_policy"]

OUTCOMES_KEPT: Final = 1_024
"""Outcomes a plan remembers; callers choose the evidence, so the number must be bounded."""


class ActionPlan:
    """
    What one policy does for one action type, ready to run. Safe to share between threads.

    Attributes:
        rules: The applicable rules, in stage order, then file order.
        facts: `facts(request)`: what the policy reads from a request; equal, attribute by attribute, to
            `derive_facts`.
        evaluate: `evaluate(facts, similarity)`: the outcome for the plan's own facts and, slower, for any facts
            derived under the same policy. The outcome is shared between calls: its obligations must not be changed.
        projection: What a record keeps of the facts, as canonical text; equal to that of `project`.
    """

    __slots__ = ("_layout", "evaluate", "facts", "policy", "projection", "rules")

    facts: Callable[[DecisionRequest], Facts]
    evaluate: Callable[[Facts, Decimal], Evaluation]
    projection: Project

    def __init__(self, policy: Policy, action_type: str) -> None:
        self.policy = policy
        self.rules: tuple[Rule, ...] = policy.rules_for(action_type)
        self._layout = Layout(policy, action_type)
        outcome = lru_cache(maxsize=OUTCOMES_KEPT)(self._outcome)
        self.facts, self.evaluate, self.projection = codegen.generate(
            self._layout, self.rules, outcome=outcome, foreign=self._foreign
        )

    def _outcome(self, fired: int, undetermined: int, state: int) -> Evaluation:
        layout = self._layout
        unknown = _selected(self.rules, undetermined)
        attributes = {condition.fact for rule in unknown for condition in rule.conditions}
        findings = Findings(
            fired=_selected(self.rules, fired),
            undetermined=unknown,
            missing_required=tuple(key for key in layout.required if state >> layout.shift[key] & packed.ABSENT),
            invalid_codes=set(layout.invalid(state).values()),
            fx_out_of_bounds=bool(state & packed.FX_OUT_OF_BOUNDS),
            ask={name: layout.ask(name, state) for name in attributes if layout.is_unknown(name, state)},
        )
        return conclude(self.policy, findings)

    def _foreign(self, facts: Facts, similarity: Decimal) -> Evaluation:
        from lumyn.engine.trace import trace_facts

        return trace_facts(self.policy, facts, similarity=similarity).evaluation


class CompiledPolicy:
    """A policy and its plans, each compiled when it is first asked for. Safe to share between threads."""

    __slots__ = ("_plans", "policy")

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._plans: dict[str | None, ActionPlan] = {}

    def plan(self, action_type: str) -> ActionPlan:
        """
        Return the plan for an action type.

        Action types that the policy does not name share one plan, so that callers cannot grow the number of plans.
        """
        plan = self._plans.get(action_type)
        if plan is not None:
            return plan
        named = action_type if action_type in self.policy.action_types else None
        plan = self._plans.get(named)
        if plan is None:
            plan = self._plans.setdefault(named, ActionPlan(self.policy, action_type))
        return plan


def _selected(rules: Sequence[Rule], mask: int) -> tuple[Rule, ...]:
    return tuple(rule for place, rule in enumerate(rules) if mask >> place & 1)


_compiled: Final = PerPolicy(CompiledPolicy)


def compile_policy(policy: Policy) -> CompiledPolicy:
    """Return the compiled form of `policy`, compiled once while the policy object is in use."""
    return _compiled(policy)
