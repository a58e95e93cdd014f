"""History under another policy: what moved, with the experience of then, of now, or none, and what cannot be told."""

from __future__ import annotations

import io
import pickle
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from backtest.conftest import policy, request

from lumyn import FixedClock, Gate, InvalidDocumentError, SeededIds, Verdict
from lumyn.backtest import Effect, MemoryChoice, Past, Tally, backtest, history, read_lines, read_store, redecide
from lumyn.backtest.effects import effect_of
from lumyn.core.listing import Wanted
from lumyn.model import Evaluation, Query
from lumyn.policy.operators import OPERATORS
from lumyn.store.base import Store

ANY = Wanted()


def counts(tally: Tally) -> dict[str, int]:
    """What a tally counted, without what it did not."""
    found = {effect.value: tally.count(effect) for effect in Effect if tally.count(effect)}
    return found | ({"not_replayable": tally.not_replayable} if tally.not_replayable else {})


def test_the_policy_that_decided_changes_nothing(store: Store) -> None:
    """Each is compared with exactly the experience it saw, or the first `acme` refund would escalate."""
    assert {"same": 6} == counts(backtest(read_store(store, ANY), policy()))


def test_parts_are_counted_in_other_processes(store: Store) -> None:
    """An engine sends the policy to whoever has a part of the history, and gets a tally back."""
    candidate = policy(limit="trust_up_to_usd: 31")
    sent = pickle.loads(pickle.dumps(candidate))
    assert candidate == sent
    assert all(each.operator is OPERATORS[each.operator.name] for rule in sent.rules for each in rule.conditions)
    whole = Tally()
    for tenant in ("acme", "other"):
        part = backtest(read_store(store, Wanted(tenant_id=tenant)), sent)
        whole.add_all(pickle.loads(pickle.dumps(part)))
    assert counts(backtest(read_store(store, ANY), candidate)) == counts(whole)


def test_a_higher_limit_is_new_trust(store: Store) -> None:
    tally = backtest(read_store(store, ANY), policy(limit="trust_up_to_usd: 31"))
    assert {"same": 5, "new_trust": 1} == counts(tally)
    (group,) = tally.groups()
    thirty = [past.record.decision_id for past in read_store(store, ANY)][3]
    assert (Verdict.ESCALATE, Verdict.TRUST, 1, (thirty,)) == (group.before, group.after, group.count, group.decisions)
    assert (("NO_MATCH_DEFAULT_ESCALATE",), ("REFUND_SMALL_LOW_RISK",)) == (
        group.reason_codes_before,
        group.reason_codes_after,
    )


def test_effects_come_with_the_gravest_first(store: Store) -> None:
    """What escalates for its likeness to a failure keeps its verdict; the trust path adds an obligation."""
    strict = backtest(read_store(store, ANY), policy(risk="{ evidence.risk_lt: 0.05 }"))
    assert {"looser": 1, "tighter": 3, "same": 2} == counts(strict)
    assert [Effect.LOOSER, Effect.TIGHTER] == [each.effect for each in strict.groups()]
    loose = policy(
        limit="trust_up_to_usd: 500",
        risk="{ evidence.risk_lt: 0.95 }",
        code="REFUND_SMALL_LOW_RISK, MANUAL_APPROVAL_REQUESTED",
    )
    assert [Effect.NEW_TRUST, Effect.TIGHTER, Effect.REASONS, Effect.REASONS] == [
        each.effect for each in backtest(read_store(store, ANY), loose).groups()
    ]


@pytest.mark.parametrize(
    ("memory", "expected"),
    [
        (MemoryChoice.AS_OF, {"same": 6}),
        # Today the failure is known from the beginning, so the request that was one escalates.
        (MemoryChoice.NOW, {"same": 5, "tighter": 1}),
        (MemoryChoice.NONE, {"same": 5, "new_trust": 1}),
    ],
)
def test_experience_of_then_of_now_or_none(store: Store, memory: MemoryChoice, expected: dict[str, int]) -> None:
    """Of another tenant never."""
    tally = backtest(read_store(store, ANY, with_now=True), policy(), memory=memory)
    assert expected == counts(tally)


