"""`lumyn vectors suggest` and `approve`: proposed vectors are written, skipped, approved, and then count."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cli.harness import Lumyn, Result

from lumyn.vectors import rewrite

FILE = "vectors/suggested.yml"


def test_what_is_written_is_skipped_until_it_is_approved(lumyn: Lumyn, workspace: Path) -> None:
    """The new file passes once it counts, and only the status goes."""
    before = lumyn("vectors", "run", "--json").data["counts"]
    result = lumyn("vectors", "suggest", "--max", "3", "--write", FILE)
    assert (0, f"wrote {FILE}" in result.out) == (result.code, True)
    text = (workspace / FILE).read_text(encoding="utf-8")
    assert 3 == text.count("    status: proposed\n")
    proposed = lumyn("vectors", "run", "--json").data["counts"]
    assert (before["passed"], before["skipped"] + 3) == (proposed["passed"], proposed["skipped"])
    assert 0 == lumyn("vectors", "approve", FILE).code
    assert text.replace("    status: proposed\n", "") == (workspace / FILE).read_text(encoding="utf-8")
    after = lumyn("vectors", "run", "--json").data["counts"]
    assert (before["passed"] + 3, before["failed"]) == (after["passed"], after["failed"])


COUNTED = """
schema_version: policy.v0
policy_id: fleet
policy_version: "1"
evidence: {}
reason_codes: { SCALE_SMALL: Small., SCALE_LARGE: Large., LOAD_HIGH: Loaded. }
rules:
  - id: LARGE
    stage: ESCALATIONS
    when: { action_type: fleet.scale }
    if: { evidence.replicas_gt: 50 }
    then: { verdict: ESCALATE, reason_codes: [SCALE_LARGE] }
  - id: LOADED
    stage: ESCALATIONS
    when: { action_type: fleet.scale }
    if: { evidence.load_gt: 0.5 }
    then: { verdict: ESCALATE, reason_codes: [LOAD_HIGH] }
  - id: SMALL
    stage: TRUST_PATHS
    when: { action_type: fleet.scale }
    if: { evidence.replicas_lte: 50 }
    then: { verdict: TRUST, reason_codes: [SCALE_SMALL] }
"""


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        ("", True),
        ("replicas: { type: number }", True),
        ("replicas: { type: number, step: 0.5 }", False),
        ("replicas: { type: integer }", False),
    ],
)
def test_fractions_of_what_may_be_counted_are_told(lumyn: Lumyn, tmp_path: Path, declared: str, told: bool) -> None:
    """Of replicas, which rules compare with whole numbers only; not of the load."""
    (tmp_path / "fleet.yml").write_text(COUNTED.replace("{}", f"{{ {declared} }}", 1))
    result = lumyn("vectors", "suggest", "--policy", "fleet.yml")
    assert 0 == result.code
    said = " ".join(result.out.split())
    assert told == ("note: replicas 50.01: without a `step` neighbouring values are a hundredth apart" in said)
    assert told == ("`replicas: { type: integer }` under `evidence`" in said)
    assert "note: load" not in said


def test_one_is_approved_by_its_id(lumyn: Lumyn, workspace: Path) -> None:
    found = lumyn("vectors", "suggest", "--max", "2", "--write", FILE, "--json").data
    name = found["suggestions"][1]["name"]
    assert [f"{FILE}::{name}"] == lumyn("vectors", "approve", f"{FILE}::{name}", "--json").data["approved"]
    assert 1 == (workspace / FILE).read_text(encoding="utf-8").count("status: proposed")


def test_suggestions_never_replace_a_file(lumyn: Lumyn, workspace: Path) -> None:
    kept = (workspace / "vectors/support.yml").read_bytes()
    assert 0 != lumyn("vectors", "suggest", "--max", "1", "--write", "vectors/support.yml").code
    assert kept == (workspace / "vectors/support.yml").read_bytes()


def test_an_expectation_that_is_not_so_is_not_approved(lumyn: Lumyn, workspace: Path) -> None:
    """Somebody corrected the question: the policy has to change first, and no file does."""
    assert 0 == lumyn("vectors", "suggest", "--max", "1", "--write", FILE).code
    path = workspace / FILE
    text = path.read_text(encoding="utf-8")
    verdict = "ABSTAIN" if "verdict: ABSTAIN" not in text else "QUERY"
    head, _, tail = text.rpartition("verdict: ")
    path.write_text(f"{head}verdict: {verdict}{tail[tail.index(chr(10)) :]}", encoding="utf-8")
    wrong = path.read_bytes()
    assert 3 == lumyn("vectors", "approve", FILE).code
    assert wrong == path.read_bytes()


def test_what_is_not_proposed_cannot_be_approved(lumyn: Lumyn, workspace: Path) -> None:
    assert 5 == lumyn("vectors", "approve", "vectors/support.yml").code
    assert 5 == lumyn("vectors", "approve", "vectors/support.yml::nobody").code


TABLES = """\
schema_version: vector.v0
policy: policies/support.yml
clock: "2026-01-15T12:00:00Z"
vectors:
  - name: unnamed   # whatever nobody thought of
    status: proposed   # asked by nobody in particular
    table:
      columns: [id, request.action.type, request.action.intent, expect.verdict, expect.reason_codes]
      rows:
        - [one, some.thing, try, ESCALATE, [NO_MATCH_DEFAULT_ESCALATE]]
        - [two, other.thing, try, ESCALATE, [NO_MATCH_DEFAULT_ESCALATE]]
  - name: mixed
    request: { action: { type: some.thing, intent: try } }
    table:
      columns: [id, status, request.action.intent, expect.verdict, expect.reason_codes]
      rows:
        - [one, proposed, try, ESCALATE, [NO_MATCH_DEFAULT_ESCALATE]]
        - [two, proposed, again, ESCALATE, [NO_MATCH_DEFAULT_ESCALATE]]
  - name: story
    status: proposed
    steps:
      - decide: { request: { action: { type: some.thing, intent: try } } }
        expect: { verdict: ESCALATE, reason_codes: [NO_MATCH_DEFAULT_ESCALATE] }
