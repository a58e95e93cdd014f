"""
Assembles the plugin for a run that asked for vectors.
The only module that knows all the others; must hold no logic of its own.
"""

from __future__ import annotations

import pytest

from lumyn.errors import InvalidPolicyError
from pytest_lumyn.collect import Collection, Gatekeeper
from pytest_lumyn.mass import Curtain, Groups
from pytest_lumyn.report import Reporter
from pytest_lumyn.reports import Reports, read_targets
from pytest_lumyn.settings import read_settings
from pytest_lumyn.xdist import Courier, is_worker

__all__ = ["activate"]


def activate(config: pytest.Config) -> None:
    """Register what a run with vectors needs; raises UsageError for options that cannot be used."""
    chosen = read_settings(config)
    collection = Collection(chosen)
    policy = None
    if chosen.policy is not None:
        try:
            policy = collection.policy(chosen.policy)
        except InvalidPolicyError as error:
            raise pytest.UsageError(f"lumyn: {error}") from None
    collection.add_roots(config)
    targets = read_targets(config)
    reporter = Reporter(config, chosen, policy, explain=bool(targets))
    curtain = Curtain(reporter, chosen.max_diffs)
    parts: dict[str, object] = {
        "collection": collection,
        "gatekeeper": Gatekeeper(chosen, collection.tally),
        "courier": Courier(config, collection.tally),
        "reporter": reporter,
        "curtain": curtain,
        "window": curtain.window,
        "groups": Groups(reporter, chosen.max_diffs),
    }
    if targets and not is_worker(config):
        parts["reports"] = Reports(config, chosen, reporter, collection.tally, targets)
    for name, part in parts.items():
        config.pluginmanager.register(part, f"lumyn-{name}")
