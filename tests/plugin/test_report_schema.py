"""The JSON report keeps to its published schema whatever came of the run, and says what came of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from plugin.shop import POLICY, VECTORS

from lumyn.testing import Repo

SCHEMA = json.loads((Path(__file__).parents[2] / "schemas" / "vector_report.v0.schema.json").read_text("utf-8"))
FILE = "vectors/shop/refund.yml"
LOOSER = {"policies/shop.yml": POLICY.replace("trust_up_to_usd: 25", "trust_up_to_usd: 200")}
TIGHTER = {"policies/shop.yml": POLICY.replace("trust_up_to_usd: 25", "trust_up_to_usd: 10")}
PROMISES = "invariants:\n  - never: {verdict: TRUST, where: {amount_usd_gt: 25}}\n"
BROKEN = PROMISES + "  - never: {verdict: TRUST, where: {amount_usd_gt: 10}}\n"
PROPOSED = (
    "  - name: what_now\n    status: proposed\n    request: {$use: refund}\n"
    "    expect: {verdict: TRUST, reason_codes: [REFUND_SMALL]}\n"
)
OTHER = POLICY.replace("policy_id: shop", "policy_id: store").replace("id: R0", "id: S0")
INTERRUPTED = """\
import os
import signal


def pytest_lumyn_request(item, request):
    if item.name == "limit[over_limit]":
        os.kill(os.getpid(), signal.SIGINT)
"""


def many(rows: int) -> str:
    """Return a file of vectors that all fail for one cause where more is trusted."""
    head, _, _ = VECTORS.partition("  memory:")
    table = "".join(f"        - [r{row}, {30 + row}, ESCALATE, [NO_MATCH_DEFAULT_ESCALATE]]\n" for row in range(rows))
    return (
        f"{head}vectors:\n  - name: bulk\n    request: {{$use: refund}}\n    table:\n"
        f"      columns: [id, request.action.amount.value, expect.verdict, expect.reason_codes]\n      rows:\n{table}"
    )


def edited(old: str, new: str) -> dict[str, str | None]:
    """Return the vectors with a text in them replaced."""
    assert old in VECTORS
    return {FILE: VECTORS.replace(old, new, 1)}


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What is in the repository beside the usual files, how pytest is called, and what the summary then says."""

    files: Mapping[str, str | None] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    code: int = 0
    says: Mapping[str, Any]
    causes: int = 0
    failures: int = 0
    policies: int = 1
    own_process: bool = False


