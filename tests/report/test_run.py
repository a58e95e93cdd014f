"""The data of a run that every format shows: what failed, in which order, and which verdicts a policy is shown with."""

from __future__ import annotations

from report.results import POLICY_HASH, vector

from lumyn.report.run import (
    Cause,
    Group,
    RunReport,
    SuiteError,
    error_identities,
    policy_report,
)

OURS, OTHER = POLICY_HASH, "sha256:" + "1" * 64


def test_an_expected_failure_fails_no_run() -> None:
    """It is counted, and stands in no list of failures."""
    report = RunReport(version="0", vectors=(vector("one"), vector("two", "xfailed", direction="looser")))
    assert () == report.failed
    assert report.ok
    assert "passed" == report.status


def test_a_cause_is_looser_where_one_of_its_vectors_is() -> None:
    """Whichever stands first: the gravest is what a reviewer must see."""
    members = (vector("a", "failed", direction="tighter"), vector("b", "failed", direction="looser"))
    assert "looser" == Group(cause=Cause("c"), vectors=members).direction
    assert "tighter" == Group(cause=Cause("c"), vectors=members[:1]).direction
    assert "other" == Group(cause=Cause("c"), vectors=(vector("c", "failed"),)).direction


def test_a_looser_cause_stands_before_a_larger_one() -> None:
    """A hundred vectors that got stricter hide no single one that lets more happen."""
    many = [vector(f"a{place}", "failed", direction="tighter", cause=Cause("A")) for place in range(3)]
    few = [vector(f"b{place}", "failed", direction="tighter", cause=Cause("B")) for place in range(2)]
    loose = vector("z", "failed", direction="looser", cause=Cause("Z"))
    report = RunReport(version="0", vectors=(*few, *many, loose))
    assert [Cause("Z"), Cause("A"), Cause("B")] == [group.cause for group in report.groups]


def test_a_policy_is_shown_with_what_it_decided() -> None:
    """Neither what another policy decided nor what ended in an error counts as a verdict of it."""
    vectors = [
        vector("ours"),
        vector("theirs", policy_hash=OTHER, verdict="ABSTAIN", matched_rules=("R2",), decided_by=("R2",)),
        vector("error", verdict="", error="INVALID_REQUEST_SCHEMA", matched_rules=(), decided_by=()),
    ]
    shown = policy_report(vectors, policy_id="p", policy_version="1", policy_hash=OURS, path="", policy=None)
    assert {"TRUST": 1} == {verdict: count for verdict, count in shown.verdicts.items() if count}
    assert [("R1", 1)] == [(row.rule_id, row.decided) for row in shown.rules if row.total]


def test_the_same_error_twice_is_two_errors() -> None:
    """Lists of findings drop what they know already; the line alone does not tell two apart."""
    errors = [
        SuiteError(path="vectors/a.yml", line=line, message=f"on line {line}: unknown key `x`") for line in (3, 9, 12)
    ]
    found = list(error_identities(errors))
    assert 3 == len(set(found))
    assert found == list(error_identities([*errors]))
    moved = [SuiteError(path="vectors/a.yml", line=5, message="on line 5: unknown key `x`")]
    assert found[:1] == list(error_identities(moved))
