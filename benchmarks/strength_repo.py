"""
Repositories of vectors of the starter policy: a hundred of every golden topic, a hundred of one thing, all there are.
Written the same at every call, with edits that no vector notices; knows nothing of timing.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from common import ROOT, SUPPORT_POLICY

from lumyn.vectors.discovery import discover
from lumyn.vectors.loader import load_suite

__all__ = ["COUNT", "all_golden", "edit_policy", "edit_vector", "every_topic", "one_thing"]

COUNT = 100

_ALIKE = """\
  - name: refund_{index}
    why: an everyday refund goes through
    request: {{ $use: refund, $with: {{ action.amount.value: {amount}, evidence.order_id: "{index}" }} }}
    expect: {{ verdict: TRUST }}
"""


def every_topic(folder: Path) -> None:
    """Write golden vectors, files of the topics in turn as long as they fit: some edits of the policy go unnoticed."""
    topics: dict[Path, list[tuple[Path, int]]] = {}
    for path, count in _golden():
        if "scenarios" not in path.parts:
            topics.setdefault(path.parent, []).append((path, count))
    total, chosen = 0, []
    for files in zip_longest(*topics.values()):
        for path, count in filter(None, files):
            if total + count <= COUNT:
                total += count
                chosen.append(path)
    _copy(folder, chosen)


def all_golden(folder: Path) -> None:
    """Write all golden vectors of the policy: no edit of it goes unnoticed."""
    _copy(folder, [path for path, _ in _golden()])


def one_thing(folder: Path) -> None:
    """Write vectors that ask the same and expect a verdict only: nearly every edit of the policy goes unnoticed."""
    _policy(folder)
    defaults = (ROOT / "vectors/v0/_defaults.yaml").read_text(encoding="utf-8")
    head, _, _ = defaults.partition("    refund_eur:")
    rows = "".join(_ALIKE.format(index=index, amount=5 + index % 15) for index in range(COUNT))
    target = folder / "vectors" / "refund.yaml"
    target.parent.mkdir(parents=True)
    target.write_text(f"{head}vectors:\n{rows}", encoding="utf-8")


_EDITED = """\
schema_version: vector.v0
policy: {policy}
clock: "2026-01-15T12:00:00Z"
vectors:
  - name: edited
    why: all that is known of a ticket may be noted on it
    request:
      subject: {{ type: agent, id: support-agent-7 }}
      action: {{ type: support.update_ticket, intent: note the tracking number }}
      evidence: {{ ticket_id: T-{number} }}
    expect: {{ verdict: TRUST }}
"""


def edit_vector(folder: Path, number: int) -> None:
    """Write one vector more in a file of its own, or let it ask for something else."""
    text = _EDITED.format(policy=SUPPORT_POLICY.relative_to(ROOT).as_posix(), number=number)
    (folder / "vectors" / "edited.yaml").write_text(text, encoding="utf-8")


def edit_policy(folder: Path, number: int) -> None:
    """Move a limit by so little that no vector notices."""
    path = folder / SUPPORT_POLICY.relative_to(ROOT)
    limit, text = f"JPY: [0.004, 0.01400{number:04}]", path.read_text(encoding="utf-8")
    path.write_text(re.sub(r"JPY: \[0\.004, 0\.014[0-9]*\]", limit, text), encoding="utf-8")


def _golden() -> Iterator[tuple[Path, int]]:
    """Yield the files of golden vectors that are about the policy alone, with how many vectors each holds."""
    name = SUPPORT_POLICY.relative_to(ROOT).as_posix()
    for path in discover(ROOT, ["vectors/v0"]):
        vectors = load_suite(path, root=ROOT).vectors
        if vectors and all(each.policy_file == name for each in vectors):
            yield path, len(vectors)


def _copy(folder: Path, chosen: list[Path]) -> None:
    _policy(folder)
    beside = {other for path in chosen for other in path.parent.glob("_*.y*ml")}
    for path in (ROOT / "vectors/v0/_defaults.yaml", *sorted(beside), *chosen):
        target = folder / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)


def _policy(folder: Path) -> None:
    target = folder / SUPPORT_POLICY.relative_to(ROOT)
    target.parent.mkdir(parents=True)
    shutil.copy(SUPPORT_POLICY, target)
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
