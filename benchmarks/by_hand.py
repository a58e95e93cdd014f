"""
The 26 rules of `policy.yml` typed by hand, by a careful engineer: what evaluation costs without a policy language.
Does what the engine does for these rules: types and ranges are checked, unknown never trusts, every rule is evaluated.
"""

from __future__ import annotations

from decimal import Decimal

from lumyn.model import DecisionRequest

FX = {
    "AUD": (Decimal("0.45"), Decimal("1.15")),
    "CAD": (Decimal("0.5"), Decimal("1.1")),
    "CHF": (Decimal("0.8"), Decimal("1.7")),
    "EUR": (Decimal("0.8"), Decimal("1.6")),
    "GBP": (Decimal("0.9"), Decimal("2.2")),
    "JPY": (Decimal("0.004"), Decimal("0.014")),
}
USD_25, USD_15, USD_200 = Decimal(25), Decimal(15), Decimal(200)
LEVELS = frozenset(("low", "medium", "high"))
RANK = {"TRUST": 0, "ESCALATE": 1, "QUERY": 2, "ABSTAIN": 3}

Answer = tuple[str, tuple[str, ...], tuple[str, ...]]
"""Verdict, reason codes, ids of the rules that fired."""


def text(evidence: dict[str, object], key: str, bad: list[str]) -> str | None:
    value = evidence.get(key)
    if value is None:
        return None
    if type(value) is not str:
        bad.append(key)
        return None
    return value if value.strip() else None


def number(evidence: dict[str, object], key: str, low: float, high: float, bad: list[str]) -> float | None:
    value = evidence.get(key)
    if value is None or value == "":
        return None
    if (type(value) is not float and type(value) is not int) or not low <= value <= high:
        bad.append(key)
        return None
    return value


def dollars(request: DecisionRequest, bad: list[str]) -> tuple[Decimal | None, bool, bool]:
    value, currency = request.amount_value, request.amount_currency
    rate = number(request.evidence, "fx_rate_to_usd", 0, 1e15, bad)  # type: ignore[arg-type]
    if currency == "USD":
        return value, rate is not None, False
    if value is None or rate is None or currency not in FX:
        return None, rate is not None, False
    exact = Decimal(repr(rate))
    low, high = FX[currency]
    if not low <= exact <= high:
        return None, True, True
    return value * exact, True, False


def finish(fired: list[tuple[str, str, str]], unknown: bool) -> Answer:
    verdict = "TRUST"
    for _, effect, _ in fired:
        if RANK[effect] > RANK[verdict]:
            verdict = effect
    if not fired:
        return "ESCALATE", ("NO_MATCH_DEFAULT_ESCALATE",), ()
    if verdict == "TRUST" and unknown:
        fired.insert(0, ("LUMYN_EVIDENCE_UNKNOWN", "QUERY", "EVIDENCE_MISSING"))
        verdict = "QUERY"
    codes = tuple(dict.fromkeys(code for _, _, code in fired))
    return verdict, codes, tuple(rule for rule, _, _ in fired)


