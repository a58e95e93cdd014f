"""`--json`: every form that a command prints is in docs/cli.md, with exactly its keys."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from cli.harness import Lumyn, refund, write

import lumyn.cli

DOCS = Path(__file__).resolve().parents[2] / "docs" / "cli.md"

LINES: dict[str, list[str]] = {
    "init": ["init"],
    "demo": ["demo", "--story"],
    "decide": ["decide", "r.json"],
    "show": ["show", "@last"],
    "show_recent": ["show"],
    "export": ["export", "@last"],
    "replay": ["replay", "@last"],
    "explain": ["explain", "@last"],
    "label": ["label", "@last", "--failure"],
    "verify": ["verify"],
    "checkpoint": ["checkpoint"],
    "policy_validate": ["policy", "validate"],
    "policy_show": ["policy", "show"],
    "policy_check": ["policy", "check"],
    "policy_diff": ["policy", "diff", "policies/support.yml", "policies/support.yml"],
    "backtest": ["backtest", "policies/support.yml"],
    "vectors_run": ["vectors", "run"],
    "vectors_suggest": ["vectors", "suggest", "--max", "1"],
    "vectors_add": ["vectors", "add", "@last"],
    "vectors_show": ["vectors", "show"],
    "policy_fmt": ["policy", "fmt", "--check", "policies/support.yml"],
    "vectors_fmt": ["vectors", "fmt", "--check"],
    "doctor": ["doctor"],
    "error": ["show", "nothing-of-this-name"],
}
"""Forms -> a command line that prints them, in a workspace with one decision and `r.json`."""


def documented() -> dict[str, list[str]]:
    """Return each form in the table of the page -> the words in its last column that are set as code."""
    rows = re.findall(
        r"^\| `lumyn\.cli\.(\w+)\.v0` \|.*?\| (.*) \|$", DOCS.read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    return {name: re.findall(r"`([\w-]+)`", keys) for name, keys in rows}


def printed() -> set[str]:
    """Return the forms that the source prints: the first argument of each call of `json` with two."""
    names: set[str] = set()
    for path in Path(lumyn.cli.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Attribute(attr="json"), args=[ast.Constant(value=str(name)), _]):
                    names.add(name)
    return names


def test_every_form_is_documented() -> None:
    """And none that does not exist; `show --follow` writes its lines itself."""
    assert printed() | {"show_follow"} == set(documented())


@pytest.mark.parametrize("name", LINES)
def test_a_form_has_its_keys(lumyn: Lumyn, workspace: Path, name: str) -> None:
    assert 0 == lumyn("decide", write(workspace / "r.json", refund())).code
    data = lumyn(*LINES[name], "--json").data
    assert f"lumyn.cli.{name}.v0" == data.pop("schema")
    keys = [key for key in documented()[name] if not key.startswith("--")]
    assert set(keys[:1] if name == "error" else keys) == set(data)
    if name == "error":
        assert set(data["error"]) <= set(keys[1:])
