"""Files are replaced whole or not at all, as they were, and by one of two at a time."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from vector_suites import Root

from lumyn.vectors import Outcome, load_suite, run
from lumyn.vectors.changes import Change, Proposal, text_digest
from lumyn.vectors.rewrite import FileRefusedError, Rewritten, read_document, replace_text, rewrite
from lumyn.vectors.sharing import files_resting_on, vectors_resting_on
from lumyn.vectors.update import propose, propose_xfail

NAME = "vectors/a.yaml"
TEXT = "a: 1  # one\nb: 2\n"


def proposal(pointer: str, value: int, *, text: str = TEXT, file: str = NAME, vector_id: str = "v") -> Proposal:
    change = Change(file=file, pointer=pointer, value=value)
    return Proposal(file=NAME, vector_id=vector_id, changes=(change,), digests={file: text_digest(text)})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / NAME
    path.parent.mkdir()
    path.write_text(TEXT)
    return path


def reasons(written: Rewritten) -> list[str]:
    return [why for _, why in written.refused]


def test_a_file_is_replaced_with_its_mode_and_no_draft_is_left(file: Path, tmp_path: Path) -> None:
    file.chmod(0o640)
    written = rewrite([proposal("/a", 3)], root=tmp_path)
    assert ((NAME,), "a: 3  # one\nb: 2\n") == (written.files, file.read_text())
    assert 0o640 == stat.S_IMODE(file.stat().st_mode)
    assert [file] == list(file.parent.iterdir())


def test_a_read_only_file_is_left(file: Path, tmp_path: Path) -> None:
    """By the superuser too, whom the system would let."""
    file.chmod(0o444)
    assert ["its file is read-only"] == reasons(rewrite([proposal("/a", 3)], root=tmp_path))
    assert TEXT == file.read_text()


def test_a_file_that_changed_meanwhile_is_left(file: Path, tmp_path: Path) -> None:
    file.write_text(TEXT + "# edited\n")
    assert ["its file changed meanwhile: run again"] == reasons(rewrite([proposal("/a", 3)], root=tmp_path))
    assert TEXT + "# edited\n" == file.read_text()


def test_it_is_looked_at_again_at_the_last_moment(file: Path, tmp_path: Path) -> None:
    """Between reading a file and replacing it, another process may have been faster."""
    document = read_document(file, NAME, tmp_path)
    file.write_text("a: 7\n")
    with pytest.raises(FileRefusedError, match="changed meanwhile"):
        replace_text(file, document, "a: 3\n", root=tmp_path)
    assert "a: 7\n" == file.read_text()


def test_two_that_disagree_about_a_place_are_both_refused(file: Path, tmp_path: Path) -> None:
    written = rewrite([proposal("/a", 3), proposal("/a", 4), proposal("/b", 5)], root=tmp_path)
    assert ["`/a` stands for several vectors, which came out differently"] * 2 == reasons(written)
    assert "a: 1  # one\nb: 5\n" == file.read_text()


def test_a_record_that_cannot_be_replaced_keeps_the_vector_as_it_is(file: Path, tmp_path: Path) -> None:
    """A vector that names it would rest on what is not there; another one of the same file goes with it."""
    golden = file.with_name("_golden.yaml")
    golden.write_text(TEXT)
    golden.chmod(0o444)
    changes = (*proposal("/a", 3).changes, *proposal("/a", 3, file="vectors/_golden.yaml").changes)
    digests = {NAME: text_digest(TEXT), "vectors/_golden.yaml": text_digest(TEXT)}
    both = Proposal(file=NAME, vector_id="v", changes=changes, digests=digests)
    written = rewrite([both, proposal("/b", 5, vector_id="w")], root=tmp_path)
    assert ["its file is read-only", "its file changed meanwhile: run again"] == reasons(written)
    assert ((), (), TEXT, TEXT) == (written.done, written.files, file.read_text(), golden.read_text())


def test_two_that_disagree_about_a_golden_record_are_told_its_name(file: Path, tmp_path: Path) -> None:
    golden = "vectors/_golden.yaml"
    file.with_name("_golden.yaml").write_text(TEXT)
    pair = [proposal("", value, file=golden, vector_id=f"v{value}") for value in (3, 4)]
    assert [f"`{golden}` stands for several vectors, which came out differently"] * 2 == reasons(
        rewrite(pair, root=tmp_path)
    )


def test_files_outside_and_links_are_refused(file: Path, tmp_path: Path) -> None:
    (tmp_path / "vectors" / "link.yaml").symlink_to("a.yaml")
    outside = tmp_path.parent / "outside.yaml"
    outside.write_text(TEXT)
    for name in ("vectors/link.yaml", "../outside.yaml"):
        assert 1 == len(rewrite([proposal("/a", 3, file=name)], root=tmp_path).refused)
    assert (TEXT, TEXT) == (file.read_text(), outside.read_text())


def test_a_folder_that_is_a_link_is_refused(file: Path, tmp_path: Path) -> None:
    (tmp_path / "other").symlink_to("vectors")
    assert 1 == len(rewrite([proposal("/a", 3, file="other/a.yaml")], root=tmp_path).refused)
    assert TEXT == file.read_text()


ATTEMPT = """
import json, sys
from pathlib import Path
from lumyn.vectors.changes import Proposal
from lumyn.vectors.rewrite import rewrite
sys.stdin.read(1)
print(len(rewrite([Proposal.from_dict(json.loads(sys.argv[2]))], root=Path(sys.argv[1])).done))
"""


def test_of_two_processes_one_wins_and_the_other_is_told(file: Path, tmp_path: Path) -> None:
    both = [
        subprocess.Popen(
            [sys.executable, "-c", ATTEMPT, str(tmp_path), json.dumps(proposal("/a", value).to_dict())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for value in (3, 4)
    ]
    done = [int(each.communicate("x", timeout=120)[0]) for each in both]
    assert [0, 1] == sorted(done)
    assert file.read_text() in {"a: 3  # one\nb: 2\n", "a: 4  # one\nb: 2\n"}


def test_the_folder_is_held_while_a_file_is_replaced(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From before the text is looked at for the last time until it is another one."""
    locks = pytest.importorskip("fcntl")
    free: list[bool] = []

    def watched(path: Path, data: bytes, **options: bool) -> None:
        descriptor = os.open(file.parent, os.O_RDONLY)
        try:
            locks.flock(descriptor, locks.LOCK_EX | locks.LOCK_NB)
            free.append(True)
        except BlockingIOError:
            free.append(False)
        finally:
            os.close(descriptor)

    monkeypatch.setattr("lumyn.vectors.rewrite.replace_file", watched)
    rewrite([proposal("/a", 3)], root=tmp_path)
    watched(file, b"")
    assert [False, True] == free


