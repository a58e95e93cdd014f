"""Bad requests that take more than a table: values that change, secrets, tags, tenants, and every degraded signal."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from bad_inputs.catalogue import case
from bad_inputs.requests import CHANGE_EMAIL, CREDIT, DELETE, REFUND, TEXT, changed

from lumyn import Gate, InvalidRequestError, Policy, RedactionPolicy, Verdict


@case("num-026")
def test_decimal_is_the_number_it_writes(gate: Gate, case: str) -> None:
    """Library callers have money as decimals; the answer is the stored one, so the request is the same."""
    first = gate.decide(TEXT)
    assert first.to_json() == gate.decide(changed({"/action/amount/value": Decimal("12.00")})).to_json()
    assert first.to_json() == gate.decide(changed({"/action/amount/value": Decimal("1.2e1")})).to_json()


@case("evd-049")
def test_mapping_that_changes_is_read_once(gate: Gate, case: str) -> None:
    """Verdict, digest and record come from one copy: a low risk at the first look is the low risk that is stored."""

    class Shifty(dict[str, Any]):
        """Answers every look with a higher risk than the one before."""

        looks = 0

        def _now(self) -> dict[str, Any]:
            Shifty.looks += 1
            risk = [0.05, 0.99][min(Shifty.looks, 2) - 1]
            return {**REFUND["evidence"], "chargeback_risk": risk}

        def __getitem__(self, key: str) -> Any:
            return self._now()[key]

        def get(self, key: str, default: Any = None) -> Any:
            return self._now().get(key, default)

        def items(self) -> Any:
            return self._now().items()

        def values(self) -> Any:
            return self._now().values()

        def copy(self) -> Any:
            return self._now()

    shifty = Shifty(REFUND["evidence"])
    record = gate.decide(changed({"/evidence": shifty}))
    stored = json.loads(record.to_json())["request"]["evidence"]["chargeback_risk"]
    decided = (stored, record.verdict)
    assert decided in {(0.05, Verdict.TRUST), (0.99, Verdict.ABSTAIN)}
    assert record.authorizes(changed({"/evidence/chargeback_risk": stored})) == (record.verdict is Verdict.TRUST)


@case("evd-050")
def test_later_changes_to_the_request_change_nothing(stored_gate: Gate, case: str) -> None:
    """Neither the record returned nor the one stored."""
    request = changed({"/context": {"mode": "inline", "inline": {"list": [1, {"a": 2}]}}})
    record = stored_gate.decide(request)
    before = record.to_json()
    request["action"]["amount"]["value"] = 99_999
    request["evidence"].clear()
    request["context"]["inline"]["list"][1]["a"] = 3
    request["action"]["tags"].append("late")
    assert before == record.to_json() == stored_gate.record(record.decision_id).to_json()
    assert 12 == json.loads(before)["request"]["action"]["amount"]["value"]


def degraded(value: Any) -> Iterator[Any]:
    """Yield what can become of a signal on its way: lost, retyped, wrapped, negated, shouted or padded."""
    yield from (DELETE, None, "", " ", "null", float("nan"), str(value), [value], [], {}, True)
    if not isinstance(value, bool):
        yield False
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        yield from (-value, f"{value}%")
    if isinstance(value, str):
        yield from (value.upper(), value.title(), f" {value} ", value + "\u200b", value.replace("i", "\u0456"))


NOT_TRUSTED = [
    changed({"/evidence/payment_instrument_risk": "high"}),
    changed({"/evidence/payment_instrument_risk": "high"}, CREDIT),
    changed({"/evidence/chargeback_risk": 0.9}),
    changed({"/evidence/chargeback_risk": 0.5}),
    changed({"/evidence/account_takeover_risk": 0.9}, CHANGE_EMAIL),
    changed({"/evidence/customer_age_days": 3}),
    changed({"/evidence/previous_refund_count_90d": 7}),
    changed({"/action/amount/value": 500}),
    changed({"/action/amount/value": 50}),
    changed({"/action/amount/value": 50}, CREDIT),
    changed({"/action/amount": {"value": 500, "currency": "EUR"}, "/evidence/fx_rate_to_usd": 1.1}),
    changed({"/action/amount": {"value": 500, "currency": "EUR"}, "/evidence/fx_rate_to_usd": 1.1}, CREDIT),
    changed({"/action/amount": {"value": 12, "currency": "EUR"}, "/evidence/fx_rate_to_usd": 9}),
    changed({"/action/amount": {"value": 12, "currency": "JPY"}, "/evidence/fx_rate_to_usd": 1}),
    changed({"/action/type": "support.unheard_of"}),
]
"""One thing is wrong with each, and every rule that stands in the way does so in one of them."""


@case("evd-051")
@pytest.mark.parametrize("request_", NOT_TRUSTED)
def test_no_degraded_signal_makes_a_request_trusted(gate: Gate, case: str, request_: dict[str, Any]) -> None:
    """Whatever single thing becomes of a signal or of the amount, the request is refused or still not trusted."""
    request = {name: value for name, value in request_.items() if name != "request_id"}
    assert Verdict.TRUST is not gate.decide(request).verdict
    tried = 0
    for pointer, value in signals(request):
        for worse in degraded(value):
            tried += 1
            try:
                record = gate.decide(changed({pointer: worse}, request))
            except InvalidRequestError:
                continue
            assert Verdict.TRUST is not record.verdict, (pointer, worse)
    assert tried > 50


def signals(request: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield a pointer to each signal, to the amount and to what it is made of, with its value."""
    yield from ((f"/evidence/{key}", value) for key, value in request["evidence"].items())
    if "amount" in request["action"]:
        yield "/action/amount", request["action"]["amount"]
        yield from ((f"/action/amount/{name}", value) for name, value in request["action"]["amount"].items())


