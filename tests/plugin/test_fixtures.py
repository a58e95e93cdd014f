"""Fixtures for Python tests: there whether or not vectors are collected, imported only when they are used."""

from __future__ import annotations

import pytest
from plugin.shop import POLICY

from lumyn.testing import Repo

REQUEST = """
REQUEST = {
    "schema_version": "decision_request.v0",
    "subject": {"type": "agent", "id": "refund-bot"},
    "action": {"type": "support.refund", "intent": "refund", "amount": {"value": 12, "currency": "USD"}},
    "evidence": {"ticket_id": "ZD-1", "risk": 0.1},
    "context": {"mode": "inline", "inline": {}},
}
"""


def test_a_gate_of_ones_own(repo: Repo) -> None:
    """Fresh for each test, pinned in time, repeatable in its ids."""
    repo.write("pytest.ini", "[pytest]\nlumyn_policy = policies/shop.yml\n")
    repo.write(
        "tests/test_app.py",
        REQUEST
        + """
import pytest

@pytest.mark.parametrize("turn", [1, 2])
def test_fresh(lumyn_gate, turn):
    record = lumyn_gate.decide(REQUEST)
    assert record.verdict == "TRUST"
    assert record.persisted
    assert record.created_at == "2026-01-15T12:00:00.000Z"
    assert len(lumyn_gate.records()) == 1

def test_policy(lumyn_gate):
    assert lumyn_gate.policy.policy_id == "shop"
""",
    )
    repo.run_pytest().assert_outcomes(passed=3)
    repo.run_pytest("--no-lumyn-vectors", cwd="tests").assert_outcomes(passed=3)


def test_a_marker_names_another_policy(repo: Repo) -> None:
    """On a test, a class or a module; the nearest counts, and it is stronger than the ini key."""
    repo.write("pytest.ini", "[pytest]\nlumyn_policy = policies/shop.yml\n")
    repo.write("policies/strict.yml", POLICY.replace("policy_id: shop", "policy_id: strict"))
    repo.write("policies/other.yml", POLICY.replace("policy_id: shop", "policy_id: other"))
    repo.write(
        "tests/test_app.py",
        """
import pytest

pytestmark = pytest.mark.lumyn(policy="policies/strict.yml")

def test_module(lumyn_gate):
    assert lumyn_gate.policy.policy_id == "strict"

@pytest.mark.lumyn(policy="policies/other.yml")
def test_nearest(lumyn_gate):
    assert lumyn_gate.policy.policy_id == "other"
""",
    )
    repo.run_pytest("--strict-markers").assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("given", "said"), [("polcy='policies/strict.yml'", "polcy"), ("'policies/strict.yml'", "'policies/strict.yml'")]
)
def test_a_misspelt_marker_is_not_passed_over(repo: Repo, given: str, said: str) -> None:
    """The test would run against the policy of the ini file, and be green for it."""
    repo.write("pytest.ini", "[pytest]\nlumyn_policy = policies/shop.yml\n")
    repo.write(
        "tests/test_app.py", f"import pytest\n\n@pytest.mark.lumyn({given})\ndef test_app(lumyn_gate):\n    pass\n"
    )
    run = repo.run_pytest()
    run.assert_outcomes(error=1)
    run.match(f"*@pytest.mark.lumyn takes policy, suite, tag by name, not {said}")


def test_without_a_policy_the_error_says_how_to_name_one(repo: Repo) -> None:
    repo.write("tests/test_app.py", "def test_app(lumyn_gate):\n    pass\n")
    run = repo.run_pytest()
    run.assert_outcomes(error=1)
    run.match("*lumyn_gate needs a policy: set ini `lumyn_policy`, *")


def test_memory_is_seeded_as_a_label_would(repo: Repo) -> None:
    repo.write(
        "tests/test_app.py",
        REQUEST
        + """
def test_known_fraud(lumyn_gate, lumyn_memory):
    item = lumyn_memory("failure", REQUEST, summary="INC-42")
    assert item.label == "failure"
    record = lumyn_gate.decide(REQUEST)
    assert record.verdict == "ESCALATE"
    assert [match.summary for match in record.top_k] == ["INC-42"]

def test_nothing_is_left_of_it(lumyn_gate, lumyn_memory):
    assert lumyn_gate.decide(REQUEST).verdict == "TRUST"
""",
    )
    repo.run_pytest("--lumyn-policy=policies/shop.yml").assert_outcomes(passed=2)


def test_a_vector_is_loaded_by_its_id(repo: Repo) -> None:
    repo.write(
        "tests/test_app.py",
        """
import pytest
from lumyn.errors import InvalidVectorError
from lumyn.vectors import run

FILE = "vectors/shop/refund.yml"

def test_row(lumyn_vector):
    vector = lumyn_vector(f"{FILE}::limit[over_limit]")
    assert vector.row == "over_limit"
    assert run(vector).outcome == "passed"

def test_unknown(lumyn_vector):
    with pytest.raises(LookupError, match="no vector `limit` in .*; it has small, .*limit.at_limit., "):
        lumyn_vector(f"{FILE}::limit")

def test_unreadable(lumyn_vector):
    with pytest.raises(InvalidVectorError, match="PATH_NOT_FOUND"):
        lumyn_vector("vectors/none.yml::small")

def test_outside(lumyn_vector):
    with pytest.raises(InvalidVectorError, match="PATH_OUTSIDE_ROOT"):
        lumyn_vector("../refund.yml::small")
""",
    )
    repo.run_pytest(cwd="tests").assert_outcomes(passed=4)


def test_listing_fixtures_imports_nothing_of_lumyn(repo: Repo) -> None:
    repo.write(
        "conftest.py",
        "import sys\n\ndef pytest_unconfigure(config):\n    print('LUMYN', 'lumyn' in sys.modules)\n",
    )
    run = repo.run_pytest("--fixtures", own_process=True)
    for fixture in ("lumyn_gate", "lumyn_memory", "lumyn_vector"):  # pytest sorts them as text, by file and line
        run.match(f"{fixture} -- *", "LUMYN False")


@pytest.mark.parametrize("option", ["--fixtures", "--help", "--markers"])
def test_pytest_documents_what_the_plugin_adds(repo: Repo, option: str) -> None:
    expected = {
        "--fixtures": ["lumyn_gate*", "*A fresh gate on a temporary store*"],
        "--help": ["--lumyn-vectors *", "--no-lumyn-vectors *", "--lumyn-path=DIR *", "lumyn_min_vectors (int)*"],
        "--markers": ["@pytest.mark.lumyn(tag=*"],
    }
    repo.run_pytest(option).match(*expected[option])
