"""`--lumyn-policy` and ini `lumyn_policy` run the same vectors against another policy."""

from __future__ import annotations

import pytest
from plugin.shop import PASSING, POLICY

from lumyn.testing import Repo

LOOSER = POLICY.replace("trust_up_to_usd: 25", "trust_up_to_usd: 200").replace('"1.0.0"', '"1.1.0"')


@pytest.fixture
def candidate(repo: Repo) -> Repo:
    repo.write("candidates/looser.yml", LOOSER)
    return repo


def test_the_option_replaces_the_policy_each_file_names(candidate: Repo) -> None:
    """The question of a pull request: what would this edit change?"""
    run = candidate.run_pytest("--lumyn-vectors", "--lumyn-policy=candidates/looser.yml")
    run.assert_outcomes(passed=PASSING - 1, failed=1)
    run.match(
        "lumyn: vectors in vectors; policy shop 1.1.0 sha256:*",
        "decided by *R050 (TRUST_PATHS) candidates/looser.yml:37 *",
        'rerun *pytest "vectors/shop/refund.yml::limit[at_limit]" --lumyn-vectors '
        '--lumyn-policy="candidates/looser.yml"',
    )
    candidate.run_pytest("--lumyn-vectors").assert_outcomes(passed=PASSING)


def test_the_option_is_relative_to_the_working_directory(candidate: Repo) -> None:
    run = candidate.run_pytest("--lumyn-vectors", "--lumyn-policy", "looser.yml", cwd="candidates")
    run.assert_outcomes(passed=PASSING - 1, failed=1)
    run.match('*pytest "../vectors/shop/refund.yml::limit[at_limit]" --lumyn-vectors --lumyn-policy="looser.yml"')


def test_the_ini_key_is_relative_to_the_rootdir_and_weaker_than_the_option(candidate: Repo) -> None:
    candidate.write("pytest.ini", "[pytest]\nlumyn_policy = candidates/looser.yml\n")
    run = candidate.run_pytest("--lumyn-vectors", cwd="candidates")
    run.assert_outcomes(passed=PASSING - 1, failed=1)
    candidate.run_pytest("--lumyn-vectors", "--lumyn-policy=policies/shop.yml").assert_outcomes(passed=PASSING)


def test_a_code_that_only_the_candidate_lacks_is_drift_not_an_error(candidate: Repo) -> None:
    """Renaming a reason code turns the vectors that expect it red, by name."""
    candidate.write("candidates/renamed.yml", POLICY.replace("REFUND_OVER_LIMIT", "REFUND_TOO_LARGE"))
    run = candidate.run_pytest("--lumyn-vectors", "--lumyn-policy=candidates/renamed.yml")
    run.assert_outcomes(passed=PASSING - 1, failed=1)
    run.match("*reason_codes -REFUND_OVER_LIMIT +REFUND_TOO_LARGE")


@pytest.mark.parametrize("name", ["policies/shpo.yml", "policies", ""])
def test_a_policy_that_is_no_file_is_a_usage_error(repo: Repo, name: str) -> None:
    run = repo.run_pytest("--lumyn-vectors", f"--lumyn-policy={name}")
    assert 4 == run.exit_code
    run.match("ERROR: lumyn: --lumyn-policy*")


def test_a_policy_that_is_not_valid_is_a_usage_error_with_every_problem(repo: Repo) -> None:
    repo.write("policies/next.yml", POLICY.replace("verdict: TRUST", "verdict: TRSUT").replace("risk_gte", "risk_gtee"))
    run = repo.run_pytest("--lumyn-vectors", "--lumyn-policy=policies/next.yml")
    assert 4 == run.exit_code
    run.match("ERROR: lumyn: invalid policy: *", "*policies/next.yml:25:*", "*policies/next.yml:41:*TRSUT*")


def test_workers_use_the_policy_too(candidate: Repo) -> None:
    pytest.importorskip("xdist")
    options = ("--lumyn-vectors", "--lumyn-policy=candidates/looser.yml", "-p", "xdist", "-n1")
    candidate.run_pytest(*options, own_process=True).assert_outcomes(passed=PASSING - 1, failed=1)
