"""
Finds an experience that makes a request look like a failure by a wanted score: what a vector has to seed.
Tries copies of the request with less or more in them; must not know why the score is wanted.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from lumyn.analysis.witness import parsed
from lumyn.engine.evaluator import compile_policy
from lumyn.engine.normalize import features
from lumyn.engine.similarity import MemorySnapshot
from lumyn.model import JsonObject, Label, MemoryItem
from lumyn.policy.spec import Policy

__all__ = ["Experience", "experience_for"]

_MOST_TAGS: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Experience:
    """A labelled request to seed, and the failure similarity it gives."""

    label: Label
    request: JsonObject
    score: Decimal


def experience_for(policy: Policy, request: JsonObject, wanted: Callable[[Decimal], bool]) -> Experience | None:
    """Return an experience that gives a request a wanted failure similarity, or None: none of those tried does."""
    own = parsed(policy, request)
    plan = compile_policy(policy).plan(own.action_type)
    facts = plan.facts(own)
    for label, seed in _seeds(request):
        item = parsed(policy, seed)
        known = MemoryItem(
            memory_id="M",
            seq=1,
            label=label,
            tenant_id=own.tenant_id,
            action_type=own.action_type,
            features=features(policy, compile_policy(policy).plan(item.action_type).facts(item)),
            summary="",
            created_at="",
            leaf=b"",
        )
        score = MemorySnapshot([known]).similarity(plan, facts).score
        if wanted(score):
            return Experience(label=label, request=seed, score=score)
    return None


def _seeds(request: JsonObject) -> Iterator[tuple[Label, JsonObject]]:
    for label in (Label.FAILURE, Label.NEAR_MISS):
        evidence = request.get("evidence")
        keys = sorted(evidence) if isinstance(evidence, dict) else []
        for dropped in range(len(keys) + 1):
            for tags in range(_MOST_TAGS):
                seed = copy.deepcopy(request)
                held, action = seed.get("evidence"), seed["action"]
                if isinstance(held, dict):
                    for key in keys[:dropped]:
                        del held[key]
                if tags and isinstance(action, dict):
                    before = action.get("tags", [])
                    action["tags"] = [
                        *(before if isinstance(before, list) else []),
                        *(f"seed-{n}" for n in range(tags)),
                    ]
                yield label, seed
