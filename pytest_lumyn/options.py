"""
The options and ini keys of the plugin, and whether a run asked for vectors. Imported by every run of pytest, so it must
stay light: what the options amount to is in `asked` and `settings`. PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import argparse
from typing import Any

import pytest

__all__ = ["DEFAULT_PATTERNS", "DEFAULT_ROOT", "STRENGTH", "add", "given", "ini", "wanted"]

STRENGTH = ("coverage", "coverage_fail_under", "mutate", "mutate_fail_under", "mutate_max_new_trust")

DEFAULT_ROOT = "vectors"
DEFAULT_PATTERNS = ("*.lumyn.yaml", "*.lumyn.yml", "*.lumyn.json")


def add(parser: pytest.Parser) -> None:
    """Declare every option and ini key; all destinations begin with `lumyn_`."""
    group = parser.getgroup("lumyn", "Lumyn golden vectors")
    group.addoption(
        "--lumyn-vectors",
        action="store_true",
        dest="lumyn_vectors",
        default=False,
        help="collect and run golden vectors and scenarios (takes no value; ini: lumyn_vectors = true)",
    )
    group.addoption(
        "--no-lumyn-vectors",
        action="store_true",
        dest="lumyn_no_vectors",
        default=False,
        help="leave vectors out, whatever the ini file or --lumyn-vectors says",
    )
    group.addoption(
        "--lumyn-path",
        action="append",
        dest="lumyn_path",
        default=[],
        metavar="DIR",
        help="folder that holds vectors, relative to the working directory; repeatable; instead of ini lumyn_paths",
    )
    group.addoption(
        "--lumyn-policy",
        action="store",
        dest="lumyn_policy",
        default=None,
        metavar="PATH",
        help="run every vector against this policy instead of the one its file names (ini: lumyn_policy)",
    )
    group.addoption(
        "--lumyn-max-diffs",
        action="store",
        type=_at_least_zero,
        dest="lumyn_max_diffs",
        default=20,
        metavar="N",
        help="print at most N drifts in full and group all of them by cause when there are more (default: 20)",
    )
    group.addoption(
        "--lumyn-allow-empty",
        action="store_true",
        dest="lumyn_allow_empty",
        default=False,
        help="accept a run that finds no vector file",
    )
    group.addoption(
        "--lumyn-min-vectors",
        action="store",
        type=_at_least_zero,
        dest="lumyn_min_vectors",
        default=None,
        metavar="N",
        help="fewest vectors a complete run may hold (ini: lumyn_min_vectors, default: 1)",
    )
    group.addoption(
        "--lumyn-strict",
        action="store_true",
        dest="lumyn_strict",
        default=False,
        help="fail a complete run that holds proposed vectors, vectors skipped without a reason, or less than its "
        "--lumyn-base held, or that leaves vector files out (ini: lumyn_strict)",
    )
    group.addoption(
        "--lumyn-base",
        action="store",
        dest="lumyn_base",
        default=None,
        metavar="git:REV",
        help="report vectors that were deleted or weakened since a revision (ini: lumyn_base)",
    )
    group.addoption(
        "--lumyn-report",
        action="append",
        dest="lumyn_report",
        default=[],
        metavar="FILE",
        help="write a report to FILE (.json, .md, .html, .sarif, or gitlab:FILE), or `github` for annotations and the "
        "step summary; repeatable",
    )
    group.addoption(
        "--lumyn-update",
        action="store",
        choices=("failing", "new", "all"),
        dest="lumyn_update",
        default=None,
        metavar="SCOPE",
        help="rewrite expectations in their files: of vectors that drift (failing), of vectors that expect nothing yet "
        "(new), or of both (all)",
    )
    group.addoption(
        "--lumyn-accept-looser",
        action="store_true",
        dest="lumyn_accept_looser",
        default=False,
        help="let --lumyn-update also accept what permits more or demands less than before",
    )
    group.addoption(
        "--lumyn-review",
        action="store_true",
        dest="lumyn_review",
        default=False,
        help="walk through the vectors that failed in the terminal: accept, skip, or expect the failure with a reason",
    )
    _add_strength(parser, group)
    parser.addini("lumyn_vectors", "collect and run golden vectors and scenarios", type="bool", default=False)
    parser.addini("lumyn_paths", f"folders that hold vectors (default: {DEFAULT_ROOT})", type="args")
    parser.addini(
        "lumyn_patterns",
        f"names of vector and scenario files outside those folders (default: {' '.join(DEFAULT_PATTERNS)})",
        type="args",
    )
    parser.addini("lumyn_policy", "policy to run every vector against, relative to the rootdir", default="")
    parser.addini("lumyn_strict", "as --lumyn-strict", type="bool", default=False)
    parser.addini("lumyn_base", "as --lumyn-base", default="")
    parser.addini("lumyn_min_vectors", "fewest vectors a complete run may hold (default: 1)", type="int", default=1)


def _add_strength(parser: pytest.Parser, group: pytest.OptionGroup) -> None:
    group.addoption(
        "--lumyn-coverage",
        action="store_true",
        dest="lumyn_coverage",
        default=False,
        help="show how much of each policy the vectors exercise, and which edits of it none of them would notice",
    )
    group.addoption(
        "--lumyn-coverage-fail-under",
        action="store",
        dest="lumyn_coverage_fail_under",
        default=None,
        metavar="GOALS",
        help="fail below these shares of the goals that can be met, in percent, as in fired:100,decides:100,codes:100,"
        "required:100,boundaries:95",
    )
    group.addoption(
        "--lumyn-mutate",
        action="store",
        dest="lumyn_mutate",
        default=None,
        choices=("core", "full"),
        help="which small edits of a policy the vectors are held against (default with coverage: core)",
    )
    group.addoption(
        "--lumyn-mutate-fail-under",
        action="store",
        type=_percentage,
        dest="lumyn_mutate_fail_under",
        default=None,
        metavar="N",
        help="fail when the vectors notice less than N percent of the edits that any request can tell apart",
    )
    group.addoption(
        "--lumyn-mutate-max-new-trust",
        action="store",
        type=_at_least_zero,
        dest="lumyn_mutate_max_new_trust",
        default=None,
        metavar="N",
        help="fail when more than N unnoticed edits open a new path to TRUST",
    )
    parser.addini("lumyn_coverage", "show coverage and mutation in every run with vectors", type="bool", default=False)
    parser.addini("lumyn_coverage_fail_under", "least shares of the goals, as in fired:100,boundaries:95", default="")
    parser.addini("lumyn_mutants", "file of edits that may go unnoticed, each with a reason", default="")


def wanted(config: pytest.Config) -> bool:
    """Whether this run asked for vectors; raises UsageError where an option would be ignored without a word."""
    if config.getoption("lumyn_no_vectors"):
        return False
    if config.getoption("lumyn_vectors") or ini(config, "lumyn_vectors"):
        return True
    for name in ("path", "report", "update", "review", "accept_looser", "strict", "base", "min_vectors", *STRENGTH):
        if given(config, name):
            option = name.replace("_", "-")
            raise pytest.UsageError(f"lumyn: --lumyn-{option} has no effect without --lumyn-vectors")
    return False


def ini(config: pytest.Config, name: str) -> Any:  # noqa: ANN401 (a key has the type that it was declared with)
    """Return what the ini file says of a key; raises UsageError, which names the key, for what cannot be its value."""
    try:
        return config.getini(name)
    except (ValueError, TypeError, pytest.UsageError) as error:
        raise pytest.UsageError(f"lumyn: ini {name}: {error}") from None


def given(config: pytest.Config, name: str) -> bool:
    """Whether an option was named on the command line."""
    value = config.getoption(f"lumyn_{name}")
    return value is not None and value is not False and value != []


def _at_least_zero(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"not a whole number: {text}")
    return int(text)


def _percentage(text: str) -> int:
    number = _at_least_zero(text)
    if number > 100:
        raise argparse.ArgumentTypeError(f"more than 100 percent: {text}")
    return number
