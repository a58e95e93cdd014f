"""`lumyn vectors run`: the same vectors as under pytest, and red for drift, for what cannot run, and for nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cli.harness import Lumyn

SINGLE = """\
schema_version: vector.v0
policy: policies/support.yml
clock: "2026-01-15T12:00:00Z"
name: {name}
request: {{action: {{type: support.update_ticket, intent: x}}, evidence: {{ticket_id: T-1}}}}
expect: {{verdict: {verdict}, reason_codes: [{code}]}}
{more}
"""


def single(
    folder: Path, name: str, *, verdict: str = "TRUST", code: str = "UPDATE_TICKET_TICKET_GIVEN", more: str = ""
) -> None:
    """Write a file of one vector, which passes unless told otherwise."""
    text = SINGLE.format(name=name, verdict=verdict, code=code, more=more)
    (folder / "vectors" / f"{name}.yml").write_text(text)


def change(path: Path, old: str, new: str) -> None:
    """Replace text that must be there."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_all_pass(lumyn: Lumyn, workspace: Path) -> None:
    result = lumyn("vectors", "run")
    assert (0, "19 vectors: 19 passed\n", "") == (result.code, result.out, result.err)


def test_drift_is_exit_1_and_says_where_what_and_why(lumyn: Lumyn, workspace: Path) -> None:
    change(workspace / "policies" / "support.yml", "refund_trust_max_usd: 25", "refund_trust_max_usd: 25.01")
    result = lumyn("vectors", "run")
    assert 1 == result.code
    assert re.search(r"vectors/support\.yml:\d+ amount\[past_trust_limit\]", result.out)
    assert "ESCALATE -> TRUST" in result.out
    assert "decided by" in result.out
    assert "R310" in result.out
    assert "19 vectors: 18 passed, 1 failed" == result.out.splitlines()[-1]


def test_json(lumyn: Lumyn, workspace: Path) -> None:
    change(workspace / "policies" / "support.yml", "refund_trust_max_usd: 25", "refund_trust_max_usd: 25.01")
    data = lumyn("vectors", "run", "--json").data
    assert ["schema", "counts", "vectors", "problems"] == list(data)
    assert "lumyn.cli.vectors_run.v0" == data["schema"]
    assert {"passed": 18, "failed": 1, "invalid": 0, "skipped": 0, "xfailed": 0} == data["counts"]
    (failed,) = [vector for vector in data["vectors"] if vector["outcome"] == "failed"]
    assert ("vectors/support.yml::amount[past_trust_limit]", "TRUST") == (failed["id"], failed["verdict"])
    assert "verdict" in [drift["kind"] for drift in failed["drifts"]]
    assert [] == data["problems"]


def test_another_policy_in_place_of_the_named_one(lumyn: Lumyn, workspace: Path) -> None:
    text = (workspace / "policies" / "support.yml").read_text()
    (workspace / "candidate.yml").write_text(text.replace("refund_trust_max_usd: 25", "refund_trust_max_usd: 30"))
    assert 1 == lumyn("vectors", "run", "--policy", "candidate.yml").code
    assert 0 == lumyn("vectors", "run", "--policy", "policies/support.yml").code
    assert 3 == lumyn("vectors", "run", "--policy", "missing.yml").code


