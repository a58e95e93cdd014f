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


def options(*names: str) -> list[str]:
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
    run = repo.run_pytest("--lumyn-vectors", *options(*present), *cache, autoload=True, own_process=True)
    run.assert_outcomes(passed=PASSING, failed=1)
    run.match(f"FAILED *{FILE}::limit[[]at_limit] - verdict ESCALATE -> TRUST *".replace("[[]", "["))
    run.no_match("*INTERNALERROR*", "*Traceback*")
