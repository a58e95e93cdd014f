"""
The canonical text of what a record holds, in the pieces from which one is spliced together.
Text only; must not know how a verdict was reached, where records are kept or how one is read back.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from json.encoder import encode_basestring
from typing import TYPE_CHECKING, Final, NamedTuple

from lumyn.core.requests import ParsedRequest, persisted_text
from lumyn.digest import canonical_text, freeze, sha256_text
from lumyn.model import EVALUATION_ORDER, Evaluation, Facts, JsonObject, JsonValue, Match, MatchedRule, Similarity
from lumyn.policy.scalars import decimal_text

if TYPE_CHECKING:
    from lumyn.engine.evaluator import ActionPlan

__all__ = [
    "ORDER_TEXT",
    "DerivedText",
    "OutcomeText",
    "derived_text",
    "inputs_digest",
    "inputs_digest_of",
    "outcome_text",
    "own_extension",
    "projection_text",
    "risk_text",
]

ORDER_TEXT: Final = json.dumps([stage.value for stage in EVALUATION_ORDER], separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class OutcomeText:
    """
    The parts of a record that depend on the evaluation alone, as canonical JSON text.

    The same evaluation comes back for every request with the same outcome, so these are made once for each.
    """

    explanation: str
    rules: str
    codes: str
    verdict: str


def outcome_text(evaluation: Evaluation) -> OutcomeText:
    """Return the canonical text of an evaluation's members, in the pieces that `write_record` puts in place."""
    rules: JsonObject = {"matched_rules": [_rule_document(rule) for rule in evaluation.matched_rules]}
    if evaluation.obligations:
        rules["obligations"] = list(evaluation.obligations)
    codes: JsonObject = {"reason_codes": list(evaluation.reason_codes)}
    if evaluation.queries:
        codes["queries"] = [{"field": query.field, "question": query.question} for query in evaluation.queries]
    return OutcomeText(
        explanation=_members_text({"explanation": {"summary": _summary(evaluation)}}),
        rules=_members_text(rules),
        codes=_members_text(codes),
        verdict=_members_text({"verdict": evaluation.verdict.value}),
    )


class DerivedText(NamedTuple):
    """
    Derived features as canonical JSON text.

    Attributes:
        whole: The document that the inputs digest covers.
        amount_usd: One member of it.
        fx_rate_present: Another.
    """

    whole: str
    amount_usd: str
    fx_rate_present: str


def derived_text(facts: Facts) -> DerivedText:
    """Return the derived features of SPEC 4.1 as canonical JSON; decimals are plain text, absent ones null."""
    missing: list[JsonValue] = [*facts.missing]
    mistyped: list[JsonValue] = [*sorted(facts.invalid)]
    value, usd = facts.amount_value, facts.amount_usd
    value_text = "null" if value is None else f'"{decimal_text(value)}"'
    if usd is None:
        usd_text = "null"
    else:
        # The same object for an amount in US dollars, which most are.
        usd_text = value_text if usd is value else f'"{decimal_text(usd)}"'
    rate_text = "true" if facts.fx_rate_present else "false"
    whole = (
        f'{{"action_type":"{facts.action_type}","amount_currency":{_quoted(facts.amount_currency)},'
        f'"amount_usd":{usd_text},"amount_value":{value_text},'
        f'"fx_rate_present":{rate_text},'
        f'"missing_evidence":{canonical_text(missing) if missing else "[]"},'
        f'"mistyped_evidence":{canonical_text(mistyped) if mistyped else "[]"},'
        f'"tenant_id":{_quoted(facts.tenant_id)}}}'
    )
    return DerivedText(whole, usd_text, rate_text)


def projection_text(plan: ActionPlan, facts: Facts, derived: DerivedText, similarity: Similarity) -> str:
    """Return the fact projection as canonical JSON; see `lumyn.engine.projection.project`."""
    return plan.projection(facts, derived.amount_usd, derived.fx_rate_present, _score_text(similarity.score))


def inputs_digest_of(parsed: ParsedRequest, derived: DerivedText) -> str:
    """Return the digest over a request as it is kept, and the features derived from it."""
    return inputs_digest(persisted_text(parsed, {}).inputs, derived)


def inputs_digest(inputs: str, derived: DerivedText) -> str:
    """Return the digest over the text of a request as it is kept, reduced, and the features derived from it."""
    return sha256_text(f'{{"derived":{derived.whole},"request":{inputs}}}')


def own_extension(digest: str, projection: str | None, *, dry_run: bool, storage_error: str | None) -> str:
    """Return the text of `extensions.lumyn`."""
    dry = '"dry_run":true,' if dry_run else ""
    facts = "" if projection is None else f'"facts":{projection},'
    unstored = "" if storage_error is None else '"persisted":false,'
    failed = "" if storage_error is None else f',"storage_error":"{storage_error}"'
    return f'{{{dry}{facts}{unstored}"request_digest":"{digest}"{failed}}}'


def risk_text(similarity: Similarity, uncertainty: Decimal) -> str:
    """Return the text of `risk_signals`."""
    matches = _matches_text(similarity.top_k) if similarity.top_k else ""
    return (
        f'{{"failure_similarity":{{"score":{_score_text(similarity.score)},"top_k":[{matches}]}},'
        f'"uncertainty_score":{_score_text(uncertainty)}}}'
    )


def _quoted(text: str | None) -> str:
    return "null" if text is None else encode_basestring(text)


_score_text = lru_cache(maxsize=4096)(decimal_text)


def _matches_text(matches: tuple[Match, ...]) -> str:
    return ",".join(
        f'{{"label":"{match.label.value}","memory_id":{canonical_text(match.memory_id)},'
        f'"score":{_score_text(match.score)},"summary":{canonical_text(match.summary)}}}'
        for match in matches
    )


def _rule_document(rule: MatchedRule) -> JsonObject:
    return {
        "rule_id": rule.rule_id,
        "stage": rule.stage.value,
        "effect": rule.effect.value,
        "reason_codes": list(rule.reason_codes),
    }


def _summary(evaluation: Evaluation) -> str:
    deciding = [rule.rule_id for rule in evaluation.matched_rules if rule.effect is evaluation.verdict]
    by = f"by {', '.join(deciding)}" if deciding else "by default: no rule fired"
    return f"{evaluation.verdict} {by} ({', '.join(evaluation.reason_codes)})"


def _members_text(document: JsonObject) -> str:
    return canonical_text(freeze(document))[1:-1]
