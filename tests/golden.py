"""The golden vectors that ship with Lumyn, loaded once, and what comes of them under the policies they name."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from lumyn.core.requests import parse_request
from lumyn.documents import Limits
from lumyn.engine.redaction import RedactionProfile
from lumyn.errors import InvalidRequestError
from lumyn.model import DecisionRequest, JsonObject, Mode
from lumyn.policy.loader import load_policy
from lumyn.policy.spec import Policy
from lumyn.vectors.discovery import discover
from lumyn.vectors.format import Suite, Vector
from lumyn.vectors.loader import load_suite
from lumyn.vectors.runner import Outcome, StepResult, VectorResult, run

ROOT = Path(__file__).resolve().parents[1]
FOLDER = "vectors/v0"
POLICY_FILES = tuple(path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "policies").rglob("*.yml")))


@cache
def suites() -> tuple[Suite, ...]:
    """Return every file of golden vectors."""
    return tuple(load_suite(path, root=ROOT) for path in discover(ROOT, [FOLDER]))


@cache
def vectors() -> tuple[Vector, ...]:
    """Return every golden vector, rows of tables one by one."""
    return tuple(vector for suite in suites() for vector in suite.vectors)


@cache
def policy(file: str) -> Policy:
    """Return a starter policy by its path in the checkout."""
    return load_policy(ROOT / file)


@cache
def results() -> tuple[VectorResult, ...]:
    """Return what comes of every golden vector under the policy it names."""
    return tuple(run(vector) for vector in vectors())


@cache
def of_policy(file: str) -> tuple[VectorResult, ...]:
    """Return the results of the vectors that name one policy."""
    return tuple(result for result in results() if result.vector.policy_file == file)


def decisions(found: Iterable[VectorResult]) -> list[StepResult]:
    """Return the steps that made a record, in order."""
    return [step for result in found for step in result.steps if step.record is not None]


def parsed(step: StepResult) -> DecisionRequest | None:
    """Return the request of a step as the engine reads it, or None when it is refused."""
    document: JsonObject = step.request or {}
    try:
        return parse_request(
            document,
            policy=step.policy,
            mode=Mode.ADVISORY,
            redaction=RedactionProfile.OFF,
            limits=Limits(),
        ).request
    except InvalidRequestError:
        return None


def passes(vector: Vector, under: Policy) -> bool:
    """Return whether a vector passes when `under` decides first."""
    return run(vector, policy=under).outcome is Outcome.PASSED
