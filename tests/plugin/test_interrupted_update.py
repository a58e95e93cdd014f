"""Ctrl-C while changes are proved or written: a line instead of a traceback, and files that are whole."""

from __future__ import annotations

import pytest
from plugin.shop import POLICY

from lumyn.testing import Repo

FILE = "vectors/shop/refund.yml"
LATE = """
import pytest_lumyn.{module} as there

def interrupted(*arguments, **named):
    raise KeyboardInterrupt

there.{name} = interrupted
"""


@pytest.mark.parametrize(("module", "name"), [("update", "rewrite"), ("proposing", "propose")])
def test_an_update_that_is_interrupted_says_so(repo: Repo, module: str, name: str) -> None:
    repo.replace("policies/shop.yml", "trust_up_to_usd: 25", "trust_up_to_usd: 200")
    repo.write("conftest.py", LATE.format(module=module, name=name))
    run = repo.run_pytest("--lumyn-vectors", "--lumyn-update=failing", "--lumyn-accept-looser", own_process=True)
    assert 2 == run.exit_code
    assert "lumyn: the update was interrupted: a file has all of its changes or none; run it again" in run.text
    assert () == run.changed
    run.no_match("*Traceback*")


def test_a_refusal_without_a_transition_is_labelled(repo: Repo) -> None:
    repo.write("policies/shop.yml", POLICY.replace("trust_up_to_usd: 25", "trust_up_to_usd: 200"))
    run = repo.run_pytest("--lumyn-vectors", "--lumyn-update=new")
    run.match("drift     1  (refused, --lumyn-update=new leaves it alone)")
