"""An agent's refund tool behind the gate: four requests, four verdicts, and one refund that is really made."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from lumyn import DecisionRecord, Gate, Verdict

CHECKOUT = Path(__file__).resolve().parents[2]
POLICY = CHECKOUT / "policies" / "lumyn-support.v0.yml"
REQUESTS = CHECKOUT / "examples" / "curl"


def refund(request: dict[str, Any], record: DecisionRecord) -> str:
    """Act on a decision. `authorizes` compares digests: the request that is acted on is the one that was decided."""
    if record.authorizes(request):
        amount = request["action"]["amount"]
        return f"refunded {amount['value']} {amount['currency']}"
    if record.verdict is Verdict.ESCALATE:
        return "sent to a person for approval"
    if record.verdict is Verdict.QUERY:
        return "asked: " + " ".join(query.question for query in record.queries)
    return "refused"


def main() -> None:
    """Decide four requests on a store of their own."""
    with tempfile.TemporaryDirectory() as folder:
        store = f"sqlite:///{Path(folder) / 'lumyn.db'}"
        with Gate.open(policy=POLICY, store=store, create=True) as gate:
            for name in ("refund_trusted", "refund_large", "refund_without_order", "refund_risky_card"):
                request = json.loads((REQUESTS / f"{name}.json").read_text(encoding="utf-8"))
                record = gate.decide(request)
                print(f"{name:22} {record.verdict:9} {', '.join(record.reason_codes)}")
                print(f"{'':22} {refund(request, record)}")


if __name__ == "__main__":
    main()
