"""The registry of reason codes is complete, readable and holds what the engine emits."""

from __future__ import annotations

import json
import re
from pathlib import Path

from lumyn.model import Verdict
from lumyn.policy.registry import engine_codes, registry

ROOT = Path(__file__).resolve().parents[2]
CONTENT = json.loads((ROOT / "schemas" / "reason_codes.v0.json").read_text(encoding="utf-8"))


def test_every_code_has_the_same_shape() -> None:
    """Code, kind, usual verdict and a meaning in one sentence, and nothing else."""
    assert "reason_codes.v0" == CONTENT["schema_version"]
    for code, entry in CONTENT["codes"].items():
        assert re.fullmatch("[A-Z][A-Z0-9_]{2,63}", code)
        assert {"kind", "verdict", "meaning"} == set(entry), code
        assert entry["kind"] in {"engine", "policy"}
        assert entry["verdict"] in set(Verdict)
        assert re.fullmatch(r"[A-Z][^.\n]+\.", entry["meaning"]), code


def test_engine_codes_are_registered() -> None:
    """What the engine emits on its own is reserved."""
    assert {
        "EVIDENCE_MISSING",
        "EVIDENCE_TYPE_INVALID",
        "EVIDENCE_OUT_OF_RANGE",
        "EVIDENCE_VALUE_UNKNOWN",
        "FX_RATE_OUT_OF_BOUNDS",
        "STORAGE_UNAVAILABLE",
    } == engine_codes()


def test_registry_maps_each_code_to_its_meaning() -> None:
    """Lookups give the sentence of the file."""
    assert {code: entry["meaning"] for code, entry in CONTENT["codes"].items()} == registry()
    assert engine_codes() < registry().keys()


def test_names_say_what_a_code_leads_to() -> None:
    """A code that names a verdict in its ending names its own."""
    for code, entry in CONTENT["codes"].items():
        if code.endswith("_ESCALATE"):
            assert "ESCALATE" == entry["verdict"], code
        if code.endswith("_BLOCK"):
            assert "ABSTAIN" == entry["verdict"], code
