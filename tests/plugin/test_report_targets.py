"""Where `--lumyn-report` may write: never in place of what a run is about, and in the format that was meant."""

from __future__ import annotations

import pytest

from lumyn.testing import Repo


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("json:vectors/shop/refund.yml", "*vectors/shop/refund.yml is called like a source, *"),
        ("md:policies/shop.yml", "*policies/shop.yml is called like a source, *"),
        ("vectors/report.json", "*report.json would be a vector file where it is to be written; *"),
        ("tests/a.lumyn.json", "*a.lumyn.json would be a vector file *"),
        ("gitlb:quality.json", "*unknown format 'gitlb'; did you mean gitlab:quality.json?"),
        ("JSON:quality.md", "*unknown format 'JSON'; did you mean json:quality.md?"),
        ("junit:x.json", "*unknown format 'junit'; there are json, md, html, sarif, gitlab; a path may begin with ./"),
        ("r.json/", "*r.json/ is a folder; *"),
    ],
)
def test_a_target_that_cannot_be_meant_is_refused(repo: Repo, target: str, said: str) -> None:
    """A report of an earlier run is deleted first: a vector file that stood there was gone."""
    run = repo.run_pytest("--lumyn-vectors", f"--lumyn-report={target}")
    assert 4 == run.exit_code, run.text
    run.match(f"ERROR: lumyn: --lumyn-report: {said}")
    assert () == run.changed


def test_a_colon_in_a_path(repo: Repo) -> None:
    assert ("a:b.json",) == repo.run_pytest("--lumyn-vectors", "--lumyn-report=./a:b.json").changed
