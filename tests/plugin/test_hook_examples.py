"""The example in each hook specification works, in the repository it is written for."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable

import pytest
from plugin.shop import PASSING, POLICY, VECTORS

from lumyn.testing import Repo, Run
from pytest_lumyn import hookspecs

FILE = "vectors/shop/refund.yml"
BEFORE = """
import csv, json, types
from pathlib import Path

def suite_from_rows(rows):
    request = {"action": {"type": "support.refund", "intent": "x", "amount": {"value": 5, "currency": "USD"}},
               "evidence": {"ticket_id": "T", "risk": 0.1}}
    return {"schema_version": "vector.v0", "policy": "policies/shop.yml", "clock": "2026-01-15T12:00:00Z",
            "vectors": [{"name": row["name"], "request": request,
                         "expect": {"verdict": row["verdict"], "reason_codes": ["REFUND_SMALL"]}} for row in rows]}

KNOWN_FRAUD = [types.SimpleNamespace(id="INC-1", request={
    "schema_version": "decision_request.v0", "subject": {"type": "agent", "id": "a"},
    "action": {"type": "support.refund", "intent": "x", "amount": {"value": 12, "currency": "USD"}},
    "evidence": {"ticket_id": "ZD-1", "risk": 0.1},
    "context": {"mode": "digest_only", "digest": "sha256:" + "0" * 64}})]
allure = types.SimpleNamespace(attach=lambda text, name: print("ATTACHED", name, json.loads(text)["summary"]))

"""
EXTRA = {
    "pytest_lumyn_load_suite": {"vectors/cases.csv": "name,verdict\na,TRUST\nb,TRUST\n"},
    "pytest_lumyn_policy": {
        "vectors/eu/refund.yml": VECTORS.replace("policies/shop.yml", "policies/none.yml"),
        "policies/eu.yml": POLICY,
    },
    "pytest_lumyn_drift": {FILE: VECTORS.replace("{verdict: TRUST", "{verdict: ESCALATE", 1)},
}


def passes(count: int) -> Callable[[Repo, Run], None]:
    def check(repo: Repo, run: Run) -> None:
        run.assert_outcomes(passed=count)

    return check


def fails(text: str) -> Callable[[Repo, Run], None]:
    def check(repo: Repo, run: Run) -> None:
        assert 1 == run.exit_code, run.text
        run.match(text)

    return check


def reported(repo: Repo, run: Run) -> None:
    assert f'"nodeid": "{FILE}::small"' in repo.read("vectors.json")


def edited(repo: Repo, run: Run) -> None:
    """The shop's rules do not read roles, so the edit shows in the records only."""
    run.assert_outcomes(passed=PASSING)
    assert run.text.count("ROLES ['support']") >= PASSING


SHOWN: dict[str, Callable[[Repo, Run], None]] = {
    "pytest_lumyn_load_suite": passes(PASSING + 2),
    "pytest_lumyn_policy": passes(2 * PASSING),
    "pytest_lumyn_seed_memory": fails("*small*verdict TRUST -> ESCALATE*"),
    "pytest_lumyn_request": edited,
    "pytest_lumyn_compare": fails("*an escalation without an obligation*"),
    "pytest_lumyn_drift": fails("*ATTACHED lumyn drift verdict ESCALATE -> TRUST*"),
    "pytest_lumyn_report": reported,
}


def example(name: str) -> str:
    text = inspect.getdoc(getattr(hookspecs, name)) or ""
    lines = text[text.index("    def ") :].splitlines()
    return textwrap.dedent("\n".join(lines))


def test_every_hook_has_an_example() -> None:
    assert set(SHOWN) == set(hookspecs.__all__)


@pytest.mark.parametrize("name", SHOWN)
def test_the_example_of_a_hook_does_what_it_says(make_repo: Callable[..., Repo], name: str) -> None:
    after = ""
    if name == "pytest_lumyn_request":
        after = "\ndef pytest_lumyn_compare(item, expected, record):\n"
        after += "    print('ROLES', record.to_dict()['request']['subject'].get('roles'))\n"
    conftest = f"{BEFORE}{example(name)}{after}"
    ini = "[pytest]\nlumyn_patterns = *.csv\n" if name == "pytest_lumyn_load_suite" else "[pytest]\n"
    repo = make_repo({"conftest.py": conftest, "pytest.ini": ini, **EXTRA.get(name, {})})
    SHOWN[name](repo, repo.run_pytest("--lumyn-vectors", "-s"))
