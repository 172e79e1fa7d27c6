"""Fixtures of the run tests: a store of their own, and an environment in which nobody's own folders count."""

import pytest

from rnnbench.runs import compose, registry


@pytest.fixture(autouse=True)
def own_environment(tmp_path, monkeypatch):
    """A working folder and a store of the test's own; no user's configs, no tracker's variables."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RNNBENCH_RESULTS", raising=False)
    monkeypatch.delenv("RNNBENCH_CONFIG_DIR", raising=False)
    monkeypatch.setenv("WANDB_MODE", "offline")


@pytest.fixture
def user_dir(tmp_path, monkeypatch):
    """A user's own config folder, part of the registry: user_dir(name, text) writes a file into it."""
    folder = tmp_path / "my conf"
    folder.mkdir()
    monkeypatch.setenv("RNNBENCH_CONFIG_DIR", str(folder))
    monkeypatch.syspath_prepend(str(folder))

    def write(name, text):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    compose.defaults.cache_clear()
    yield write
    compose.defaults.cache_clear()
    registry._read.cache_clear()
