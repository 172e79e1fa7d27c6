"""One truth: wherever runs are done, in whatever order and beside whatever others, their records are the same bytes."""

from __future__ import annotations

import importlib.util

import pytest
from sweeping import TINY, call, comparable

WAYS = {
    "one worker": ("--workers", "1"),
    "two workers": ("--workers", "2"),
    "ray": ("--executor", "ray", "--workers", "2"),
    "slurm": ("--executor", "slurm", "--executor-option", "cluster=local", "--workers", "2"),
}
GRID = [*TINY, "cell=rnn,lstm", "peephole=off,on", "direction=forward,bidirectional"]


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.skipif(not importlib.util.find_spec("ray"), reason="Ray is not installed")
@pytest.mark.skipif(not importlib.util.find_spec("submitit"), reason="submitit is not installed")
def test_local_ray_and_slurm_give_the_same_records(tmp_path):
    found = {}
    for way, words in WAYS.items():
        results = tmp_path / way.replace(" ", "_")
        done = call("sweep", *GRID, *words, results=results, cwd=tmp_path)
        assert done.returncode == 0, f"{way}: {done.stderr}"
        found[way] = comparable(results)
    local = found.pop("one worker")
    assert len(local) == 6, "a plain RNN has no peepholes: those cells are skipped"
    assert {way: records == local for way, records in found.items()} == dict.fromkeys(found, True)
