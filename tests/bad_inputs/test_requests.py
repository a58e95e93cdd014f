"""Bad requests: refused with the problem and its place, or decided so that nothing bad is trusted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bad_inputs.requests import CHANGE_EMAIL, CREDIT, DELETE, REFUND, TEXT, Decided, Refused, changed, text

from lumyn import DecisionRecord, Gate, InvalidRequestError, Verdict
from lumyn.cli.exit_codes import ExitCode

VALUE, CURRENCY = "/action/amount/value", "/action/amount/currency"
RISK, TICKET = "/evidence/chargeback_risk", "/evidence/ticket_id"
INSTRUMENT, TAKEOVER = "/evidence/payment_instrument_risk", "/evidence/account_takeover_risk"
COUNT, APPROVAL, RATE = "/evidence/previous_refund_count_90d", "/evidence/manual_approval", "/evidence/fx_rate_to_usd"

SMALL = Decided("TRUST", ("REFUND_SMALL_LOW_RISK",))
DEFAULT = Decided("ESCALATE", ("NO_MATCH_DEFAULT_ESCALATE",))
MISSING = Decided("QUERY", ("EVIDENCE_MISSING",))
WRONG_TYPE = Decided("ABSTAIN", ("EVIDENCE_TYPE_INVALID",))
OUT_OF_RANGE = Decided("ABSTAIN", ("EVIDENCE_OUT_OF_RANGE",))
UNKNOWN_VALUE = Decided("ABSTAIN", ("EVIDENCE_VALUE_UNKNOWN",))
RATE_OUT_OF_BOUNDS = Decided("ABSTAIN", ("FX_RATE_OUT_OF_BOUNDS",))


def evidence(pointer: str, value: Any, base: dict[str, Any] = REFUND) -> dict[str, Any]:
    return changed({pointer: value}, base)


def euros(value: Any, rate: Any, base: dict[str, Any] = REFUND) -> dict[str, Any]:
    return changed({"/action/amount": {"value": value, "currency": "EUR"}, RATE: rate}, base)


def nested(levels: int) -> str:
    """Return the refund with a list `levels` deep as evidence."""
    return text('"chargeback_risk": 0.05', f'"n": {"[" * levels}{"]" * levels}')


NUMBERS: dict[str, tuple[Any, Decided | Refused]] = {
    "num-002": (text("12.00", "Infinity"), Refused("JSON_INVALID")),
    "num-003": (text("12.00", "-Infinity"), Refused("JSON_INVALID")),
    "num-004": (text("12.00", "1e400"), Refused("NUMBER_OUT_OF_RANGE", VALUE)),
    "num-005": (text("12.00", "-1e400"), Refused("NUMBER_OUT_OF_RANGE", VALUE)),
    "num-006": (changed({VALUE: float("nan")}), Refused("NUMBER_NOT_FINITE", VALUE)),
    "num-007": (changed({VALUE: float("-inf")}), Refused("NUMBER_NOT_FINITE", VALUE)),
    "num-013": (changed({VALUE: "12.00 "}), Refused("TYPE_INVALID", VALUE)),
    "num-015": (changed({VALUE: 10**400}), Refused("NUMBER_OUT_OF_RANGE", VALUE)),
    "num-016": (text("12.00", "9" * 5_000), Refused("NUMBER_OUT_OF_RANGE", VALUE)),
    "num-017": (changed({VALUE: 2**53 + 1}), Refused("NUMBER_OUT_OF_RANGE", VALUE)),
    "num-018": (text("12.00", "25.0000000000000001"), Refused("NUMBER_PRECISION", VALUE)),
    "num-019": (changed({VALUE: 25.01}), DEFAULT),
    "num-020": (text("12.00", "25.00"), SMALL),
    "num-022": (changed({VALUE: 0.1 + 0.2}), Refused("NUMBER_PRECISION", VALUE)),
    "num-023": (text("12.00", "12.345"), Refused("NUMBER_PRECISION", VALUE)),
    "num-027": (changed({RISK: 5e-324}), SMALL),
    "num-028": (changed({VALUE: DELETE}), Refused("FIELD_MISSING", VALUE)),
    "num-029": (changed({"/action/amount": DELETE}), Decided("QUERY", ("AMOUNT_MISSING",))),
}
CURRENCIES: dict[str, tuple[Any, Decided | Refused]] = {
    "cur-001": (changed({CURRENCY: DELETE}), Refused("FIELD_MISSING", CURRENCY)),
    "cur-002": (changed({CURRENCY: "usd"}), Refused("CURRENCY_INVALID", CURRENCY)),
    "cur-003": (changed({CURRENCY: "US$"}), Refused("CURRENCY_INVALID", CURRENCY)),
    "cur-005": (changed({CURRENCY: "ＵＳＤ"}), Refused("CURRENCY_INVALID", CURRENCY)),
    "cur-006": (changed({CURRENCY: "EUR"}), Decided("QUERY", ("FX_RATE_MISSING",))),
    "cur-007": (euros(100_000, 0.0001), RATE_OUT_OF_BOUNDS),
    # A rate has to be greater than 0 before its bounds are looked at.
    "cur-009": (euros(100_000, 0), OUT_OF_RANGE),
    "cur-010": (euros(100_000, False), WRONG_TYPE),
    "cur-011": (euros(12, "1.1"), WRONG_TYPE),
    "cur-012": (changed({VALUE: 1_000, RATE: 0.01}), Decided("ESCALATE", ("REFUND_OVER_ESCALATION_LIMIT",))),
    "cur-013": (changed({CURRENCY: "JPY", RATE: 1}), Decided("ESCALATE", ("CURRENCY_UNSUPPORTED",))),
    "cur-014": (euros(1_000_000, 1e-9, CREDIT), RATE_OUT_OF_BOUNDS),
}
EVIDENCE: dict[str, tuple[Any, Decided | Refused]] = {
    "evd-001": (evidence(INSTRUMENT, DELETE, CREDIT), MISSING),
    "evd-004": (evidence(INSTRUMENT, "HIGH", CREDIT), UNKNOWN_VALUE),
    "evd-007": (evidence(INSTRUMENT, "ｈｉｇｈ", CREDIT), UNKNOWN_VALUE),
    "evd-008": (evidence(INSTRUMENT, ["high"], CREDIT), WRONG_TYPE),
    "evd-009": (changed({INSTRUMENT: DELETE, "/evidence/paymentInstrumentRisk": "high"}, CREDIT), MISSING),
    "evd-011": (evidence(TAKEOVER, "0.9", CHANGE_EMAIL), WRONG_TYPE),
    "evd-013": (evidence(TAKEOVER, [0.9], CHANGE_EMAIL), WRONG_TYPE),
    "evd-014": (evidence(APPROVAL, "true", CHANGE_EMAIL), WRONG_TYPE),
    "evd-015": (evidence(APPROVAL, 1, CHANGE_EMAIL), WRONG_TYPE),
    "evd-018": (evidence(RISK, -5), OUT_OF_RANGE),
    "evd-022": (evidence(RISK, DELETE), MISSING),
    "evd-023": (evidence(RISK, "0.99"), WRONG_TYPE),
    "evd-025": (evidence(COUNT, -1), OUT_OF_RANGE),
    "evd-028": (evidence(COUNT, "5"), WRONG_TYPE),
    "evd-030": (evidence(TICKET, " "), MISSING),
    "evd-031": (evidence(TICKET, "\u200b"), MISSING),
    "evd-032": (evidence(TICKET, ""), MISSING),
    "evd-033": (evidence(TICKET, False), WRONG_TYPE),
    "evd-036": (evidence(TICKET, []), WRONG_TYPE),
    "evd-040": (changed({"/evidence": {}}), MISSING),
    "evd-041": (changed({"/evidence": None}), Refused("TYPE_INVALID", "/evidence")),
    "evd-044": (
        evidence("/evidence/failure_similarity_score", 0.99),
        Refused("EVIDENCE_RESERVED", "/evidence/failure_similarity_score"),
    ),
    "evd-048": (evidence("/evidence/x", b"a"), Refused("TYPE_INVALID", "/evidence/x")),
}
SHAPES: dict[str, tuple[Any, Decided | Refused]] = {
    "shp-001": (text('"Refund a duplicate charge"', r'"x\ud800y"'), Refused("UNICODE_INVALID", "/action/intent")),
    "shp-003": (changed({"/subject/id": "a\0b"}), Refused("CONTROL_CHARACTER", "/subject/id")),
    "shp-004": (changed({"/subject/id": "evil\x1b[2J\x1b]0;x\a"}), Refused("CONTROL_CHARACTER", "/subject/id")),
    "shp-006": (
        text('"chargeback_risk": 0.05', '"chargeback_risk": 0.99, "chargeback_risk": 0.05'),
        Refused("JSON_DUPLICATE_KEY", RISK),
    ),
    "shp-007": (text('"value": 12.00', '"value": 99999, "value": 12.00'), Refused("JSON_DUPLICATE_KEY", VALUE)),
    "shp-008": (TEXT[:-1] + ', "evidence": {}}', Refused("JSON_DUPLICATE_KEY", "/evidence")),
    "shp-009": (r'{"a":1,"\u0061":2}', Refused("JSON_DUPLICATE_KEY", "/a")),
    "shp-010": (nested(10_000), Refused("JSON_TOO_DEEP")),
    "shp-011": (nested(500), Refused("JSON_TOO_DEEP")),
    "shp-014": (TEXT[:-1] + " " * (1_048_577 - len(TEXT)) + "}", Refused("REQUEST_TOO_LARGE", "")),
    "shp-015": (b"\xef\xbb\xbf" + TEXT.encode(), Refused("JSON_INVALID", "")),
    "shp-016": (TEXT.encode("utf-16"), Refused("JSON_INVALID", "")),
    "shp-018": (TEXT.encode().replace(b"desk-7", b"\xc0\xaf"), Refused("JSON_INVALID", "")),
    "shp-021": (TEXT + "x", Refused("JSON_INVALID", "")),
    "shp-022": ("{'a':1,}", Refused("JSON_INVALID", "")),
    "shp-024": (
        changed({"/schema_version": "decision_request.v9"}),
        Refused("SCHEMA_VERSION_UNSUPPORTED", "/schema_version"),
    ),
    "shp-025": (changed({"/action/type": "support.refund\n"}), Refused("FIELD_PATTERN", "/action/type")),
    "shp-026": (
        changed({"/context/digest": "sha256:" + "1" * 64 + "\n"}),
        Refused("FIELD_PATTERN", "/context/digest"),
    ),
    "shp-028": (changed({"/action/type": "Support.Refund"}), Refused("FIELD_PATTERN", "/action/type")),
    "shp-035": (
        changed({"/policy": {"policy_id": "someone-else", "policy_version": "9.9.9"}}),
        Refused("POLICY_PIN_MISMATCH", "/policy/policy_id"),
    ),
    "shp-037": (
        changed(
            {
                "/context": {
                    "mode": "inline",
                    "digest": "sha256:" + "1" * 64,
                    "inline": {"api_key": "sk_live_x"},
                    "redaction": {"profile": "off"},
                }
            }
        ),
        Refused("REDACTION_OVERRIDE_FORBIDDEN", "/context/redaction/profile"),
    ),
    "shp-042": (changed({"/action/tags": ["Duplicate_Charge"]}), Refused("FIELD_PATTERN", "/action/tags/0")),
}
TABLE = NUMBERS | CURRENCIES | EVIDENCE | SHAPES
ROWS = [pytest.param(case, given, expected, id=case) for case, (given, expected) in TABLE.items()]


@pytest.mark.parametrize(("case", "given", "expected"), ROWS)
def test_request(gate: Gate, case: str, given: Any, expected: Decided | Refused) -> None:
    """As a mapping, as text and as bytes: the outcome is the same, and what is refused is not stored."""
    for form in forms(given):
        if isinstance(expected, Refused):
            with pytest.raises(InvalidRequestError) as caught:
                gate.decide(form)
            assert "INVALID_REQUEST_SCHEMA" == caught.value.reason_code
            found = [(problem.code, problem.pointer) for problem in caught.value.problems]
            assert expected.code in {code for code, _ in found}
            if expected.pointer is not None:
                assert (expected.code, expected.pointer) in found
            assert [] == gate.records()
        else:
            record = gate.decide(form)
            assert (expected.verdict, expected.codes) == (record.verdict.value, deciding_codes(record))
            assert record.persisted
            assert [record.to_json()] == [stored.to_json() for stored in gate.records()]


@pytest.mark.parametrize(("case", "given", "expected"), ROWS)
def test_request_on_the_command_line(
    lumyn: Callable[..., tuple[int, str]], workspace: Path, case: str, given: Any, expected: Decided | Refused
) -> None:
    """Exit 0 for TRUST alone; an invalid request is 3, and its code is told."""
    body = [form for form in forms(given) if isinstance(form, bytes)]
    if not body:
        pytest.skip("a Python value without a JSON form")
    code, output = lumyn("decide", "-", stdin=body[0])
    if isinstance(expected, Refused):
        assert ExitCode.INVALID == code
        assert expected.code in output
        assert "no decisions here" in lumyn("show")[1]
    else:
        codes = {"TRUST": 0, "ESCALATE": 10, "QUERY": 11, "ABSTAIN": 12}
        assert codes[expected.verdict] == code
        assert expected.codes[0] in output


def deciding_codes(record: DecisionRecord) -> tuple[str, ...]:
    """Return the codes of the rules that decided, or of the default; a trust path may have fired beside them."""
    rules = [rule for rule in record.matched_rules if rule.effect is record.verdict]
    return tuple(code for rule in rules for code in rule.reason_codes) if rules else record.reason_codes


def forms(given: Any) -> list[Any]:
    """Return a request as a mapping, text and bytes, as far as it has such forms."""
    if isinstance(given, bytes):
        return [given]
    if isinstance(given, str):
        return [given, given.encode()]
    try:
        body = json.dumps(given, allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError):
        return [given]
    return [given, body, body.encode()]


def test_signal_of_a_block_that_nobody_requires_is_never_trusted(gate: Gate) -> None:
    """
    Where the trust path asks for the missing signal too, no rule fires and the default decides; where it does not,
    the engine asks. Either way a person or a question stands in between.
    """
    missing_age = gate.decide(changed({"/evidence/customer_age_days": DELETE}))
    assert (Verdict.ESCALATE, ("NO_MATCH_DEFAULT_ESCALATE",)) == (missing_age.verdict, missing_age.reason_codes)
    missing_takeover = gate.decide(changed({TAKEOVER: DELETE, "/request_id": "case-2"}, CHANGE_EMAIL))
    assert (Verdict.QUERY, ("EVIDENCE_MISSING",)) == (missing_takeover.verdict, deciding_codes(missing_takeover))
    assert ["account_takeover_risk"] == [query.field for query in missing_takeover.queries]
