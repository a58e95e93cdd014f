"""
Who may import whom, as drawn in ARCHITECTURE.md, and what importing Lumyn may cost.
Reads source with `ast`, imports inside functions and type-checking blocks included.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"lumyn": ROOT / "src" / "lumyn", "pytest_lumyn": ROOT / "pytest_lumyn"}

GROUND = {"_files", "_version", "errors", "model", "digest", "_resources", "documents"}
ENGINES = {"policy", "engine", "store", "telemetry"}
TOOLS = {"vectors", "packs", "analysis", "backtest", "report"}

# A part may import itself and what stands here. A part is a module or package right below `lumyn`; `lumyn` is the
# package's own `__init__`, which re-exports the public names; `pytest_lumyn` is the whole plugin.
ALLOWED: dict[str, set[str]] = {
    "_files": set(),
    "_version": set(),
    "errors": set(),
    "model": {"errors"},
    "_resources": {"errors", "model"},
    "documents": {"errors", "model", "_resources"},
    "digest": {"errors", "model", "documents"},
    "policy": GROUND,
    "store": GROUND,
    "telemetry": GROUND,
    "engine": GROUND | {"policy"},
    "core": GROUND | ENGINES,
    "vectors": GROUND | ENGINES | {"core"},
    "packs": GROUND | ENGINES | {"core", "vectors"},
    "analysis": GROUND | ENGINES | {"core", "vectors"},
    "backtest": GROUND | ENGINES | {"core", "vectors"},
    "report": GROUND | ENGINES | {"core", "vectors", "analysis", "backtest"},
    "config": GROUND,
    "discovery": GROUND | ENGINES | {"core", "config"},
    "cli": GROUND | ENGINES | TOOLS | {"core", "config", "discovery", "lumyn"},
    "api": GROUND | ENGINES | {"core", "config", "discovery", "lumyn"},
    "__main__": {"cli"},
    "testing": GROUND | ENGINES | {"core"},
    "lumyn": GROUND | ENGINES | {"core", "discovery"},
    "pytest_lumyn": GROUND | ENGINES | TOOLS | {"core", "config", "discovery", "lumyn"},
}

# Beyond packages: single modules that less may reach than their package.
# - the evaluator is pure: no store, clock or randomness comes near it (ENGINES covers that);
# - core knows stores by their protocol; only `open_store`, exported by the package, names a concrete one.
FORBIDDEN_MODULES: dict[str, set[str]] = {
    "core": {"lumyn.store.sqlite"},
    "api": {"lumyn.store.sqlite"},
    "pytest_lumyn": {"lumyn.store.sqlite"},
}

HEAVY = ("rich", "typer", "click", "deepdiff", "sqlite_utils", "jsonschema", "ruamel", "fastapi", "uvicorn", "pytest")


def modules(root: Path, package: str) -> Iterator[tuple[str, Path]]:
    """Yield every module below `root` as dotted name and file."""
    for path in sorted(root.rglob("*.py")):
        parts = [package, *path.relative_to(root).with_suffix("").parts]
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


ALL_MODULES = {name: path for package, root in PACKAGES.items() for name, path in modules(root, package)}


def part_of(module: str) -> str:
    """Return the part a dotted name belongs to."""
    package, _, rest = module.partition(".")
    if package == "pytest_lumyn":
        return "pytest_lumyn"
    return rest.split(".")[0] or "lumyn"


def imports(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield what `tree` imports, with the line; `from lumyn import x` names `lumyn.x` where that is a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            submodules = [f"{node.module}.{alias.name}" for alias in node.names]
            known = [name for name in submodules if name in ALL_MODULES]
            yield from ((name, node.lineno) for name in known)
            if len(known) < len(node.names):
                yield node.module, node.lineno
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in {
            "import_module",
            "importlib.import_module",
            "__import__",
        }:
            for argument in node.args[:1]:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    yield argument.value, node.lineno


def ours(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield the imports that stay inside the project."""
    return ((name, line) for name, line in imports(tree) if name.split(".")[0] in PACKAGES)