def test_todays_experience_must_be_at_hand(store: Store) -> None:
    tally = backtest(read_store(store, ANY), policy(), memory=MemoryChoice.NOW)
    assert {"not_replayable": 6} == counts(tally)
    assert ["today's experience is not at hand"] == [each.reason for each in tally.reasons()]


@pytest.mark.parametrize("memory", MemoryChoice)
def test_what_redaction_removed_is_not_guessed(gate: Gate, memory: MemoryChoice) -> None:
    """The policy that decided did not read `city`; one that does gets no answer, and none that permits."""
    from lumyn import RedactionPolicy, RedactionProfile

    kept = Gate.open(
        policy=policy(),
        store=gate.store,
        clock=FixedClock("2026-01-15T12:00:00Z"),
        ids=SeededIds("removed"),
        redaction=RedactionPolicy(profile=RedactionProfile.OFF, remove=("/evidence/city",)),
    )
    kept.decide(request(12, city="Rome"))
    reads = policy(risk="{ evidence.city_ne: Rome }")
    tally = backtest(read_store(gate.store, ANY, with_now=True), reads, memory=memory)
    assert {"not_replayable": 1} == counts(tally)
    assert "/evidence/city" in tally.reasons()[0].reason


def test_lines_are_decided_as_far_as_a_record_goes(store: Store) -> None:
    """Where experience matters and is not at hand there is no answer; without experience there is one."""
    text = "\n".join(row.record_json for row in store.decisions(limit=10)) + "\n\n"

    def lines() -> Iterator[Past]:
        return read_lines(io.BytesIO(text.encode()), file="all.jsonl")

    assert {"same": 6} == counts(backtest(lines(), policy()))
    candidate = policy(limit="trust_up_to_usd: 31")
    assert {"same": 3, "new_trust": 1, "not_replayable": 2} == counts(backtest(lines(), candidate))
    assert {"same": 5, "new_trust": 1} == counts(backtest(lines(), policy(), memory=MemoryChoice.NONE))


@pytest.mark.parametrize(
    "line",
    [b"{}", b"[]", b"\xff", b"{", b'{"a":1,"a":2}', b"null", b"x" * 20_000_000],
    ids=["object", "list", "bytes", "half", "twice", "null", "long"],
)
def test_a_line_that_is_no_record_is_named(store: Store, line: bytes) -> None:
    good = next(iter(store.decisions(limit=1))).record_json.encode()
    with pytest.raises(InvalidDocumentError) as refused:
        list(read_lines(io.BytesIO(good + b"\n\n" + line + b"\n"), file="all.jsonl"))
    (problem,) = refused.value.problems
    assert ("RECORD_INVALID", "all.jsonl:3:1") == (problem.code, str(problem.span))


