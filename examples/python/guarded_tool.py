"""A decorator for the tools of any agent framework: the tool runs when the gate permits it, and in no other case."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lumyn import Gate, LumynError, Verdict

CHECKOUT = Path(__file__).resolve().parents[2]
POLICY = CHECKOUT / "policies" / "lumyn-support.v0.yml"

Tool = Callable[..., str]


def guarded(gate: Gate, describe: Callable[..., dict[str, Any]]) -> Callable[[Tool], Tool]:
    """Return a decorator; `describe` turns the tool's arguments into a decision request."""

    def decorate(tool: Tool) -> Tool:
        @functools.wraps(tool)
        def call(*args: Any, **kwargs: Any) -> str:
            request = describe(*args, **kwargs)
            try:
                record = gate.decide(request)
            except LumynError as error:
                # A request that cannot be decided is a request that is not carried out.
                return f"not done: {error.reason_code}"
            if record.authorizes(request):
                return tool(*args, **kwargs)
            if record.verdict is Verdict.QUERY:
                return "not done yet: " + " ".join(query.question for query in record.queries)
            return f"not done: {record.verdict} ({', '.join(record.reason_codes)})"

        return call

    return decorate


def describe_close(ticket_id: str, resolution: str) -> dict[str, Any]:
    """Return the decision request for closing a ticket."""
    return {
        "schema_version": "decision_request.v0",
        "subject": {"type": "agent", "id": "support-agent-7"},
        "action": {"type": "support.close_ticket", "intent": "close a ticket"},
        "evidence": {"ticket_id": ticket_id, "resolution": resolution},
        "context": {"mode": "inline", "inline": {"tool": "close_ticket"}},
    }


def main() -> None:
    """Call a guarded tool three times."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Gate.open(policy=POLICY, store=Path(folder) / "lumyn.db", create=True) as gate,
    ):

        @guarded(gate, describe_close)
        def close_ticket(ticket_id: str, resolution: str) -> str:
            return f"closed {ticket_id}"

        print(close_ticket("T-81233", "replacement sent"))
        print(close_ticket("T-81233", ""))
        print(close_ticket("T-81233", 42))


if __name__ == "__main__":
    main()
