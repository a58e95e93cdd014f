"""
What options and ini keys ask for beyond vectors: a policy, coverage, keys that nobody declared. Imported when one of
them matters; a run that asks for no vectors must not need it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

import pytest

from pytest_lumyn.options import STRENGTH, given, ini

__all__ = ["KEYS", "absolute", "policy_override", "refuse_unknown_key", "refuse_unknown_override", "wants_strength"]

KEYS = (
    "lumyn_base",
    "lumyn_coverage",
    "lumyn_coverage_fail_under",
    "lumyn_min_vectors",
    "lumyn_mutants",
    "lumyn_paths",
    "lumyn_patterns",
    "lumyn_policy",
    "lumyn_strict",
    "lumyn_vectors",
)
"""Every ini key of the plugin."""


def refuse_unknown_key(warning: Warning | str) -> None:
    """Raise UsageError for pytest's warning of an ini key that looks like one of Lumyn's: it gates nothing."""
    _, said, key = str(warning).strip().partition("Unknown config option: lumyn")
    if said:
        _refuse(f"lumyn{key}")


def refuse_unknown_override(overrides: Iterable[str]) -> None:
    """Raise UsageError for such a key given as `-o KEY=VALUE`, of which pytest before 9 says nothing."""
    for text in overrides:
        name = text.partition("=")[0].strip()
        if name.startswith("lumyn") and name not in KEYS:
            _refuse(name)


def _refuse(name: str) -> NoReturn:
    from difflib import get_close_matches

    close = get_close_matches(name, KEYS, n=1, cutoff=0.75)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(KEYS)}"
    raise pytest.UsageError(f"lumyn: unknown ini key {name!r}; {hint}")


def wants_strength(config: pytest.Config) -> bool:
    """Whether this run asked how strong its vectors are."""
    asked = any(given(config, name) for name in STRENGTH)
    return asked or bool(ini(config, "lumyn_coverage") or config.getini("lumyn_coverage_fail_under"))


def policy_override(config: pytest.Config) -> Path | None:
    """Return the policy named by `--lumyn-policy`, else by ini `lumyn_policy`; raises UsageError if it is no file."""
    option = config.getoption("lumyn_policy")
    name = option or config.getini("lumyn_policy")
    if not name:
        if option is not None:
            raise pytest.UsageError("lumyn: --lumyn-policy needs a path")
        return None
    path = absolute(name, config.invocation_params.dir if option else config.rootpath)
    if not path.is_file():
        source = "--lumyn-policy" if option else "ini lumyn_policy"
        raise pytest.UsageError(f"lumyn: {source}: no such policy file: {name}")
    return path


def absolute(name: str, start: Path) -> Path:
    """Return `name` below `start`, normalised as pytest normalises collected paths: symlinks are kept."""
    return Path(os.path.abspath(start / name))
