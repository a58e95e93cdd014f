"""Vectors that something takes out of a run after they were collected: never without a word."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from plugin.shop import PASSING

from lumyn.testing import Repo

MakeRepo = Callable[..., Repo]
FILE = "vectors/shop/refund.yml"
PYTHON_TEST = "def test_python():\n    pass\n"
DROPS_ALL = (
    "def pytest_collection_modifyitems(items):\n    items[:] = [each for each in items if hasattr(each, 'obj')]\n"
)
DROPS_ONE = (
    "def pytest_collection_modifyitems(items):\n    items[:] = [each for each in items if each.name != 'small']\n"
)


@pytest.mark.parametrize("workers", [(), ("-p", "xdist", "-n1")], ids=["alone", "workers"])
def test_vectors_that_somebody_drops_after_collection_are_told(make_repo: MakeRepo, workers: tuple[str, ...]) -> None:
    """A conftest.py that keeps Python tests only makes a green run of no vector; pytest has no word for it."""
    repo = make_repo({"conftest.py": DROPS_ALL, "tests/test_app.py": PYTHON_TEST})
    run = repo.run_pytest("--lumyn-vectors", *workers, own_process=bool(workers))
    assert 4 == run.exit_code, run.text
    run.match(f"ERROR: lumyn: {PASSING} vectors taken out of this run, first {FILE}::*, and no vector is left; *")
    repo.write("conftest.py", DROPS_ONE)
    run = repo.run_pytest("--lumyn-vectors", *workers, own_process=bool(workers))
    assert 0 == run.exit_code, run.text
    run.match(f"lumyn: 1 vector taken out of this run, first {FILE}::small: a conftest.py or a plugin *")
    run = repo.run_pytest("--lumyn-vectors", "--lumyn-strict", *workers, own_process=bool(workers))
    assert 1 == run.exit_code, run.text
    run.match(f"FAILED lumyn gate: 1 vector taken out of this run, first {FILE}::small: *")


def test_vectors_that_were_deselected_are_not_told(make_repo: MakeRepo) -> None:
    repo = make_repo({"conftest.py": DROPS_ONE, "tests/test_app.py": PYTHON_TEST})
    assert 0 == repo.run_pytest("--lumyn-vectors", "-k", "test_python").exit_code  # of all, only one is not said
    repo.write("conftest.py", DROPS_ALL)
    repo.run_pytest("--lumyn-vectors", "--lumyn-allow-empty").assert_outcomes(passed=1)
    (repo.path / "conftest.py").unlink()
    run = repo.run_pytest("--lumyn-vectors", "--lumyn-strict", "-k", "limit", f"--deselect={FILE}::small")
    assert 0 == run.exit_code, run.text
    run.no_match("*taken out*")
