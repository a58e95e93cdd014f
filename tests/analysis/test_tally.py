"""
Verdicts the rules of a policy call for, with one rule left out: from what is counted of all, and from the others.
"""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st
from strategies import policies

from lumyn.analysis.tally import Tally
from lumyn.policy.spec import Policy


@given(policy=policies(), seed=st.integers(0, 2**32))
def test_what_is_left_without_a_rule_is_what_the_others_say(policy: Policy, seed: int) -> None:
    """To take one rule out of the counts is to count the rest."""
    chance = random.Random(seed)
    rules = [(rule, chance.getrandbits(8), chance.getrandbits(8)) for rule in policy.rules]
    for told in rules:
        rest = Tally(each for each in rules if each is not told)
        assert (rest.fired, rest.blind) == Tally(rules).without(*told)
