"""Which files are vectors, and that a run without any is red: judged on files found, not on what a filter left."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from plugin.shop import PASSING, POLICY, PYTHON_TEST, VECTORS

from lumyn.testing import Repo

MakeRepo = Callable[..., Repo]
FILE = "vectors/shop/refund.yml"
NO_VECTORS: dict[str, str | None] = {"vectors/shop/refund.yml": None, "tests/test_app.py": PYTHON_TEST}


def test_roots_are_added_to_testpaths(make_repo: MakeRepo) -> None:
    """With `testpaths = tests` pytest itself never visits `vectors`."""
    repo = make_repo({"pytest.ini": "[pytest]\ntestpaths = tests\n", "tests/test_app.py": PYTHON_TEST})
    repo.run_pytest("--lumyn-vectors").assert_outcomes(passed=PASSING + 1)


def test_roots_are_found_from_another_working_directory(make_repo: MakeRepo) -> None:
    repo = make_repo({"tests/test_app.py": PYTHON_TEST})
    repo.run_pytest("--lumyn-vectors", cwd="tests").assert_outcomes(passed=PASSING + 1)


def test_vectors_below_the_working_directory_run_once(repo: Repo) -> None:
    """Both the working directory and the root lead to them."""
    run = repo.run_pytest("--lumyn-vectors", "--collect-only", "-q")
    assert PASSING == len([line for line in run.lines if "::" in line])


@pytest.mark.parametrize("path", ["vectors/shop", "vectors", "vectors/shop/refund.yml"])
def test_a_path_on_the_command_line_runs_what_it_names(make_repo: MakeRepo, path: str) -> None:
    repo = make_repo({"tests/test_app.py": PYTHON_TEST, "vectors/other.yml": VECTORS})
    expected = 2 * PASSING if path == "vectors" else PASSING
    repo.run_pytest("--lumyn-vectors", path).assert_outcomes(passed=expected)


def test_the_flag_swallows_no_path(make_repo: MakeRepo) -> None:
    """`tests` after the flag is a path to collect, not the flag's value."""
    repo = make_repo({"tests/test_app.py": PYTHON_TEST, "tests/refund.lumyn.yml": VECTORS})
    repo.run_pytest("--lumyn-vectors", "tests").assert_outcomes(passed=PASSING + 1)


def test_scenario_files_are_found_anywhere(make_repo: MakeRepo) -> None:
    repo = make_repo({"team/flows/refund.lumyn.yaml": VECTORS, "vectors/shop/refund.yml": None})
    repo.run_pytest("--lumyn-vectors").assert_outcomes(passed=PASSING)


def test_other_data_files_are_not_vectors(make_repo: MakeRepo) -> None:
    """A YAML file outside the roots belongs to somebody else, and `_` marks support files inside."""
    repo = make_repo(
        {
            "tests/test_settings.yaml": "retries: 3\n",
            "vectors/_notes.yml": "anything: goes\n",
            "vectors/README.md": "# Vectors\n",
        }
    )
    repo.run_pytest("--lumyn-vectors").assert_outcomes(passed=PASSING)


def test_a_topic_named_build_is_collected(make_repo: MakeRepo) -> None:
    """pytest skips folders of that name by default; a topic must not vanish for its name."""
    repo = make_repo({"vectors/build/refund.yml": VECTORS})
    repo.run_pytest("--lumyn-vectors").assert_outcomes(passed=2 * PASSING)
    repo.run_pytest("--lumyn-vectors", "--ignore=vectors/build").assert_outcomes(passed=PASSING)


@pytest.mark.parametrize("root", ["dist", ".golden", ".hidden/vectors"])
def test_a_root_pytest_would_not_visit_is_visited(make_repo: MakeRepo, root: str) -> None:
    repo = make_repo({f"{root}/a.yml": VECTORS, "tests/test_app.py": PYTHON_TEST})
    repo.run_pytest("--lumyn-vectors", f"--lumyn-path={root}").assert_outcomes(passed=PASSING + 1)


