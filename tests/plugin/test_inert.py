"""Without being asked, the plugin does nothing: no output, no import, no file read."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from lumyn.testing import Repo

REPORT_IMPORTS = """
import sys

def pytest_unconfigure(config):
    found = sorted(m for m in sys.modules if m.split(".")[0] in {"lumyn", "pytest_lumyn"})
    print("IMPORTED", *found)
"""

LIGHT = {
    "pytest_lumyn",
    "pytest_lumyn.options",
    "pytest_lumyn.plugin",
}


def imported(repo: Repo, *arguments: str) -> set[str]:
    run = repo.run_pytest(*arguments, "-q", own_process=True)
    assert 0 == run.exit_code, run.text
    (line,) = [line for line in run.lines if line.startswith("IMPORTED")]
    return set(line.split()[1:])


@pytest.fixture
def app(make_repo: Callable[..., Repo]) -> Repo:
    return make_repo({"tests/test_app.py": "def test_app():\n    pass\n", "conftest.py": REPORT_IMPORTS})


def test_a_run_without_the_option_imports_nothing_of_lumyn(app: Repo) -> None:
    """Not one module of the library, and of the plugin only its light half."""
    assert LIGHT == imported(app)


def test_a_run_that_declines_vectors_imports_nothing_of_lumyn(app: Repo) -> None:
    app.write("pytest.ini", "[pytest]\nlumyn_vectors = true\n")
    assert LIGHT == imported(app, "--no-lumyn-vectors")


def test_the_entry_point_imports_only_pytest_and_the_standard_library() -> None:
    """Checked from a bare interpreter: what the module pulls in belongs to pytest, to itself or to Python."""
    code = (
        "import pytest, sys; before = set(sys.modules); import pytest_lumyn.plugin; print(*set(sys.modules) - before)"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    foreign = {name for name in printed.split() if name.partition(".")[0] not in sys.stdlib_module_names}
    assert foreign == LIGHT


def test_an_idle_plugin_is_called_only_while_pytest_starts_and_for_warnings() -> None:
    """No hook that pytest calls for each file, item or report: an idle run must not pay for the size of a suite."""
    from pytest_lumyn import plugin

    assert {
        "pytest_addoption",
        "pytest_configure",
        "pytest_plugin_registered",
        "pytest_warning_recorded",
    } == {name for name in vars(plugin) if name.startswith("pytest_")}


def test_an_idle_plugin_specifies_its_hooks_when_somebody_implements_one(app: Repo) -> None:
    """Also when that is a `conftest.py` met while collecting: pytest refuses hooks that nobody specified."""
    app.write("tests/conftest.py", "def pytest_lumyn_report(config, results):\n    pass\n")
    app.write("tests/deep/conftest.py", "def pytest_lumyn_drift(item, drift):\n    pass\n")
    app.write("tests/deep/test_deep.py", "def test_deep():\n    pass\n")
    assert LIGHT | {"pytest_lumyn.hookspecs"} == imported(app, ".")


@pytest.mark.parametrize("option", ["--lumyn-vectors", "--no-lumyn-vectors"])
def test_a_hook_with_an_argument_that_it_does_not_have_is_refused(app: Repo, option: str) -> None:
    """As pytest refuses its own hooks, whether or not vectors were asked for."""
    app.write("tests/conftest.py", "def pytest_lumyn_report(config, result):\n    pass\n")
    run = app.run_pytest(option, "tests", own_process=True)
    assert 0 != run.exit_code
    assert "'result'} are declared in the hookimpl but can not be found in the hookspec" in run.stdout + run.stderr


def test_a_hook_that_is_misspelt_is_refused(app: Repo) -> None:
    app.write("tests/conftest.py", "def pytest_lumyn_reprt(config, results):\n    pass\n")
    run = app.run_pytest(own_process=True)
    assert 0 != run.exit_code
    assert "unknown hook 'pytest_lumyn_reprt'" in run.stdout + run.stderr


def test_the_names_of_the_hooks_are_known_without_their_specifications() -> None:
    from pytest_lumyn import hookspecs, plugin

    assert set(hookspecs.__all__) == plugin.HOOKS


def test_a_run_without_the_option_collects_and_prints_nothing(app: Repo) -> None:
    """The vectors beside the tests are not seen, and the word lumyn appears nowhere but in the list of plugins."""
    run = app.run_pytest("-v")
    run.assert_outcomes(passed=1)
    said = [line for line in run.lines if "lumyn" in line and not line.startswith(("plugins: ", "IMPORTED"))]
    assert [] == said


def test_the_option_collects_vectors(app: Repo) -> None:
    """The reverse of the tests above, so that they cannot pass because nothing works."""
    app.run_pytest("--lumyn-vectors").assert_outcomes(passed=6)


def test_the_ini_key_collects_vectors_and_the_negative_option_overrules_it(app: Repo) -> None:
    app.write("pytest.ini", "[pytest]\nlumyn_vectors = true\n")
    app.run_pytest().assert_outcomes(passed=6)
    app.run_pytest("--no-lumyn-vectors").assert_outcomes(passed=1)
    app.run_pytest("--lumyn-vectors", "--no-lumyn-vectors").assert_outcomes(passed=1)


def test_a_native_toml_table_turns_it_on(app: Repo) -> None:
    if pytest.version_tuple < (9, 0):
        pytest.skip("pytest reads [tool.pytest] from version 9.0 on")
    (app.path / "pytest.ini").unlink()
    app.write("pyproject.toml", '[tool.pytest]\nstrict = true\nlumyn_vectors = true\nlumyn_paths = ["vectors"]\n')
    app.run_pytest().assert_outcomes(passed=6)


def test_a_path_without_the_option_is_not_ignored_without_a_word(app: Repo) -> None:
    """`--lumyn-path` alone would run no vector and be green."""
    run = app.run_pytest("--lumyn-path=vectors")
    assert 4 == run.exit_code
    run.match("ERROR: lumyn: --lumyn-path has no effect without --lumyn-vectors")


def test_the_marker_is_registered_whether_or_not_vectors_are_on(app: Repo) -> None:
    app.write("tests/test_app.py", "import pytest\n\n@pytest.mark.lumyn(tag='x')\ndef test_app():\n    pass\n")
    app.run_pytest("--strict-markers").assert_outcomes(passed=1)
    assert 1 == app.run_pytest("--markers").text.count("@pytest.mark.lumyn(")