def test_a_proposal_travels_as_plain_data() -> None:
    made = Proposal(
        file=NAME,
        vector_id="v[a]",
        changes=(Change(file=NAME, pointer="/a", delete=True), Change(file=NAME, pointer="/b", value=[1, {"c": None}])),
        digests={NAME: "0"},
        transitions=(("TRUST", "ABSTAIN"),),
        looser="l",
        refused="r",
    )
    assert made == Proposal.from_dict(made.to_dict())


SMALL = "request: { $use: small }"


def proposed(suite_root: Root, text: str, **options) -> Proposal:
    (result,) = [each for each in map(run, suite_root.suite(text, revising=True).vectors) if each.outcome != "passed"]
    (made,) = propose([result], root=suite_root.path, **options)
    return made


@pytest.mark.parametrize(
    ("expect", "why"),
    [
        ("{ verdict: { in: [QUERY, ABSTAIN] }, reason_codes: [ACME_SMALL] }", "`verdict.in` states a condition"),
        ("{ verdict: TRUST, reason_codes: { contains: [ACME_LARGE] } }", "`reason_codes.contains` states a condition"),
        ("{ verdict: TRUST, reason_codes_includes: [ACME_LARGE] }", "`reason_codes_includes` states a condition"),
        ("{ verdict: TRUST, queries: { is_empty: false } }", "`queries.is_empty` states a condition"),
        (
            "{ verdict: TRUST, risk_signals: { failure_similarity: { score: { gt: 0.5 } } } }",
            "`risk_signals.failure_similarity.score.gt` states a condition",
        ),
        ("{ verdict: TRUST, risk_signals: { ood_score: 0.5 } }", "`risk_signals.ood_score` is expected and did not"),
        ("{ verdict: ABSTAIN, reason_codes: [ACME_RISKY] }", "looser: TRUST is more permissive than ABSTAIN"),
        ("{ record: { verdict: ESCALATE, reason_codes: [ACME_LARGE] } }", "looser: TRUST is more permissive"),
        ("{ reason_codes: [ACME_LARGE] }", "looser: it comes out TRUST, and the vector does not say"),
        (
            "{ verdict: TRUST, obligations: [{ type: notify }] }",
            "looser: fewer obligations than before",
        ),
    ],
)
def test_what_takes_a_person(suite_root: Root, expect: str, why: str) -> None:
    made = proposed(suite_root, f"- name: one\n  {SMALL}\n  expect: {expect}\n")
    assert made.refused.startswith(why)
    assert () == made.changes


