"""The public suites for JSON, YAML and RFC 8785, where somebody has them; see `input_suites.py`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from documents.input_suites import LENIENT, SUITES, VARIABLE, Result, folder, main, run

FOLDER = folder()  # asked for here, since no test sees the settings of whoever runs it

REPRESENTED = {
    "JSONTestSuite parsing": 300,
    "JSONTestSuite transform": 20,
    "yaml-test-suite": 400,
    "RFC 8785 documents": 6,
}
"""Fewer files than these are no whole checkout."""


@pytest.mark.parametrize("name", list(SUITES))
def test_public_suite(name: str) -> None:
    """What must be refused is, what is accepted has the right value, and nothing takes long."""
    if FOLDER is None:
        pytest.skip(f"{VARIABLE} is not set")
    results = run(FOLDER, name)
    if not results:
        pytest.skip(f"no checkout of {SUITES[name][0]} in {FOLDER}")
    assert len(results) >= REPRESENTED[name]
    assert [] == [result for result in results if result.note]
    if name == "yaml-test-suite":
        assert LENIENT == {
            result.case for result in results if (result.kind, result.outcome) == ("invalid", "accepted")
        }


@pytest.fixture
def suites(tmp_path: Path) -> Path:
    """Small folders in the form of the suites, with one wrong expectation in each."""
    parsing, transform = tmp_path / "JSONTestSuite" / "test_parsing", tmp_path / "JSONTestSuite" / "test_transform"
    parsing.mkdir(parents=True)
    transform.mkdir()
    for file, text in {
        "y_one.json": "[1]",
        "n_one.json": "[1,]",
        "n_wrong.json": "[]",
        "y_wrong.json": "[NaN]",
    }.items():
        (parsing / file).write_text(text, encoding="utf-8")
    (transform / "twice.json").write_text('{"a":1,"a":2}', encoding="utf-8")
    yaml = tmp_path / "yaml-test-suite"
    for name, text, value in (("A", "a: 1", {"a": 1}), ("B", "a: 1", {"a": 1.0}), ("C", "a: [", None)):
        (yaml / name).mkdir(parents=True)
        (yaml / name / "in.yaml").write_text(text, encoding="utf-8")
        if value is None:
            (yaml / name / "error").touch()
        else:
            (yaml / name / "in.json").write_text(json.dumps(value), encoding="utf-8")
    return tmp_path


def test_runner_notices_what_is_wrong(suites: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A runner that finds nothing wrong anywhere would prove nothing."""
    results = [result for name in SUITES for result in run(suites, name)]
    assert Result("yaml-test-suite", "A", "valid", "accepted") in results
    assert {"n_wrong.json", "y_wrong.json", "B"} == {result.case for result in results if result.note}
    assert 1 == main([str(suites)])
    assert "WRONG yaml-test-suite B" in capsys.readouterr().out
    assert 2 == main([str(suites / "yaml-test-suite" / "A")])
