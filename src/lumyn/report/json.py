"""
A run of vectors as the JSON document that `vector_report.v0.schema.json` describes.
Must not know who reads it; two runs with the same outcome give the same bytes.
"""

from __future__ import annotations

import json
from typing import Final

from lumyn.model import JsonObject
from lumyn.report.run import PolicyReport, RunReport

__all__ = ["SCHEMA_VERSION", "document", "render"]

SCHEMA_VERSION: Final = "vector_report.v0"


def render(report: RunReport) -> str:
    """Return the report as indented JSON with a final line end: no times, no durations, sorted by node id."""
    return json.dumps(document(report), indent=2, ensure_ascii=False) + "\n"


def document(report: RunReport) -> JsonObject:
    """Return the report as plain JSON data."""
    return {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "lumyn", "version": report.version},
        "summary": {
            "vectors": len(report.vectors),
            **report.counts,
            "errors": len(report.errors),
            "looser": report.looser,
            "tighter": report.tighter,
            "complete": report.complete,
            "ok": report.ok,
        },
        "causes": [
            {
                "change": group.cause.change,
                "rule": group.cause.rule,
                "place": group.cause.place,
                "direction": group.direction,
                "vectors": [vector.node_id for vector in group.vectors],
            }
            for group in report.groups
        ],
        "errors": [{"path": error.path, "line": error.line, "message": error.message} for error in report.errors],
        "failures": list(report.failures),
        "policies": [_policy(policy) for policy in report.policies],
        "vectors": [vector.document for vector in report.vectors],
        **({"extra": dict(report.extra)} if report.extra else {}),
    }


def _policy(policy: PolicyReport) -> JsonObject:
    return {
        "policy_id": policy.policy_id,
        "policy_version": policy.policy_version,
        "policy_hash": policy.policy_hash,
        "path": policy.path,
        "verdicts": dict(policy.verdicts),
        "rules": [
            {
                "rule_id": rule.rule_id,
                "stage": rule.stage,
                "effect": rule.effect,
                "line": rule.line,
                "fired": dict(rule.fired),
                "decided": rule.decided,
            }
            for rule in policy.rules
        ],
    }
