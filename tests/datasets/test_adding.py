"""The adding problem: markers, sums, floor and oracle."""

from __future__ import annotations

import pytest
import torch

from rnnbench.datasets import Adding
from rnnbench.datasets.base.spec import Data

SMALL = {"train": 3000, "val": 200, "test": 2000}


@pytest.fixture(params=["halves", "any"])
def task(request: pytest.FixtureRequest) -> Adding:
    return Adding(T=11, dialect=request.param, **SMALL)


def test_shapes_markers_and_sums(task: Adding) -> None:
    for split, size in zip(task.load(), SMALL.values(), strict=True):
        assert split.x.shape == (size, 11, 2)
        assert split.x.dtype == split.y.dtype == torch.float32
        assert split.y.shape == (size, 1)
        values, markers = split.x.unbind(-1)
        assert ((values >= 0) & (values < 1)).all()
        assert torch.equal(markers.sum(1), torch.full((size,), 2.0))
        for row in range(5):
            marked = [float(v) for v, m in split.x[row] if m == 1]
            assert float(split.y[row]) == pytest.approx(sum(marked), abs=1e-6)


def test_where_each_dialect_marks() -> None:
    halves = Adding(T=11, **SMALL).load().train.x[..., 1]
    assert torch.equal(halves[:, :5].sum(1), torch.ones(3000))  # floor(11/2) steps in the first half
    anywhere = Adding(T=11, dialect="any", **SMALL).load().train.x[..., 1]
    both_late = (anywhere[:, 5:].sum(1) == 2).double().mean()
    assert both_late == pytest.approx(6 / 11 * 5 / 10, abs=0.05)
    for markers in (halves, anywhere):
        assert (markers.mean(0) > 0.1).all()  # every step is marked about 2/11 of the time


def test_splits_share_no_sequence(task: Adding) -> None:
    rows = torch.cat([split.x[..., 0] for split in task.load()])
    assert len(rows.unique(dim=0)) == len(rows)


def test_the_mean_scores_the_floor_and_the_oracle_the_target(task: Adding, evaluate) -> None:
    data = task.load()
    floor = evaluate(task, data.test, lambda batch: torch.ones_like(batch.y))
    assert floor["mse"] == pytest.approx(task.floors(data)["mean"], rel=1e-6)
    assert floor["mse"] == floor["loss"]
    assert floor["mse"] == pytest.approx(1 / 6, abs=0.02)
    assert evaluate(task, data.test, task.oracle)["mse"] == pytest.approx(task.spec.target, abs=1e-12)


def test_floor_of_the_default_size() -> None:
    task = Adding(T=2, train=1)
    y = task.load().test
    assert task.floors(Data(y, y, y))["mean"] == pytest.approx(1 / 6, abs=0.006)
