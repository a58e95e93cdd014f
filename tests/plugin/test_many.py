"""What the plugin does for a thousand vectors and more leaves nothing behind, and no hook out."""

from __future__ import annotations

import gc
from collections.abc import Callable

import pytest
from plugin.shop import VECTORS

from lumyn.testing import Repo

SPY = """
import gc

def pytest_sessionfinish(session):
    print("FROZEN", gc.get_freeze_count() > 0)
"""

AT_EXIT = """
import atexit, gc
import pytest_lumyn.garbage

pytest_lumyn.garbage.MANY = 5
atexit.register(lambda: print("AT EXIT", gc.get_freeze_count() > 0))
"""

INNER = """
def pytest_runtest_setup(item):
    print("INNER", item.name)
"""


def test_the_collector_is_spared_while_items_run_and_gets_all_back(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frozen objects are never freed: in a process that runs pytest again and again they would pile up."""
    gc.unfreeze()  # what the interpreter or an earlier test may have frozen
    repo.write("conftest.py", SPY)
    assert "FROZEN False" in repo.run_pytest("--lumyn-vectors", "-s").text
    monkeypatch.setattr("pytest_lumyn.garbage.MANY", 5)
    run = repo.run_pytest("--lumyn-vectors", "-s")
    run.assert_outcomes(passed=5)
    assert "FROZEN True" in run.text
    assert 0 == gc.get_freeze_count()


@pytest.mark.parametrize(("extra", "frozen"), [({}, True), ({"vectors/test_own.py": "def test_own(): pass"}, False)])
def test_the_end_of_the_interpreter_walks_no_vectors(
    make_repo: Callable[..., Repo], extra: dict[str, str], frozen: bool
) -> None:
    """Where nothing but vectors ran. What other tests leave behind is finalized as ever."""
    repo = make_repo({"vectors/one.yml": VECTORS, "conftest.py": AT_EXIT, **extra})
    run = repo.run_pytest("--lumyn-vectors", "-s", "vectors", own_process=True)
    assert 0 == run.exit_code
    assert f"AT EXIT {frozen}" in run.text


def test_hooks_of_a_folder_hold_for_the_vectors_in_it_and_for_no_others(make_repo: Callable[..., Repo]) -> None:
    """The hooks of a file are looked up once for all of its vectors."""
    repo = make_repo({"vectors/a/one.yml": VECTORS, "vectors/b/two.yml": VECTORS, "vectors/b/conftest.py": INNER})
    text = repo.run_pytest("--lumyn-vectors", "-s", "vectors/a", "vectors/b").text
    assert 5 == text.count("INNER ")


def test_items_say_where_they_are(repo: Repo) -> None:
    """The path is found once for a file; line and name are each vector's own."""
    repo.write("conftest.py", "def pytest_runtest_logstart(nodeid, location):\n    print('AT', *location)\n")
    text = repo.run_pytest("--lumyn-vectors", "-s").text
    places = [line.partition("AT ")[2] for line in text.splitlines() if "AT vectors" in line]
    assert 5 == len(set(places)) == len(places)
    assert all(place.startswith("vectors/shop/refund.yml ") for place in places)
