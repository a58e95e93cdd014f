"""Vectors are items like any other: node ids, `-k`, `-m`, `--lf`, `--sw`, `-x`, `--deselect`, `--collect-only`."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from plugin.shop import PASSING, POLICY, VECTORS

from lumyn.testing import Repo

FILE = "vectors/shop/refund.yml"
ALL = [
    f"{FILE}::small",
    f"{FILE}::like_a_known_fraud",
    f"{FILE}::limit[at_limit]",
    f"{FILE}::limit[over_limit]",
    f"{FILE}::compounding",
]


def collected(repo: Repo, *arguments: str) -> list[str]:
    run = repo.run_pytest("--lumyn-vectors", "--collect-only", "-q", *arguments)
    return [line for line in run.lines if "::" in line]


def test_collect_only_lists_node_ids_in_file_order(repo: Repo) -> None:
    assert ALL == collected(repo)


def test_files_are_collected_in_the_order_of_their_paths(make_repo: Callable[..., Repo]) -> None:
    repo = make_repo({"vectors/b.yml": VECTORS, "vectors/a/z.yml": VECTORS, "vectors/a.json": None})
    files = list(dict.fromkeys(line.partition("::")[0] for line in collected(repo)))
    assert sorted(files) == sorted({"vectors/a/z.yml", "vectors/b.yml", FILE})
    assert files == list(dict.fromkeys(line.partition("::")[0] for line in collected(repo, "vectors")))


@pytest.mark.parametrize(
    ("node_id", "expected"),
    [
        ("small", 1),
        ("limit", 2),
        ("limit[over_limit]", 1),
        ("compounding", 1),
    ],
)
def test_a_node_id_selects_a_vector_or_the_rows_of_a_table(repo: Repo, node_id: str, expected: int) -> None:
    repo.run_pytest("--lumyn-vectors", f"{FILE}::{node_id}").assert_outcomes(passed=expected)


def test_a_node_id_that_does_not_exist_is_red(repo: Repo) -> None:
    assert 4 == repo.run_pytest("--lumyn-vectors", f"{FILE}::limit[under_limit]").exit_code


def test_keywords_select_by_name_row_file_and_tag(repo: Repo) -> None:
    assert [ALL[3]] == collected(repo, "-k", "over_limit")
    assert ALL[2:4] == collected(repo, "-k", "limit and not small")
    assert ALL == collected(repo, "-k", "refund.yml")
    assert [ALL[0]] == collected(repo, "-k", "quick")


def test_one_marker_selects_by_tag_and_suite(repo: Repo) -> None:
    """A marker of its own for each tag would have to be registered under strict markers."""
    strict = "--strict-markers"
    assert [ALL[0], *ALL[2:4]] == collected(repo, strict, "-m", "lumyn(tag='refund')")
    assert [ALL[0]] == collected(repo, strict, "-m", "lumyn(tag='quick')")
    assert ALL == collected(repo, strict, "-m", "lumyn(suite='refund')")
    assert ALL == collected(repo, strict, "-m", "lumyn")
    assert [] == collected(repo, strict, "-m", "not lumyn")


def test_marks_of_a_vector_are_pytest_marks(repo: Repo) -> None:
    repo.write("pytest.ini", "[pytest]\nmarkers =\n    slow: takes long\n")
    repo.replace(FILE, "  - name: small\n", "  - name: small\n    marks: [slow]\n")
    assert [ALL[0]] == collected(repo, "--strict-markers", "-m", "slow")
    assert ALL[1:] == collected(repo, "--strict-markers", "-m", "not slow")


def test_a_mark_that_is_not_registered_is_an_error_under_strict_markers(repo: Repo) -> None:
    repo.replace(FILE, "  - name: small\n", "  - name: small\n    marks: [slwo]\n")
    run = repo.run_pytest("--lumyn-vectors", "--strict-markers")
    assert 2 == run.exit_code
    run.match(f"{FILE}:12: vector small: 'slwo' not found in `markers` configuration option")
    assert PASSING == len(collected(repo, "-W", "ignore"))


def drifting(repo: Repo) -> Repo:
    """Two of the five vectors drift; the first and the last pass."""
    repo.replace("policies/shop.yml", "escalate_over_usd: 200", "escalate_over_usd: 300")
    repo.replace("policies/shop.yml", "failure_similarity_gte: 0.8", "failure_similarity_gt: 1")
    repo.replace(FILE, "  - name: compounding\n", "  - name: compounding\n    skip: for now\n")
    return repo


def test_the_first_failure_ends_a_run_that_asked_for_that(repo: Repo) -> None:
    run = drifting(repo).run_pytest("--lumyn-vectors", "-x")
    run.assert_outcomes(passed=1, failed=1)
    run.match("FAILED vectors/shop/refund.yml::like_a_known_fraud - verdict ESCALATE -> TRUST *")


def test_last_failed_runs_what_failed(repo: Repo) -> None:
    drifting(repo).run_pytest("--lumyn-vectors").assert_outcomes(passed=2, failed=2, skipped=1)
    repo.run_pytest("--lumyn-vectors", "--lf").assert_outcomes(failed=2)
    repo.write("policies/shop.yml", POLICY)
    repo.run_pytest("--lumyn-vectors", "--lf").assert_outcomes(passed=2)


def test_stepwise_goes_on_where_it_stopped(repo: Repo) -> None:
    drifting(repo).run_pytest("--lumyn-vectors", "--sw").assert_outcomes(passed=1, failed=1)
    repo.write("policies/shop.yml", POLICY)
    repo.run_pytest("--lumyn-vectors", "--sw").assert_outcomes(passed=3, skipped=1, deselected=1)


def test_deselect_takes_one_row_out(repo: Repo) -> None:
    run = repo.run_pytest("--lumyn-vectors", f"--deselect={ALL[3]}")
    run.assert_outcomes(passed=PASSING - 1, deselected=1)


def test_verbose_and_durations_name_the_node_id(repo: Repo) -> None:
    """A dot in a name stays a dot."""
    repo.replace(FILE, "name: small", "name: small.v2")
    run = repo.run_pytest("--lumyn-vectors", "-v", "--durations=3", "--durations-min=0")
    run.match("vectors/shop/refund.yml::small.v2 PASSED *", f"{ALL[3]} PASSED *", "*s call *vectors/shop/refund.yml::*")


def test_items_know_their_line(repo: Repo) -> None:
    """Editors and annotations rest on it; pytest counts from 0."""
    repo.write("conftest.py", "def pytest_itemcollected(item):\n    print('AT', *item.location)\n")
    run = repo.run_pytest("--lumyn-vectors", "--collect-only", "-q", "-s")
    assert [line for line in run.lines if line.startswith("AT")] == [
        f"AT {FILE} 11 vector small",
        f"AT {FILE} 15 vector like_a_known_fraud",
        f"AT {FILE} 25 vector limit[at_limit]",
        f"AT {FILE} 26 vector limit[over_limit]",
        f"AT {FILE} 27 scenario compounding",
    ]


def test_a_skipped_vector_is_seen(repo: Repo) -> None:
    repo.replace(FILE, "  - name: small\n", "  - name: small\n    skip: until the rate table is agreed\n")
    run = repo.run_pytest("--lumyn-vectors", "-rs")
    run.assert_outcomes(passed=PASSING - 1, skipped=1)
    run.match("SKIPPED [1] vectors/shop/refund.yml: until the rate table is agreed")