def refund(request: DecisionRequest, similarity: float) -> Answer:
    evidence, bad = request.evidence, []
    ticket = text(evidence, "ticket_id", bad)  # type: ignore[arg-type]
    order = text(evidence, "order_id", bad)  # type: ignore[arg-type]
    customer = text(evidence, "customer_id", bad)  # type: ignore[arg-type]
    age = number(evidence, "customer_age_days", 0, 1e15, bad)  # type: ignore[arg-type]
    count = number(evidence, "previous_refund_count_90d", 0, 1e15, bad)  # type: ignore[arg-type]
    chargeback = number(evidence, "chargeback_risk", 0, 1, bad)  # type: ignore[arg-type]
    instrument = text(evidence, "payment_instrument_risk", bad)  # type: ignore[arg-type]
    if instrument is not None and instrument not in LEVELS:
        bad.append("payment_instrument_risk")
        instrument = None
    usd, has_rate, out_of_bounds = dollars(request, bad)
    currency = request.amount_currency
    fired = []
    if ticket is None or order is None or customer is None:
        fired.append(("R010", "QUERY", "EVIDENCE_MISSING"))
    if currency is None:
        fired.append(("R070", "QUERY", "AMOUNT_MISSING"))
    elif currency != "USD" and not has_rate:
        fired.append(("R080", "QUERY", "FX_RATE_MISSING"))
    if bad:
        fired.append(("LUMYN_EVIDENCE_INVALID", "ABSTAIN", "EVIDENCE_TYPE_INVALID"))
    if out_of_bounds:
        fired.append(("LUMYN_FX_OUT_OF_BOUNDS", "ABSTAIN", "FX_RATE_OUT_OF_BOUNDS"))
    if instrument == "high":
        fired.append(("R110", "ABSTAIN", "PAYMENT_INSTRUMENT_HIGH_RISK"))
    if chargeback is not None and chargeback >= 0.7:
        fired.append(("R120", "ABSTAIN", "CHARGEBACK_RISK_BLOCK"))
    if usd is not None and usd > USD_200:
        fired.append(("R210", "ESCALATE", "REFUND_OVER_ESCALATION_LIMIT"))
    if count is not None and count >= 2:
        fired.append(("R220", "ESCALATE", "REFUND_REPEAT_CUSTOMER"))
    if chargeback is not None and chargeback >= 0.35:
        fired.append(("R230", "ESCALATE", "CHARGEBACK_RISK_ESCALATE"))
    if age is not None and age < 14:
        fired.append(("R240", "ESCALATE", "NEW_CUSTOMER_REFUND_ESCALATE"))
    if similarity >= 0.8:
        fired.append(("R250", "ESCALATE", "FAILURE_MEMORY_SIMILAR_ESCALATE"))
    if currency is not None and currency != "USD" and currency not in FX:
        fired.append(("R260", "ESCALATE", "CURRENCY_UNSUPPORTED"))
    if (
        usd is not None
        and usd <= USD_25
        and (instrument == "low" or instrument == "medium")
        and chargeback is not None
        and chargeback < 0.35
        and count is not None
        and count < 2
        and age is not None
        and age >= 14
    ):
        fired.append(("R310", "TRUST", "REFUND_SMALL_LOW_RISK"))
    return finish(fired, instrument is None or chargeback is None or count is None or age is None or usd is None)


def issue_credit(request: DecisionRequest, similarity: float) -> Answer:
    evidence, bad = request.evidence, []
    ticket = text(evidence, "ticket_id", bad)  # type: ignore[arg-type]
    customer = text(evidence, "customer_id", bad)  # type: ignore[arg-type]
    reason = text(evidence, "reason_code", bad)  # type: ignore[arg-type]
    instrument = text(evidence, "payment_instrument_risk", bad)  # type: ignore[arg-type]
    if instrument is not None and instrument not in LEVELS:
        bad.append("payment_instrument_risk")
        instrument = None
    usd, has_rate, out_of_bounds = dollars(request, bad)
    currency = request.amount_currency
    fired = []
    if ticket is None or customer is None or reason is None:
        fired.append(("R020", "QUERY", "EVIDENCE_MISSING"))
    if currency is None:
        fired.append(("R070", "QUERY", "AMOUNT_MISSING"))
    elif currency != "USD" and not has_rate:
        fired.append(("R080", "QUERY", "FX_RATE_MISSING"))
    if bad:
        fired.append(("LUMYN_EVIDENCE_INVALID", "ABSTAIN", "EVIDENCE_TYPE_INVALID"))
    if out_of_bounds:
        fired.append(("LUMYN_FX_OUT_OF_BOUNDS", "ABSTAIN", "FX_RATE_OUT_OF_BOUNDS"))
    if instrument == "high":
        fired.append(("R110", "ABSTAIN", "PAYMENT_INSTRUMENT_HIGH_RISK"))
    if similarity >= 0.8:
        fired.append(("R250", "ESCALATE", "FAILURE_MEMORY_SIMILAR_ESCALATE"))
    if currency is not None and currency != "USD" and currency not in FX:
        fired.append(("R260", "ESCALATE", "CURRENCY_UNSUPPORTED"))
    if usd is not None and usd <= USD_15 and (instrument == "low" or instrument == "medium"):
        fired.append(("R320", "TRUST", "CREDIT_SMALL_LOW_RISK"))
    return finish(fired, instrument is None or usd is None)