def test_roots_may_lie_in_one_another(make_repo: MakeRepo) -> None:
    """pytest 8 leaves tests out where one argument lies in another."""
    repo = make_repo({"pytest.ini": "[pytest]\ntestpaths = tests\n", "tests/test_app.py": PYTHON_TEST})
    run = repo.run_pytest("--lumyn-vectors", "--lumyn-path=vectors/shop", "--lumyn-path=vectors")
    run.assert_outcomes(passed=PASSING + 1)
    repo.write("pytest.ini", "[pytest]\ntestpaths = tests vectors\n")
    repo.run_pytest("--lumyn-vectors").assert_outcomes(passed=PASSING + 1)


def test_roots_of_the_ini_file_replace_the_default(make_repo: MakeRepo) -> None:
    repo = make_repo(
        {
            "pytest.ini": "[pytest]\nlumyn_vectors = true\nlumyn_paths = golden more/*\n",
            "golden/a.yml": VECTORS,
            "more/one/b.yml": VECTORS,
            "more/two/c.yml": VECTORS,
        }
    )
    run = repo.run_pytest("--collect-only", "-q")
    files = {line.partition("::")[0] for line in run.lines if "::" in line}
    assert {"golden/a.yml", "more/one/b.yml", "more/two/c.yml"} == files


def test_roots_of_the_command_line_replace_those_of_the_ini_file(make_repo: MakeRepo) -> None:
    repo = make_repo({"pytest.ini": "[pytest]\ntestpaths = tests\nlumyn_paths = vectors\n", "other/a.yml": VECTORS})
    repo.write("tests/test_app.py", PYTHON_TEST)
    run = repo.run_pytest("--lumyn-vectors", "--lumyn-path=other", "--collect-only", "-q")
    files = {line.partition("::")[0] for line in run.lines if "::" in line}
    assert {"other/a.yml", "tests/test_app.py"} == files


def test_a_root_outside_the_rootdir_is_red(make_repo: MakeRepo) -> None:
    """Policies are named relative to the rootdir, and nothing outside is read."""
    repo = make_repo({"app/pytest.ini": "[pytest]\n", "pytest.ini": None, "app/tests/test_app.py": PYTHON_TEST})
    run = repo.run_pytest("--lumyn-vectors", "--lumyn-path=../vectors", cwd="app")
    assert 4 == run.exit_code
    run.match("ERROR: lumyn: --lumyn-path: ../vectors lies outside the rootdir *")


def test_no_vector_file_is_red_although_other_tests_pass(make_repo: MakeRepo) -> None:
    """Exit code 0 would be a green gate without a vector, and 5 is masked in many builds."""
    run = make_repo(NO_VECTORS).run_pytest("--lumyn-vectors")
    assert 4 == run.exit_code
    run.match(
        "ERROR: lumyn: no vector file found under `vectors` (*.yaml, *.yml, *.json) or named `*.lumyn.yaml`*; "
        "use --lumyn-allow-empty to accept that"
    )


@pytest.mark.parametrize("workers", [(), ("-p", "xdist", "-n1")], ids=["alone", "workers"])
def test_a_folder_that_something_leaves_out_is_red_and_says_so(repo: Repo, workers: tuple[str, ...]) -> None:
    """As pytest-testmon does when no Python code changed: it knows of no policy."""
    repo.write(
        "conftest.py",
        "def pytest_ignore_collect(collection_path):\n    return '.yml' in collection_path.name or None\n",
    )
    run = repo.run_pytest("--lumyn-vectors", *workers, own_process=bool(workers))
    assert 4 == run.exit_code
    run.match("*nothing under `vectors` was collected, where 1 vector file is: collect_ignore, *")


