"""The sweep tests' surroundings: nothing of the caller's environment, and what a test adds ends with it."""

from __future__ import annotations

import sys

import pytest
from sweeping import LAB


@pytest.fixture(autouse=True)
def own_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNBENCH_CONFIG_DIR", "")
    monkeypatch.delenv("RNNBENCH_RESULTS", raising=False)
    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.fixture
def lab() -> None:
    """The misbehaving cells and odd experiments of tests/sweeps/lab are part of the registry."""
    from rnnbench.runs import registry

    registry.add_config_dir(LAB)