def test_every_part_has_a_place_in_the_table() -> None:
    """A new module or package must be given its layer before it can import anything."""
    found = {part_of(name) for name in ALL_MODULES}
    assert set() == found - set(ALLOWED)


@pytest.mark.parametrize("module", sorted(ALL_MODULES))
def test_imports_follow_the_table(module: str) -> None:
    """No module imports upward, or sideways out of its row."""
    path = ALL_MODULES[module]
    part = part_of(module)
    allowed = ALLOWED[part] | {part}
    forbidden = FORBIDDEN_MODULES.get(part, set())
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {part} may not import {name}"
        for name, line in ours(ast.parse(path.read_text(encoding="utf-8")))
        if part_of(name) not in allowed or name in forbidden
    ]
    assert [] == wrong


def test_parts_do_not_import_in_circles() -> None:
    """The table itself has no cycle, so that there is an order in which to read the project."""
    order: list[str] = []
    while remaining := {part for part in ALLOWED if part not in order}:
        free = sorted(part for part in remaining if not (ALLOWED[part] - {part}) & remaining)
        assert free, f"cycle among {sorted(remaining)}"
        order += free


def test_no_relative_imports() -> None:
    """Absolute imports only: the table is checked by name."""
    wrong = [
        f"{name}:{node.lineno}"
        for name, path in ALL_MODULES.items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert [] == wrong


def test_no_assert_in_shipped_code() -> None:
    """`python -O` removes asserts, so no check may be one."""
    wrong = [
        f"{name}:{node.lineno}"
        for name, path in ALL_MODULES.items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Assert)
    ]
    assert [] == wrong


def test_only_pytest_and_the_standard_library_at_the_top_of_the_entry_point() -> None:
    """The entry point is imported by every pytest run of the host project, whether it asked for vectors or not."""
    tree = ast.parse((PACKAGES["pytest_lumyn"] / "plugin.py").read_text(encoding="utf-8"))
    typing_only = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}
        for child in ast.walk(node)
    }
    in_functions = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for child in ast.walk(node)
    }
    top = {
        name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom) and id(node) not in typing_only | in_functions
        for name, _ in imports(node)
    }
    assert set() == top - {"pytest", "pytest_lumyn"} - sys.stdlib_module_names


def loaded_after(statement: str) -> set[str]:
    """Return the top-level names in `sys.modules` after `statement` ran in a fresh interpreter."""
    script = f"{statement}\nimport sys\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, encoding="utf-8")
    return {name.split(".")[0] for name in done.stdout.split()}


@pytest.mark.parametrize(
    "module",
    [
        "lumyn",
        "lumyn.errors",
        "lumyn.model",
        "lumyn.core",
        "lumyn.engine",
        "lumyn.policy",
        "lumyn.documents",
        "lumyn.store",
    ],
)
def test_importing_lumyn_is_light(module: str) -> None:
    """Production processes import lumyn; none of the libraries that only tools need may come along."""
    assert set() == set(HEAVY) & loaded_after(f"import {module}")


def test_the_solver_is_for_tests_alone() -> None:
    """Whatever z3 is asked, no answer of Lumyn rests on it: nothing that is installed imports it, anywhere."""
    found = {
        module
        for module, path in ALL_MODULES.items()
        for name, _ in imports(ast.parse(path.read_text(encoding="utf-8")))
        if name.split(".")[0] == "z3"
    }
    assert set() == found
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "z3-solver" not in str(project["project"])
    assert "z3-solver" in str(project["dependency-groups"]["oracle"])


def test_every_public_name_of_lumyn_is_light() -> None:
    """Names resolved lazily must not bring in the heavy libraries either."""
    statement = "import lumyn\nfor name in lumyn.__all__: getattr(lumyn, name)"
    assert set() == set(HEAVY) & loaded_after(statement)


def test_the_entry_point_loads_nothing_but_pytest() -> None:
    """`pytest_lumyn.plugin` costs the host project next to nothing."""
    extra = loaded_after("import pytest_lumyn.plugin") - loaded_after("import pytest")
    assert {"pytest_lumyn"} == extra - sys.stdlib_module_names