LEAVES_OUT = {
    "collect_ignore": {"conftest.py": "collect_ignore_glob = ['*/second.yml', '*/third.yml']\n"},
    "a plugin": {
        "conftest.py": "def pytest_ignore_collect(collection_path):\n"
        "    return collection_path.name in ('second.yml', 'third.yml') or None\n"
    },
    "norecursedirs": {"pytest.ini": "[pytest]\nnorecursedirs = more\n"},
}


@pytest.mark.parametrize("workers", [(), ("-p", "xdist", "-n1")], ids=["alone", "workers"])
@pytest.mark.parametrize("files", LEAVES_OUT.values(), ids=LEAVES_OUT)
def test_files_that_something_leaves_out_are_told(
    make_repo: MakeRepo, files: dict[str, str], workers: tuple[str, ...]
) -> None:
    """Nobody misses a file of vectors while others are green; a strict run fails for each."""
    more = {f"vectors/more/{name}.yml": VECTORS for name in ("second", "third")}
    repo = make_repo(more | files)
    run = repo.run_pytest("--lumyn-vectors", *workers, own_process=bool(workers))
    run.assert_outcomes(passed=PASSING)
    assert 0 == run.exit_code
    run.match("lumyn: 2 vector files left out of this run, first vectors/more/second.yml: collect_ignore, *")
    run = repo.run_pytest("--lumyn-vectors", "--lumyn-strict", *workers, own_process=bool(workers))
    assert 1 == run.exit_code
    run.match(*(f"FAILED lumyn gate: {name}: left out of the run" for name in more))
    run.no_match("*left out of this run*")


def test_many_files_that_something_leaves_out_end_in_a_count(make_repo: MakeRepo) -> None:
    files: dict[str, str | None] = {f"vectors/more/{number:02}.yml": VECTORS for number in range(51)}
    repo = make_repo({"conftest.py": "collect_ignore = ['vectors/more']\n"} | files)
    run = repo.run_pytest("--lumyn-vectors", "--lumyn-strict")
    assert 50 == sum(line.endswith(": left out of the run") for line in run.lines)
    run.match("FAILED lumyn gate: vectors/more/49.yml: left out of the run")
    run.match("FAILED lumyn gate: and 1 file more left out of the run")


def test_what_was_chosen_or_holds_no_vectors_is_not_left_out(make_repo: MakeRepo) -> None:
    """A part that was asked for is no news, nor are folders that are passed over everywhere."""
    repo = make_repo({"vectors/more/second.yml": VECTORS, "vectors/_golden.yml": "{}\n"})
    for folder in (".drafts", "node_modules", "env"):
        repo.write(f"vectors/{folder}/old.yml", VECTORS)
    repo.write("vectors/env/pyvenv.cfg", "home = /usr\n")
    for chosen in ((), ("vectors/shop",), ("--ignore=vectors/more",), ("-k", "small"), ("--collect-only",)):
        run = repo.run_pytest("--lumyn-vectors", "--lumyn-strict", *chosen)
        assert 0 == run.exit_code, run.text
        run.no_match("*left out*")
        repo.run_pytest("--lumyn-vectors", *chosen).no_match("*left out*")


def test_the_same_file_by_another_name_is_not_left_out(make_repo: MakeRepo) -> None:
    repo = make_repo({"conftest.py": "collect_ignore = ['vectors/again.yml']\n"})
    (repo.path / "vectors/again.yml").symlink_to(repo.path / FILE)
    run = repo.run_pytest("--lumyn-vectors", "--lumyn-strict")
    assert 0 == run.exit_code, run.text


def test_an_empty_folder_is_red(make_repo: MakeRepo) -> None:
    repo = make_repo(NO_VECTORS)
    repo.write("vectors/_defaults.yaml", "{}\n")
    assert 4 == repo.run_pytest("--lumyn-vectors").exit_code


def test_an_empty_folder_may_be_allowed(make_repo: MakeRepo) -> None:
    make_repo(NO_VECTORS).run_pytest("--lumyn-vectors", "--lumyn-allow-empty").assert_outcomes(passed=1)


