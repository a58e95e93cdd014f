"""`lumyn init`: a workspace that works at once, and nothing overwritten that was there before."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cli.harness import Lumyn, refund, write

from lumyn.cli.commands.init import Template

TEMPLATES = ("support", "account", "billing", "minimal")


def files(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder, without what SQLite keeps beside the store."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(("-wal", "-shm"))
    }


@pytest.mark.parametrize("template", TEMPLATES)
def test_it_says_what_it_made(lumyn: Lumyn, tmp_path: Path, template: str) -> None:
    result = lumyn("init", "--template", template)
    assert (0, "") == (result.code, result.err)
    listed = {line.split()[1] for line in result.out.splitlines() if line.startswith("created ")}
    assert {
        "lumyn.toml",
        f"policies/{template}.yml",
        f"vectors/{template}.yml",
        ".lumyn/lumyn.db",
        ".github/workflows/lumyn.yml",
        ".lumyn-schemas/policy.v0.schema.json",
        ".lumyn-schemas/vector.v0.schema.json",
    } <= listed
    assert set(files(tmp_path)) - {".lumyn/.gitignore"} == listed


@pytest.mark.parametrize("template", TEMPLATES)
def test_its_vectors_pass_at_once_under_pytest(lumyn: Lumyn, tmp_path: Path, template: str) -> None:
    assert 0 == lumyn("init", "--template", template).code
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--lumyn-vectors", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    assert int(re.findall(r"(\d+) passed", done.stdout)[0]) >= 6


@pytest.mark.parametrize("template", TEMPLATES)
def test_its_policy_is_valid_and_in_force(lumyn: Lumyn, tmp_path: Path, template: str) -> None:
    lumyn("init", "--template", template)
    result = lumyn("policy", "validate", "--json")
    assert 0 == result.code
    expected = "my-policy" if template == "minimal" else f"lumyn-{template}"
    assert expected == result.data["policies"][0]["policy_id"]


def test_its_vectors_notice_a_changed_threshold(lumyn: Lumyn, workspace: Path) -> None:
    policy = workspace / "policies" / "support.yml"
    policy.write_text(policy.read_text().replace("refund_trust_max_usd: 25", "refund_trust_max_usd: 26"))
    assert 1 == lumyn("vectors", "run").code


@pytest.mark.parametrize("line", ["trust_max_usd: 20", "fraud_risk_block: 0.7"])
def test_the_minimal_vectors_notice_every_threshold(lumyn: Lumyn, tmp_path: Path, line: str) -> None:
    assert 0 == lumyn("init", "--template", "minimal").code
    assert 0 == lumyn("vectors", "run").code
    policy = tmp_path / "policies" / "minimal.yml"
    name, value = line.split(": ")
    changed = f"{name}: {float(value) + 0.2:.2f}"
    policy.write_text(policy.read_text().replace(line, changed))
    assert changed in policy.read_text()
    assert 1 == lumyn("vectors", "run").code


def test_the_minimal_vectors_notice_every_rule(lumyn: Lumyn, tmp_path: Path) -> None:
    """Whichever is taken out, a vector fails, or the policy is refused."""
    lumyn("init", "--template", "minimal")
    policy = tmp_path / "policies" / "minimal.yml"
    text = policy.read_text()
    rules = re.findall(r"  - id: .*?(?=\n\n|\Z)", text, flags=re.DOTALL)
    assert 4 == len(rules)
    for rule in rules:
        policy.write_text(text.replace(rule, ""))
        assert lumyn("vectors", "run").code in {1, 3}, rule


def test_the_store_is_private_and_never_committed(lumyn: Lumyn, workspace: Path) -> None:
    folder = workspace / ".lumyn"
    assert 0o700 == stat.S_IMODE(folder.stat().st_mode)
    assert 0o600 == stat.S_IMODE((folder / "lumyn.db").stat().st_mode)
    assert "*\n" == (folder / ".gitignore").read_text()


def test_modelines_lead_to_schemas_that_are_committed(lumyn: Lumyn, workspace: Path) -> None:
    for path in (workspace / "policies" / "support.yml", workspace / "vectors" / "support.yml"):
        found = re.match(r"# yaml-language-server: \$schema=(\S+)\n", path.read_text())
        assert found
        schema = (path.parent / found[1]).resolve()
        assert workspace / ".lumyn-schemas" == schema.parent
        assert schema.is_file()


def test_the_workflow_installs_from_the_repository_and_runs_the_gate(lumyn: Lumyn, workspace: Path) -> None:
    text = (workspace / ".github" / "workflows" / "lumyn.yml").read_text()
    assert 'pip install "lumyn @ git+' in text
    assert "pip install lumyn" not in text
    assert "pytest --lumyn-vectors" in text
    assert "contents: read" in text


@pytest.mark.parametrize(
    ("direct_url", "source"),
    [
        (
            '{"url": "https://git.example/lumyn", "vcs_info": {"vcs": "git", "commit_id": "' + "a" * 40 + '"}}',
            "git+https://git.example/lumyn@" + "a" * 40,
        ),
        ('{"url": "file:///src/lumyn", "dir_info": {"editable": true}}', "git+<URL of the Lumyn repository>"),
        (
            '{"url": "https://x/$(id)", "vcs_info": {"vcs": "git", "commit_id": "' + "a" * 40 + '"}}',
            "git+<URL of the Lumyn repository>",
        ),
        ("{", "git+<URL of the Lumyn repository>"),
        (None, "git+<URL of the Lumyn repository>"),
    ],
)
def test_the_workflow_installs_the_commit_that_is_installed_here(
    lumyn: Lumyn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, direct_url: str | None, source: str
) -> None:
    class Installed:
        def read_text(self, name: str) -> str | None:
            assert "direct_url.json" == name
            return direct_url

    monkeypatch.setattr("importlib.metadata.distribution", lambda name: Installed())
    result = lumyn("init")
    assert f'"lumyn @ {source}"' in (tmp_path / ".github" / "workflows" / "lumyn.yml").read_text()
    assert ("Put the URL" in result.out) == ("<URL" in source)


def test_a_second_run_has_nothing_to_do_and_changes_nothing(lumyn: Lumyn, workspace: Path) -> None:
    """cli-010."""
    before = files(workspace)
    result = lumyn("init")
    assert 5 == result.code
    assert "nothing to do" in result.out
    assert before == files(workspace)


def test_what_exists_is_kept_and_what_is_missing_is_made(lumyn: Lumyn, workspace: Path) -> None:
    (workspace / "lumyn.toml").write_text("# mine\n")
    (workspace / "vectors" / "support.yml").unlink()
    result = lumyn("init", "--json")
    assert 0 == result.code
    assert ["vectors/support.yml"] == result.data["created"]
    assert "lumyn.toml" in result.data["kept"]
    assert "# mine\n" == (workspace / "lumyn.toml").read_text()


def test_force_replaces_what_differs_and_never_the_store(lumyn: Lumyn, workspace: Path) -> None:
    store = (workspace / ".lumyn" / "lumyn.db").read_bytes()
    (workspace / "lumyn.toml").write_text("# mine\n")
    result = lumyn("init", "--force", "--json")
    assert (0, ["lumyn.toml"]) == (result.code, result.data["replaced"])
    assert "# mine\n" != (workspace / "lumyn.toml").read_text()
    assert store == (workspace / ".lumyn" / "lumyn.db").read_bytes()


def test_force_says_what_it_replaced_and_that_nothing_differed(lumyn: Lumyn, workspace: Path) -> None:
    (workspace / "lumyn.toml").write_text("# mine\n")
    assert "replaced  lumyn.toml" in lumyn("init", "--force").out
    result = lumyn("init", "--force")
    assert (5, "nothing to do: everything is here as it would be made now") == (
        result.code,
        result.out.splitlines()[-1],
    )
    assert "--force replaces what differs" in lumyn("init").out


PYPROJECT = """
[tool.lumyn.policy]
path = "rules/shop.yml"

