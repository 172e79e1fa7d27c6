"""What a run on tokens with a class at some steps leaves: metrics, floors, outcomes, samples; the same on a GPU."""

from __future__ import annotations

import math

import pytest
import torch
from runs_tools import SMALL

import rnnbench
from rnnbench.store import outcomes, samples
from rnnbench.store.store import Store

SIZES = ("dataset.train=300", "dataset.val=40", "dataset.test=60")
TASKS = {
    "word": ("dataset.T=8",),
    "mqar": ("dataset.T=24",),
    "selective_copy": ("dataset.L=10",),
    "chomsky": ("dataset.dialect=bucket_sort", "dataset.longest_val=25", "dataset.longest_test=30"),
}
LABELLED = {  # steps of the 60 test sequences
    "word": 60 * 4 * 8,
    "mqar": 60 * 6,
    "selective_copy": 60 * 6,
    "chomsky": 12 * sum(range(26, 31)),
}


def ran(name, folder, *more):
    return rnnbench.run([*SMALL, f"dataset={name}", *SIZES, *TASKS[name], *more], results=folder)


@pytest.mark.integration
@pytest.mark.parametrize("name", TASKS)
def test_a_run_keeps_its_labelled_steps_and_whole_sequences(name, tmp_path):
    record = ran(name, tmp_path, "cell=gru", "backend=native")
    folder = Store.open(tmp_path).folder(record["id"])
    assert record["status"] == "ok"
    assert {f"test/{record['metric']}", "test/sequence_accuracy"} <= set(record["metrics"])
    assert record["solved"] == 0.99
    assert math.isfinite(record["floors"][record["floor"]])
    (kept,) = outcomes.read(folder / outcomes.FILE)
    assert kept.means()["right"] == pytest.approx(record["metrics"]["test/sequence_accuracy"])
    shown = samples.read(folder / samples.FILE)
    assert isinstance(shown, samples.Classes)
    assert shown.counts.sum() == kept.count.sum() == LABELLED[name]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", TASKS)
def test_a_gpu_trains_and_scores_as_the_processor(name, tmp_path):
    """The same data, floors and outcomes, and after a few updates the same loss, to what float32 rounds."""
    here, there = (ran(name, tmp_path / device, "backend=native", f"device={device}") for device in ("cpu", "cuda"))
    assert there["status"] == "ok"
    assert there["dataset"]["data_hash"] == here["dataset"]["data_hash"]
    assert there["floors"] == pytest.approx(here["floors"])
    assert there["metrics"]["test/loss"] == pytest.approx(here["metrics"]["test/loss"], rel=1e-3)
    folder = Store.open(tmp_path / "cuda").folder(there["id"])
    (kept,) = outcomes.read(folder / outcomes.FILE)
    assert kept.means()["right"] == pytest.approx(there["metrics"]["test/sequence_accuracy"])
    assert isinstance(samples.read(folder / samples.FILE), samples.Classes)