def test_a_guard_lost_without_replacement_is_looser(suite_root: Root) -> None:
    """A reason code that only a trusting rule gives is no guard, and a code that takes its place is a new reason."""
    request = "request: { $use: small, $with: { action.amount.value: 300 } }"
    for codes, looser in (
        ("[ACME_RISKY, ACME_LARGE]", "fewer reason codes than before: ACME_RISKY no longer among them"),
        ("[ACME_LARGE, ACME_SMALL]", ""),
        ("[ACME_RISKY]", ""),
    ):
        expect = f"expect: {{ verdict: ESCALATE, reason_codes: {codes} }}"
        made = proposed(suite_root, f"- name: one\n  {request}\n  {expect}\n", accept_looser=True)
        assert ("", looser) == (made.refused, made.looser)


def test_an_advisory_mode_is_looser(suite_root: Root) -> None:
    """The verdict is the same, and nothing is stopped any more."""
    expect = "expect: { verdict: TRUST, record: { policy: { mode: enforce } } }"
    text = f"- name: one\n  {SMALL}\n  mode: advisory\n  {expect}\n"
    assert "looser: an advisory mode permits every action" == proposed(suite_root, text).refused
    assert "" == proposed(suite_root, text, accept_looser=True).refused


def test_a_part_that_names_a_verdict_of_its_own_is_looked_at_too(suite_root: Root) -> None:
    """Where an expectation says two things of the verdict, the stricter one is what gets looser."""
    expect = "expect: { verdict: TRUST, record: { verdict: ESCALATE, reason_codes: [ACME_LARGE] } }"
    made = proposed(suite_root, f"- name: one\n  {SMALL}\n  {expect}\n")
    assert made.refused == "looser: TRUST is more permissive than ESCALATE"


def test_what_is_expected_to_fail_is_not_made_to_pass(suite_root: Root) -> None:
    """Its expectation is what it should become."""
    expect = "expect: { verdict: TRUST, reason_codes: [ACME_LARGE] }"
    text = f"- name: one\n  {SMALL}\n  xfail: {{ reason: not yet }}\n  {expect}\n"
    made = proposed(suite_root, text, accept_looser=True)
    assert ("it is marked `xfail`", ()) == (made.refused, made.changes)


def test_who_may_rest_on_a_golden_record_counts(suite_root: Root) -> None:
    """A file or vector that cannot be read, and a name that is written otherwise: nobody's record is changed."""
    suite_root.write("vectors/broken.yaml", "expect: { record: { $exact: vectors/_g.json }\n")
    suite_root.write("vectors/other.json", '{"$exact": "vectors/_\\u00e9.json"}')
    assert ["vectors/broken.yaml"] == list(files_resting_on("vectors/_g.json", suite_root.path, besides=()))
    known = {"vectors/broken.yaml"}
    assert ["vectors/other.json"] == list(files_resting_on("vectors/_\u00e9.json", suite_root.path, besides=known))
    vectors = suite_root.suite(f"- {{ name: one, {SMALL}, expect: {{}} }}\n").vectors
    assert ("one",) == vectors_resting_on("vectors/_g.json", vectors, suite_root.path)


def test_a_neighbour_in_a_folder_with_a_dot_counts(suite_root: Root) -> None:
    """Pytest passes such folders over, unless somebody names them: then all of their files are vectors like others."""
    for name in (".team/a.yaml", ".team/b.yaml", ".tox/c.yaml"):
        suite_root.write(name, "expect: { record: { $exact: vectors/_g.json } }\n")
    found = lambda *known: list(files_resting_on("vectors/_g.json", suite_root.path, besides=known))  # noqa: E731
    assert [] == found("vectors/_g.json")
    assert [".team/b.yaml"] == found(".team/a.yaml")
    assert [] == found(".team/a.yaml", ".team/b.yaml")


def test_an_expected_failure_can_be_written(suite_root: Root) -> None:
    text = f"- name: one\n  {SMALL}\n  expect: {{ verdict: ABSTAIN, reason_codes: [ACME_RISKY] }}\n"
    suite = suite_root.suite(text)
    made = propose_xfail(suite.vectors[0], "INC-7: later")
    assert (NAME,) == rewrite([made], root=suite_root.path).files
    (vector,) = load_suite(suite_root.path / NAME, root=suite_root.path).vectors
    assert vector.xfail is not None
    assert "INC-7: later" == vector.xfail.reason
    assert Outcome.FAILED is run(vector).outcome


def test_what_every_other_run_would_refuse_to_read_is_refused(suite_root: Root) -> None:
    """It would pass, and name a rule that does not exist."""
    expect = "{ verdict: ABSTAIN, reason_codes: [ACME_RISKY], matched_rules: { excludes: [R999] } }"
    made = proposed(suite_root, f"- name: one\n  {SMALL}\n  expect: {expect}\n", accept_looser=True)
    assert "no rule is called `R999`" in made.refused
    assert () == made.changes