[tool.lumyn.store]
url = "sqlite:///data/decisions.db"
"""


def test_the_configuration_of_an_application_stays_in_force(lumyn: Lumyn, tmp_path: Path) -> None:
    """A `lumyn.toml` would go before `[tool.lumyn]`, and the starter policy would decide for the application."""
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    shop = Template.MINIMAL.policy_text().replace("my-policy", "shop")
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "shop.yml").write_text(shop)
    result = lumyn("init", "--json")
    assert (0, None, ["pyproject.toml"]) == (result.code, result.data["template"], result.data["kept"])
    assert "data/decisions.db" in result.data["created"]
    assert {"lumyn.toml", "policies", "vectors", ".lumyn"}.isdisjoint(path.name for path in tmp_path.iterdir())
    request = write(tmp_path / "request.json", refund(fraud_risk=0.1))
    decided = lumyn("decide", request, "--json")
    assert (0, "shop", True) == (
        decided.code,
        decided.data["record"]["policy"]["policy_id"],
        decided.data["persisted"],
    )
    assert 5 == lumyn("init").code
    assert 5 == lumyn("init", "--force").code


def test_a_template_that_is_asked_for_joins_the_policy_that_is_configured(lumyn: Lumyn, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    result = lumyn("init", "--template", "billing", "--json")
    assert {"policies/billing.yml", "vectors/billing.yml"} <= set(result.data["created"])
    assert "billing" == result.data["template"]
    assert not (tmp_path / "lumyn.toml").exists()


def test_a_pyproject_without_a_table_of_ours_is_nobody_s_configuration(lumyn: Lumyn, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "lumyn-user"\n')
    assert "created   lumyn.toml" in lumyn("init").out


@pytest.mark.parametrize("named", ["--config", "LUMYN_CONFIG_PATH"])
def test_a_configuration_that_is_named_is_the_one_of_the_workspace(
    lumyn: Lumyn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    (tmp_path / "mine.toml").write_text('[policy]\npath = "mine.yml"\n[store]\nurl = "sqlite:///mine.db"\n')
    if named == "--config":
        result = lumyn("--config", "mine.toml", "init")
    else:
        monkeypatch.setenv(named, "mine.toml")
        result = lumyn("init")
    assert (0, True) == (result.code, (tmp_path / "mine.db").is_file())
    assert "lumyn policy show mine.yml" in result.out
    assert not (tmp_path / "lumyn.toml").exists()
    assert not (tmp_path / "policies").exists()


def test_for_a_workspace_elsewhere_only_its_store_is_made(
    lumyn: Lumyn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "lumyn.toml").write_text('[policy]\npath = "p.yml"\n[store]\nurl = "sqlite:///../var/d.db"\n')
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert 0 == lumyn("--config", "../etc/lumyn.toml", "init").code
    assert (tmp_path / "var" / "d.db").is_file()
    assert [] == list((tmp_path / "here").iterdir())


@pytest.mark.parametrize("template", ["minimal", "account"])
def test_a_fresh_clone_gets_its_store_and_no_other_policy(lumyn: Lumyn, tmp_path: Path, template: str) -> None:
    """What is not in version control is all that is made."""
    lumyn("init", "--template", template)
    shutil.rmtree(tmp_path / ".lumyn")
    result = lumyn("init", "--json")
    assert (0, [".lumyn/lumyn.db"]) == (result.code, result.data["created"])


def test_force_alone_puts_no_other_policy_in_force(lumyn: Lumyn, workspace: Path) -> None:
    """Whoever renews schemas and workflow with it keeps their own policy; with a template they asked for another."""
    config = workspace / "lumyn.toml"
    config.write_text('[policy]\npath = "mine.yml"\n')
    (workspace / ".lumyn-schemas" / "policy.v0.schema.json").write_text("{}")
    result = lumyn("init", "--force", "--json")
    assert [".lumyn-schemas/policy.v0.schema.json"] == result.data["replaced"]
    assert "mine.yml" in config.read_text()
    assert ["lumyn.toml"] == lumyn("init", "--force", "--template", "support", "--json").data["replaced"]
    config.write_text("[policy")
    assert ["lumyn.toml"] == lumyn("init", "--force", "--json").data["replaced"]


def test_the_environment_does_not_stand_for_the_starter_policy(
    lumyn: Lumyn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new `lumyn.toml` names `policies/support.yml`, so that has to be there."""
    monkeypatch.setenv("LUMYN_POLICY_PATH", "elsewhere.yml")
    assert {"lumyn.toml", "policies/support.yml"} <= set(lumyn("init", "--json").data["created"])


