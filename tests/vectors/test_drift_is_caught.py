"""
The golden vectors notice every small change of the starter policies and of the engine's order, and name themselves.
Mutants are generated from the policy documents, so a rule that is added later needs vectors before this passes.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import golden
import pytest
from policy_mutants import EDITS, Mutant, edited, mutants, renamed, without

from lumyn import model
from lumyn.engine import compiled, outcome
from lumyn.engine.evaluator import compile_policy
from lumyn.engine.outcome import Findings
from lumyn.errors import InvalidPolicyError
from lumyn.model import DecisionRequest, Evaluation, Stage, Verdict
from lumyn.policy.loader import parse_policy
from lumyn.policy.spec import Policy
from lumyn.vectors.format import Vector

SUPPORT = "policies/lumyn-support.v0.yml"

pytestmark = pytest.mark.slow

# Changes that no request can tell from the original. Kind and name of the mutant -> why.
EQUIVALENT = {
    (SUPPORT, "order changed", "R070 and R080"): (
        "never fire together: one needs the currency to be missing, the other to be known"
    ),
    ("policies/packs/lumyn-billing.v0.yml", "order changed", "R020 and R030"): (
        "never fire together: one needs the currency to be missing, the other to be known"
    ),
}


def equivalent(policy: Policy, mutant: Mutant, changed: Policy, file: str) -> str | None:
    """Return why a mutant decides everything as the original does, or None."""
    if mutant.kind == "evidence declaration changed" and mutant.name.endswith(" not declared"):
        key = mutant.name.split()[0]
        before, after = policy.evidence.get(key), changed.evidence.get(key)
        if before is not None and after is not None:
            told = replace(before, declared=False, step=None, span=None)
            if told == replace(after, declared=False, step=None, span=None):
                return "the operators applied to the key imply the same type"
    if mutant.kind == "actions changed" and mutant.name.endswith(" for every action"):
        rule = next(rule for rule in policy.rules if mutant.name.startswith(rule.rule_id))
        if rule.is_requirements_check and set(policy.required_evidence) <= set(rule.actions or ()):
            return "the rule asks for required keys, and no other action has any"
    return EQUIVALENT.get((file, mutant.kind, mutant.name))


class Hunt:
    """Finds the vector that turns red under a changed policy, the likeliest ones first."""

    def __init__(self, file: str) -> None:
        self._results = golden.of_policy(file)
        self._asked = [
            (result.vector, request, step)
            for result in self._results
            for step in golden.decisions([result])
            if (request := golden.parsed(step)) is not None
        ]

    def caught_by(self, policy: Policy) -> str | None:
        """Return the id of a vector that is red, or None when all of them pass."""
        tried = set[str]()
        for vector in self._suspects(policy):
            tried.add(vector.node_id)
            if not golden.passes(vector, policy):
                return vector.node_id
        rest = (result.vector for result in self._results if result.vector.node_id not in tried)
        return next((vector.node_id for vector in rest if not golden.passes(vector, policy)), None)

    def red(self, policy: Policy) -> list[str]:
        """Return the ids of all vectors that are red."""
        return [result.vector.node_id for result in self._results if not golden.passes(result.vector, policy)]

    def _suspects(self, policy: Policy) -> Iterator[Vector]:
        """Yield vectors whose request the changed policy evaluates to something else than was recorded."""
        for vector, request, step in self._asked:
            if step.record is not None and step.record.persisted and step.policy is vector.policy:
                if self._evaluate(policy, request, step.record.failure_similarity) != step.record.evaluation:
                    yield vector

    @staticmethod
    def _evaluate(policy: Policy, request: DecisionRequest, similarity: Any) -> Evaluation:
        plan = compile_policy(policy).plan(request.action_type)
        return plan.evaluate(plan.facts(request), similarity)


@cache
def hunt(file: str) -> Hunt:
    """Return the hunt among the vectors of one policy."""
    return Hunt(file)


@cache
def mutants_of(file: str) -> tuple[Mutant, ...]:
    """Return the mutants of one policy."""
    return tuple(mutants(golden.policy(file)))


def loaded(document: dict[str, Any]) -> Policy:
    """Return the policy of a document, loaded anew: nothing that is compiled for another one is used."""
    return parse_policy(json.dumps(document))


# ---------------------------------------------------------------------------------------------------------------------
# The policies


@pytest.mark.parametrize("kind", EDITS)
@pytest.mark.parametrize("file", golden.POLICY_FILES)
def test_every_small_change_of_a_policy_is_caught(
    file: str, kind: str, record_property: Callable[[str, object], None]
) -> None:
    """Each mutant turns a vector red or cannot be loaded; the few that change nothing say why."""
    policy = golden.policy(file)
    caught: dict[str, str] = {}
    refused, same, survivors = list[str](), dict[str, str](), list[str]()
    for mutant in mutants_of(file):
        if mutant.kind != kind:
            continue
        try:
            changed = mutant.load()
        except InvalidPolicyError:
            refused.append(mutant.name)
            continue
        reason = equivalent(policy, mutant, changed, file)
        vector = None if reason else hunt(file).caught_by(changed)
        if reason:
            same[mutant.name] = reason
        elif vector:
            caught[mutant.name] = vector
        else:
            survivors.append(mutant.name)
    record_property("caught", json.dumps(caught))
    record_property("counts", f"{len(caught)} caught, {len(refused)} refused, {len(same)} equivalent")
    assert [] == survivors
    if kind not in {"evidence declaration changed", "stage changed"}:
        assert [] == refused, "a mutant that cannot be loaded tests nothing"


def test_there_are_many_mutants() -> None:
    """The generator sees the policies: every kind of change is made, and each rule and threshold is changed."""
    found = [mutant for file in golden.POLICY_FILES for mutant in mutants_of(file)]
    assert 600 < len(found)
    assert set(EDITS) == {mutant.kind for mutant in found}
    for file in golden.POLICY_FILES:
        policy, own = golden.policy(file), mutants_of(file)
        deleted = {mutant.name for mutant in own if mutant.kind == "rule deleted"}
        assert {rule.rule_id for rule in policy.rules} == deleted
        moved = [mutant.name.split(" ")[0] for mutant in own if mutant.kind == "threshold one step off"]
        assert sorted([*policy.thresholds, *policy.thresholds]) == sorted(moved)


def test_every_equivalent_mutant_exists() -> None:
    """A claim about a mutant that is not generated any more is out of date."""
    known = {(file, mutant.kind, mutant.name) for file in golden.POLICY_FILES for mutant in mutants_of(file)}
    assert set() == set(EQUIVALENT) - known


@pytest.mark.parametrize(("file", "kind", "name"), EQUIVALENT)
def test_what_is_called_equivalent_passes(file: str, kind: str, name: str) -> None:
    """An exempted mutant that some vector does catch is exempted for a wrong reason."""
    (mutant,) = [each for each in mutants_of(file) if (each.kind, each.name) == (kind, name)]
    assert hunt(file).caught_by(mutant.load()) is None


FAMOUS: dict[str, tuple[Callable[[Policy], dict[str, Any]], str]] = {
    "refund limit 25 -> 25.01": (
        lambda policy: edited(policy, "thresholds", "refund_trust_max_usd", to=25.01),
        "money/us_dollars.yaml::usd_refund_limit[one_cent_above]",
    ),
    "refund limit 25 -> 199": (
        lambda policy: edited(policy, "thresholds", "refund_trust_max_usd", to=199),
        "default/no_rule_fires.yaml::default_between_the_limits",
    ),
    "refund limit removed": (
        lambda policy: without(policy, "R310", "amount_usd_lte"),
        "trust_paths/refund.yaml::refund_one_condition_fails[amount]",
    ),
    "refund trusts any instrument": (
        lambda policy: without(policy, "R310", "evidence.payment_instrument_risk_in"),
        "trust_paths/refund.yaml::refund_one_condition_fails[instrument]",
    ),
    "refund trusts any chargeback risk": (
        lambda policy: without(policy, "R310", "evidence.chargeback_risk_lt"),
        "trust_paths/refund.yaml::refund_one_condition_fails[chargeback]",
    ),
    "refund trusts any number of refunds": (
        lambda policy: without(policy, "R310", "evidence.previous_refund_count_90d_lt"),
        "trust_paths/refund.yaml::refund_one_condition_fails[repeat]",
    ),
    "refund trusts any customer": (
        lambda policy: without(policy, "R310", "evidence.customer_age_days_gte"),
        "trust_paths/refund.yaml::refund_one_condition_fails[new_customer]",
    ),
    "credit limit 15 -> 100000": (
        lambda policy: edited(policy, "thresholds", "credit_trust_max_usd", to=100_000),
        "trust_paths/credit.yaml::credit_amount[one_cent_above]",
    ),
    "credit trusts any instrument": (
        lambda policy: without(policy, "R320", "evidence.payment_instrument_risk_in"),
        "trust_paths/credit.yaml::credit_one_condition_fails[instrument]",
    ),
    "default abstains": (
        lambda policy: edited(policy, "defaults", "default_verdict", to="ABSTAIN"),
        "default/unknown_action.json::default_unknown_action",
    ),
    "default tells another reason": (
        lambda policy: edited(policy, "defaults", "default_reason_code", to="CURRENCY_UNSUPPORTED"),
        "default/unknown_action.json::default_unknown_action",
    ),
    "escalation limit refuses its own value": (
        lambda policy: renamed(policy, "R210", "amount_usd_gt", "amount_usd_gte"),
        "escalations/refund.yaml::refund_amount[at_limit]",
    ),
}


@pytest.mark.parametrize("name", FAMOUS)
def test_a_change_turns_the_vector_at_its_place_red(name: str) -> None:
    """The vector that is about the changed place is among the red ones."""
    change, vector_id = FAMOUS[name]
    assert f"{golden.FOLDER}/{vector_id}" in hunt(SUPPORT).red(loaded(change(golden.policy(SUPPORT))))


@pytest.mark.parametrize("file", golden.POLICY_FILES)
def test_nothing_is_red_without_a_change(file: str) -> None:
    """The hunt finds nothing under a policy that was only loaded anew."""
    assert [] == hunt(file).red(loaded(golden.policy(file).document))


# ---------------------------------------------------------------------------------------------------------------------
# The engine


@pytest.mark.parametrize(("first", "second"), [*combinations([*Stage][:4], 2)])
def test_swapped_stages_are_caught(first: Stage, second: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that tells the rules of two stages in the other order turns vectors red."""
    swap = {first: second, second: first}
    order = {swap.get(stage, stage): place for place, stage in enumerate(Stage)}

    def conclude(policy: Policy, findings: Findings) -> Evaluation:
        evaluation = outcome.conclude(policy, findings)
        if not evaluation.matched_rules:
            return evaluation
        matched = sorted(evaluation.matched_rules, key=lambda rule: order[rule.stage])
        codes = dict.fromkeys(code for rule in matched for code in rule.reason_codes)
        return replace(evaluation, matched_rules=tuple(matched), reason_codes=tuple(codes))

    monkeypatch.setattr(compiled, "conclude", conclude)
    caught = hunt(SUPPORT).caught_by(loaded(golden.policy(SUPPORT).document))
    assert caught is not None
    assert "::" in caught


