"""The benches' tests run in a folder and a store of their own, and nobody's configs or trackers count."""

import pytest


@pytest.fixture(autouse=True)
def own_environment(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RNNBENCH_RESULTS", raising=False)
    monkeypatch.delenv("RNNBENCH_CONFIG_DIR", raising=False)
    monkeypatch.setenv("WANDB_MODE", "offline")
