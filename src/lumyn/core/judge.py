"""
The pure part of a decision: request, policy and memory in, evaluation out.
No I/O, clock or randomness; must not know where any of the three came from.
"""

from __future__ import annotations

from dataclasses import dataclass

from lumyn.engine.compiled import ActionPlan
from lumyn.engine.similarity import MemorySnapshot
from lumyn.model import DecisionRequest, Evaluation, Facts, Similarity

__all__ = ["Judgement", "judge", "judge_by_score"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """
    Everything a record says that does not depend on time, identity or storage.

    Attributes:
        memory_snapshot: `mem0:<n>:<sha256>`: exactly which experience was consulted.
    """

    facts: Facts
    similarity: Similarity
    evaluation: Evaluation
    memory_snapshot: str


def judge(plan: ActionPlan, request: DecisionRequest, memory: MemorySnapshot) -> Judgement:
    """
    Return what the policy says of a request, given the memory of its tenant and action.

    Args:
        plan: The compiled policy for the request's action.
        memory: Items of the request's tenant and action type; may be empty.

    Returns:
        Pure: equal inputs give equal output, bit for bit.
    """
    facts = plan.facts(request)
    similarity = memory.similarity(plan, facts)
    return Judgement(
        facts=facts,
        similarity=similarity,
        evaluation=plan.evaluate(facts, similarity.score),
        memory_snapshot=memory.digest,
    )


def judge_by_score(
    plan: ActionPlan, request: DecisionRequest, similarity: Similarity, *, memory_snapshot: str
) -> Judgement:
    """Return what the policy says of a request whose resemblance to experience is known from before."""
    facts = plan.facts(request)
    return Judgement(
        facts=facts,
        similarity=similarity,
        evaluation=plan.evaluate(facts, similarity.score),
        memory_snapshot=memory_snapshot,
    )
