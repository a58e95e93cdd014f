"""Beside the plugins a repository is likely to have: all of them that are installed here, at once."""

from __future__ import annotations

import importlib.util

import pytest
from plugin.shop import PASSING, POLICY, PYTHON_TEST

from lumyn.testing import Repo

FILE = "vectors/shop/refund.yml"
NEIGHBOURS = {
    "xdist": ("-n2",),
    "pytest_cov": ("--cov=app", "--cov-report="),
    "pytest_randomly": ("-p", "randomly"),
    "pytest_benchmark": ("--benchmark-disable",),
}
HERE = [name for name in NEIGHBOURS if importlib.util.find_spec(name) is not None]


def options_of(*names: str) -> list[str]:
    return [option for name in names if name != "pytest_randomly" for option in NEIGHBOURS[name]]


@pytest.mark.parametrize("names", [*([name] for name in NEIGHBOURS), list(NEIGHBOURS)], ids="+".join)
@pytest.mark.parametrize("cache", [(), ("-p", "no:cacheprovider")], ids=["cache", "no cache"])
def test_neighbours_change_nothing(repo: Repo, names: list[str], cache: tuple[str, ...]) -> None:
    present = [name for name in names if name in HERE]
    if not present:
        pytest.skip(f"{names[0]} is not installed")
    repo.write("app.py", "def f():\n    return 1\n")
    repo.write("test_app.py", f"import app\n{PYTHON_TEST}")
    repo.write("policies/shop.yml", POLICY.replace("trust_up_to_usd: 25", "trust_up_to_usd: 200"))
    run = repo.run_pytest("--lumyn-vectors", *options_of(*present), *cache, autoload=True, own_process=True)
    run.assert_outcomes(passed=PASSING, failed=1)
    run.match(f"FAILED *{FILE}::limit[[]at_limit] - verdict ESCALATE -> TRUST *".replace("[[]", "["))
    run.no_match("*INTERNALERROR*", "*Traceback*")


@pytest.mark.parametrize(
    "options",
    [
        ("-p", "no:terminal"),
        ("-p", "no:logging"),
        ("--assert=plain", "--import-mode=importlib"),
        ("-W", "error", "--strict-markers", "--strict-config", "-o", "xfail_strict=true"),
    ],
    ids=" ".join,
)
def test_strict_and_stripped_down_runs_beside_all_neighbours(repo: Repo, options: tuple[str, ...]) -> None:
    if len(HERE) < len(NEIGHBOURS):
        pytest.skip("not all neighbours are installed")
    if pytest.version_tuple >= (9, 0):
        repo.write("pytest.ini", "[pytest]\nstrict = true\n")
    repo.replace("policies/shop.yml", "trust_up_to_usd: 25", "trust_up_to_usd: 200")
    chosen = [name for name in HERE if name != "pytest_cov"]
    run = repo.run_pytest("--lumyn-vectors", *options_of(*chosen), *options, autoload=True, own_process=True)
    assert 1 == run.exit_code, run.text
    if "no:terminal" not in options:
        run.assert_outcomes(passed=PASSING - 1, failed=1)
    run.no_match("*INTERNALERROR*", "*Traceback*", "*Warning*")
    repo.write("policies/shop.yml", POLICY)
    run = repo.run_pytest("--lumyn-vectors", *options_of(*chosen), *options, autoload=True, own_process=True)
    assert 0 == run.exit_code, run.text
