"""`lumyn doctor`: what is configured and from where, what is wrong, and what --fix mends."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cli.harness import Lumyn, Result, refund, write

from lumyn.cli.diagnosis.settings import masked
from lumyn.config.values import CHECKS

SECRET = "hunter2-please-never-show-me"


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine that runs the tests has settings of its own."""
    for name in ("VIRTUAL_ENV", "PYTEST_ADDOPTS", "PYTEST_DISABLE_PLUGIN_AUTOLOAD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 51, 3))
    monkeypatch.setattr(sqlite3, "sqlite_version", "3.51.3")


def finding(result: Result, check: str) -> dict[str, Any]:
    """Return what was found first about `check`."""
    return next(each for each in result.data["findings"] if each["check"] == check)


def codes(result: Result, *statuses: str) -> set[str]:
    """Return the codes of what was found, of these statuses."""
    return {each["code"] for each in result.data["findings"] if each["status"] in (statuses or ("warning", "problem"))}


def test_a_new_workspace_is_fine(lumyn: Lumyn, workspace: Path) -> None:
    """But for the place where its workflow installs from, which is only warned about."""
    result = lumyn("doctor", "--json")
    assert (0, True, "") == (result.code, result.data["ok"], result.err)
    assert {"CI_INCOMPLETE"} == codes(result)
    assert "19 vectors in 1 file" == finding(result, "vectors")["message"]
    assert "enforce" == finding(result, "mode")["message"]
    text = lumyn("doctor")
    assert 0 == text.code
    assert "1 warning" == text.out.splitlines()[-1]


def test_a_folder_without_a_workspace_is_a_problem_with_a_way_out(lumyn: Lumyn) -> None:
    result = lumyn("doctor", "--json")
    assert (1, False) == (result.code, result.data["ok"])
    assert ("CONFIG_NOT_FOUND", True) == (
        (found := finding(result, "configuration"))["code"],
        "lumyn init" in found["hint"],
    )
    assert "ok" == finding(result, "python")["status"]


def test_the_demo_can_be_looked_at(lumyn: Lumyn) -> None:
    lumyn("demo")
    result = lumyn("doctor", "--json")
    assert 0 == result.code
    assert "demo" in finding(result, "configuration")["message"]


# --- settings ------------------------------------------------------------------------------------------------------


def test_every_setting_is_shown_with_where_it_came_from(
    lumyn: Lumyn, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LUMYN_POLICY_MODE", "advisory")
    settings = {each["key"]: each for each in lumyn("doctor", "--json").data["settings"]}
    assert list(CHECKS) == list(settings)
    assert ("environment", "LUMYN_POLICY_MODE", "advisory") == tuple(
        settings["policy.mode"][name] for name in ("source", "origin", "value")
    )
    assert ("file", "policies/support.yml") == (settings["policy.path"]["source"], settings["policy.path"]["value"])
    assert settings["policy.path"]["origin"].startswith("lumyn.toml:")
    assert ("default", "FULL") == (settings["store.synchronous"]["source"], settings["store.synchronous"]["value"])
    assert (None, None) == (settings["store.id"]["source"], settings["store.id"]["value"])


def test_a_store_below_is_shown_from_here_and_whole_in_json(lumyn: Lumyn, workspace: Path) -> None:
    assert " sqlite:///.lumyn/lumyn.db " in lumyn("doctor").out
    settings = {each["key"]: each["value"] for each in lumyn("doctor", "--json").data["settings"]}
    assert f"sqlite:///{workspace}/.lumyn/lumyn.db" == settings["store.url"]


@pytest.mark.parametrize("flag", ["", "--json"])
def test_secrets_are_never_shown(lumyn: Lumyn, workspace: Path, monkeypatch: pytest.MonkeyPatch, flag: str) -> None:
    """cli-011: of variables only names, of a URL neither user nor password."""
    monkeypatch.setenv("LUMYN_SIGNING_SECRET", SECRET)
    monkeypatch.setenv("LUMYN_STORE_URL", f"postgresql://app:{SECRET}@db.example/lumyn?sslpassword={SECRET}")
    result = lumyn("doctor", *filter(None, [flag]))
    assert 1 == result.code
    assert SECRET not in result.out + result.err
    assert "postgresql://***@db.example/lumyn?sslpassword=***" in result.out
    if flag:
        assert {"variable": "LUMYN_SIGNING_SECRET", "read": False} in result.data["environment"]
        assert {"variable": "LUMYN_STORE_URL", "read": True} in result.data["environment"]


@pytest.mark.parametrize(
    ("key", "text", "expected"),
    [
        ("store.url", "sqlite:////a/b.db", "sqlite:////a/b.db"),
        ("store.url", "postgresql://me@host/db", "postgresql://***@host/db"),
        ("store.url", "postgresql://a:b@c:d@host/db", "postgresql://***@host/db"),
        ("store.url", "x://h/?a=1&api_key=k&b=2", "x://h/?a=1&api_key=***&b=2"),
        ("api.signing_secret", "s", "***"),
        ("api.keys", "s", "***"),
    ],
)
def test_what_is_secret_is_masked(key: str, text: str, expected: str) -> None:
    assert expected == masked(key, text)


def test_nothing_of_a_file_name_reaches_the_terminal_raw(lumyn: Lumyn, workspace: Path) -> None:
    (workspace / "policies" / "\x1b[2J.yml").write_text("x: 1\n")
    (workspace / "lumyn.toml").write_text('[policy]\npath = "policies/\\u001b[2J.yml"\n')
    result = lumyn("doctor")
    assert 1 == result.code
    assert "\x1b" not in result.out


# --- what is wrong -------------------------------------------------------------------------------------------------


def test_an_unusable_configuration_does_not_keep_the_rest_from_being_checked(lumyn: Lumyn, workspace: Path) -> None:
    (workspace / "lumyn.toml").write_text('[store]\nulr = "x"\n[policy]\nmode = "off"\n')
    result = lumyn("doctor", "--json")
    assert 1 == result.code
    assert {"FIELD_UNKNOWN", "MODE_INVALID"} == codes(result, "problem")
    assert [] == result.data["settings"]
    assert "ok" == finding(result, "pytest")["status"]


@pytest.mark.parametrize(("found", "warned"), [((3, 51, 2), True), ((3, 51, 3), False), ((3, 53, 0), False)])
def test_sqlite_with_the_wal_reset_bug_is_warned_about(
    lumyn: Lumyn, workspace: Path, monkeypatch: pytest.MonkeyPatch, found: tuple[int, ...], warned: bool
) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", found)
    result = lumyn("doctor", "--json")
    assert 0 == result.code
    assert warned == ("WAL_RESET_BUG" in codes(result, "warning"))


def test_an_invalid_policy_is_a_problem_with_its_place(lumyn: Lumyn, workspace: Path) -> None:
    path = workspace / "policies" / "support.yml"
    path.write_text(path.read_text().replace("stage: HARD_BLOCKS", "stage: HARD_BLOKS"))
    result = lumyn("doctor", "--json")
    assert 1 == result.code
    found = finding(result, "policy")
    assert "STAGE_UNKNOWN" == found["code"]
    assert "support.yml:" in found["message"]
    assert "problem" in {each["status"] for each in result.data["findings"] if each["check"] == "vectors"}


def test_an_advisory_mode_is_a_warning(lumyn: Lumyn, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever looks for why nothing is blocked finds it here."""
    monkeypatch.setenv("LUMYN_POLICY_MODE", "advisory")
    result = lumyn("doctor", "--json")
    assert (0, "MODE_ADVISORY") == (result.code, finding(result, "mode")["code"])
    assert "LUMYN_POLICY_MODE" in finding(result, "mode")["hint"]


def test_redaction_that_cannot_work_or_keeps_all(
    lumyn: Lumyn, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LUMYN_REDACTION_REMOVE", '["/subjekt/ip"]')
    result = lumyn("doctor", "--json")
    assert (1, "FIELD_UNKNOWN") == (result.code, finding(result, "redaction")["code"])
    monkeypatch.setenv("LUMYN_REDACTION_REMOVE", "[]")
    monkeypatch.setenv("LUMYN_REDACTION_PROFILE", "off")
    result = lumyn("doctor", "--json")
    assert (0, "REDACTION_OFF") == (result.code, finding(result, "redaction")["code"])


def test_vectors_are_collected_not_counted_by_name(lumyn: Lumyn, workspace: Path) -> None:
    vectors = workspace / "vectors" / "support.yml"
    text = vectors.read_text()
    vectors.write_text(text.replace("verdict: TRUST, reason_codes: [REFUND_SMALL_LOW_RISK]", "verdikt: TRUST", 1))
    assert "problem" == finding(lumyn("doctor", "--json"), "vectors")["status"]
    vectors.write_text("schema_version: vector.v0\n")
    assert "problem" == finding(lumyn("doctor", "--json"), "vectors")["status"]
    vectors.unlink()
    result = lumyn("doctor", "--json")
    assert (0, "VECTORS_EMPTY") == (result.code, finding(result, "vectors")["code"])


def test_a_plugin_that_pytest_would_not_load(lumyn: Lumyn, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "registered" in finding(lumyn("doctor", "--json"), "pytest")["message"]
    for name, value in (("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1"), ("PYTEST_ADDOPTS", "-q -p no:lumyn")):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            result = lumyn("doctor", "--json")
            assert (0, "PLUGIN_DISABLED") == (result.code, finding(result, "pytest")["code"])
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: [])
    result = lumyn("doctor", "--json")
    assert (1, "PLUGIN_NOT_REGISTERED") == (result.code, finding(result, "pytest")["code"])


def test_another_environment_is_warned_about(
    lumyn: Lumyn, workspace: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / "venv"))
    result = lumyn("doctor", "--json")
    assert 0 == result.code
    assert "ENVIRONMENT_DIFFERS" in codes(result, "warning")


# --- the store -----------------------------------------------------------------------------------------------------


def test_it_leaves_no_record_behind(lumyn: Lumyn, workspace: Path) -> None:
    lumyn("decide", write(workspace / "r.json", refund()))
    before = sorted(path.name for path in (workspace / ".lumyn").iterdir())
    content = (workspace / ".lumyn" / "lumyn.db").read_bytes()
    result = lumyn("doctor", "--json")
    assert "ok" == finding(result, "write test")["status"]
    assert "2 rows, 1 decision, every link holds" == finding(result, "journal")["message"]
    assert before == sorted(path.name for path in (workspace / ".lumyn").iterdir())
    assert content == (workspace / ".lumyn" / "lumyn.db").read_bytes()


def test_a_missing_store_is_not_made(lumyn: Lumyn, workspace: Path) -> None:
    for path in (workspace / ".lumyn").glob("lumyn.db*"):
        path.unlink()
    result = lumyn("doctor", "--fix", "--json")
    assert (1, "STORE_NOT_FOUND") == (result.code, finding(result, "store")["code"])
    assert not (workspace / ".lumyn" / "lumyn.db").exists()
    assert not [each for each in result.data["findings"] if each["check"] == "write test"]


def test_a_store_that_was_edited_is_a_problem(lumyn: Lumyn, workspace: Path) -> None:
    lumyn("decide", write(workspace / "r.json", refund()))
    with closing(sqlite3.connect(workspace / ".lumyn" / "lumyn.db", isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER decisions_no_update")
        connection.execute("UPDATE decisions SET verdict = 'ABSTAIN'")
    result = lumyn("doctor", "--json")
    assert 1 == result.code
    assert "TRIGGER_MISSING" in codes(result, "problem")


def test_another_store_than_the_pinned_one_is_a_problem(
    lumyn: Lumyn, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LUMYN_STORE_ID", "0" * 32)
    result = lumyn("doctor", "--json")
    assert (1, "STORE_IDENTITY_MISMATCH") == (result.code, finding(result, "store")["code"])


def test_a_store_in_memory_is_a_warning(lumyn: Lumyn, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUMYN_STORE_URL", "sqlite:///:memory:")
    assert "STORE_IN_MEMORY" == finding(lumyn("doctor", "--json"), "store")["code"]


def test_a_locked_store_fails_the_write_test(lumyn: Lumyn, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUMYN_STORE_BUSY_TIMEOUT_S", "0.05")
    with closing(sqlite3.connect(workspace / ".lumyn" / "lumyn.db", isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        result = lumyn("doctor", "--json")
        connection.execute("ROLLBACK")
    assert (1, "STORE_LOCKED") == (result.code, finding(result, "write test")["code"])


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
def test_modes_are_found_and_mended(lumyn: Lumyn, workspace: Path) -> None:
    store, folder = workspace / ".lumyn" / "lumyn.db", workspace / ".lumyn"
    store.chmod(0o644)
    folder.chmod(0o755)
    result = lumyn("doctor", "--json")
    assert 1 == result.code
    assert {"problem", "warning"} == {
        each["status"] for each in result.data["findings"] if each["check"] == "store modes"
    }
    assert 0o644 == stat.S_IMODE(store.stat().st_mode)
    result = lumyn("doctor", "--fix", "--json")
    assert (0, 2, []) == (result.code, len(result.data["fixed"]), result.data["not_fixed"])
    assert (0o600, 0o700) == (stat.S_IMODE(store.stat().st_mode), stat.S_IMODE(folder.stat().st_mode))
    assert "fixed" not in lumyn("doctor", "--fix").out


def test_a_folder_that_may_not_be_searched_is_a_finding(
    lumyn: Lumyn, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for somebody who is not its owner; modes alone would not stop the administrator who may run this test."""
    stat_of = os.stat

    def refuse(path: object, **options: object) -> os.stat_result:
        if isinstance(path, (str, os.PathLike)) and Path(path).parent.name == ".lumyn":
            raise PermissionError(13, "Permission denied", str(path))
        return stat_of(path, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "stat", refuse)
    result = lumyn("doctor", "--json")
    assert 1 == result.code
    assert "Permission denied" in finding(result, "store")["message"]
    monkeypatch.delenv("LUMYN_CONFIG_PATH", raising=False)
    (workspace / "lumyn.toml").unlink()
    assert lumyn("show").code in (3, 4)


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
def test_the_modes_of_other_files_are_left_alone(
    lumyn: Lumyn, workspace: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a file that is no store, named by mistake, nor one behind a link in place of a log."""
    folder = tmp_path_factory.mktemp("others")
    for name in ("passwd", "index"):
        write(folder / name, {"root": 0})
        (folder / name).chmod(0o644)
    (workspace / ".lumyn" / "lumyn.db-shm").symlink_to(folder / "index")
    lumyn("doctor", "--fix")
    assert 0o644 == stat.S_IMODE((folder / "index").stat().st_mode)
    (workspace / ".lumyn" / "lumyn.db-shm").unlink()
    monkeypatch.setenv("LUMYN_STORE_URL", f"sqlite:///{folder / 'passwd'}")
    result = lumyn("doctor", "--fix", "--json")
    assert 1 == result.code
    assert "store" in {each["check"] for each in result.data["findings"] if each["status"] == "problem"}
    assert 0o644 == stat.S_IMODE((folder / "passwd").stat().st_mode)


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
def test_a_mode_that_cannot_be_mended_is_said(lumyn: Lumyn, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (workspace / ".lumyn" / "lumyn.db").chmod(0o644)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", refuse)
    result = lumyn("doctor", "--fix")
    assert 1 == result.code
    assert "not fixed" in result.out
    assert "operation not permitted" in result.out


# --- the repository around it --------------------------------------------------------------------------------------


def git(folder: Path, *arguments: str) -> None:
    """Run git as nobody in particular."""
    who = ["-c", "user.name=t", "-c", "user.email=t@example.invalid"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_git_must_leave_the_store_alone(lumyn: Lumyn, workspace: Path) -> None:
    git(workspace, "init", "-q")
    assert "is ignored" in finding(lumyn("doctor", "--json"), "git")["message"]
    (workspace / ".lumyn" / ".gitignore").unlink()
    result = lumyn("doctor", "--json")
    assert (0, "STORE_NOT_IGNORED") == (result.code, finding(result, "git")["code"])
    result = lumyn("doctor", "--fix", "--json")
    assert "ok" == finding(result, "git")["status"]
    git(workspace, "add", "-f", ".lumyn/lumyn.db")
    result = lumyn("doctor", "--json")
    assert (1, "problem", False) == (result.code, (found := finding(result, "git"))["status"], found["fixable"])


def test_without_git_the_file_that_init_writes_counts(
    lumyn: Lumyn, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workspace / ".git").mkdir()
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert "ok" == finding(lumyn("doctor", "--json"), "git")["status"]
    (workspace / ".lumyn" / ".gitignore").unlink()
    assert "STORE_NOT_IGNORED" == finding(lumyn("doctor", "--json"), "git")["code"]


def test_a_workflow_that_runs_the_vectors_is_looked_for(lumyn: Lumyn, workspace: Path) -> None:
    workflow = workspace / ".github" / "workflows" / "lumyn.yml"
    assert "CI_INCOMPLETE" == finding(lumyn("doctor", "--json"), "ci")["code"]
    workflow.write_text("jobs:\n  t:\n    steps: [{run: pytest --lumyn-vectors}]\n")
    assert "ok" == finding(lumyn("doctor", "--json"), "ci")["status"]
    workflow.write_text("jobs:\n  t:\n    steps: [{run: pytest}]\n")
    assert "CI_MISSING" == finding(lumyn("doctor", "--json"), "ci")["code"]
    (workspace / "pytest.ini").write_text("[pytest]\nlumyn_vectors = true\n")
    assert "ok" == finding(lumyn("doctor", "--json"), "ci")["status"]
    workflow.unlink()
    assert "CI_MISSING" == finding(lumyn("doctor", "--json"), "ci")["code"]


def test_a_table_that_is_not_read_is_told(lumyn: Lumyn, workspace: Path) -> None:
    """Whoever edits it would wonder why nothing changes."""
    (workspace / "pyproject.toml").write_text('[project]\nname = "lumyn-user"\n')
    codes = [each["code"] for each in lumyn("doctor", "--json").data["findings"]]
    assert "CONFIG_PASSED_OVER" not in codes
    (workspace / "pyproject.toml").write_text('[tool.lumyn.policy]\npath = "mine.yml"\n')
    result = lumyn("doctor", "--json")
    (found,) = [each for each in result.data["findings"] if each["code"] == "CONFIG_PASSED_OVER"]
    assert (0, "warning") == (result.code, found["status"])
    assert "pyproject.toml" in found["message"]
    assert 0 == lumyn("decide", write(workspace / "r.json", refund())).code  # lumyn.toml decides
    (workspace / "pyproject.toml").write_text("[tool.lumyn")
    assert 0 == lumyn("doctor").code


def test_schemas_that_git_checked_out_with_crlf_are_those_of_this_version(lumyn: Lumyn, workspace: Path) -> None:
    for schema in (workspace / ".lumyn-schemas").iterdir():
        schema.write_bytes(schema.read_bytes().replace(b"\n", b"\r\n"))
    assert "ok" == finding(lumyn("doctor", "--json"), "schemas")["status"]


def test_schemas_of_an_earlier_version_are_replaced_by_fix_alone(lumyn: Lumyn, workspace: Path) -> None:
    schema = workspace / ".lumyn-schemas" / "policy.v0.schema.json"
    ours = schema.read_text()
    schema.write_text("{}")
    policy = workspace / "policies" / "support.yml"
    policy.write_text(policy.read_text() + "# mine\n")
    assert "SCHEMAS_OUTDATED" == finding(lumyn("doctor", "--json"), "schemas")["code"]
    assert "{}" == schema.read_text()
    result = lumyn("doctor", "--fix", "--json")
    assert "ok" == finding(result, "schemas")["status"]
    assert ours == schema.read_text()
    assert policy.read_text().endswith("# mine\n")


@pytest.mark.parametrize("columns", ["60", "80"])
def test_no_line_is_wider_than_the_terminal(
    lumyn: Lumyn, workspace: Path, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert max(map(len, lumyn("doctor").out.splitlines())) <= int(columns)
