"""A refund that turned out to be fraud makes the next one like it go to a person."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from lumyn import Gate

CHECKOUT = Path(__file__).resolve().parents[2]
POLICY = CHECKOUT / "policies" / "lumyn-support.v0.yml"
REQUEST = CHECKOUT / "examples" / "curl" / "refund_trusted.json"


def main() -> None:
    """Decide, label the outcome, decide a similar request."""
    request = json.loads(REQUEST.read_text(encoding="utf-8"))
    with (
        tempfile.TemporaryDirectory() as folder,
        Gate.open(policy=POLICY, store=Path(folder) / "lumyn.db", create=True) as gate,
    ):
        first = gate.decide(request)
        print(f"first    {first.verdict:9} similarity {first.failure_similarity}")

        gate.label(first.decision_id, "failure", note="the order was never shipped to this customer")

        similar = request | {"request_id": "refund-T-90001"}
        second = gate.decide(similar)
        print(f"second   {second.verdict:9} similarity {second.failure_similarity} {', '.join(second.reason_codes)}")

        # The first decision stays what it was, and can be decided again with the memory it saw.
        replay = gate.replay(first.decision_id)
        print(f"replay   {'identical' if replay.identical else 'different'}")


if __name__ == "__main__":
    main()
