"""The harness for tests of vectors: a repository of its own, pytest run in it, outcomes, text and changed files."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lumyn.testing import Repo, Run

TEST = "import helper\n\ndef test_value():\n    assert helper.VALUE == 1\n"


def test_files_are_written_and_read_as_they_are(tmp_path: Path) -> None:
    """Line ends too: tests of files that tools edit rest on it."""
    repo = Repo({"a/b.txt": "one\r\ntwo\n"}, path=tmp_path)
    assert b"one\r\ntwo\n" == (tmp_path / "a" / "b.txt").read_bytes()
    assert "one\r\ntwo\n" == repo.read("a/b.txt")
    repo.replace("a/b.txt", "two", "2")
    assert "one\r\n2\n" == repo.read("a/b.txt")


@pytest.mark.parametrize(("old", "times"), [("x", 0), ("o", 3)])
def test_an_edit_that_is_not_unique_is_refused(tmp_path: Path, old: str, times: int) -> None:
    """A test whose edit does nothing proves nothing."""
    repo = Repo({"a.txt": "two words, no"}, path=tmp_path)
    with pytest.raises(ValueError, match=f"'{old}' occurs {times} times in a.txt"):
        repo.replace("a.txt", old, "y")


def test_a_repository_without_a_place_gets_a_temporary_one() -> None:
    repo = Repo({"a.txt": "1"})
    place = repo.path
    assert place.is_dir()
    del repo
    assert not place.exists()


@pytest.mark.parametrize("own_process", [False, True])
def test_a_run_reports_outcomes_exit_code_and_changed_files(tmp_path: Path, own_process: bool) -> None:
    body = "def test_a():\n    open('new.txt', 'w').close()\n\n\ndef test_b():\n    assert 0\n"
    run = Repo({"test_a.py": body}, path=tmp_path).run_pytest(own_process=own_process)
    assert 1 == run.exit_code
    run.assert_outcomes(passed=1, failed=1)
    assert ("new.txt",) == run.changed
    run.match("FAILED test_a.py::test_b - *")


def test_two_repositories_do_not_share_modules(tmp_path: Path) -> None:
    """In one process, although both call theirs `helper`."""
    path, folder = list(sys.path), Path.cwd()
    for number, outcome in [(1, "passed"), (2, "failed")]:
        files = {"helper.py": f"VALUE = {number}\n", "test_a.py": TEST}
        Repo(files, path=tmp_path / str(number)).run_pytest().assert_outcomes(**{outcome: 1})
    assert (path, folder) == (sys.path, Path.cwd())
    assert "helper" not in sys.modules


def test_settings_of_the_outer_run_are_not_inherited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_ADDOPTS", "--collect-only")
    repo = Repo({"test_a.py": "import os\n\ndef test_a():\n    assert os.environ['GIVEN'] == '1'\n"}, path=tmp_path)
    for own_process in (False, True):
        repo.run_pytest(own_process=own_process, env={"GIVEN": "1"}).assert_outcomes(passed=1)


def made(stdout: str) -> Run:
    return Run(exit_code=0, stdout=stdout, stderr="", outcomes={"passed": 1, "warnings": 2})


def test_outcomes_are_exact() -> None:
    made("").assert_outcomes(passed=1)
    for wrong in ({}, {"passed": 2}, {"passed": 1, "failed": 1}):
        with pytest.raises(AssertionError, match="expected outcomes"):
            made("").assert_outcomes(**wrong)


def test_patterns_match_lines_in_order() -> None:
    run = made("one [1]\n  \x1b[31mtwo\x1b[0m\nthree\n")
    run.match("one [1]", "t?o", "th*")
    run.match("two")
    for wrong in (["two", "one *"], ["two *x"], ["one [2]"], ["three", "three"]):
        with pytest.raises(AssertionError, match="no line matches"):
            run.match(*wrong)


def test_patterns_that_must_not_match() -> None:
    run = made("one [1]\n  two\n")
    run.no_match("three", "one [2]")
    with pytest.raises(AssertionError, match="matches"):
        run.no_match("three", "t*o")
