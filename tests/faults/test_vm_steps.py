"""SQLite stops at a step of its virtual machine, at each one there is: the act is stored and known, or it is absent."""

from __future__ import annotations

from pathlib import Path

import pytest
from faults import seam
from faults.acts import ACTS, Act, Stage

pytestmark = pytest.mark.faults


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.name)
def test_abort_at_every_step_is_committed_and_known_or_absent(act: Act, scratch: Path) -> None:
    """An error out of COMMIT does not say whether the rows are there; the caller is told what the store holds."""
    stage = Stage(act, scratch / "stage")
    stored: list[int] = []
    for step in range(1, 5_000):
        plan = seam.Steps(at=step)
        path = stage.copy()
        with seam.steps(plan), stage.gate(path) as gate:
            plan.armed = True
            result = stage.perform(gate)
            plan.armed = False
            if stage.came_of(result, path):
                stored.append(step)
            if not plan.fired:
                break
            stage.mends(gate, path, result)
    else:
        pytest.fail("the act never came to its end")
    # Without a step that is interrupted after the commit, the ambiguous case would not have been met.
    assert len(stored) >= 2
    assert step == stored[-1] > 20
