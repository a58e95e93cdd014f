"""What the tests of reports share: the result of one vector, with nothing special about it."""

from __future__ import annotations

from lumyn.report.run import VectorReport

__all__ = ["POLICY_HASH", "vector"]

POLICY_HASH = "sha256:" + "0" * 64


def vector(name: str = "one", outcome: str = "passed", **members: object) -> VectorReport:
    """Return a result; `members` say what is special about it."""
    usual: dict[str, object] = {
        "node_id": f"vectors/a.yml::{name}",
        "path": "vectors/a.yml",
        "line": 4,
        "vector": name,
        "outcome": outcome,
        "verdict": "TRUST",
        "expected": "",
        "direction": "",
        "error": "",
        "reason_codes": ("SMALL",),
        "matched_rules": ("R1",),
        "decided_by": ("R1",),
        "policy_hash": POLICY_HASH,
        "summary": "",
        "explanation": (),
        "cause": None,
        "document": {},
    }
    return VectorReport(**(usual | members))  # type: ignore[arg-type]
