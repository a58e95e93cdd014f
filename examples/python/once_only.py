"""Retries and races: one `request_id` is one decision, and reusing it for something else is refused."""

from __future__ import annotations

import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lumyn import Gate, IdempotencyConflictError

CHECKOUT = Path(__file__).resolve().parents[2]
POLICY = CHECKOUT / "policies" / "lumyn-support.v0.yml"
REQUEST = CHECKOUT / "examples" / "curl" / "refund_trusted.json"


def main() -> None:
    """Send one request many times, then another one under its name."""
    request = json.loads(REQUEST.read_text(encoding="utf-8"))
    with (
        tempfile.TemporaryDirectory() as folder,
        Gate.open(policy=POLICY, store=Path(folder) / "lumyn.db", create=True) as gate,
    ):
        with ThreadPoolExecutor(max_workers=4) as pool:
            records = list(pool.map(gate.decide, [request] * 8))
        print(f"8 calls, {len({record.to_json() for record in records})} decision")

        larger = json.loads(json.dumps(request))
        larger["action"]["amount"]["value"] = "180.50"
        try:
            gate.decide(larger)
        except IdempotencyConflictError as error:
            print(f"{error.reason_code}: {error}")
        print(f"the earlier decision covers the larger refund: {records[0].authorizes(larger)}")


if __name__ == "__main__":
    main()