@pytest.mark.parametrize("allowed", [(), ("--lumyn-allow-empty",)])
def test_a_misspelt_folder_is_red(make_repo: MakeRepo, allowed: tuple[str, ...]) -> None:
    """On the command line and in the ini file, and whatever else is found or allowed."""
    repo = make_repo({"pytest.ini": "[pytest]\nlumyn_paths = vectors vectorz\n"})
    run = repo.run_pytest("--lumyn-vectors", *allowed)
    assert 4 == run.exit_code
    run.match("ERROR: lumyn: ini lumyn_paths: no such file or directory: vectorz")
    run = repo.run_pytest("--lumyn-vectors", "--lumyn-path=vectros", *allowed)
    assert 4 == run.exit_code
    run.match("ERROR: lumyn: --lumyn-path: no such file or directory: vectros")


def test_each_folder_named_must_hold_a_vector(make_repo: MakeRepo) -> None:
    """One full folder does not excuse an empty one."""
    repo = make_repo({"scenarios/README.md": "later\n", "pytest.ini": "[pytest]\nlumyn_paths = vectors scenarios\n"})
    run = repo.run_pytest("--lumyn-vectors")
    assert 4 == run.exit_code
    run.match("ERROR: lumyn: no vector file found under `scenarios`; use --lumyn-allow-empty to accept that")


def test_each_pattern_named_must_match_a_file(make_repo: MakeRepo) -> None:
    repo = make_repo({"pytest.ini": "[pytest]\nlumyn_patterns = *.flow.yml\n"})
    run = repo.run_pytest("--lumyn-vectors")
    assert 4 == run.exit_code
    run.match("ERROR: lumyn: no vector file found under `*.flow.yml`; *")
    repo.write("tests/a.flow.yml", VECTORS)
    repo.run_pytest("--lumyn-vectors").assert_outcomes(passed=2 * PASSING)


def test_a_path_on_the_command_line_that_holds_no_vector_is_red(make_repo: MakeRepo) -> None:
    """`pytest --lumyn-vectors tests` asks for vectors where there are none."""
    run = make_repo({"tests/test_app.py": PYTHON_TEST}).run_pytest("--lumyn-vectors", "tests")
    assert 4 == run.exit_code
    run.match("ERROR: lumyn: no vector file found at the paths given: *")


@pytest.mark.parametrize("nested", ["app/vectors", "app/vectors/shop"])
def test_vectors_of_another_project_are_not_passed_by(make_repo: MakeRepo, nested: str) -> None:
    """Of two folders of vectors named in one run, one that is no root would be left out without a word."""
    repo = make_repo({"app/vectors/shop/refund.yml": VECTORS, "tests/vectors/test_a.py": PYTHON_TEST})
    run = repo.run_pytest("--lumyn-vectors", "vectors", nested)
    assert 4 == run.exit_code
    run.match(f"ERROR: lumyn: nothing of `{nested}` was collected: *")
    repo.run_pytest("--lumyn-vectors", "vectors", "tests/vectors").assert_outcomes(passed=PASSING + 1)
    repo.run_pytest("--lumyn-vectors", "vectors", nested, "--lumyn-allow-empty").assert_outcomes(passed=PASSING)
    repo.write("pytest.ini", "[pytest]\nlumyn_vectors = true\n")
    repo.run_pytest("vectors", nested).assert_outcomes(passed=PASSING)