"""


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_tables_and_scenarios_are_approved_whole(lumyn: Lumyn, workspace: Path, ends: str) -> None:
    """Of the file only the line with the status goes; line ends stay."""
    path = workspace / "vectors/tables.yml"
    path.write_bytes(TABLES.replace("\n", ends).encode())
    found = lumyn("vectors", "approve", "vectors/tables.yml::unnamed", "vectors/tables.yml::story", "--json").data
    assert ["unnamed[one]", "unnamed[two]", "story"] == [each.partition("::")[2] for each in found["approved"]]
    lines = [line for line in TABLES.splitlines() if "    status:" not in line]
    assert ends.join([*lines, ""]).encode() == path.read_bytes()


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("unnamed[one]", 5, "`unnamed[one]` is a row"),
        ("mixed", 3, "`mixed[one]` stays proposed"),
        ("stori", 5, "did you mean `story`?"),
        ("", 2, "is half an id"),
    ],
)
def test_nothing_is_called_approved_that_is_not(lumyn: Lumyn, workspace: Path, name: str, code: int, said: str) -> None:
    """Neither by an id that means something else, nor where the status would stay; least of all by a blank variable."""
    path = workspace / "vectors/tables.yml"
    path.write_text(TABLES, encoding="utf-8")
    result = lumyn("vectors", "approve", f"vectors/tables.yml::{name}")
    assert (code, TABLES) == (result.code, path.read_text(encoding="utf-8"))
    assert said in result.err.replace("\n", " ")


def test_a_file_that_changes_while_it_is_approved_is_left_alone(
    lumyn: Lumyn, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What somebody saved in the meantime is not undone."""
    path = workspace / "vectors/tables.yml"
    path.write_text(TABLES, encoding="utf-8")
    replace = rewrite.replace_text

    def late(*arguments: Any, **named: Any) -> None:
        path.write_text(TABLES + "# mine\n", encoding="utf-8")
        replace(*arguments, **named)

    monkeypatch.setattr(rewrite, "replace_text", late)
    assert 3 == lumyn("vectors", "approve", "vectors/tables.yml::story").code
    assert TABLES + "# mine\n" == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("place", ["../suggested.yml", "vectors/../../suggested.yml", "link/suggested.yml"])
def test_nothing_is_written_outside_the_workspace(lumyn: Lumyn, workspace: Path, place: str) -> None:
    """No run would find such vectors, and what is there is none of the workspace's."""
    (workspace / "link").symlink_to(workspace.parent, target_is_directory=True)
    result = lumyn("vectors", "suggest", "--write", place)
    assert 3 == result.code
    assert "PATH_OUTSIDE_ROOT" in result.err
    assert not (workspace.parent / "suggested.yml").exists()


def lines(result: Result) -> str:
    return " ".join(result.out.split())


def test_what_takes_no_part_is_named_with_the_reason(lumyn: Lumyn, workspace: Path) -> None:
    """A file that cannot be read, a vector that cannot run, one that fails: each would be missed otherwise."""
    (workspace / "vectors/broken.yml").write_text("vectors: [", encoding="utf-8")
    (workspace / "vectors/wrong.yml").write_text(TABLES.replace("[id, status", "[id, state"), encoding="utf-8")
    drifting = TABLES.replace("    status: proposed\n", "")
    drifting = drifting.replace("expect: { verdict: ESCALATE", "expect: { verdict: ABSTAIN")
    (workspace / "vectors/drifting.yml").write_text(drifting, encoding="utf-8")
    result = lumyn("vectors", "suggest", "--max", "1")
    assert "left out vectors/broken.yml:1:11: expected the node content" in lines(result)
    assert "left out vectors/wrong.yml:15:21: nothing uses column" in lines(result)
    assert "left out vectors/drifting.yml::story fails and counts for nothing" in lines(result)
    data = lumyn("vectors", "suggest", "--max", "1", "--json").data
    assert (2, ["vectors/drifting.yml::story"]) == (data["unusable"], data["failing"])


