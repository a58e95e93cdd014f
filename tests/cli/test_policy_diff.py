"""`lumyn policy diff`: what is printed, what fails, and policies out of git."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from cli.harness import Lumyn

POLICY = "policies/support.yml"
VECTORS = "vectors/support.yml"


@pytest.fixture
def changed(workspace: Path) -> Path:
    """A workspace with a second policy beside the first, its refund limit raised."""
    text = (workspace / POLICY).read_text(encoding="utf-8")
    assert 1 == text.count("refund_trust_max_usd: 25")
    (workspace / "new.yml").write_text(text.replace("refund_trust_max_usd: 25", "refund_trust_max_usd: 40"))
    return workspace


def test_a_higher_limit_is_shown(lumyn: Lumyn, changed: Path) -> None:
    """The kind of change, the rule, a request and its verdicts; new paths to TRUST first."""
    result = lumyn("policy", "diff", POLICY, "new.yml")
    lines = result.out.splitlines()
    assert 0 == result.code
    assert "kinds of requests are decided differently, 7 actions compared" in lines[0]
    assert lines[1].startswith("new TRUST         R310  support.refund ")
    assert lines[1].endswith(": ESCALATE -> TRUST")


def test_the_same_policy_is_no_change(lumyn: Lumyn, workspace: Path) -> None:
    """And the answer says that this holds for every request."""
    result = lumyn("policy", "diff", POLICY, POLICY, "--fail-on", "any")
    assert (0, True) == (result.code, result.out.startswith("no change: every request is decided alike"))


@pytest.mark.parametrize("kind", ["new-trust", "looser", "any"])
def test_fail_on(lumyn: Lumyn, changed: Path, kind: str) -> None:
    """Each gate fails on what it names; nothing fails a policy that became stricter but `any` and `uncovered`."""
    assert 1 == lumyn("policy", "diff", POLICY, "new.yml", "--fail-on", kind).code
    stricter = lumyn("policy", "diff", "new.yml", POLICY, "--fail-on", kind)
    assert (1 if kind == "any" else 0) == stricter.code


def test_fail_on_what_no_vector_sees(lumyn: Lumyn, changed: Path) -> None:
    """Vectors that see every change satisfy the gate; without them it fails."""
    (changed / "all.yml").write_text(
        (changed / POLICY).read_text().replace("code: NO_MATCH_DEFAULT_ESCALATE", "code: x")
    )
    assert 1 == lumyn("policy", "diff", POLICY, "new.yml", "--fail-on", "uncovered").code
    seen = lumyn("policy", "diff", POLICY, "new.yml", "--json").data["changes"]
    assert {True, False} >= {bool(change["seen_by"]) for change in seen}


def test_git(lumyn: Lumyn, changed: Path) -> None:
    """A revision is read without touching the working tree, also from a folder below."""
    env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    for arguments in (
        ["init", "-q"],
        ["add", POLICY],
        ["-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "x"],
    ):
        subprocess.run(["git", *arguments], cwd=changed, env=env, check=True)
    assert lumyn("policy", "diff", f"git:HEAD:{POLICY}", POLICY).out.startswith("no change")
    assert 1 == lumyn("policy", "diff", f"git:HEAD:{POLICY}", "new.yml", "--fail-on", "new-trust").code
    missing = lumyn("policy", "diff", "git:HEAD:nope.yml", POLICY)
    assert (5, True) == (missing.code, "`git:HEAD:nope.yml` cannot be read" in missing.err)
    for odd in ("git:HEAD", "git::x", "git:--output=x:y", "git:"):
        assert 3 == lumyn("policy", "diff", odd, POLICY).code


def test_markdown(lumyn: Lumyn, changed: Path) -> None:
    """A table for a pull request; what no vector sees is marked."""
    lines = lumyn("policy", "diff", POLICY, "new.yml", "--markdown").out.splitlines()
    assert "### Policy: `policies/support.yml` to `new.yml`" == lines[0]
    assert any(line.startswith("| **new TRUST** | `R310` | `support.refund ") for line in lines)


def test_json(lumyn: Lumyn, changed: Path) -> None:
    """Each change carries a whole request that anybody can decide."""
    data = lumyn("policy", "diff", POLICY, "new.yml", "--json").data
    first = data["changes"][0]
    assert ("new_trust", "support.refund", "R310") == (first["kind"], first["action"], first["rule"])
    assert ("ESCALATE", "TRUST") == (first["before"]["verdict"], first["after"]["verdict"])
    assert "decision_request.v0" == first["request"]["schema_version"]
    assert (False, []) == (data["empty"], data["unknown"])


def test_an_invalid_policy_is_no_diff(lumyn: Lumyn, workspace: Path) -> None:
    """Exit 3, and nothing on standard output that could be taken for an answer."""
    (workspace / "bad.yml").write_text("schema_version: policy.v0\n")
    result = lumyn("policy", "diff", POLICY, "bad.yml")
    assert (3, "") == (result.code, result.out)