@pytest.mark.parametrize(
    ("cwd", "paths", "project"),
    [("app", (), "."), ("app", ("vectors",), "."), (".", ("app",), "app"), (".", ("app/vectors",), "app")],
)
def test_a_project_within_the_rootdir_is_told_how_to_run(
    make_repo: MakeRepo, cwd: str, paths: tuple[str, ...], project: str
) -> None:
    """As where the only ini file of a repository of many projects stands at its top."""
    files = {"app/policies/shop.yml": POLICY, "app/vectors/refund.yml": VECTORS, "app/test_app.py": PYTHON_TEST}
    repo = make_repo({"vectors/shop/refund.yml": None} | files)
    run = repo.run_pytest("--lumyn-vectors", *paths, cwd=cwd)
    assert 4 == run.exit_code, run.text
    run.match(
        f"ERROR: lumyn: no vector file found under `vectors` of the rootdir *: run that with --rootdir={project}, or *"
    )
    repo.run_pytest("--lumyn-vectors", f"--rootdir={project}", *paths, cwd=cwd).assert_outcomes(
        passed=PASSING + (paths in ((), ("app",)))
    )


@pytest.mark.parametrize("mark", ["lumyn.toml", ".git/HEAD"])
def test_a_run_too_far_below_is_told_where_to_run(make_repo: MakeRepo, mark: str) -> None:
    """Without an ini file pytest takes the folder it is started in for the rootdir."""
    repo = make_repo({"pytest.ini": None, mark: "", "src/app/test_app.py": PYTHON_TEST})
    run = repo.run_pytest("--lumyn-vectors", cwd="src/app")
    assert 4 == run.exit_code
    run.match(f"ERROR: lumyn: no vector file found under `vectors` of the rootdir *: run pytest in `{repo.path}`, or *")
    repo.run_pytest("--lumyn-vectors").assert_outcomes(passed=PASSING + 1)
    repo.write("pytest.ini", "[pytest]\n")
    repo.run_pytest("--lumyn-vectors", cwd="src/app").assert_outcomes(passed=PASSING + 1)


def test_vectors_outside_the_rootdir_are_not_passed_by(make_repo: MakeRepo) -> None:
    """As where each of two applications has an ini file: the first one's folder is the rootdir."""
    repo = make_repo({"pytest.ini": None, "vectors/shop/refund.yml": None})
    for name in "ab":
        repo.write(f"{name}/pytest.ini", "[pytest]\n")
        repo.write(f"{name}/policies/shop.yml", POLICY)
        repo.write(f"{name}/vectors/refund.yml", VECTORS)
    run = repo.run_pytest("--lumyn-vectors", "a/vectors", "b/vectors")
    assert 4 == run.exit_code
    run.match("ERROR: lumyn: nothing of *b/vectors` was collected: *")


def test_a_vector_file_beside_what_was_asked_for_does_not_count(make_repo: MakeRepo) -> None:
    """pytest visits the neighbours of a path too; they are not run."""
    repo = make_repo({"tests/test_app.py": PYTHON_TEST, "tests/refund.lumyn.yml": VECTORS})
    assert 4 == repo.run_pytest("--lumyn-vectors", "tests/test_app.py").exit_code


def test_vectors_of_the_ini_file_do_not_stand_in_the_way_of_one_python_test(make_repo: MakeRepo) -> None:
    """The command line did not ask for vectors, it selects."""
    ini = "[pytest]\nlumyn_vectors = true\nlumyn_min_vectors = 5\n"
    repo = make_repo({"pytest.ini": ini, "tests/test_app.py": PYTHON_TEST})
    repo.run_pytest("tests/test_app.py::test_python").assert_outcomes(passed=1)


def test_fewer_vectors_than_the_least_number_are_red(make_repo: MakeRepo) -> None:
    repo = make_repo({"pytest.ini": f"[pytest]\nlumyn_min_vectors = {PASSING + 1}\n"})
    run = repo.run_pytest("--lumyn-vectors")
    assert 4 == run.exit_code
    run.match("ERROR: lumyn: 5 vectors found, at least 6 are due (lumyn_min_vectors)")
    repo.write("vectors/more.yml", VECTORS)
    repo.run_pytest("--lumyn-vectors").assert_outcomes(passed=2 * PASSING)


