"""Keys of the ini file: one that is misspelt, or holds what cannot be its value, is never as if it were not there."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from plugin.shop import PASSING, PYTHON_TEST

from lumyn.testing import Repo
from pytest_lumyn.asked import KEYS

MakeRepo = Callable[..., Repo]


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("lumyn_vector = true", "did you mean lumyn_vectors?"),
        ("lumyn_strct = true", "did you mean lumyn_strict?"),
        ("lumyn_min_vector = 40", "did you mean lumyn_min_vectors?"),
        ("lumyn-vectors = true", "did you mean lumyn_vectors?"),
        ("lumyn_x = 1", f"there are {', '.join(KEYS)}"),
    ],
)
def test_a_misspelt_key_is_red(make_repo: MakeRepo, line: str, hint: str) -> None:
    """To pytest it is a warning: a suite whose key for vectors is misspelt would be green without them for years."""
    repo = make_repo({"pytest.ini": f"[pytest]\n{line}\n", "tests/test_app.py": PYTHON_TEST})
    run = repo.run_pytest()
    assert 4 == run.exit_code, run.text
    run.match(f"ERROR: lumyn: unknown ini key {line.partition(' ')[0]!r}; {hint}")


@pytest.mark.parametrize("options", [("-o", "lumyn_strct=1"), ("-o", "lumyn_strct=1", "-p", "xdist", "-n1")])
def test_a_misspelt_key_on_the_command_line_is_red(repo: Repo, options: tuple[str, ...]) -> None:
    run = repo.run_pytest("--lumyn-vectors", *options, own_process=True)
    assert 4 == run.exit_code, run.text
    run.match("ERROR: lumyn: unknown ini key 'lumyn_strct'; did you mean lumyn_strict?")


def test_unknown_keys_of_others_stay_warnings(make_repo: MakeRepo) -> None:
    repo = make_repo({"pytest.ini": "[pytest]\nmy_lumyn_x = 1\n"})
    run = repo.run_pytest("--lumyn-vectors", "-W", "default")
    run.assert_outcomes(passed=PASSING)
    run.match("*Unknown config option: my_lumyn_x*")


def test_every_key_is_declared(make_repo: MakeRepo) -> None:
    values = {"lumyn_base": "", "lumyn_min_vectors": "1", "lumyn_coverage": "false", "lumyn_strict": "false"}
    lines = [f"{key} = {values.get(key, 'true' if key == 'lumyn_vectors' else '')}" for key in KEYS]
    repo = make_repo({"pytest.ini": "\n".join(["[pytest]", *lines, ""])})
    repo.run_pytest("--strict-config").assert_outcomes(passed=PASSING)


@pytest.mark.parametrize("line", ["lumyn_vectors = ture", "lumyn_min_vectors = -1", "lumyn_min_vectors = many"])
def test_a_value_that_cannot_be_is_red_and_its_key_is_named(make_repo: MakeRepo, line: str) -> None:
    repo = make_repo(
        {
            "pytest.ini": f"[pytest]\nlumyn_vectors = true\n{line}\n"
            if "vectors = t" not in line
            else f"[pytest]\n{line}\n"
        }
    )
    run = repo.run_pytest()
    assert 4 == run.exit_code, run.text
    run.match(f"ERROR: lumyn: ini {line.partition(' ')[0]}: *")
