"""The task over users' sequences: tensors, metrics, floors, the reference, runs from end to end."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import cohen_kappa_score

from rnnbench.datasets import OwnSequences, data_hash, own_sequences
from rnnbench.datasets.base import kept_floors, loading, named_metrics
from rnnbench.datasets.own import order_free
from rnnbench.datasets.own.ts_files import read as read_ts
from rnnbench.errors import BadInput


@pytest.fixture
def packed(tmp_path: Path):
    """packed(y, **options) -> the task of a npz file with x (N 7 3) that rises for label 1, and what is in it."""

    def make(y: np.ndarray, **options: object) -> tuple[OwnSequences, np.ndarray]:
        rng = np.random.default_rng(0)
        lengths = rng.integers(4, 8, len(y))
        lengths[0] = 7
        x = rng.normal(size=(len(y), 7, 3)) + np.linspace(0, 1, 7)[:, None] * np.asarray(y, float)[:, None, None]
        np.savez(tmp_path / "data.npz", x=x, y=y, lengths=lengths)
        return OwnSequences(str(tmp_path / "data.npz"), **options), x

    return make


def test_what_a_network_sees(packed, cache: Path, evaluate) -> None:
    task, _ = packed(np.arange(40) % 2)
    data = loading.load(task)
    spec = task.spec
    assert (spec.input_size, spec.output_size, spec.max_length, spec.labels) == (3, 2, 7, ("0", "1"))
    assert (spec.floor, spec.reference, spec.metric) == ("majority", "order_free", "accuracy")
    assert [split.size for split in data] == [28, 4, 8]
    batch = task.batch(data.train, torch.arange(5))
    assert batch.x.dtype == torch.float32
    assert batch.x.shape == (5, int(batch.lengths.max()), 3)
    values = evaluate(task, data.test, lambda batch: torch.eye(2)[batch.y])
    assert [values[name] for name in spec.metrics] == [1, 1, 1, 1]
    assert (
        task.reading().lines[0].startswith("data.npz: 40 sequences of 4 to 7 steps, 3 channels, 2 classes (0 20, 1 20)")
    )


def test_metrics_of_torchmetrics_are_chosen_by_name_and_floors_are_in_the_main_one(
    packed, cache: Path, evaluate
) -> None:
    task, _ = packed(np.arange(42) % 3 == 0, metrics=["accuracy", "BinaryAUROC"], metric="CohenKappa")
    data, spec = loading.load(task), task.spec
    assert (spec.metric, spec.metrics, spec.goal) == ("CohenKappa", ("accuracy", "BinaryAUROC", "CohenKappa"), "max")
    assert spec.target is None
    floors = task.floors(data)
    assert floors["majority"] == 0.0, "one answer to all agrees with the truth as often as by chance"
    train, val, test = (order_free.mean_and_std(split.x.numpy(), split.lengths.tolist()) for split in data)
    labels = torch.cat([data.train.y, data.val.y]).numpy()
    said = order_free.predicted(np.concatenate([train, val]), labels, test)
    assert floors["order_free"] == pytest.approx(cohen_kappa_score(data.test.y.numpy(), said))
    values = evaluate(task, data.test, lambda batch: torch.eye(2)[batch.y])
    assert [values[name] for name in spec.metrics] == [1, 1, 1]
    with pytest.raises(BadInput, match="BinaryAUROC is for two classes, and there are 3"):
        packed(np.arange(42) % 3, metrics=["BinaryAUROC"])[0].content  # noqa: B018
    with pytest.raises(BadInput, match="did you mean CohenKappa"):
        packed(np.arange(42) % 3, metrics=["CohenKapa"])


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "balanced_accuracy", "min_recall"])
def test_what_is_printed_of_floors_is_in_the_main_metric(packed, cache: Path, metric: str) -> None:
    y = (np.arange(60) % 4 > 0).astype(int)
    task, _ = packed(y, metrics=["accuracy", "macro_f1", "balanced_accuracy", "min_recall"], metric=metric)
    majority = task.floors(task.load())["majority"]
    assert 0 <= majority < 1
    chance = "chance 0.5000, " if metric == "accuracy" else ""
    assert task.reading().lines[-1] == f"floors on test, {metric}: {chance}majority {majority:.4f} (1)"


@pytest.mark.parametrize("metric", ["mse", "mae", "r2"])
def test_what_is_printed_of_a_mean_is_in_the_main_metric(packed, cache: Path, metric: str) -> None:
    task, _ = packed(np.random.default_rng(1).normal(50, 9, 40), task="regress", metric=metric)
    assert task.reading().lines[-1] == f"floor on test, {metric}: mean {task.floors(task.load())['mean']:.4f}"


def test_planning_prints_no_floor_of_another_metric(packed, cache: Path) -> None:
    task, _ = packed(np.arange(42) % 3, metric="CohenKappa")
    assert task.reading().lines[-1] == "floors on test, CohenKappa: each run computes them"


def test_a_metric_that_would_not_fit_into_memory_is_refused_while_runs_are_planned(
    packed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(named_metrics, "MOST_HELD", 8 * 9 * 4 - 1)  # of 9 test sequences, 3 shares and a class each
    with pytest.raises(BadInput, match=r"AUROC keeps 3 shares for each of 9 items.* write \{name: AUROC, thresholds"):
        packed(np.arange(45) % 3, metrics=["AUROC"])[0].reading()
    packed(np.arange(45) % 3, metrics=["CohenKappa"])[0].reading()


def test_numbers_are_measured_by_name_too(packed, cache: Path) -> None:
    y = np.random.default_rng(1).normal(size=40)
    task, _ = packed(
        y, task="regress", metrics=["mse", "SymmetricMeanAbsolutePercentageError"], metric="mae", scale="none"
    )
    data, spec = loading.load(task), task.spec
    assert (spec.metric, spec.goal, spec.target) == ("mae", "min", 0.0)
    mean = float(data.train.y.double().mean())
    assert task.floors(data)["mean"] == pytest.approx(np.abs(data.test.y.double().numpy() - mean).mean(), rel=1e-6)


def test_floors_are_what_constant_answers_reach(packed, cache: Path, evaluate) -> None:
    task, _ = packed(np.arange(42) % 3 == 0)
    data = task.load()
    floors = task.floors(data)
    assert set(floors) == {"chance", "majority", "order_free"}
    assert floors["chance"] == 0.5
    most = int(data.train.y.bincount().argmax())
    constant = evaluate(task, data.test, lambda batch: torch.eye(2)[most].expand(len(batch.y), 2))
    assert floors["majority"] == pytest.approx(constant["accuracy"])


def test_a_regression_has_its_own_floors(packed, cache: Path, evaluate) -> None:
    task, _ = packed(np.random.default_rng(1).normal(50, 9, 40), task="regress")
    data = loading.load(task)
    spec = task.spec
    assert (spec.loss, spec.metrics, spec.goal, spec.floor, spec.output_size) == (
        "mse",
        ("mse", "mae", "r2"),
        "min",
        "mean",
        1,
    )
    assert data.train.y.shape == (28, 1)
    floors = task.floors(data)
    at_mean = evaluate(task, data.test, lambda batch: torch.full_like(batch.y, float(data.train.y.mean())))
    assert floors["mean"] == pytest.approx(at_mean["mse"])
    features = [order_free.mean_and_std(split.x.numpy(), split.lengths.tolist()) for split in data]
    known = np.concatenate(features[:2])
    train, test = ((part - known.mean(0)) / known.std(0) for part in (known, features[2]))
    y = torch.cat([data.train.y, data.val.y])[:, 0].double().numpy()
    centred = train - train.mean(0)
    weights = np.linalg.solve(centred.T @ centred + np.eye(6), centred.T @ (y - y.mean()))  # ridge, penalty 1
    expected = np.square((test - train.mean(0)) @ weights + y.mean() - data.test.y[:, 0].double().numpy()).mean()
    assert floors["order_free"] == pytest.approx(expected)


def test_floors_are_kept(packed, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task, _ = packed(np.arange(40) % 2)
    data = task.load()
    first = task.floors(data)
    (file,) = (cache / "floors").iterdir()
    assert "scikit-learn" in json.loads(file.read_text())["of"]
    monkeypatch.setattr(order_free, "predicted", None)
    assert task.floors(data) == first
    monkeypatch.setattr(kept_floors, "version", lambda package: "another")
    with pytest.raises(TypeError):
        task.floors(data)


def test_a_network_is_made_again_without_the_file(packed, tmp_path: Path) -> None:
    for options, y in (({}, np.arange(30) % 3), ({"task": "regress"}, np.random.default_rng(0).normal(size=30))):
        task, _ = packed(y, **options)
        spec = task.spec
        (tmp_path / "data.npz").unlink()
        gone = OwnSequences(task.options["path"], **options)
        with pytest.raises(BadInput, match=r"data\.npz does not exist"):
            gone.spec  # noqa: B018
        gone = OwnSequences(task.options["path"], **options)
        gone.recall(spec.protocol)
        for field in ("input_size", "output_size", "max_length", "loss", "protocol", "metrics", "outputs"):
            assert getattr(gone.spec, field) == getattr(spec, field)


def test_wrong_options_are_refused_before_any_file() -> None:
    with pytest.raises(BadInput, match=r"dataset\.scale must be one of standard, none, each; got 'minmax'"):
        OwnSequences("x.npz", scale="minmax")


def test_means_and_deviations_know_the_ends_and_no_order() -> None:
    x = np.random.default_rng(0).normal(size=(4, 6, 2))
    found = order_free.mean_and_std(x, [6, 1, 3, 5])
    assert np.allclose(found[2], [*x[2, :3].mean(0), *x[2, :3].std(0)])
    assert np.allclose(found[1, 2:], 0)
    assert np.allclose(order_free.mean_and_std(x[:, ::-1]), order_free.mean_and_std(x))


def present(folder: str, file: str) -> Path:
    """A folder of RNNBENCH_DATA with this file; skips the test where it is not there."""
    place = Path(os.environ.get("RNNBENCH_DATA") or "nowhere") / folder
    if not (place / file).is_file():
        pytest.skip(f"RNNBENCH_DATA lacks {folder}/{file}")
    return place


@pytest.mark.data
def test_the_long_table_and_the_ts_file_are_the_same_data() -> None:
    folder = present("own_cases", "q12_good.ts")
    table = OwnSequences(f"{folder}/q01_long.csv", id="id", time="t", label="label")
    cases = OwnSequences(f"{folder}/q12_good.ts")
    assert data_hash(table.load()) == data_hash(cases.load())
    assert table.spec.labels == cases.spec.labels == ("cat", "dog", "eel")


@pytest.mark.data
def test_the_reference_on_japanese_vowels(monkeypatch: pytest.MonkeyPatch) -> None:
    """As computed with numpy and scikit-learn alone: .9622, and .9676 of the means."""
    monkeypatch.setattr(own_sequences, "kept", lambda task, data, compute, by: compute())  # nothing beside the data
    folder = present("uea_ucr", "JapaneseVowels_TEST.ts")
    told = OwnSequences(str(folder / "JapaneseVowels_TRAIN.ts"))
    assert round(told.floors(told.load())["order_free"], 4) == 0.9622
    train, test = (read_ts(folder / f"JapaneseVowels_{part}.ts") for part in ("TRAIN", "TEST"))
    y, wanted = (np.array(part.labels, np.int64) for part in (train, test))
    features = [np.concatenate([order_free.mean_and_std([x]) for x in part.x]) for part in (train, test)]
    right = order_free.predicted(features[0], y, features[1]) == wanted
    assert round(float(right.mean()), 4) == 0.9622
    means = order_free.predicted(features[0][:, :12], y, features[1][:, :12]) == wanted
    assert round(float(means.mean()), 4) == 0.9676


@pytest.mark.integration
def test_a_run_from_end_to_end(packed, tmp_path: Path, cache: Path) -> None:
    from rnnbench.runs.run import run

    packed(np.arange(40) % 2)
    record = run(
        ["dataset=own_sequences", f"dataset.path={tmp_path / 'data.npz'}", "cell=gru", "hidden_size=4", "budget=smoke",
         "budget.updates=4", "budget.batch_size=8", "budget.val_every=2", "backend=eager"],
        results=tmp_path / "results",
    )  # fmt: skip
    assert record["status"] == "ok", record["reason"]
    assert record["dataset"]["labels"] == ["0", "1"]
    assert record["dataset"]["reference"] == "order_free"
    assert record["dataset"]["reading"]["facts"] == {"max_steps": 7, "classes": 2, "channels": 3, "sizes": [28, 4, 8]}
    assert set(record["floors"]) == {"chance", "majority", "order_free"}
    assert {"test/accuracy", "test/macro_f1", "test/balanced_accuracy", "test/min_recall"} <= set(record["metrics"])
    assert "path" in record["config"]["dataset"]["meta"]["content"]