@pytest.mark.parametrize("paths", [("vectors",), ("tests", "vectors"), (".",)], ids=" ".join)
@pytest.mark.parametrize("asked", ["ini", "option"])
def test_paths_that_hold_all_the_folders_are_no_part(make_repo: MakeRepo, paths: tuple[str, ...], asked: str) -> None:
    """`pytest --lumyn-vectors vectors` is what many a workflow says; a least number that it passed by held nothing."""
    ini = f"[pytest]\nlumyn_vectors = true\nlumyn_min_vectors = {PASSING + 1}\n"
    repo = make_repo({"tests/test_app.py": PYTHON_TEST, "pytest.ini": ini if asked == "ini" else "[pytest]\n"})
    options = () if asked == "ini" else ("--lumyn-vectors", f"--lumyn-min-vectors={PASSING + 1}")
    run = repo.run_pytest(*options, *paths)
    assert 4 == run.exit_code, run.text
    run.match("ERROR: lumyn: 5 vectors found, at least 6 are due (lumyn_min_vectors)")


def test_vectors_elsewhere_may_be_what_is_missing(make_repo: MakeRepo) -> None:
    """Of paths that leave a scenario file out, nobody can say how many vectors there are in all."""
    repo = make_repo(
        {"pytest.ini": f"[pytest]\nlumyn_min_vectors = {2 * PASSING}\n", "tests/refund.lumyn.yml": VECTORS}
    )
    repo.run_pytest("--lumyn-vectors", "vectors").assert_outcomes(passed=PASSING)
    (repo.path / "tests/refund.lumyn.yml").unlink()
    assert 4 == repo.run_pytest("--lumyn-vectors", "vectors").exit_code


def test_all_of_an_empty_folder_is_red_although_the_ini_file_asked(make_repo: MakeRepo) -> None:
    repo = make_repo(NO_VECTORS | {"pytest.ini": "[pytest]\nlumyn_vectors = true\n", "vectors/README.md": "later\n"})
    assert 4 == repo.run_pytest(".").exit_code
    assert 4 == repo.run_pytest("vectors").exit_code


def test_a_least_number_that_is_none_is_a_usage_error(make_repo: MakeRepo) -> None:
    run = make_repo({"pytest.ini": "[pytest]\nlumyn_min_vectors = many\n"}).run_pytest("--lumyn-vectors")
    assert 4 == run.exit_code
    run.match("ERROR: *invalid literal for int() with base 10: 'many'")


def test_filters_that_leave_nothing_are_no_false_alarm(make_repo: MakeRepo) -> None:
    """Nothing selected is pytest's exit code 5, not a missing folder."""
    repo = make_repo({"pytest.ini": f"[pytest]\nlumyn_min_vectors = {PASSING}\n", "tests/test_app.py": PYTHON_TEST})
    assert 5 == repo.run_pytest("--lumyn-vectors", "-k", "nothing_is_called_that").exit_code
    repo.run_pytest("--lumyn-vectors", "-k", "test_python").assert_outcomes(passed=1, deselected=PASSING)


def test_last_failed_that_leaves_whole_files_out_is_no_false_alarm(make_repo: MakeRepo) -> None:
    """Under `--lf` pytest does not read files without a failure."""
    failing = "def test_python():\n    assert 0\n"
    repo = make_repo({"pytest.ini": f"[pytest]\nlumyn_min_vectors = {PASSING}\n", "tests/test_app.py": failing})
    repo.run_pytest("--lumyn-vectors").assert_outcomes(passed=PASSING, failed=1)
    repo.run_pytest("--lumyn-vectors", "--lf").assert_outcomes(failed=1)