@case("shp-005")
def test_escapes_in_free_text_are_stored_and_never_shown(
    lumyn: Callable[..., tuple[int, str]], workspace: Path, case: str
) -> None:
    """Free text may hold anything; what prints it escapes it."""
    hostile = "x\x9b31my \x1b[2J \u202egnp.exe \x7f"
    request = changed({"/action/intent": hostile, "/evidence/note": hostile, "/subject/user_agent": hostile})
    code, output = lumyn("decide", "-", stdin=json.dumps(request).encode())
    assert 0 == code
    for arguments in (("show",), ("show", "@last"), ("show", "@last", "--json")):
        output += lumyn(*arguments)[1]
    assert [] == [character for character in output if not character.isprintable() and character != "\n"]
    with Gate.open(policy=workspace.joinpath("lumyn.toml").read_text().split('"')[1], store=".lumyn/lumyn.db") as gate:
        stored = gate.records()[0].to_dict()["request"]
    assert hostile == stored["action"]["intent"]  # type: ignore[index,call-overload]


@case("shp-012")
def test_nesting_of_the_limit_is_accepted_and_one_more_is_not(gate: Gate, case: str) -> None:
    """64 levels in all, as a mapping and as text."""

    def request(levels: int) -> dict[str, Any]:
        inner: Any = 1
        for _ in range(levels - 2):
            inner = [inner]
        return changed({"/extensions": {"n": inner}})

    first = gate.decide(request(64))
    assert first.to_json() == gate.decide(json.dumps(request(64))).to_json()
    for deeper in (request(65), json.dumps(request(65))):
        with pytest.raises(InvalidRequestError) as caught:
            gate.decide(deeper)
        assert ["JSON_TOO_DEEP"] == [problem.code for problem in caught.value.problems]


@case("shp-030")
def test_no_tenant_is_not_a_tenant(gate: Gate, case: str) -> None:
    """Whatever a tenant calls itself, it never shares keys or experience with requests that have none."""
    untenanted = changed({})
    del untenanted["subject"]["tenant_id"]
    first = gate.decide(untenanted)
    gate.label(first.decision_id, "failure")
    for name in ("__global__", "null", "None", "0", "-", "*", "default"):
        record = gate.decide(changed({"/subject/tenant_id": name}))
        assert Verdict.TRUST is record.verdict
        assert record.decision_id != first.decision_id
        assert record.memory_snapshot.startswith("mem0:0:")
    assert gate.decide({**untenanted, "request_id": "case-2"}).memory_snapshot.startswith("mem0:1:")
    for name in ("", " ", "\u200b", "acme "):
        with pytest.raises(InvalidRequestError):
            gate.decide(changed({"/subject/tenant_id": name}))


@case("shp-032")
def test_request_without_a_tenant_stands_alone(gate: Gate, case: str) -> None:
    """
    It is decided, as the request of no tenant: its keys, its records and its experience are nobody else's.

    Whether a tenant must be named is for the policy or the application to say.
    """
    tenanted = gate.decide(REFUND)
    gate.label(tenanted.decision_id, "failure")
    untenanted = changed({})
    del untenanted["subject"]["tenant_id"]
    record = gate.decide(untenanted)
    assert record.decision_id != tenanted.decision_id
    assert record.memory_snapshot.startswith("mem0:0:")
    assert [tenanted.decision_id] == [stored.decision_id for stored in gate.records(tenant_id="acme")]
    assert not record.authorizes(REFUND)


@case("shp-036")
def test_dry_run_is_no_approval(gate: Gate, case: str) -> None:
    """It says what would be decided, is marked, is not stored, and lets nothing proceed; nor does it use up a key."""
    request = changed({"/hints": {"dry_run": True}})
    record = gate.decide(request)
    assert (Verdict.TRUST, True, False, False) == (record.verdict, record.dry_run, record.persisted, record.permits)
    assert not record.authorizes(request)
    assert not record.authorizes(REFUND)
    assert record.to_dict()["extensions"]["lumyn"]["dry_run"] is True  # type: ignore[index,call-overload]
    assert [] == gate.records()
    assert gate.decide(REFUND).permits


@case("shp-039")
def test_secret_under_an_undeclared_key_is_what_redaction_is_for(policy: Policy, tmp_path: Path, case: str) -> None:
    """The strict profile drops it, and so does a pointer to it under any profile; it never bears on the verdict."""
    request = changed({"/evidence/api_key": "sk_live_x"})
    pointer = RedactionPolicy(remove=("/evidence/api_key",))
    for place, (redaction, kept) in enumerate((("default", True), ("strict", False), (pointer, False))):
        store = tmp_path / f"{place}" / "lumyn.db"
        with Gate.open(policy=policy, store=store, create=True, redaction=redaction) as gate:  # type: ignore[arg-type]
            assert Verdict.TRUST is gate.decide(request).verdict
        assert kept == any(b"sk_live_x" in path.read_bytes() for path in store.parent.iterdir())


@case("shp-041")
def test_junk_tags_do_not_hide_a_known_failure(gate: Gate, case: str) -> None:
    """Adding what a caller can add freely never lowers the resemblance."""
    gate.label(gate.decide(REFUND).decision_id, "failure")
    scores = []
    for count in (0, 1, 8, 63):
        tags = ["duplicate_charge", *(f"junk{number}" for number in range(count))]
        record = gate.decide(changed({"/action/tags": tags, "/request_id": f"junk-{count}"}))
        assert "FAILURE_MEMORY_SIMILAR_ESCALATE" in record.reason_codes
        scores.append(record.failure_similarity)
    assert [Decimal(1)] * 4 == scores
