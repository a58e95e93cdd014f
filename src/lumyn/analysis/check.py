"""
What is odd about a policy whatever anybody asks: rules that cannot fire or never matter, and absence that is rewarded.
Every claim is about all requests and exact, or says that it is unknown; must not know files or output.
"""

from __future__ import annotations

from collections.abc import Iterator

from lumyn.analysis.accepted import settle
from lumyn.analysis.boxes import BUDGET, BudgetExceededError
from lumyn.analysis.candidates import SpaceTooLargeError
from lumyn.analysis.cells import Space
from lumyn.analysis.check_requests import cuts_for, findings_of_action
from lumyn.analysis.check_rules import Fate, findings_of_rule, follow
from lumyn.analysis.check_text import findings_of_text
from lumyn.analysis.finding import Finding, Level
from lumyn.analysis.rates import RateBook
from lumyn.analysis.regions import View, actions_of
from lumyn.errors import Span
from lumyn.policy.spec import Policy

__all__ = ["Finding", "Level", "check"]

_ORDER = {level: place for place, level in enumerate(Level)}


def check(policy: Policy, *, limit: int = BUDGET) -> list[Finding]:
    """Return everything that is odd about a policy, accepted findings last, errors first, then by place."""
    found = settle(policy, [*_of_requests(policy, limit), *findings_of_text(policy)])
    return sorted(found, key=_rank)


def _rank(finding: Finding) -> tuple[bool, int, bool, Span]:
    span = finding.span
    return finding.accepted is not None, _ORDER[finding.level], span is None, span or Span("", 0, 0)


def _of_requests(policy: Policy, limit: int) -> Iterator[Finding]:
    fates = {rule.rule_id: Fate() for rule in policy.rules}
    complete = True
    book = RateBook()
    for action in actions_of(policy):
        named = action in policy.action_types
        try:
            extra = cuts_for(policy, action)
            view = View(Space(action, [policy], extra=extra, limit=limit, book=book), policy)
            for boxes in view.rules:
                follow(view, boxes, fates[boxes.rule.rule_id])
            yield from findings_of_action(view, named=named)
            if not view.space.complete:
                yield _unknown(policy, action, "some amounts at some rates could be neither reached nor ruled out")
                complete = False
        except (BudgetExceededError, SpaceTooLargeError):
            yield _unknown(policy, action, "too many steps")
            complete = False
    if complete:
        for rule in policy.rules:
            yield from findings_of_rule(rule, fates[rule.rule_id], policy)


def _unknown(policy: Policy, action: str, why: str) -> Finding:
    rule = next(iter(policy.rules_for(action)), None)
    return Finding(
        code="ANALYSIS_UNKNOWN",
        level=Level.ERROR,
        message=f"{action}: {why}; nothing more is known of its requests, and nothing of rules as a whole",
        advice="compare fewer attributes in the rules of the action, or constants with fewer digits",
        span=None if rule is None else rule.span,
    )
