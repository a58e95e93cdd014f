"""The documentation says what the code does: codes, operators, options, commands, examples and links."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from lumyn.cli.exit_codes import ExitCode
from lumyn.config import CONFIG_FILE
from lumyn.config.values import CHECKS
from lumyn.model import Stage
from lumyn.policy.loader import parse_policy
from lumyn.policy.operators import EVIDENCE_PREFIX, OPERATORS, SUBJECTS
from lumyn.policy.registry import registry
from lumyn.testing import Repo

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(path for name in ("docs", "changelog.d", "examples", "benchmarks") for path in (ROOT / name).rglob("*.md")),
    ]
)
EXAMPLES = sorted((ROOT / "examples" / "python").glob("*.py"))

CODE = re.compile(r"[A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+")
# Upper-case words of the code that are no codes: environment variables, flags of other libraries, rules of the engine.
NOT_CODES = re.compile(
    r"LUMYN_(?!ERROR$).*|PYTEST_.*|VIRTUAL_ENV|XDG_.*|LC_ALL|GIT_(?!NOT_).*|O_[A-Z]+|(NO|FORCE|PY)_COLORS?|BUILD_NUMBER|GITHUB_[A-Z_]+"
    r"|CI_PROJECT_DIR|COLORTERM|.*_COMPATIBLE"
)


def page(name: str) -> str:
    """Return the text of one page."""
    return (ROOT / name).read_text(encoding="utf-8")


def names_of(path: Path) -> str:
    """Return the path as test ids show it."""
    return path.relative_to(ROOT).as_posix()


def fenced(text: str) -> Iterator[tuple[str, str]]:
    """Yield info string and content of every fenced block."""
    for match in re.finditer(r"^```([^\n]*)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL):
        yield match.group(1).strip(), match.group(2)


def commands(text: str) -> list[str]:
    """Return the lines of all console blocks."""
    return [line for info, block in fenced(text) if info == "console" for line in block.splitlines() if line.strip()]


def table(text: str, heading: str) -> list[list[str]]:
    """Return the rows of the first table after `heading`, without its header."""
    rows = text.split(heading, 1)[1].split("| --- |", 1)[1].splitlines()[1:]
    cells = []
    for row in rows:
        if not row.startswith("|"):
            break
        cells.append([cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", row)[1:-1]])
    return cells


def code_words(cell: str) -> list[str]:
    """Return what stands in backticks in a table cell."""
    return re.findall(r"`([^`]+)`", cell)


# ---------------------------------------------------------------------------------------------------------------------
# Set-up, links, words


def test_the_first_screen_is_two_commands() -> None:
    """A newcomer finds both commands on the first screen; continuous integration runs the same test command."""
    main, tests = commands("\n".join(page("README.md").splitlines()[:40]))
    assert "lumyn demo" in main
    assert "pytest --lumyn-vectors" in main
    assert tests in page(".ci/run").splitlines()
    assert f"- run: {main}" in page(".github/workflows/ci.yml")


def test_ci_script_is_executable() -> None:
    """It is run by its name."""
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111 == 0o111


@pytest.mark.parametrize("path", PAGES, ids=names_of)
def test_links_lead_somewhere(path: Path) -> None:
    """Relative links name files that exist, and anchors name headings."""
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        found = (path.parent / name).resolve() if name else path
        assert found.exists(), target
        if anchor:
            assert anchor in _anchors(found.read_text(encoding="utf-8")), target


def _anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", [*PAGES, *EXAMPLES, *sorted((ROOT / ".github").rglob("*.y*ml"))], ids=names_of)
def test_nothing_is_installed_from_a_public_index_by_name(path: Path) -> None:
    """The name on the public index belongs to another release line."""
    text = path.read_text(encoding="utf-8")
    assert [] == re.findall(
        r"(?:pip3? install|uv add|uvx|uv tool install|pipx run|pipx install)(?: -\S+)* [\"']?lumyn\b(?! @)",
        text,
    )


def test_architecture_stays_short() -> None:
    """A page that is read, not a book."""
    assert len(page("ARCHITECTURE.md").splitlines()) <= 80


def test_changelog_fragments_have_a_known_type() -> None:
    """`towncrier` would skip a misspelt one."""
    found = [path.name for path in (ROOT / "changelog.d").iterdir() if path.name != "README.md"]
    assert [] == [name for name in found if not re.fullmatch(r"[+\w-]+\.(contract|feature|fix|doc)\.md", name)]


# ---------------------------------------------------------------------------------------------------------------------
# Codes


def codes_in_the_source() -> set[str]:
    """Return every code the program can print: upper-case text constants that are not names of Python's."""
    trees = [
        ast.parse(path.read_text(encoding="utf-8"))
        for folder in ("src/lumyn", "pytest_lumyn")
        for path in (ROOT / folder).rglob("*.py")
    ]
    texts: set[str] = set()
    python_names: set[str] = {stage.value for stage in Stage}
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.fullmatch(node.value):
                texts.add(node.value)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                python_names.add(node.id)
    return {text for text in texts if not NOT_CODES.fullmatch(text)} - (python_names - {"STORAGE_UNAVAILABLE"})


