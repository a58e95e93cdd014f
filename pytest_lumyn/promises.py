"""
Adds the invariants of the policies that vectors name to a run. Loads what proves them only where there are some;
must not know what an invariant is.
"""

from __future__ import annotations

import pytest

from lumyn.policy.spec import Policy
from pytest_lumyn.item import VectorItem
from pytest_lumyn.settings import Settings

__all__ = ["Promises"]


class Promises:
    """The part of the plugin that adds the items."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        single = any("::" in argument for argument in session.config.args)
        if single and not self._settings.complete:  # a test by its id, beside all the vectors, is no such choice
            return
        policies: dict[str, tuple[Policy, str]] = {}
        for item in items:
            policy = item.policy if isinstance(item, VectorItem) else None
            if isinstance(item, VectorItem) and policy is not None and policy.promises:
                policies.setdefault(policy.policy_hash, (policy, item.short.policy_file or policy.policy_id))
        if policies:
            from pytest_lumyn.invariants import items_of

            for policy, file in policies.values():
                path = self._settings.policy or self._settings.base / file
                items.extend(items_of(session, path, policy, file=file))
