"""
Hypothesis strategies that draw requests for a policy: valid ones, and on purpose those at the edges of its rules. Needs
Hypothesis, which Lumyn does not install; must not know what a request comes out as.

    from hypothesis import given
    from lumyn.policy.loader import load_policy
    from lumyn.testing.strategies import requests

    POLICY = load_policy(Path("policies/refunds.yml"))

    @given(requests(POLICY, action_type="support.refund"))
    def test_nothing_above_the_limit_is_trusted(request):
        ...
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from lumyn.core.requests import minor_digits
from lumyn.errors import InstallationError
from lumyn.policy.spec import Condition, EvidenceSpec, EvidenceType, Policy

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

__all__ = ["boundaries", "evidence", "requests"]

_GREATEST: Final = Decimal(1_000_000)
_STEP: Final = Decimal("0.01")
_USD: Final = "USD"
_DIGEST: Final = "sha256:" + "0" * 64
_OTHER: Final = "other"


def requests(
    policy: Policy, *, action_type: str | None = None, complete: bool = False
) -> SearchStrategy[dict[str, Any]]:
    """
    Return a strategy of valid `decision_request.v0` documents.

    Evidence has the types and lies in the ranges that the policy declares or implies. Half of the numbers are at the
    edges of the policy: the constants its rules compare with, one step to either side, and the ends of the ranges, so
    that what decides between `TRUST` and a stricter verdict is met again and again.

    Args:
        action_type: The one action to ask for; any that the policy names when None.
        complete: Leave nothing out that the policy reads; else each key may be missing.

    Raises:
        InstallationError: Hypothesis is not installed.
        ValueError: The policy names no action type, and none is given.
    """
    st = _hypothesis()
    actions = policy.action_types if action_type is None else (action_type,)
    if not actions:
        raise ValueError("the policy names no action type: give one")

    @st.composite  # type: ignore[untyped-decorator]
    def document(draw: Any) -> dict[str, Any]:  # noqa: ANN401 (Hypothesis has no public name for it)
        chosen = draw(st.sampled_from(actions))
        found = {
            key: draw(evidence(policy, key, action_type=chosen))
            for key in policy.keys_for(chosen)
            if complete or draw(st.booleans()) or draw(st.booleans())
        }
        action: dict[str, Any] = {"type": chosen, "intent": "drawn by a strategy"}
        if complete or draw(st.booleans()) or draw(st.booleans()):
            currency = draw(st.sampled_from(_currencies(policy, chosen)))
            value = _amount(policy, chosen, minor_digits(currency))
            action["amount"] = {"value": draw(value), "currency": currency}
            _convert(draw, policy, currency, found)
        tags = _texts(policy, chosen, "action.tags")
        if tags:
            action["tags"] = draw(st.lists(st.sampled_from([*tags, _OTHER]), unique=True))
        subject: dict[str, Any] = {"type": "agent", "id": "agent-1"}
        types, roles = (_texts(policy, chosen, fact) for fact in ("subject.type", "subject.roles"))
        if types:
            subject["type"] = draw(st.sampled_from(sorted({*types, "agent", "user"})))
        if roles:
            subject["roles"] = draw(st.lists(st.sampled_from([*roles, _OTHER]), unique=True))
        made: dict[str, Any] = {
            "schema_version": "decision_request.v0",
            "subject": subject,
            "action": action,
            "evidence": found,
            "context": {"mode": "digest_only", "digest": _DIGEST},
        }
        if _texts(policy, chosen, "tenant.environment"):
            made["tenant"] = {"tenant_id": "acme", "environment": draw(st.sampled_from(["dev", "staging", "prod"]))}
        return made

    return document()  # type: ignore[no-any-return]


def evidence(policy: Policy, key: str, *, action_type: str) -> SearchStrategy[Any]:
    """
    Return a strategy of valid values of one evidence key, edges included.

    Raises:
        InstallationError: Hypothesis is not installed.
    """
    st = _hypothesis()
    spec = policy.evidence.get(key)
    texts = _texts(policy, action_type, f"evidence.{key}")
    if spec is None or spec.type is EvidenceType.STRING:
        return st.sampled_from([*texts, "A-1", "Ž 2", "a longer text"])  # type: ignore[no-any-return]
    if spec.type is EvidenceType.BOOLEAN:
        return st.booleans()  # type: ignore[no-any-return]
    if spec.type is EvidenceType.ENUM:
        return st.sampled_from(spec.values)  # type: ignore[no-any-return]
    step = Decimal(1) if spec.type is EvidenceType.INTEGER else spec.step or _STEP
    low = Decimal(0) if spec.minimum is None else spec.minimum
    high = max(_GREATEST, low) if spec.maximum is None else spec.maximum
    edges = [_number(each) for each in boundaries(policy, f"evidence.{key}", action_type=action_type)]
    grid = st.integers(0, int((high - low) / step)).map(lambda place: _number(low + place * step))
    if spec.exclusive_minimum:
        grid = grid.filter(lambda value: value > low)
    return st.one_of(st.sampled_from(edges), grid) if edges else grid  # type: ignore[no-any-return]


def boundaries(policy: Policy, fact: str, *, action_type: str) -> tuple[Decimal, ...]:
    """
    Return the values at which rules for an action change their mind on a number, sorted; may be empty.

    Args:
        fact: `amount_usd`, or `evidence.` and a key.

    Returns:
        Each constant that is compared with, one step below and above it, and the ends of the declared range; only
        values that the policy admits.
    """
    spec = policy.evidence.get(fact.removeprefix("evidence."))
    step = _STEP if spec is None else spec.step or (Decimal(1) if spec.type is EvidenceType.INTEGER else _STEP)
    found: set[Decimal] = set()
    for condition in _conditions(policy, action_type, fact):
        for constant in condition.operand if isinstance(condition.operand, tuple) else (condition.operand,):
            if isinstance(constant, (int, float, Decimal)) and not isinstance(constant, bool):
                exact = Decimal(str(constant))
                found |= {exact - step, exact, exact + step}
    if spec is not None:
        found |= {end for end in (spec.minimum, spec.maximum) if end is not None}
    return tuple(sorted(value for value in found if _admits(spec, value)))


def _admits(spec: EvidenceSpec | None, value: Decimal) -> bool:
    if spec is None:
        return value >= 0
    if spec.type is EvidenceType.INTEGER and value != value.to_integral_value():
        return False
    low, high = spec.minimum, spec.maximum
    above = low is None or (value > low if spec.exclusive_minimum else value >= low)
    return above and (high is None or value <= high)


def _currencies(policy: Policy, action_type: str) -> list[str]:
    return [_USD, _USD, *sorted({*(policy.fx_bounds or {}), *_texts(policy, action_type, "amount_currency")})]


def _amount(policy: Policy, action_type: str, digits: int) -> Any:  # noqa: ANN401
    """Return a strategy of amounts with so many digits after the point."""
    st = _hypothesis()
    unit = Decimal(1).scaleb(-digits)
    exact = (each for each in boundaries(policy, "amount_usd", action_type=action_type) if each % unit == 0)
    edges = [_number(each) for each in exact]
    units = st.integers(0, int(_GREATEST / unit)).map(lambda place: _number(place * unit))
    return st.one_of(st.sampled_from(edges), units) if edges else units


def _convert(draw: Any, policy: Policy, currency: str, found: dict[str, Any]) -> None:  # noqa: ANN401
    """Draw an exchange rate within its bounds, where there is one."""
    found.pop("fx_rate_to_usd", None)
    if currency == _USD:
        return
    low, high = (policy.fx_bounds or {}).get(currency, (Decimal("0.5"), Decimal(2)))
    found["fx_rate_to_usd"] = _number(draw(_hypothesis().sampled_from([low, (low + high) / 2, high])))


def _conditions(policy: Policy, action_type: str, fact: str) -> Iterator[Condition]:
    for rule in policy.rules_for(action_type):
        for block in rule.blocks:
            for group in block.groups:
                yield from (condition for condition in group if condition.fact == fact)


def _texts(policy: Policy, action_type: str, fact: str) -> list[str]:
    """Return the texts that rules for an action compare an attribute with, sorted."""
    found: set[str] = set()
    for condition in _conditions(policy, action_type, fact):
        operands = condition.operand if isinstance(condition.operand, tuple) else (condition.operand,)
        found.update(each for each in operands if isinstance(each, str))
    return sorted(found)


def _number(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)


def _hypothesis() -> Any:  # noqa: ANN401 (imported when it is asked for)
    try:
        from hypothesis import strategies
    except ImportError:
        message = "strategies need Hypothesis"
        raise InstallationError(message, hint="`pip install hypothesis`") from None
    return strategies