def documented_codes() -> list[str]:
    """Return the first code of each table row of errors.md, in order."""
    rows = re.findall(r"^\| `([A-Z0-9_]+)` \|", page("docs/errors.md"), flags=re.MULTILINE)
    return [row for row in rows if CODE.fullmatch(row)]


def test_every_code_is_documented() -> None:
    """Whatever code a user meets can be looked up, and nothing is documented that does not exist."""
    documented = set(documented_codes())
    known = codes_in_the_source() | set(registry())
    assert set() == known - documented, "not documented"
    assert set() == documented - known, "documented and not known"


def test_codes_of_the_registry_are_documented_with_their_meaning() -> None:
    """The table of reason codes is the registry."""
    rows = {code_words(row[0])[0]: row[1] for row in table(page("docs/errors.md"), "## Reason codes of records")}
    assert {code: re.sub(r"\s+", " ", meaning) for code, meaning in registry().items()} == rows


# ---------------------------------------------------------------------------------------------------------------------
# Tables that repeat a table of the code


def test_subjects_are_documented() -> None:
    """The table of subjects is the operator table."""
    expected = [
        [
            f"`{name}<key>`" if name == EVIDENCE_PREFIX else f"`{name}`",
            " ".join(f"`_{operator}`" for operator in subject.operators),
            subject.meaning,
        ]
        for name, subject in SUBJECTS.items()
    ]
    assert expected == table(page("docs/policy-language.md"), "<!-- subjects")


def test_operators_are_documented() -> None:
    """The table of operators is the operator table."""
    rows = table(page("docs/policy-language.md"), "<!-- operators -->")
    expected = [[f"`_{operator.name}`", operator.operand.value] for operator in OPERATORS.values()]
    assert expected == [row[:2] for row in rows]


def test_keys_of_vectors_are_documented() -> None:
    """Every key that the schema of vectors knows, where the page lists such keys."""
    definitions = json.loads(page("schemas/vector.v0.schema.json"))["$defs"]
    text = page("docs/vectors.md")
    for definition, heading in (("case", "## Keys of a vector"), ("expect", "## Expectations")):
        known = set(definitions[definition]["properties"])
        assert known == {word for row in table(text, heading) for word in code_words(row[0])}
    steps = set(definitions["step"]["properties"]) - {"expect"}
    assert steps == {code_words(row[0])[0] for row in table(text, "## Steps of a scenario")}
    for key in definitions["suite"]["properties"]:
        assert f"`{key}`" in text, key


def test_exit_codes_are_documented() -> None:
    """The table of exit codes is the enum."""
    rows = table(page("docs/cli.md"), "## Exit codes")
    assert sorted((code.value, code.name) for code in ExitCode) == [
        (int(row[0]), code_words(row[1])[0]) for row in rows
    ]


def test_configuration_keys_are_documented() -> None:
    """Every key with its environment variable."""
    rows = table(page("docs/cli.md"), "## Configuration")
    expected = {(key, f"LUMYN_{key.replace('.', '_').upper()}") for key in CHECKS}
    assert expected == {(code_words(row[0])[0], code_words(row[1])[0]) for row in rows}
    assert CONFIG_FILE in page("docs/cli.md")


