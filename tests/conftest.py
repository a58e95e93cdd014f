"""What every test shares: a clean environment and the Hypothesis profiles. Must not import lumyn."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parents[1]

# Time limits measure the machine, not the code, and a shared continuous-integration machine is often slow.
_QUIET = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("lumyn", derandomize=True, **_QUIET)
settings.register_profile("explore", **_QUIET)
settings.register_profile("thorough", max_examples=1_000, **_QUIET)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "lumyn"))


_FOREIGN = ("LUMYN_", "TOX_", "PYTEST_ADDOPTS")
_MOODS = {"BUILD_NUMBER", "CI", "PYTHONUNBUFFERED", "FORCE_COLOR", "GITHUB_ACTIONS", "NO_COLOR", "PY_COLORS"}


@pytest.fixture(autouse=True)
def _no_inherited_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the developer's settings, colour choices or tox (where pytest would keep its cache)."""
    for name in os.environ:
        if name.startswith(_FOREIGN) or name in _MOODS:
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True, scope="session")
def _no_traces_at_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What Lumyn keeps for its user is kept in a folder of the run."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
            patch.setenv(name, str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT
