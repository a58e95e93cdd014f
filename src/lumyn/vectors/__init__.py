"""
Golden vectors: files that hold a request, what memory held, and what must come out.
Loads, runs and explains them; must not know pytest or the command line.
"""

from __future__ import annotations

from lumyn.vectors.discovery import DEFAULT_PATTERNS, discover
from lumyn.vectors.drift import Difference, Drift, DriftKind
from lumyn.vectors.explain import Explanation, explain
from lumyn.vectors.format import (
    AdvanceStep,
    DecideStep,
    Expectation,
    FaultStep,
    LabelStep,
    MemorySeed,
    PolicyStep,
    ReplayStep,
    RestartStep,
    RetractStep,
    Step,
    StorageFault,
    Suite,
    Vector,
    XFail,
)
from lumyn.vectors.loader import load_suite, parse_suite, unused_shared_fixtures
from lumyn.vectors.runner import Outcome, RunHooks, StepOutcome, StepResult, VectorResult, run, settle

__all__ = [
    "DEFAULT_PATTERNS",
    "AdvanceStep",
    "DecideStep",
    "Difference",
    "Drift",
    "DriftKind",
    "Expectation",
    "Explanation",
    "FaultStep",
    "LabelStep",
    "MemorySeed",
    "Outcome",
    "PolicyStep",
    "ReplayStep",
    "RestartStep",
    "RetractStep",
    "RunHooks",
    "Step",
    "StepOutcome",
    "StepResult",
    "StorageFault",
    "Suite",
    "Vector",
    "VectorResult",
    "XFail",
    "discover",
    "explain",
    "load_suite",
    "parse_suite",
    "run",
    "settle",
    "unused_shared_fixtures",
]
