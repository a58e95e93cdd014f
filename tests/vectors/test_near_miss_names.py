"""Files whose names are all but names that are read are refused, on the command line and in pytest."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import pytest
from plugin.shop import PASSING, POLICY, VECTORS

from lumyn.cli.entry import run
from lumyn.errors import InvalidVectorError
from lumyn.testing import Repo
from lumyn.vectors import discover
from lumyn.vectors.discovery import misnamed

NEAR = {
    "more.YML": "more.yml",
    "more.Yaml": "more.yaml",
    "more.JSON": "more.json",
    "_default.yaml": "_defaults.yaml",
    "_Defaults.yml": "_defaults.yml",
    "_defaults.YAML": "_defaults.yaml",
    "_defautls.json": "_defaults.json",
    "_defaults_.yml": "_defaults.yml",
    "_policy.YML": "_policy.yml",
}
FINE = ["more.yml", "More.yml", "_defaults.yaml", "_default_policy.yml", "_stricter.yml", "README.MD", "_default.txt"]


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo({"policies/shop.yml": POLICY, "vectors/refund.yml": VECTORS, "pytest.ini": "[pytest]\n"}, path=tmp_path)


@pytest.mark.parametrize(("name", "meant"), NEAR.items())
def test_a_near_miss_is_told_with_the_right_name(name: str, meant: str) -> None:
    problem = misnamed(name)
    assert problem is not None
    assert f"name it `{meant}`" == problem.hint


@pytest.mark.parametrize("name", FINE)
def test_other_names_are_nobodys_business(name: str) -> None:
    assert None is misnamed(name)


@pytest.mark.parametrize("name", NEAR)
def test_discovery_refuses_it(repo: Repo, name: str) -> None:
    repo.write(f"vectors/deep/{name}", VECTORS)
    for patterns in (["vectors"], ["vectors/deep", "vectors/refund.yml"], [f"vectors/deep/{name}"]):
        with pytest.raises(InvalidVectorError) as caught:
            discover(repo.path, patterns)
        assert ["FILE_NAME_NEAR_MISS"] == [problem.code for problem in caught.value.problems]
        assert f"vectors/deep/{name}" in str(caught.value)


@pytest.mark.parametrize("name", NEAR)
@pytest.mark.parametrize("paths", [(), ("vectors/deep",)], ids=["all", "a folder"])
def test_a_run_of_pytest_is_red(repo: Repo, name: str, paths: tuple[str, ...]) -> None:
    repo.write("vectors/deep/more.yaml", VECTORS)
    repo.run_pytest("--lumyn-vectors").assert_outcomes(passed=2 * PASSING)
    repo.write(f"vectors/deep/{name}", VECTORS)
    run = repo.run_pytest("--lumyn-vectors", *paths)
    assert 2 == run.exit_code, run.text
    run.match(f"*would be passed over*name it `{NEAR[name]}`*")


@pytest.mark.parametrize("name", ["more.YML", "_default.yaml"])
def test_lumyn_vectors_run_is_red(repo: Repo, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    repo.write(f"vectors/deep/{name}", VECTORS)
    monkeypatch.chdir(repo.path)
    printed = io.StringIO()
    with contextlib.redirect_stderr(printed), contextlib.redirect_stdout(printed):
        code = run(["vectors", "run"])
    assert 3 == code, printed.getvalue()
    assert "FILE_NAME_NEAR_MISS" in printed.getvalue() or "would be passed over" in printed.getvalue()


def test_a_scenario_file_outside_the_roots_is_refused_too(repo: Repo) -> None:
    repo.write("tests/story.lumyn.YML", VECTORS)
    repo.write("tests/data.YML", "not ours\n")
    repo.write("tests/_default.yaml", "not ours\n")
    run = repo.run_pytest("--lumyn-vectors")
    assert 2 == run.exit_code
    run.match("*`story.lumyn.YML` would be passed over*")
    run.no_match("*data.YML*", "*_default.yaml*")
    with pytest.raises(InvalidVectorError, match=r"story\.lumyn\.YML"):
        discover(repo.path)