def test_last_failed_knows_nothing_of_fixtures_used_in_files_it_leaves_out(make_repo: MakeRepo) -> None:
    action = "{type: support.refund, intent: refund a customer, amount: {value: 12, currency: USD}}"
    pay = f"{{action: {action}, evidence: {{ticket_id: ZD-1, risk: 0.1}}}}"
    head = "schema_version: vector.v0\n"
    vector = "{name: a, request: {$use: pay}, expect: {verdict: TRUST, reason_codes: [REFUND_SMALL]}}"
    repo = make_repo(
        {
            "vectors/_defaults.yaml": f"{head}fixtures: {{requests: {{pay: {pay}}}}}\n",
            "vectors/pay.yml": f'{head}policy: policies/shop.yml\nclock: "2026-01-15T12:00:00Z"\nvectors: [{vector}]\n',
            FILE: VECTORS.replace("verdict: TRUST", "verdict: QUERY", 1),
        }
    )
    repo.run_pytest("--lumyn-vectors").assert_outcomes(passed=PASSING, failed=1)
    repo.run_pytest("--lumyn-vectors", "--lf").assert_outcomes(failed=1)
    (repo.path / "vectors/pay.yml").unlink()
    repo.run_pytest("--lumyn-vectors").match("ERROR: lumyn: shared fixtures that no vector uses")


@pytest.mark.parametrize("allowed", [False, True])
def test_workers_report_that_nothing_was_found(make_repo: MakeRepo, allowed: bool) -> None:
    """Workers collect, the controller judges."""
    pytest.importorskip("xdist")
    options = ("--lumyn-vectors", "-n1", "-p", "xdist", *(["--lumyn-allow-empty"] if allowed else []))
    run = make_repo(NO_VECTORS).run_pytest(*options, own_process=True)
    assert (0 if allowed else 4) == run.exit_code
    run.assert_outcomes(passed=1)
    if not allowed:
        run.match("ERROR: lumyn: no vector file found under `vectors`*")


def test_workers_that_were_interrupted_are_no_empty_folder(repo: Repo) -> None:
    """What they found is told when they end, and they were not waited for."""
    pytest.importorskip("xdist")
    repo.write(
        "conftest.py",
        "import pytest\n\n\n@pytest.hookimpl(trylast=True)\ndef pytest_runtest_logreport(report):\n"
        "    if report.nodeid and 'PYTEST_XDIST_WORKER' not in __import__('os').environ:\n"
        "        raise KeyboardInterrupt\n",
    )
    run = repo.run_pytest("--lumyn-vectors", "-n1", "-p", "xdist", "--lumyn-report=report.json", own_process=True)
    assert 2 == run.exit_code
    run.no_match("*no vector file found*")
    assert '"failures": [\n    "the run was interrupted"\n  ]' in repo.read("report.json")


def test_workers_count_vectors(make_repo: MakeRepo) -> None:
    pytest.importorskip("xdist")
    repo = make_repo({"pytest.ini": f"[pytest]\nlumyn_min_vectors = {PASSING + 1}\n"})
    run = repo.run_pytest("--lumyn-vectors", "-n1", "-p", "xdist", own_process=True)
    assert 4 == run.exit_code
    run.match("ERROR: lumyn: 5 vectors found, at least 6 are due (lumyn_min_vectors)")


def test_a_link_to_a_vector_file_that_is_gone_is_red(repo: Repo) -> None:
    """pytest passes such links by, and their vectors with them."""
    (repo.path / "vectors/shop/gone.yml").symlink_to("nowhere.yml")
    run = repo.run_pytest("--lumyn-vectors")
    assert 4 == run.exit_code
    run.match("ERROR: lumyn: links to vector files that are not there: `vectors/shop/gone.yml`; mend or delete them")


def test_a_support_file_on_the_command_line_is_no_vector_file(repo: Repo) -> None:
    repo.write("vectors/_defaults.yaml", "schema_version: vector.v0\n")
    run = repo.run_pytest("--lumyn-vectors", "vectors/_defaults.yaml")
    assert 4 == run.exit_code
    run.no_match("*[FIELD_MISSING]*", "*ERROR collecting*")
