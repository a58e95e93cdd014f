"""`-v` prints the verdict beside the outcome; counts, letters and other tests stay as pytest has them."""

from __future__ import annotations

from plugin.shop import PYTHON_TEST

from lumyn.testing import Repo

WORKERS = ("-p", "xdist", "-n2")
FILE = "vectors/shop/refund.yml"


def test_the_verdict_stands_beside_passed(repo: Repo) -> None:
    """For a vector, a row, and a scenario, whose last decision speaks; a Python test has none."""
    repo.write("test_python.py", PYTHON_TEST)
    run = repo.run_pytest("--lumyn-vectors", "-v", ".")
    run.assert_outcomes(passed=6)
    run.match(
        "test_python.py::test_python PASSED *",
        f"{FILE}::small PASSED TRUST *",
        f"{FILE}::limit[over_limit] PASSED ESCALATE *",
        f"{FILE}::compounding PASSED ESCALATE *",
    )


def test_a_failure_keeps_its_word(repo: Repo) -> None:
    """`FAILED` is followed by the node id, so that it can be copied; its text says what came. Workers agree."""
    repo.replace("policies/shop.yml", "trust_up_to_usd: 25", "trust_up_to_usd: 200")
    run = repo.run_pytest("--lumyn-vectors", "-v")
    run.match(f"{FILE}::limit[at_limit] FAILED *", f"FAILED {FILE}::limit[at_limit] - verdict ESCALATE -> TRUST *")
    run = repo.run_pytest("--lumyn-vectors", "-v", *WORKERS, own_process=True)
    run.assert_outcomes(passed=4, failed=1)
    assert any("PASSED TRUST" in line and f"{FILE}::small" in line for line in run.lines)


def test_a_passing_error_is_named(repo: Repo) -> None:
    """A vector that expects a request to be refused prints the reason code."""
    repo.replace(
        FILE,
        "  - name: like_a_known_fraud\n",
        "  - name: refused\n    request: {$use: refund, $with: {action.amount.value: -1}}\n"
        "    expect: {error: INVALID_REQUEST_SCHEMA}\n  - name: like_a_known_fraud\n",
    )
    run = repo.run_pytest("--lumyn-vectors", "-v")
    run.match(f"{FILE}::refused PASSED INVALID_REQUEST_SCHEMA *")


def test_excused_and_skipped_vectors_keep_their_words(repo: Repo) -> None:
    """XFAIL and SKIPPED say more than a verdict would."""
    repo.replace("policies/shop.yml", "trust_up_to_usd: 25", "trust_up_to_usd: 0")
    repo.replace(FILE, "  - name: small\n", "  - name: small\n    xfail: {reason: being discussed}\n")
    repo.replace(FILE, "  - name: like_a_known_fraud\n", "  - name: like_a_known_fraud\n    skip: not now\n")
    run = repo.run_pytest("--lumyn-vectors", "-v")
    run.match(f"{FILE}::small XFAIL *", f"{FILE}::like_a_known_fraud SKIPPED *")


def test_without_v_nothing_changes(repo: Repo) -> None:
    """One letter a vector."""
    run = repo.run_pytest("--lumyn-vectors")
    run.match(f"{FILE} ..... *")
    run.no_match("*TRUST*")
