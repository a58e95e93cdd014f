"""The example application gates its own build with the built wheel, in a clean environment, away from the checkout."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest
from installations import Installation, run, succeed

ROOT = Path(__file__).resolve().parents[2]
APP = ROOT / "examples" / "app"

pytestmark = [pytest.mark.packaging, pytest.mark.slow, pytest.mark.xdist_group("packaging")]


@pytest.fixture(scope="module")
def environment(distributions: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """A clean environment that holds the wheel and what it depends on, pytest among them."""
    home, away = tmp_path_factory.mktemp("venv-app"), tmp_path_factory.mktemp("away")
    succeed(sys.executable, "-m", "venv", home, cwd=away)
    made = Installation("wheel", home)
    succeed(made.python, "-m", "pip", "install", "--quiet", "--no-compile", distributions["wheel"], cwd=away)
    return made


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A copy of the application, as in a repository of its own."""
    return Path(shutil.copytree(APP, tmp_path / "shop", ignore=shutil.ignore_patterns("__pycache__", ".*_cache")))


def counts(printed: str) -> dict[str, int]:
    """Return the numbers of pytest's last line."""
    return {noun: int(count) for count, noun in re.findall(r"(\d+) (passed|failed|error)", printed.splitlines()[-1])}


def test_the_application_uses_the_installed_wheel(environment: Installation, app: Path) -> None:
    """Nothing in these tests reaches the checkout the test suite runs from."""
    assert Path(environment.evaluate("lumyn.__file__", cwd=app)).is_relative_to(environment.home)


def test_vectors_scenarios_and_tests_of_the_application_pass(environment: Installation, app: Path) -> None:
    """`pytest --lumyn-vectors` runs the vectors, the scenarios beside the tests, and the tests."""
    printed = succeed(environment.bin / "pytest", "--lumyn-vectors", "-v", "--color=no", cwd=app)
    assert "vectors/refund.yaml::amount[at_trust_limit] PASSED" in printed
    assert "vectors/incidents.json::like_the_empty_box PASSED" in printed
    assert "tests/refund_journey.lumyn.yml::chargeback_teaches_the_agent PASSED" in printed
    assert "tests/test_refunds.py::test_a_small_refund_is_paid_as_decided PASSED" in printed
    assert {"passed"} == set(counts(printed))


def test_a_raised_limit_turns_the_build_red(environment: Installation, app: Path) -> None:
    """The vectors at the limit fail, and the run says which ones and what came out."""
    policy = app / "policies" / "shop.yml"
    text = policy.read_text(encoding="utf-8")
    assert 1 == text.count("trust_max_usd: 40\n")
    policy.write_text(text.replace("trust_max_usd: 40\n", "trust_max_usd: 90\n"), encoding="utf-8")
    done = run(environment.bin / "pytest", "--lumyn-vectors", "--color=no", cwd=app)
    assert 1 == done.returncode, done.stdout + done.stderr
    assert 2 == counts(done.stdout)["failed"]
    for vector in ("amount[over_trust_limit]", "euro[over_trust_limit]"):
        assert f"FAILED vectors/refund.yaml::{vector}" in done.stdout
    for word in ("ESCALATE", "TRUST", "NO_MATCH_DEFAULT_ESCALATE", "SHOP_REFUND_SMALL", "TRUST_SMALL"):
        assert word in done.stdout


def test_lost_vectors_turn_the_build_red(environment: Installation, app: Path) -> None:
    """A folder of vectors that is gone is never a passing run."""
    shutil.rmtree(app / "vectors")
    done = run(environment.bin / "pytest", "--color=no", cwd=app)
    assert 0 != done.returncode
    assert "lumyn: 2 vectors found, at least 20 are due" in done.stdout + done.stderr


def test_the_application_runs(environment: Installation, app: Path) -> None:
    """Outside of tests, `lumyn.decide` finds policy and store through the application's configuration."""
    script = """
from lumyn import Gate
from shop_agent.refunds import RefundTool

class Shop:
    def refund(self, **payment): print("paid", payment["amount"], payment["currency"])
    def ask(self, **question): print("asked", *question["reasons"])
    def of_order(self, order_id): return {"order_refunded_before": False, "fraud_score": 0.1}

tool = RefundTool(payments=Shop(), approvals=Shop(), signals=Shop())
refund = dict(ticket_id="T-1", currency="USD", reason="damaged")
print(tool(order_id="A-1", amount="25.00", **refund).status)
with Gate.open(policy="policies/shop.yml", store=".lumyn/lumyn.db", create=True) as gate: gate.store.check()
print(tool(order_id="A-1", amount="25.00", **refund).status)
print(tool(order_id="A-2", amount="180.00", **refund).status)
"""
    (app / ".lumyn").mkdir()
    printed = succeed(environment.python, "-W", "error", "-c", script, cwd=app).splitlines()
    assert ["refused", "paid 25.00 USD", "paid", "asked SHOP_REFUND_LARGE", "needs approval"] == printed
