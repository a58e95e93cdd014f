"""
A client of `lumyn serve` that signs its requests, with the standard library only; and what it does with answers.

The service it asks needs the extra: `pip install -e ".[service]"`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
POLICY = CHECKOUT / "policies" / "lumyn-support.v0.yml"
REQUESTS = CHECKOUT / "examples" / "curl"


class GateClient:
    """Asks a service. Nothing but a 200 whose verdict is `TRUST` lets an action proceed."""

    def __init__(self, url: str, secret: str, *, timeout_s: float = 10) -> None:
        self.url = url
        self._secret = secret.encode()
        self._timeout_s = timeout_s

    def decide(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the record, or the problem with `verdict` ABSTAIN; a service out of reach abstains as well."""
        try:
            return self.call("POST", "/v0/decide", request)
        except urllib.error.HTTPError as refused:
            with refused:
                return json.load(refused)
        except (OSError, ValueError):  # not reached, cut off, or no JSON: unknown never trusts
            return {"verdict": "ABSTAIN", "reason_code": "SERVICE_UNREACHABLE"}

    def label(self, decision_id: str, label: str, *, note: str) -> dict[str, Any]:
        """Say what became of a decision."""
        event = {"type": "label", "data": {"label": label, "note": note}}
        return self.call("POST", f"/v0/decisions/{decision_id}/events", event)

    def call(self, method: str, target: str, document: object = None) -> dict[str, Any]:
        """Send one signed request and return the JSON that comes back."""
        body = b"" if document is None else json.dumps(document).encode()
        timestamp, request_id = str(int(time.time())), secrets.token_hex(16)
        lines = ["lumyn.v1", method, target, timestamp, request_id, hashlib.sha256(body).hexdigest()]
        signature = hmac.new(self._secret, "\n".join(lines).encode(), "sha256").hexdigest()
        headers = {
            "Content-Type": "application/json",
            "Lumyn-Timestamp": timestamp,
            "Lumyn-Request-Id": request_id,
            "Lumyn-Signature": f"v1={signature}",
        }
        target = self.url + target
        sent = urllib.request.Request(target, data=body or None, headers=headers, method=method)  # noqa: S310 - our URL
        with urllib.request.urlopen(sent, timeout=self._timeout_s) as answer:  # noqa: S310
            return json.load(answer)


def main() -> None:
    """Start a service, and ask it."""
    secret = secrets.token_hex(32)
    request = json.loads((REQUESTS / "refund_trusted.json").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        with running(Path(folder), secret) as service:
            told = service.stdout.readline()
            if '"url"' not in told:
                sys.exit('the service did not start; it needs the extra: pip install -e ".[service]"')
            client = GateClient(json.loads(told)["url"], secret)
            record = client.decide(request)
            print(f"first: {record['verdict']}")
            print(f"sent again, the same decision: {client.decide(request)['decision_id'] == record['decision_id']}")
            client.label(record["decision_id"], "failure", note="charged twice")
            later = client.decide({**request, "request_id": "another-refund"})
            print(f"after the label: {later['verdict']} {later['reason_codes']}")
            forged = GateClient(client.url, secrets.token_hex(32)).decide(request)
            print(f"with another secret: {forged['verdict']} {forged['reason_code']}")
            service.terminate()
        print(f"when it is stopped: {client.decide(request)['verdict']}")


def running(folder: Path, secret: str) -> subprocess.Popen[str]:
    """Run `lumyn serve` with a new store, and one key that may do everything."""
    from lumyn import Gate

    store = folder / "lumyn.db"
    Gate.open(policy=POLICY, store=store, create=True).close()
    keys = [{"id": "example", "secret": secret, "scopes": ["decide", "label", "read"]}]
    return subprocess.Popen(
        [sys.executable, "-m", "lumyn", "serve", "--port", "0", "--json"],
        cwd=folder,
        env={
            **os.environ,
            "LUMYN_SERVICE_KEYS": json.dumps(keys),
            "LUMYN_POLICY_PATH": str(POLICY),
            "LUMYN_STORE_URL": f"sqlite:///{store}",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
