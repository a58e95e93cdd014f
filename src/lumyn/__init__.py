"""
A deterministic gate in front of the write actions of AI systems.

    from lumyn import decide

    record = decide(request)
    if record.authorizes(request):
        refund(request)

Everything is loaded on first use, so that importing this package costs next to nothing.

PYTEST_DONT_REWRITE: nothing in this package asserts, and applications import it before pytest rewrites plugins.
"""

from __future__ import annotations

from lumyn._version import __version__

# `typing` alone would double what `lumyn --version` costs; type checkers take this name at its word.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from lumyn.core.clock import Clock, FixedClock, IdSource, SeededIds, SystemClock, UlidSource
    from lumyn.core.decide import Gate
    from lumyn.core.records import DecisionRecord, permits
    from lumyn.core.replay import Replay, ReplayStatus
    from lumyn.discovery import decide
    from lumyn.engine.redaction import RedactionPolicy, RedactionProfile
    from lumyn.errors import (
        AuthError,
        IdempotencyConflictError,
        InstallationError,
        InvalidConfigError,
        InvalidDocumentError,
        InvalidPackError,
        InvalidPolicyError,
        InvalidRequestError,
        InvalidVectorError,
        LumynError,
        NotFoundError,
        Problem,
        Span,
        StoreIntegrityError,
        StoreUnavailableError,
    )
    from lumyn.model import Label, MatchedRule, Mode, Query, Stage, Verdict
    from lumyn.policy.loader import load_policy
    from lumyn.policy.spec import Policy

_HOMES = {
    "lumyn.core.clock": ("Clock", "FixedClock", "IdSource", "SeededIds", "SystemClock", "UlidSource"),
    "lumyn.core.decide": ("Gate",),
    "lumyn.core.records": ("DecisionRecord", "permits"),
    "lumyn.core.replay": ("Replay", "ReplayStatus"),
    "lumyn.discovery": ("decide",),
    "lumyn.engine.redaction": ("RedactionPolicy", "RedactionProfile"),
    "lumyn.errors": (
        "AuthError",
        "IdempotencyConflictError",
        "InstallationError",
        "InvalidConfigError",
        "InvalidDocumentError",
        "InvalidPackError",
        "InvalidPolicyError",
        "InvalidRequestError",
        "InvalidVectorError",
        "LumynError",
        "NotFoundError",
        "Problem",
        "Span",
        "StoreIntegrityError",
        "StoreUnavailableError",
    ),
    "lumyn.model": ("Label", "MatchedRule", "Mode", "Query", "Stage", "Verdict"),
    "lumyn.policy.loader": ("load_policy",),
    "lumyn.policy.spec": ("Policy",),
}
_MODULE_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "AuthError",
    "Clock",
    "DecisionRecord",
    "FixedClock",
    "Gate",
    "IdSource",
    "IdempotencyConflictError",
    "InstallationError",
    "InvalidConfigError",
    "InvalidDocumentError",
    "InvalidPackError",
    "InvalidPolicyError",
    "InvalidRequestError",
    "InvalidVectorError",
    "Label",
    "LumynError",
    "MatchedRule",
    "Mode",
    "NotFoundError",
    "Policy",
    "Problem",
    "Query",
    "RedactionPolicy",
    "RedactionProfile",
    "Replay",
    "ReplayStatus",
    "SeededIds",
    "Span",
    "Stage",
    "StoreIntegrityError",
    "StoreUnavailableError",
    "SystemClock",
    "UlidSource",
    "Verdict",
    "__version__",
    "decide",
    "load_policy",
    "permits",
]


def __getattr__(name: str) -> object:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module 'lumyn' has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
