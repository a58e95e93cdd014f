"""
The repository that `bench_vectors.py` runs pytest in: many vectors, what to compare them with, and one test.
Written the same at every call; knows nothing of timing.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from common import SUPPORT_POLICY

__all__ = ["PER_FILE", "build", "drift"]

PER_FILE = 100
_ROWS = 40
_SEEDED = 10

_BARE = """
import json
import pytest

class Bare(pytest.Item):
    def __init__(self, *, case, line, **kwargs):
        super().__init__(**kwargs)
        self.case, self.line = case, line
    def runtest(self):
        if self.case["request"] != self.case["expect"]:
            raise ValueError(self.name)
    def repr_failure(self, excinfo, style=None):
        return f"{self.path}:{self.line} {self.name} differs"
    def reportinfo(self):
        return self.path, self.line, self.name

class BareFile(pytest.File):
    def collect(self):
        for line, case in enumerate(json.loads(self.path.read_bytes())):
            yield Bare.from_parent(self, name=case["name"], case=case, line=line)

def pytest_collect_file(file_path, parent):
    if file_path.suffix == ".bare":
        return BareFile.from_parent(parent, path=file_path)
"""

_HEAD = """\
schema_version: vector.v0
policy: policies/support.yml
clock: "2026-01-15T12:00:00Z"
fixtures:
  requests:
    refund:
      subject: {{ type: agent, id: agent-{number}, tenant_id: acme }}
      action:
        type: support.refund
        intent: Refund a duplicate charge on the order
        target: {{ system: payments, resource_type: charge }}
        amount: {{ value: 12.5, currency: USD }}
      evidence:
        ticket_id: ZD-{number}
        order_id: "82731"
        customer_id: C-9
        customer_age_days: 180
        previous_refund_count_90d: 0
        chargeback_risk: 0.05
        payment_instrument_risk: low
  memory:
    known_fraud: {{ label: failure, request: {{ $use: refund }}, summary: a duplicate that was none }}
vectors:
"""

_PLAIN = """\
  - name: refund_{index}
    why: A refund of this size is decided alike, whoever asks.
    tags: [refund]
    request:
      $use: refund
      $with: {{ action.amount.value: {amount}, evidence.order_id: "{index}" }}
    expect: {{ verdict: {verdict}, reason_codes: [{code}] }}
"""

_SEED = """\
  - name: like_a_failure_{index}
    request:
      $use: refund
      $with: {{ evidence.order_id: "{index}" }}
    memory: [known_fraud]
    expect:
      verdict: ESCALATE
      reason_codes: {{ contains: [FAILURE_MEMORY_SIMILAR_ESCALATE] }}
      risk_signals: {{ failure_similarity: {{ score: {{ gte: 0.8 }} }} }}
"""

_TABLE = """\
  - name: limit
    request: { $use: refund }
    table:
      columns: [id, request.action.amount.value, expect.verdict, expect.reason_codes]
      rows:
"""


def build(folder: Path, files: int) -> None:
    """Write `files` files of a hundred vectors below `vectors`, and as many of a hundred bare items below `bare`."""
    for name in ("vectors", "bare", "policies", "alone"):
        (folder / name).mkdir(parents=True)
    (folder / "alone" / "test_alone.py").write_text("def test_alone():\n    pass\n", encoding="utf-8")
    shutil.copyfile(SUPPORT_POLICY, folder / "policies" / "support.yml")
    (folder / "conftest.py").write_text(_BARE, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    for number in range(files):
        (folder / "vectors" / f"suite_{number:03}.yml").write_text(_suite(number), encoding="utf-8")
        cases = [
            {"name": f"case_{index}", "request": {"n": index}, "expect": {"n": index}} for index in range(PER_FILE)
        ]
        (folder / "bare" / f"suite_{number:03}.bare").write_text(json.dumps(cases), encoding="utf-8")


def drift(folder: Path, files: int) -> None:
    """Make every vector of the first `files` files drift, for one cause."""
    for number in range(files):
        vectors = folder / "vectors" / f"suite_{number:03}.yml"
        text = vectors.read_text(encoding="utf-8")
        vectors.write_text(text.replace("chargeback_risk: 0.05", "chargeback_risk: 0.9"), encoding="utf-8")


def _suite(number: int) -> str:
    parts = [_HEAD.format(number=number)]
    for index in range(PER_FILE - _ROWS - _SEEDED):
        small = index % 2 == 0
        parts.append(
            _PLAIN.format(
                index=index,
                amount=f"{index % 25 + 0.25:g}" if small else f"{201 + index}.5",
                verdict="TRUST" if small else "ESCALATE",
                code="REFUND_SMALL_LOW_RISK" if small else "REFUND_OVER_ESCALATION_LIMIT",
            )
        )
    parts += [_SEED.format(index=index) for index in range(_SEEDED)]
    parts.append(_TABLE)
    for index in range(_ROWS):
        large = index % 2
        verdict, code = ("ESCALATE", "REFUND_OVER_ESCALATION_LIMIT") if large else ("TRUST", "REFUND_SMALL_LOW_RISK")
        parts.append(f"        - [row_{index}, {(201 if large else 1) + index / 4:g}, {verdict}, [{code}]]\n")
    return "".join(parts)
