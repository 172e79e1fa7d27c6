"""Runs that predict frames: recorded, resumed and repeated like any other, with the diagnostics an ablation reads."""

from __future__ import annotations

import json

import pytest

import rnnbench
from rnnbench.runs import build
from rnnbench.runs.plan import prepare
from rnnbench.store.store import Store

pytestmark = pytest.mark.integration

TINY = (
    "dataset=moving_digits", "dataset.size=16", "dataset.train=64", "dataset.val=8", "dataset.test=8",
    "dataset.input_steps=3", "dataset.output_steps=2", "hidden_size=4", "cell.operator.kernel_size=3",
    "cell.operator.input_kernel_size=3", "budget=smoke", "budget.updates=6", "budget.val_every=3",
    "budget.batch_size=4",
)  # fmt: skip


@pytest.mark.parametrize("cell", ["convrnn", "convlstm", "convgru", "trajgru", "stlstm", "causal_lstm"])
def test_every_family_leaves_a_record(tmp_path, cell):
    record = rnnbench.run([f"cell={cell}", "depth=2", *TINY], results=tmp_path)
    assert (record["status"], record["reason"]) == ("ok", "")
    assert record["metric"] == "mse_sum"
    assert {"black", "last", "mean"} <= set(record["floors"])
    assert record["metrics"]["test/mse_sum"] > 0
    assert record["params"] >= record["live_params"] > 0
    assert json.loads(Store.open(tmp_path).record_path(record["id"]).read_text())["id"] == record["id"]


def test_the_diagnostics_of_a_convlstm_with_peepholes(tmp_path):
    record = rnnbench.run(["cell=convlstm", "peephole=on", *TINY], results=tmp_path)
    found = record["diagnostics"]
    assert set(found) == {"grad_norm", "h_grad_norm", "cell_state_max", "saturation", "peephole_abs"}
    assert found["grad_norm"]["max"] >= found["grad_norm"]["p99"] >= found["grad_norm"]["median"] > 0
    assert found["grad_norm"]["first_non_finite"] is None
    assert {layer: len(curve) for layer, curve in found["h_grad_norm"].items()} == {"encoder.0": 3, "forecaster.0": 2}
    assert {layer: len(curve) for layer, curve in found["cell_state_max"].items()} == {
        "encoder.0": 3,
        "forecaster.0": 2,
    }
    assert set(found["saturation"]["encoder.0"]) == {"i", "f", "o"}
    assert all(0 <= share <= 1 for gate in found["saturation"]["encoder.0"].values() for share in gate.values())
    assert all(w > 0 for w in found["peephole_abs"]["encoder.0"].values()), "they start at zero and are trained"


def test_zero_started_peepholes_begin_as_none_and_see_the_same_clips(tmp_path):
    def first_row(peephole):
        job = prepare(["cell=convlstm", f"peephole={peephole}", *TINY, "budget.updates=1", "budget.val_every=1"])
        record = rnnbench.run(job.overrides, results=tmp_path)
        row = Store.open(tmp_path).history(record["id"])[0]
        return row["train/loss"], {
            name: p.clone() for name, p in build.make_model(job.config, build.make_task(job.config)).named_parameters()
        }

    loss, start = first_row("off")
    for peephole in ("on", "hadamard", "hadamard_detach", "conv1x1", "conv"):
        other, weights = first_row(peephole)
        assert other == loss, peephole
        assert all(weights[name].equal(p) for name, p in start.items())
        assert len(weights) > len(start)


def test_a_rollout_is_repeated_to_the_bit_and_loads_again(tmp_path):
    overrides = ["cell=stlstm", "depth=2", "forecast.sampling.mode=reverse", "forecast.decouple=0.1", *TINY]
    one = rnnbench.run(overrides, results=tmp_path / "one")
    two = rnnbench.run(overrides, results=tmp_path / "two")
    assert (one["id"], one["metrics"]) == (two["id"], two["metrics"])
    model = rnnbench.load_model(one["id"], results=tmp_path / "one")
    assert int(model.sampling.seen) == one["best_step"]