SITUATIONS = {
    "green": Situation(says={"vectors": 5, "passed": 5, "ok": True, "complete": True}),
    "failing": Situation(files=TIGHTER, code=1, says={"failed": 3, "tighter": 2, "looser": 0, "ok": False}, causes=2),
    "looser": Situation(files=LOOSER, code=1, says={"failed": 1, "looser": 1}, causes=1),
    "strength": Situation(
        options=("--lumyn-coverage", "--lumyn-mutate-max-new-trust=0"),
        code=1,
        says={"failed": 0, "ok": False},
        failures=1,
    ),
    "strength of failing": Situation(
        files=LOOSER,
        options=("--lumyn-coverage", "--lumyn-mutate-max-new-trust=0"),
        code=1,
        says={"looser": 1},
        causes=1,
    ),
    "mass drift": Situation(
        files={**LOOSER, FILE: many(60)}, code=1, says={"vectors": 60, "failed": 60, "looser": 60}, causes=1
    ),
    "allowed to be empty": Situation(
        files={FILE: None}, options=("--lumyn-allow-empty",), code=5, says={"vectors": 0, "ok": False}, policies=0
    ),
    "nothing found": Situation(files={FILE: None}, code=4, says={"vectors": 0, "ok": False}, failures=1, policies=0),
    "deselected": Situation(options=("-k", "limit"), says={"vectors": 2, "passed": 2, "ok": True, "complete": False}),
    "all deselected": Situation(
        options=("-k", "nosuch"), code=5, says={"vectors": 0, "ok": False, "complete": False}, policies=0
    ),
    "unreadable": Situation(
        files={"vectors/shop/torn.yml": "a: [1\n"}, code=2, says={"errors": 1, "ok": False}, policies=0
    ),
    "half unreadable": Situation(
        files={"vectors/shop/torn.yml": "a: [1\n"},
        options=("--continue-on-collection-errors",),
        code=1,
        says={"errors": 1, "passed": 5, "ok": False},
    ),
    "skip": Situation(
        files=edited("  - name: small\n", "  - name: small\n    skip: not yet\n"), says={"skipped": 1, "passed": 4}
    ),
    "xfail": Situation(
        files=LOOSER | edited("  - name: limit\n", "  - name: limit\n    xfail: {reason: known}\n"),
        code=1,
        says={"xfailed": 1, "failed": 1},
        causes=1,
    ),
    "proposed": Situation(files={FILE: VECTORS + PROPOSED}, says={"skipped": 1, "passed": 5, "ok": True}),
    "proposed and strict": Situation(
        files={FILE: VECTORS + PROPOSED},
        options=("--lumyn-strict",),
        code=1,
        says={"skipped": 1, "ok": False},
        failures=1,
    ),
    "two policies": Situation(
        files={
            "policies/store.yml": OTHER,
            "vectors/store.yml": VECTORS.replace("policies/shop.yml", "policies/store.yml"),
        },
        says={"vectors": 10, "passed": 10},
        policies=2,
    ),
    "an error that did not come": Situation(
        files=edited("verdict: TRUST, reason_codes: [REFUND_SMALL]", "error: INVALID_REQUEST_SCHEMA"),
        code=1,
        says={"failed": 1},
        causes=1,
    ),
    "an error in place of a verdict": Situation(
        files=edited(
            "    request: {$use: refund}\n", "    request: {$use: refund, $with: {action.amount.value: -1}}\n"
        ),
        code=1,
        says={"failed": 1},
        causes=1,
    ),
    "first failure": Situation(
        files=TIGHTER,
        options=("-x",),
        code=1,
        says={"vectors": 1, "failed": 1, "complete": False},
        causes=1,
        failures=1,
    ),
    "updated": Situation(
        files=TIGHTER, options=("--lumyn-update=failing",), says={"updated": 3, "failed": 0, "ok": True}
    ),
    "update refused": Situation(
        files=LOOSER, options=("--lumyn-update=failing",), code=1, says={"failed": 1, "looser": 1}, causes=1
    ),
    "invariants": Situation(
        files={"policies/shop.yml": POLICY + PROMISES}, says={"vectors": 5, "passed": 5, "ok": True}
    ),
    "a broken invariant": Situation(
        files={"policies/shop.yml": POLICY + BROKEN}, code=1, says={"vectors": 5, "passed": 5, "ok": False}, failures=1
    ),
    "interrupted": Situation(
        files={"conftest.py": INTERRUPTED}, code=2, says={"complete": False, "ok": False}, failures=1, own_process=True
    ),
}


@pytest.mark.parametrize("name", SITUATIONS)
def test_the_report_keeps_to_its_schema(make_repo: Callable[..., Repo], name: str) -> None:
    """And no situation is another one than its name says: exit code, counts, causes and failures are as due."""
    due = SITUATIONS[name]
    repo = make_repo(dict(due.files))
    run = repo.run_pytest("--lumyn-vectors", *due.options, "--lumyn-report=r.json", own_process=due.own_process)
    assert due.code == run.exit_code, run.text
    content = json.loads(repo.read("r.json"))
    problems = Draft202012Validator(SCHEMA).iter_errors(content)
    assert [] == [f"{problem.json_path}: {problem.message}" for problem in problems]
    assert due.says == {key: content["summary"].get(key) for key in due.says}
    counts = {"causes": due.causes, "failures": due.failures, "policies": due.policies}
    assert counts == {key: len(content[key]) for key in counts}