def test_a_new_store_is_not_made_in_the_name_of_another(lumyn: Lumyn, workspace: Path) -> None:
    """`store.id` names one store; none that is made now can be it."""
    text = (workspace / "lumyn.toml").read_text().replace("[store]\n", '[store]\nid = "6f1c"\n')
    (workspace / "lumyn.toml").write_text(text)
    shutil.rmtree(workspace / ".lumyn")
    result = lumyn("init")
    assert (4, True) == (result.code, "store.id" in result.err)
    assert not (workspace / ".lumyn").exists()


@pytest.mark.parametrize("text", ["[tool.lumyn", "[tool.lumyn]\nstore = 3\n"])
def test_a_configuration_that_cannot_be_read_is_exit_3(lumyn: Lumyn, tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    assert 3 == lumyn("init").code
    assert ["pyproject.toml"] == [path.name for path in tmp_path.iterdir()]


def test_a_broken_store_is_reported_not_replaced(lumyn: Lumyn, workspace: Path) -> None:
    store = workspace / ".lumyn" / "lumyn.db"
    for path in store.parent.glob("lumyn.db*"):
        path.unlink()
    store.write_bytes(b"")
    assert 4 == lumyn("init", "--force").code
    assert b"" == store.read_bytes()


@pytest.mark.skipif(sys.platform == "win32", reason="a folder in use cannot be removed there")
def test_a_working_directory_that_is_gone_is_exit_3(
    lumyn: Lumyn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    result = lumyn("init")
    monkeypatch.chdir(tmp_path)
    assert (3, True) == (result.code, "no longer exists" in result.err)


def test_links_are_not_followed(lumyn: Lumyn, tmp_path: Path) -> None:
    """cli-007."""
    outside = tmp_path.parent / f"{tmp_path.name}-outside.toml"
    (tmp_path / "lumyn.toml").symlink_to(outside)
    assert 3 == lumyn("init").code
    assert not outside.exists()
    assert ["lumyn.toml"] == [path.name for path in tmp_path.iterdir()]
    outside.write_text("# theirs\n")
    assert 0 == lumyn("init", "--force").code
    assert "# theirs\n" == outside.read_text()
    assert not (tmp_path / "lumyn.toml").is_symlink()


@pytest.mark.parametrize("name", ["policies", ".lumyn", "vectors", ".github", ".lumyn-schemas"])
def test_a_file_in_the_way_of_a_folder_is_exit_4(lumyn: Lumyn, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("x")
    result = lumyn("init")
    assert 4 == result.code
    assert "cannot write" in result.err
    assert "x" == (tmp_path / name).read_text()


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder nobody can write to")
@pytest.mark.parametrize("command", ["init", "demo"])
def test_a_read_only_folder_is_exit_4(lumyn: Lumyn, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.chdir("/proc/self")
    result = lumyn(command)
    assert 4 == result.code
    assert "cannot write" in result.err
    assert len(result.err.splitlines()) <= 2


def test_two_at_once_make_one_workspace(tmp_path: Path) -> None:
    started = [
        subprocess.Popen([sys.executable, "-m", "lumyn", "init"], cwd=tmp_path, stdout=subprocess.PIPE, env=os.environ)
        for _ in range(2)
    ]
    codes = []
    for process in started:
        process.communicate(timeout=60)
        codes.append(process.returncode)
    assert {0, 5} >= set(codes)
    assert (
        5
        == subprocess.run(
            [sys.executable, "-m", "lumyn", "init"], cwd=tmp_path, capture_output=True, check=False
        ).returncode
    )
    assert [] == [name for name in files(tmp_path) if re.search(r"\.[0-9a-f]{16}$", name)]
