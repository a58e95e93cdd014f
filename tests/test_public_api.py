"""
The names others may build on, module by module, held against a committed list.

A name that disappears from the list breaks somebody. After an intended change, write the list anew:
`python tests/test_public_api.py`. Modules that are not in `PUBLIC` may change from one release to the next.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import inspect
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LIST = Path(__file__).with_name("public_api.txt")
PACKAGES = {"lumyn": ROOT / "src" / "lumyn", "pytest_lumyn": ROOT / "pytest_lumyn"}

PUBLIC = (
    "lumyn",
    "lumyn.cli.exit_codes",
    "lumyn.core",
    "lumyn.core.clock",
    "lumyn.digest",
    "lumyn.documents",
    "lumyn.errors",
    "lumyn.model",
    "lumyn.policy",
    "lumyn.policy.loader",
    "lumyn.policy.operators",
    "lumyn.policy.spec",
    "lumyn.store",
    "lumyn.store.base",
    "lumyn.testing",
    "lumyn.testing.strategies",
    "lumyn.vectors",
    "pytest_lumyn.hookspecs",
    "pytest_lumyn.plugin",
)


def modules() -> dict[str, Path]:
    """Return every module but those that run or are private by name."""
    found: dict[str, Path] = {}
    for package, folder in PACKAGES.items():
        for path in sorted(folder.rglob("*.py")):
            parts = [package, *path.relative_to(folder).with_suffix("").parts]
            if parts[-1] == "__init__":
                parts.pop()
            if not any(part.startswith("_") for part in parts):
                found[".".join(parts)] = path
    return found


def exported(path: Path) -> list[str] | None:
    """Return `__all__` as it is written in a module, or None when it has none."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and any(ast.unparse(target) == "__all__" for target in node.targets):
            value: list[str] = ast.literal_eval(node.value)
            return value
    return None


def current() -> str:
    """Return the list as it is now: a line for each module, a line for each of its names."""
    lines = []
    found = modules()
    for module in PUBLIC:
        lines += [module, *(f"    {name}" for name in sorted(exported(found[module]) or []))]
    return "\n".join(lines) + "\n"


def test_public_names_are_those_of_the_committed_list() -> None:
    """No public name comes or goes unnoticed."""
    committed = LIST.read_text(encoding="utf-8")
    changes = difflib.unified_diff(committed.splitlines(), current().splitlines(), "committed", "now", lineterm="", n=1)
    assert [] == list(changes)


@pytest.mark.parametrize("module", sorted(modules()))
def test_exported_names_exist_once(module: str) -> None:
    """Everything in `__all__` can be imported, and is named once."""
    names = exported(modules()[module]) or []
    assert len(names) == len(set(names))
    loaded = importlib.import_module(module)
    assert [] == [name for name in names if not hasattr(loaded, name)]


@pytest.mark.parametrize("name", exported(PACKAGES["lumyn"] / "__init__.py"))
def test_names_of_the_package_are_documented(name: str) -> None:
    """What `from lumyn import ...` gives has a docstring."""
    value = getattr(importlib.import_module("lumyn"), name)
    assert name == "__version__" or inspect.getdoc(value)


def test_unknown_names_are_attribute_errors() -> None:
    """Lazy loading does not change what a typo does."""
    lumyn = importlib.import_module("lumyn")
    with pytest.raises(AttributeError):
        _ = lumyn.no_such_name
    assert {"decide", "Gate"} <= set(dir(lumyn))


if __name__ == "__main__":
    LIST.write_text(current(), encoding="utf-8")