def test_a_folder_whose_files_cannot_be_told_is_an_error(lumyn: Lumyn, workspace: Path) -> None:
    """Not a suite without vectors, for which everything would be suggested anew."""
    (workspace / "vectors/support.yml").rename(workspace / "vectors/support.YML")
    result = lumyn("vectors", "suggest")
    assert (3, True) == (result.code, "name it `support.yml`" in result.err)


def test_without_a_configuration_it_is_about_the_policy_that_vectors_name(lumyn: Lumyn, workspace: Path) -> None:
    (workspace / "lumyn.toml").unlink()
    assert "policies/support.yml" == lumyn("vectors", "suggest", "--max", "1", "--json").data["policy"]
    text = (workspace / "policies/support.yml").read_text(encoding="utf-8")
    (workspace / "policies/other.yml").write_text(text.replace("policy_id: ", "policy_id: other-"), encoding="utf-8")
    counting = TABLES.replace("    status: proposed\n", "").replace("policies/support.yml", "policies/other.yml")
    (workspace / "vectors/other.yml").write_text(counting, encoding="utf-8")
    result = lumyn("vectors", "suggest", "--max", "1")
    assert (2, True) == (result.code, "policies/other.yml, policies/support.yml" in " ".join(result.err.split()))
    result = lumyn("vectors", "suggest", "--max", "1", "--policy", "policies/support.yml")
    assert "about policies/support.yml; vectors also name policies/other.yml" in lines(result)


def test_nothing_is_written_where_no_run_would_read_it(lumyn: Lumyn, workspace: Path) -> None:
    """Support files are never run; of another folder it is said that pytest has to be told."""
    result = lumyn("vectors", "suggest", "--max", "1", "--write", "vectors/_more.yml")
    assert (2, False) == (result.code, (workspace / "vectors/_more.yml").exists())
    assert "ini `lumyn_paths`" in lines(lumyn("vectors", "suggest", "--max", "1", "--write", "more/more.yml"))
    assert "ini `lumyn_paths`" not in lines(lumyn("vectors", "suggest", "--max", "1", "--write", "more/a.lumyn.yml"))


ROLES = """\
schema_version: policy.v0
policy_id: changes
policy_version: "1"
reason_codes: { FINE: A change within the rules. }
rules:
  - id: R1
    stage: TRUST_PATHS
    when: { action_type: infra.scale }
    if_any:
      - { evidence.hosts_lte: 5 }
      - { evidence.hosts_lte: 50, subject.roles_contains: operator, subject.type_ne: job }
    then: { verdict: TRUST, reason_codes: [FINE] }
"""

ANYBODY = """\
schema_version: vector.v0
policy: policies/roles.yml
clock: "2026-01-15T12:00:00Z"
vectors:
  - name: few
    request: { action: { type: infra.scale, intent: scale }, evidence: { hosts: 2 } }
    expect: { verdict: TRUST, reason_codes: [FINE] }
"""


@pytest.mark.parametrize("vectors", ["", ANYBODY], ids=["from nothing", "from a vector"])
def test_who_asks_is_proposed_where_nobody_was_named(lumyn: Lumyn, workspace: Path, vectors: str) -> None:
    """Roles are part of a subject that the requests they are added to say nothing of; what is written closes all."""
    (workspace / "policies/roles.yml").write_text(ROLES, encoding="utf-8")
    (workspace / "vectors/support.yml").unlink()
    if vectors:
        (workspace / "vectors/roles.yml").write_text(vectors, encoding="utf-8")
    found = lumyn("vectors", "suggest", "--policy", "policies/roles.yml", "--write", FILE)
    assert (0, "roles" in found.out) == (found.code, True)
    assert 0 == lumyn("vectors", "approve", FILE).code
    assert "nothing is missing" in lumyn("vectors", "suggest", "--policy", "policies/roles.yml").out


def test_more_than_can_be_read_at_once_is_left_for_later(
    lumyn: Lumyn, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The most valuable are written, the rest is named in `left`, and the last line says how to go on."""
    monkeypatch.setattr("lumyn.analysis.suggest._AT_ONCE", 3)
    monkeypatch.setattr("lumyn.cli.commands.vectors_suggest._MOST_BYTES", 4_000)
    (workspace / "vectors").mkdir(exist_ok=True)
    result = lumyn("vectors", "suggest", "--write", "vectors/some.yml")
    assert result.code == 0
    assert "more: approve what is right, then run it again for the rest" in result.out
    assert "left open: " in result.out
    written = (workspace / "vectors" / "some.yml").read_text()
    assert 1 <= written.count("  - name: ") <= 3
    assert len(written) <= 4_000
    data = lumyn("vectors", "suggest", "--json").data
    assert len(data["suggestions"]) <= 3
    assert data["left"]