@pytest.mark.parametrize(("looser", "stricter"), [*combinations(Verdict, 2)])
def test_swapped_precedences_are_caught(looser: Verdict, stricter: Verdict, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that takes the looser of two verdicts turns the vector red in which the two of them meet."""
    places = dict(model._STRICTNESS)
    places[looser], places[stricter] = places[stricter], places[looser]
    monkeypatch.setattr(model, "_STRICTNESS", places)
    red = hunt(SUPPORT).red(loaded(golden.policy(SUPPORT).document))
    assert f"{golden.FOLDER}/precedence/pairs.yaml::{stricter.lower()}_over_{looser.lower()}" in red


# ---------------------------------------------------------------------------------------------------------------------
# What a user sees


def run_pytest(policy: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the golden vectors of one topic against a policy, as a user does."""
    return subprocess.run(
        [
            sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--color=no",
            "--lumyn-vectors", f"--lumyn-policy={policy}", *arguments,
        ],
        cwd=golden.ROOT,
        capture_output=True,
        text=True,
        encoding="utf-8",
        stdin=subprocess.DEVNULL,
        check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "topic", "vector_id", "words"),
    [
        (
            "refund_trust_max_usd: 25",
            "refund_trust_max_usd: 25.01",
            "money/us_dollars.yaml",
            "usd_refund_limit[one_cent_above]",
            ["ESCALATE", "TRUST", "NO_MATCH_DEFAULT_ESCALATE", "REFUND_SMALL_LOW_RISK", "R310"],
        ),
        (
            "credit_trust_max_usd: 15",
            "credit_trust_max_usd: 100000",
            "trust_paths/credit.yaml",
            "credit_amount[thousand]",
            ["ESCALATE", "TRUST", "CREDIT_SMALL_LOW_RISK", "R320"],
        ),
        (
            "      evidence.chargeback_risk_lt: { threshold: chargeback_risk_escalate }\n",
            "",
            "trust_paths/refund.yaml",
            "refund_one_condition_fails[chargeback]",
            ["REFUND_SMALL_LOW_RISK"],
        ),
    ],
    ids=["refund limit", "credit limit", "condition removed"],
)
def test_pytest_is_red_and_names_the_vector(
    tmp_path: Path, old: str, new: str, topic: str, vector_id: str, words: list[str]
) -> None:
    """The run fails and prints the vector's id, both verdicts, the codes that came and went, and the deciding rule."""
    text = (golden.ROOT / SUPPORT).read_text(encoding="utf-8")
    assert 1 == text.count(old)
    policy = tmp_path / "policy.yml"
    policy.write_text(text.replace(old, new), encoding="utf-8")
    done = run_pytest(policy, f"{golden.FOLDER}/{topic}")
    assert 1 == done.returncode, done.stdout + done.stderr
    assert f"{topic}::{vector_id}" in done.stdout
    assert [] == [word for word in words if word not in done.stdout]


def test_pytest_is_green_under_an_unchanged_copy(tmp_path: Path) -> None:
    """The runs above are red because of the change."""
    policy = tmp_path / "policy.yml"
    policy.write_text((golden.ROOT / SUPPORT).read_text(encoding="utf-8"), encoding="utf-8")
    topics = ("money", "trust_paths", "default", "precedence")
    done = run_pytest(policy, *(f"{golden.FOLDER}/{topic}" for topic in topics))
    assert 0 == done.returncode, done.stdout + done.stderr