def test_paths_choose_what_runs_from_any_folder(lumyn: Lumyn, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    single(workspace, "one")
    assert "20 vectors" in lumyn("vectors", "run").out
    assert "1 vector: 1 passed\n" == lumyn("vectors", "run", "vectors/one.yml").out
    monkeypatch.chdir(workspace / "vectors")
    assert "1 vector: 1 passed\n" == lumyn("vectors", "run", "one.yml").out
    assert "20 vectors" in lumyn("vectors", "run").out


def test_a_broken_file_is_exit_3_with_its_place_and_the_others_still_run(lumyn: Lumyn, workspace: Path) -> None:
    single(workspace, "one", more="expct: {}")
    result = lumyn("vectors", "run")
    assert 3 == result.code
    assert "error: vectors/one.yml:7:1: unknown key `expct` [FIELD_UNKNOWN]" in result.out
    assert "19 vectors and 1 unusable file: 19 passed" in result.out
    assert ["FIELD_UNKNOWN"] == [problem["code"] for problem in lumyn("vectors", "run", "--json").data["problems"]]


def test_a_vector_that_cannot_fail_is_exit_3(lumyn: Lumyn, workspace: Path) -> None:
    single(workspace, "one", code="NO_RULE_EMITS_THIS")
    result = lumyn("vectors", "run", "vectors/one.yml")
    assert 3 == result.code
    assert "NO_RULE_EMITS_THIS" in result.out


def test_skip_and_xfail_count_as_written_and_xfail_is_strict(lumyn: Lumyn, workspace: Path) -> None:
    (workspace / "vectors" / "support.yml").unlink()
    single(workspace, "skipped", more="skip: not yet")
    single(workspace, "known", verdict="ESCALATE", code="NO_MATCH_DEFAULT_ESCALATE", more="xfail: {reason: known}")
    result = lumyn("vectors", "run")
    assert (0, "2 vectors: 1 skipped, 1 xfailed\n") == (result.code, result.out)
    single(workspace, "unexpected", more="xfail: {reason: known}")
    result = lumyn("vectors", "run")
    assert 1 == result.code
    assert "expected to fail, and passes" in result.out
    single(
        workspace,
        "late",
        verdict="ESCALATE",
        code="NO_MATCH_DEFAULT_ESCALATE",
        more='xfail: {reason: known, until: "2020-01-01"}',
    )
    assert "which has passed" in lumyn("vectors", "run", "vectors/late.yml").out


def test_nothing_to_run_is_never_green(lumyn: Lumyn, workspace: Path) -> None:
    assert 5 == lumyn("vectors", "run", "vectrs").code
    (workspace / "vectors" / "support.yml").unlink()
    result = lumyn("vectors", "run")
    assert 5 == result.code
    assert "VECTORS_EMPTY" in result.err


def test_a_path_outside_the_workspace_is_refused(lumyn: Lumyn, workspace: Path) -> None:
    result = lumyn("vectors", "run", "/etc")
    assert 3 == result.code
    assert "PATH_OUTSIDE_ROOT" in result.err


def test_a_path_no_file_system_takes_is_refused(lumyn: Lumyn, workspace: Path) -> None:
    result = lumyn("vectors", "run", "a" * 5_000)
    assert result.code in {3, 5}
    assert len(result.err) < 6_000


def test_without_a_workspace_the_folder_is_the_root(lumyn: Lumyn, workspace: Path) -> None:
    (workspace / "lumyn.toml").unlink()
    assert 0 == lumyn("vectors", "run").code


def test_the_store_of_the_workspace_is_not_touched(lumyn: Lumyn, workspace: Path) -> None:
    before = (workspace / ".lumyn" / "lumyn.db").read_bytes()
    lumyn("vectors", "run")
    assert before == (workspace / ".lumyn" / "lumyn.db").read_bytes()
    assert "no decisions here\n" == lumyn("show").out


@pytest.mark.parametrize("columns", ["60", "80"])
def test_no_line_is_wider_than_the_terminal(
    lumyn: Lumyn, workspace: Path, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    change(workspace / "policies" / "support.yml", "refund_trust_max_usd: 25", "refund_trust_max_usd: 25.01")
    monkeypatch.setenv("COLUMNS", columns)
    out = lumyn("vectors", "run").out
    # The command that runs one vector again stays in one piece, to be copied.
    assert max(len(line) for line in out.splitlines() if "pytest" not in line) <= int(columns)


def test_what_a_vector_holds_never_reaches_the_terminal_raw(lumyn: Lumyn, workspace: Path) -> None:
    single(workspace, "one", verdict="ESCALATE", code="NO_MATCH_DEFAULT_ESCALATE", more='why: "\\e[2J"\n"x\\e[2J": 1')
    for options in ([], ["--json"]):
        assert "\x1b" not in lumyn("vectors", "run", *options).out