@pytest.mark.parametrize("page", [1, 2, 3, 1_000])
def test_history_comes_oldest_first_whatever_the_page(store: Store, page: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_PAGE", page)
    expected = [row.decision_id for row in store.decisions(limit=10)][::-1]
    assert expected == [past.record.decision_id for past in read_store(store, ANY)]
    assert {"same": 6} == counts(backtest(read_store(store, ANY), policy()))
    for limit in range(1, 8):
        assert expected[-limit:] == [past.record.decision_id for past in read_store(store, ANY, limit=limit)]
    acme = [past.record.decision_id for past in read_store(store, Wanted(tenant_id="acme"), limit=2)]
    assert [expected[2], expected[4]] == acme


def test_parts_add_up(store: Store) -> None:
    candidate = policy(limit="trust_up_to_usd: 31", risk="{ evidence.risk_lt: 0.25 }")
    whole = backtest(read_store(store, ANY), candidate)
    joined = Tally()
    for tenant in ("acme", "other"):
        joined.add_all(backtest(read_store(store, Wanted(tenant_id=tenant)), candidate))
    assert (6, counts(whole)) == (joined.decisions, counts(joined))
    assert [replace(each, decisions=()) for each in whole.groups()] == [
        replace(each, decisions=()) for each in joined.groups()
    ]


def test_a_long_history_is_what_replay_says_of_each(tmp_path: Path) -> None:
    """Decisions, labels and retractions in any order: the same as deciding each again by itself."""
    dice = random.Random(7)
    clock, ids = FixedClock("2026-01-15T12:00:00Z"), SeededIds("long")
    candidate = policy(limit="trust_up_to_usd: 40", similar="similar: 0.6")
    with Gate.open(policy=policy(), store=tmp_path / "s.db", create=True, clock=clock, ids=ids) as gate:
        made = []
        for _ in range(120):
            amount, risk = dice.choice([5, 24, 30, 90]), dice.choice([0.1, 0.4, 0.8])
            made.append(gate.decide(request(amount, risk, tenant=dice.choice("ab"))))
            if dice.random() < 0.3:
                gate.label(dice.choice(made).decision_id, dice.choice(["failure", "near_miss", "success"]))
        again = {each.decision_id: gate.replay(each.decision_id, policy=candidate).record for each in made}
        seen = 0
        for past in read_store(gate.store, ANY):
            outcome = redecide(past, candidate)
            replayed = again[past.record.decision_id]
            assert replayed is not None
            assert replayed.evaluation == outcome
            seen += 1
        assert 120 == seen
        effects = {effect_of(each.evaluation, found.evaluation) for each in made if (found := again[each.decision_id])}
        assert {Effect.SAME, Effect.NEW_TRUST} < effects


def outcome(verdict: Verdict = Verdict.QUERY, **changes: Any) -> Evaluation:
    return replace(Evaluation(verdict=verdict, reason_codes=("A",), matched_rules=()), **changes)


ASKED = (Query(field="f", question="q"),)
LOGGED: tuple[dict[str, Any], ...] = ({"type": "log", "source": {"rule_id": "R1", "stage": "TRUST_PATHS"}},)
ELSEWHERE: tuple[dict[str, Any], ...] = ({"type": "log", "source": {"rule_id": "R2", "stage": "ESCALATIONS"}},)


@pytest.mark.parametrize(
    ("before", "after", "effect"),
    [
        (outcome(), outcome(), Effect.SAME),
        (outcome(Verdict.ABSTAIN), outcome(Verdict.TRUST), Effect.NEW_TRUST),
        (outcome(Verdict.ABSTAIN), outcome(Verdict.QUERY), Effect.LOOSER),
        (outcome(Verdict.TRUST), outcome(Verdict.ESCALATE), Effect.TIGHTER),
        (outcome(), outcome(reason_codes=("B",)), Effect.REASONS),
        (outcome(), outcome(queries=ASKED), Effect.REASONS),
        (outcome(obligations=LOGGED), outcome(), Effect.LOOSER),
        (outcome(), outcome(obligations=LOGGED), Effect.TIGHTER),
        (outcome(obligations=LOGGED), outcome(obligations=ELSEWHERE), Effect.SAME),
        (outcome(obligations=LOGGED), outcome(Verdict.ABSTAIN), Effect.TIGHTER),
    ],
)
def test_how_an_outcome_moved(before: Evaluation, after: Evaluation, effect: Effect) -> None:
    assert effect is effect_of(before, after)


def test_verdicts_are_as_strict_as_the_contract_says() -> None:
    """Every pair, so that no order of words decides."""
    order = sorted(Verdict, key=lambda verdict: verdict.strictness)
    assert Verdict.TRUST is order[0]
    moved: Callable[[Verdict, Verdict], Effect] = lambda one, two: effect_of(outcome(one), outcome(two))  # noqa: E731
    for place, stricter in enumerate(order):
        for looser in order[:place]:
            assert Effect.TIGHTER is moved(looser, stricter)
            assert (Effect.NEW_TRUST if looser is Verdict.TRUST else Effect.LOOSER) is moved(stricter, looser)