def close_ticket(request: DecisionRequest, similarity: float) -> Answer:
    evidence, bad = request.evidence, []
    ticket = text(evidence, "ticket_id", bad)  # type: ignore[arg-type]
    resolution = text(evidence, "resolution", bad)  # type: ignore[arg-type]
    fired = []
    if ticket is None or resolution is None:
        fired.append(("R030", "QUERY", "EVIDENCE_MISSING"))
    if bad:
        fired.append(("LUMYN_EVIDENCE_INVALID", "ABSTAIN", "EVIDENCE_TYPE_INVALID"))
    if resolution is not None or "resolution" in bad:
        fired.append(("R330", "TRUST", "CLOSE_TICKET_RESOLUTION_GIVEN"))
    return finish(fired, unknown=False)


def update_ticket(request: DecisionRequest, similarity: float) -> Answer:
    bad: list[str] = []
    ticket = text(request.evidence, "ticket_id", bad)  # type: ignore[arg-type]
    fired = []
    if ticket is None:
        fired.append(("R040", "QUERY", "EVIDENCE_MISSING"))
    if bad:
        fired.append(("LUMYN_EVIDENCE_INVALID", "ABSTAIN", "EVIDENCE_TYPE_INVALID"))
    if ticket is not None or bad:
        fired.append(("R340", "TRUST", "UPDATE_TICKET_TICKET_GIVEN"))
    return finish(fired, unknown=False)


def by_person(request: DecisionRequest, rule: str, takeover: bool) -> Answer:
    evidence, bad = request.evidence, []
    customer = text(evidence, "customer_id", bad)  # type: ignore[arg-type]
    manual = evidence.get("manual_approval", False)
    if type(manual) is not bool:
        bad.append("manual_approval")
    risk = number(evidence, "account_takeover_risk", 0, 1, bad) if takeover else None  # type: ignore[arg-type]
    fired = []
    if customer is None:
        fired.append((rule, "QUERY", "EVIDENCE_MISSING"))
    if bad:
        fired.append(("LUMYN_EVIDENCE_INVALID", "ABSTAIN", "EVIDENCE_TYPE_INVALID"))
    if risk is not None and risk >= 0.7:
        fired.append(("R130", "ABSTAIN", "ACCOUNT_TAKEOVER_RISK_BLOCK"))
    if manual is True:
        fired.append(("R270", "ESCALATE", "MANUAL_APPROVAL_REQUESTED"))
    return finish(fired, takeover and risk is None)


def change_email(request: DecisionRequest, similarity: float) -> Answer:
    evidence, bad = request.evidence, []
    user = text(evidence, "user_id", bad)  # type: ignore[arg-type]
    address = text(evidence, "new_email", bad)  # type: ignore[arg-type]
    method = text(evidence, "verification_method", bad)  # type: ignore[arg-type]
    risk = number(evidence, "account_takeover_risk", 0, 1, bad)  # type: ignore[arg-type]
    fired = []
    if user is None or address is None or method is None:
        fired.append(("R065", "QUERY", "EVIDENCE_MISSING"))
    if bad:
        fired.append(("LUMYN_EVIDENCE_INVALID", "ABSTAIN", "EVIDENCE_TYPE_INVALID"))
    if risk is not None and risk >= 0.7:
        fired.append(("R140", "ABSTAIN", "ACCOUNT_TAKEOVER_RISK_BLOCK"))
    if risk is not None and risk >= 0.35:
        fired.append(("R280", "ESCALATE", "ACCOUNT_TAKEOVER_RISK_ESCALATE"))
    if (method == "reauth" or method == "magic_link") and risk is not None and risk < 0.35:
        fired.append(("R350", "TRUST", "EMAIL_CHANGE_VERIFIED"))
    return finish(fired, risk is None)


ACTIONS = {
    "support.refund": refund,
    "support.issue_credit": issue_credit,
    "support.close_ticket": close_ticket,
    "support.update_ticket": update_ticket,
    "support.change_plan": lambda request, similarity: by_person(request, "R050", takeover=False),
    "support.reset_password": lambda request, similarity: by_person(request, "R060", takeover=True),
    "account.change_email": change_email,
}


def evaluate(request: DecisionRequest, similarity: float) -> Answer:
    """Return verdict, reason codes and fired rules of a checked request."""
    action = ACTIONS.get(request.action_type)
    return ("ESCALATE", ("NO_MATCH_DEFAULT_ESCALATE",), ()) if action is None else action(request, similarity)
