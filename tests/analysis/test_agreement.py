"""
Evaluator, bits and boxes say the same of random requests under random policies: verdict, rules that fire, the record.
A share of it runs always; LUMYN_PROPERTY_EXAMPLES policies with LUMYN_PAIRS requests each make a long run.
"""

from __future__ import annotations

import os
import random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import ACTIONS, examples, policies

from lumyn.analysis.cells import Space
from lumyn.analysis.matrix import Matrix
from lumyn.analysis.observations import Observation
from lumyn.analysis.regions import View, holds
from lumyn.analysis.witness import case_at, parsed
from lumyn.engine.evaluator import compile_policy
from lumyn.engine.outcome import LUMYN_EVIDENCE_UNKNOWN
from lumyn.model import Verdict
from lumyn.policy.spec import Policy

PAIRS = int(os.environ.get("LUMYN_PAIRS", "30"))


def corners(space: Space, chance: random.Random, count: int) -> list[tuple[int, ...]]:
    """Return parts of a space that hold one cell of every free dimension."""
    found = []
    for _ in range(count):
        corner = [1 << chance.randrange(len(dimension.values)) for dimension in space.dimensions]
        corner += space.search.full[len(corner) :]
        assert space.search.consistent is None or space.search.consistent(corner)
        found.append(tuple(corner))
    return found


@given(policy=policies(), action=st.sampled_from((*ACTIONS, "unheard.of")), seed=st.integers(0, 2**32))
@settings(examples(40), deadline=None, suppress_health_check=list(HealthCheck))
def test_evaluator_bits_and_boxes_agree(policy: Policy, action: str, seed: int) -> None:
    """Three ways to decide one request give one verdict, the same fired rules and the same record."""
    space = Space(action, [policy])
    view = View(space, policy)
    parts = corners(space, random.Random(seed), PAIRS)
    cases = [case_at(action, space.point(corner)) for corner in parts]
    rows = [
        Observation(name="v", step=0, document=c.request, request=parsed(policy, c.request), similarity=c.similarity)
        for c in cases
    ]
    matrix = Matrix(policy, rows)
    plan = compile_policy(policy).plan(action)
    regions = {verdict: [*view.regions(verdict)] for verdict in Verdict}
    for place, (corner, row) in enumerate(zip(parts, rows, strict=True)):
        said = plan.evaluate(plan.facts(row.request), row.similarity)
        assert matrix.outcomes[place].verdict is said.verdict
        assert matrix.outcomes[place].reason_codes == said.reason_codes
        assert matrix.outcomes[place].matched_rules == said.matched_rules
        assert matrix.outcomes[place].queries == said.queries
        assert matrix.base.verdicts[said.verdict] >> place & 1
        fired = sorted(rule.rule_id for rule in said.matched_rules if rule.rule_id != LUMYN_EVIDENCE_UNKNOWN)
        assert sorted(view.fires(corner)) == fired
        lies = [
            verdict
            for verdict, parts_of in regions.items()
            if any(
                all(any(holds(box, corner) for box in boxes) for boxes in region.must)
                and not any(holds(box, corner) for box in region.avoid)
                for region in parts_of
            )
        ]
        assert [said.verdict] == lies
