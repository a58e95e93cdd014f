"""
Assembles the plugin for a run that asked for vectors.
The only module that knows all the others; must hold no logic of its own.
"""

from __future__ import annotations

import pytest

from lumyn.errors import InvalidPolicyError
from pytest_lumyn.asked import wants_strength
from pytest_lumyn.cache import open_cache
from pytest_lumyn.collect import Collection, Gatekeeper
from pytest_lumyn.garbage import Thrift
from pytest_lumyn.gates import Gates
from pytest_lumyn.mass import Curtain, Groups
from pytest_lumyn.promises import Promises
from pytest_lumyn.report import Reporter
from pytest_lumyn.reports import Reports, read_targets, refuse_sources
from pytest_lumyn.review import Reviewer, require_terminal
from pytest_lumyn.settings import read_settings
from pytest_lumyn.update import Updater
from pytest_lumyn.xdist import Courier, is_worker

__all__ = ["activate"]


def activate(config: pytest.Config) -> None:
    """Register what a run with vectors needs; raises UsageError for options that cannot be used."""
    chosen = read_settings(config)
    cache = open_cache(config)
    collection = Collection(chosen, cache)
    policy = None
    if chosen.policy is not None:
        try:
            policy = collection.policy(chosen.policy)
        except InvalidPolicyError as error:
            raise pytest.UsageError(f"lumyn: {error}") from None
    collection.add_roots(config)
    targets = read_targets(config)
    refuse_sources(targets, collection.is_vector_path)
    reporter = Reporter(config, chosen, policy, explain=bool(targets))
    curtain = Curtain(reporter, chosen.max_diffs)
    parts: dict[str, object] = {
        "thrift": Thrift(config),
        "collection": collection,
        "gatekeeper": Gatekeeper(chosen, collection.tally),
        "courier": Courier(config, collection.tally),
        "promises": Promises(chosen),
        "reporter": reporter,
        "curtain": curtain,
        "window": curtain.window,
        "groups": Groups(reporter, chosen.max_diffs),
    }
    if chosen.strict or chosen.since is not None:
        parts["gates"] = Gates(config, chosen, collection)
    if targets and not is_worker(config):
        parts["reports"] = Reports(config, chosen, reporter, collection.tally, targets)
    if chosen.update is not None:
        updater = Updater(config, chosen, chosen.update, reporter)
        parts |= {"proposals": updater.proposals, "updater": updater, "late": updater.late}
    if chosen.review:
        require_terminal(config)
        reviewer = Reviewer(config, chosen, reporter)
        parts |= {"proposals": reviewer.proposals, "reviewer": reviewer}
    if wants_strength(config):
        from pytest_lumyn.coverage import Strength
        from pytest_lumyn.thresholds import read_thresholds

        kept = None if cache is None else cache.for_strength()
        parts["strength"] = Strength(config, read_thresholds(config), chosen, collection.tally, reporter, kept)
    for name, part in parts.items():
        config.pluginmanager.register(part, f"lumyn-{name}")