def test_commands_and_their_options_are_documented() -> None:
    """Every command has its section, no other has, and each section names the options of its command."""
    from lumyn.cli.main import build_app

    known = dict(_commands(typer.main.get_command(build_app())))
    sections = dict(
        re.findall(r"^### `lumyn ([a-z ]+)`$(.*?)(?=^##)", page("docs/cli.md"), flags=re.MULTILINE | re.DOTALL)
    )
    assert set(known) == set(sections)
    for name, command in known.items():
        options = {option for parameter in command.params for option in parameter.opts if option.startswith("--")}
        assert set() == {option for option in options - {"--json", "--help"} if option not in sections[name]}, name


def _commands(command: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, child in command.commands.items():
        if hasattr(child, "commands"):
            yield from _commands(child, f"{prefix}{name} ")
        elif not child.hidden:
            yield f"{prefix}{name}", child


def test_plugin_options_are_documented(pytester: pytest.Pytester) -> None:
    """Every option and ini key of the plugin, and no other."""
    shown = pytester.runpytest_subprocess("--help", "-p", "no:cacheprovider").stdout.str()
    options = set(re.findall(r"^\s+(--(?:no-)?lumyn-[a-z-]+)", shown, flags=re.MULTILINE))
    keys = set(re.findall(r"^\s+(lumyn_[a-z_]+) \(", shown, flags=re.MULTILINE))
    assert options
    assert keys
    text = page("docs/pytest-plugin.md")
    assert options == {
        word.split("=")[0].split(" ")[0] for row in table(text, "## Options") for word in code_words(row[0])
    }
    assert keys == {code_words(row[0])[0] for row in table(text, "## Settings")}


def test_hooks_and_fixtures_of_the_plugin_are_documented() -> None:
    """Every public hook, with its arguments, and every fixture."""
    import inspect

    from pytest_lumyn import hookspecs, plugin

    text = page("docs/pytest-plugin.md")
    hooks = {
        f"{name}({', '.join(inspect.signature(getattr(hookspecs, name)).parameters)})" for name in hookspecs.__all__
    }
    assert hooks == {code_words(row[0])[0] for row in table(text, "## Hooks")}
    assert set(plugin.__all__) == {code_words(row[0])[0] for row in table(text, "## Fixtures for Python tests")}


# ---------------------------------------------------------------------------------------------------------------------
# Things that run


def block(name: str, info: str) -> str:
    """Return the one block of a page with this info string."""
    (found,) = [content for given, content in fenced(page(name)) if given == info]
    return found


@pytest.mark.parametrize("path", PAGES, ids=names_of)
def test_python_in_pages_compiles(path: Path) -> None:
    """No page shows Python that cannot be pasted."""
    for info, content in fenced(path.read_text(encoding="utf-8")):
        if info.split(" ")[0] == "python":
            compile(content, str(path), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("path", PAGES, ids=names_of)
def test_json_in_pages_parses(path: Path) -> None:
    """No page shows JSON that is not."""
    for info, content in fenced(path.read_text(encoding="utf-8")):
        if info.split(" ")[0] == "json":
            json.loads(content)


def test_the_policy_of_the_language_page_is_valid() -> None:
    """The page's example is a policy."""
    policy = parse_policy(block("docs/policy-language.md", "yaml policy"))
    assert ("acme-refunds", 4) == (policy.policy_id, len(policy.rules))


def test_the_memory_block_of_the_language_page_is_valid() -> None:
    """The page's memory block fits the page's policy."""
    (memory,) = [
        content
        for info, content in fenced(page("docs/policy-language.md"))
        if info == "yaml" and content.startswith("memory:")
    ]
    assert 5 == parse_policy(block("docs/policy-language.md", "yaml policy") + memory).memory.top_k


def test_the_vectors_of_the_vectors_page_pass(tmp_path: Path) -> None:
    """The vectors page's example runs against the language page's policy, and each of its vectors passes."""
    repo = Repo(
        {
            "policies/acme-refunds.yml": block("docs/policy-language.md", "yaml policy"),
            "vectors/refunds.yml": block("docs/vectors.md", "yaml vectors"),
        },
        path=tmp_path,
    )
    repo.run_pytest("--lumyn-vectors").assert_outcomes(passed=5)


@pytest.mark.parametrize("path", EXAMPLES, ids=names_of)
def test_example_runs(path: Path, tmp_path: Path) -> None:
    """Each example runs by itself, from any folder, and leaves nothing behind but what it says."""
    done = subprocess.run(
        [sys.executable, "-W", "error", str(path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    assert done.stdout.strip()
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["README.md", "docs/decide.md", "docs/quickstart.md"])
def test_python_of_a_page_runs(name: str, tmp_path: Path) -> None:
    """The Python of a page, from top to bottom, in a workspace with a policy and a request."""
    (tmp_path / "policies").mkdir()
    shutil.copy(ROOT / "policies" / "lumyn-support.v0.yml", tmp_path / "policies" / "refunds.yml")
    (tmp_path / "lumyn.toml").write_text('[policy]\npath = "policies/refunds.yml"\n', encoding="utf-8")
    (tmp_path / ".lumyn").mkdir()
    preamble = f"""
import json, pathlib, lumyn
request = json.loads(pathlib.Path({str(ROOT / "examples" / "curl" / "refund_trusted.json")!r}).read_text("utf-8"))
refunded = []
refund = refunded.append
lumyn.Gate.open(policy="policies/refunds.yml", store="sqlite:///.lumyn/lumyn.db", create=True).close()
"""
    python = [content for info, content in fenced(page(name)) if info == "python"]
    script = preamble + "\n".join(python) + "\nassert refunded\n"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, encoding="utf-8", check=False
    )
    assert 0 == done.returncode, done.stderr


def test_the_test_of_the_plugin_page_passes(tmp_path: Path) -> None:
    """The page's Python test, with a request for it, under pytest."""
    policy = (ROOT / "policies" / "lumyn-support.v0.yml").read_text(encoding="utf-8")
    request = json.loads(page("examples/curl/refund_trusted.json"))
    del request["request_id"]
    tests = [content for info, content in fenced(page("docs/pytest-plugin.md")) if info == "python"]
    assert 2 == len(tests)
    files = {f"test_{place}.py": f"REQUEST = {request!r}\n{test}" for place, test in enumerate(tests)}
    repo = Repo({"policies/refunds.yml": policy, **files}, path=tmp_path)
    repo.run_pytest().assert_outcomes(passed=2)


def test_the_quickstart_works(tmp_path: Path) -> None:
    """Each command of the quickstart does what the page says, in its order, up to a build that fails."""
    (tmp_path / "request.json").write_text(block("docs/quickstart.md", "json request"), encoding="utf-8")
    steps = [shlex.split(line) for line in commands(page("docs/quickstart.md"))]
    run = [step for step in steps if step[0] in {"lumyn", "pytest"}]
    assert ["lumyn", "pytest"] == sorted({step[0] for step in run})
    for module, *arguments in run:
        done = _in_folder(tmp_path, module, *arguments)
        assert 0 == done.returncode, f"{module} {arguments}: {done.stdout}{done.stderr}"

    request = json.loads((tmp_path / "request.json").read_text(encoding="utf-8"))
    (tmp_path / "next.json").write_text(json.dumps(request | {"request_id": "refund-T-1002"}), encoding="utf-8")
    assert ExitCode.ESCALATE == _in_folder(tmp_path, "lumyn", "decide", "next.json").returncode
    request["action"]["amount"]["value"] = "19.50"
    (tmp_path / "request.json").write_text(json.dumps(request), encoding="utf-8")
    conflict = _in_folder(tmp_path, "lumyn", "decide", "request.json")
    assert (ExitCode.INVALID, True) == (conflict.returncode, "IDEMPOTENCY_CONFLICT" in conflict.stderr)

    strength = _in_folder(tmp_path, "pytest", "--lumyn-vectors", "--lumyn-coverage")
    assert block("README.md", "text strength") in strength.stdout
    policy = tmp_path / "policies" / "support.yml"
    text = policy.read_text(encoding="utf-8")
    policy.write_text(text.replace("refund_trust_max_usd: 25", "refund_trust_max_usd: 199"), encoding="utf-8")
    drift = _in_folder(tmp_path, "pytest", "--lumyn-vectors")
    assert 1 == drift.returncode, drift.stdout
    assert block("README.md", "text drift") in drift.stdout


def _in_folder(folder: Path, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=folder,
        env={**os.environ, "COLUMNS": "80"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
