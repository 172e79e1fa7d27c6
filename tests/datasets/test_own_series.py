"""The user's own series as a task: what a network is fed, exact metrics, content, networks without the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import torchmetrics

from datasets.own.series_files import case, hourly, write
from rnnbench.datasets import OwnSeries, data_hash
from rnnbench.datasets.base import loading
from rnnbench.datasets.own import series
from rnnbench.errors import BadInput
from rnnbench.runs import samples
from rnnbench.runs.load import load_model
from rnnbench.runs.plan import prepare
from rnnbench.runs.run import run
from rnnbench.store.store import Store
from rnnbench.training.evaluate import at_once

SMALL: dict[str, Any] = {"input_steps": 30, "horizon": 12}


@pytest.fixture
def good(tmp_path: Path) -> str:
    frame = hourly().assign(wind=lambda f: f["load"] * 0.5 + 1, price=lambda f: np.arange(400) % 7 + 0.25)
    return write(frame, tmp_path / "load.csv")


def task(path: str, **options: Any) -> OwnSeries:
    return OwnSeries(path, target=["load", "temp"], **{**SMALL, **options})


def standard(path: str, *names: str) -> np.ndarray:
    """Columns on train's scale, by pandas."""
    values = pd.read_csv(path)[list(names)].to_numpy()
    return (values - values[:264].mean(0)) / values[:264].std(0)


@pytest.mark.parametrize("channels", ["mixed", "shared"])
@pytest.mark.parametrize("anchor", ["last", "none", "seasonal"])
def test_what_a_network_is_fed(good: str, anchor: str, channels: str) -> None:
    made = task(good, past="wind", future="price", anchor=anchor, channels=channels)
    data = loading.load(made)
    z, wind, price = standard(good, "load", "temp"), standard(good, "wind"), standard(good, "price")
    hour, weekday = np.arange(400) % 24, np.arange(400) // 24 % 7  # 2024-01-01 was a Monday
    known = [f(2 * np.pi * of / n) for of, n in ((hour, 24), (weekday, 7)) for f in (np.sin, np.cos)]
    ahead = np.column_stack([price, *known])
    index = torch.tensor([3, 0])
    batch = made.batch(data.test, index)
    rows, targets = [], []
    for o in (325 + 3, 325):
        level = z[o - 1] if anchor == "last" else np.zeros(2)
        base = z[o - 24 : o - 12] if anchor == "seasonal" else level
        seen, beside = z[o - 30 : o] - level, np.column_stack([wind[o - 30 : o], ahead[o - 18 : o + 12]])
        y = z[o : o + 12] - base
        if channels == "mixed":
            rows.append(np.column_stack([seen, beside]))
            targets.append(y.ravel())
        else:
            for column in range(2):
                rows.append(np.column_stack([seen[:, column], beside]))
                targets.append(y[:, column])
    assert batch.x.dtype == batch.y.dtype == torch.float32
    assert batch.x.numpy() == pytest.approx(np.stack(rows), abs=2e-6)
    assert batch.y.numpy() == pytest.approx(np.stack(targets), abs=2e-6)
    spec = made.spec
    assert (spec.input_size, spec.output_size) == (batch.x.shape[2], batch.y.shape[1])
    assert (spec.max_length, spec.floor, spec.reference, spec.target) == (30, "best", "linear", 0.0)


@pytest.mark.parametrize("channels", ["mixed", "shared"])
@pytest.mark.parametrize(("anchor", "floor"), [("last", "last"), ("seasonal", "seasonal"), ("none", "mean")])
def test_a_network_that_says_nothing_is_the_anchor_s_floor(good, evaluate, anchor: str, floor: str, channels) -> None:
    made = task(good, anchor=anchor, channels=channels)
    data = made.load()
    floors = made.floors(data)
    for batch_size in (7, 64):
        found = evaluate(made, data.test, lambda batch: torch.zeros_like(batch.y), batch_size)
        assert list(found) == ["loss", "mse", "mae", "mase", "smape"]
        score = made.scores[floor]
        wanted = [score.mse, score.mse, score.mae, score.mase, score.smape]
        assert list(found.values()) == pytest.approx(wanted, rel=1e-5)
        assert found["mse"] == pytest.approx(floors[floor], rel=1e-5)


def test_metrics_do_not_depend_on_the_anchor(good: str, evaluate) -> None:
    found = []
    for anchor in ("last", "seasonal", "none"):
        made = task(good, anchor=anchor)
        data = made.load()

        def truth_and_a_bit(batch, made=made):
            return made.forecast(batch.y, len(batch.rows)).add(0.5).flatten(1)

        found.append(list(evaluate(made, data.test, truth_and_a_bit).values()))
    assert found[0] == pytest.approx(found[1], rel=1e-5)
    assert found[0] == pytest.approx(found[2], rel=1e-5)
    assert found[0][1:3] == pytest.approx([0.25, 0.5], rel=1e-5)


def forecasts_of_test(path: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The truth and the trivial forecasts of every origin of test, origins x 12 x 2, on train's scale, by pandas."""
    z = standard(path, "load", "temp")
    origins, ahead = np.arange(325, 389), np.arange(1, 13)[:, None]
    said = {
        "last": [np.repeat(z[o - 1 : o], 12, 0) for o in origins],
        "seasonal": [z[o - 24 : o - 12] for o in origins],
        "mean": [np.zeros((12, 2)) for o in origins],
        "drift": [z[o - 1] + (z[o - 1] - z[o - 30]) / 29 * ahead for o in origins],
    }
    return np.stack([z[o : o + 12] for o in origins]), {name: np.stack(each) for name, each in said.items()}


SMAPE = "SymmetricMeanAbsolutePercentageError"
NAMED = ["mse", "R2Score", "SpearmanCorrCoef", {"name": "MinkowskiDistance", "p": 3}, SMAPE]


@pytest.mark.parametrize("channels", ["mixed", "shared"])
@pytest.mark.parametrize("anchor", ["last", "none", "seasonal"])
def test_metrics_by_name_are_torchmetrics_on_the_whole_split(good: str, evaluate, anchor: str, channels: str) -> None:
    made = task(good, anchor=anchor, channels=channels, metrics=NAMED)
    spec, data = made.spec, made.load()
    names = ["mse", "R2Score", "SpearmanCorrCoef", "MinkowskiDistance(p=3)", SMAPE]
    assert (spec.metric, list(spec.metrics), spec.goal) == ("mse", names, "min")
    noise = torch.randn(64, made.spec.output_size * (2 if channels == "shared" else 1), generator=torch.manual_seed(0))

    def predict(batch):
        at = batch.rows - 325
        return noise[at].reshape(batch.y.shape)

    found = [evaluate(made, data.test, predict, batch_size) for batch_size in (7, 64)]
    truth, said = forecasts_of_test(good)
    base = said[anchor] if anchor != "none" else 0
    relative = (
        noise.numpy().reshape(64, 2, 12).swapaxes(1, 2) if channels == "shared" else noise.numpy().reshape(64, 12, 2)
    )
    p, y = (torch.from_numpy(each.reshape(-1, 2).astype(np.float64)) for each in (relative + base, truth))
    wanted = [
        torch.nn.functional.mse_loss(p, y),
        torchmetrics.R2Score()(p, y),
        torchmetrics.functional.spearman_corrcoef(p, y).mean(),
        torchmetrics.MinkowskiDistance(p=3)(p, y),
        torchmetrics.SymmetricMeanAbsolutePercentageError()(p, y),
    ]
    for each in found:
        assert [each[name] for name in names] == pytest.approx([float(value) for value in wanted], rel=2e-5)


@pytest.mark.parametrize("metric", ["mae", "mase", "smape"])
def test_floors_are_in_the_main_metric(good: str, metric: str) -> None:
    made = task(good, metric=metric)
    assert (made.spec.metric, made.spec.goal, made.spec.target) == (metric, "min", 0.0)
    z = standard(good, "load", "temp")
    values = pd.read_csv(good)[["load", "temp"]].to_numpy()[:264]
    truth, said = forecasts_of_test(good)
    scale = np.abs(z[24:264] - z[:240]).mean(0)
    raw = {name: each * values.std(0) + values.mean(0) for name, each in {**said, "truth": truth}.items()}
    wanted = {
        name: {
            "mae": np.abs(each - truth).mean(),
            "mase": (np.abs(each - truth).mean((0, 1)) / scale).mean(),
            "smape": (2 * np.abs(raw[name] - raw["truth"]) / (np.abs(raw[name]) + np.abs(raw["truth"]))).mean(),
        }[metric]
        for name, each in said.items()
    }
    floors = made.floors(made.load())
    assert {name: floors[name] for name in said} == pytest.approx(wanted, rel=1e-9)
    assert floors["best"] == min(floors[name] for name in said)
    best = min(wanted, key=wanted.get)
    assert f"floors on test, {metric}: {best if best != 'seasonal' else 'seasonal(24)'}" in made.reading().lines[-1]


def test_the_best_floor_of_a_metric_by_name_is_the_largest_where_more_is_better(good: str, cache: Path) -> None:
    made = task(good, metrics=["mse", "mae"], metric="R2Score")
    assert (made.spec.metrics, made.spec.goal, made.spec.target) == (("mse", "mae", "R2Score"), "max", None)
    assert made.reading().lines[-1] == "floors on test, R2Score: each run computes them"
    data = made.load()
    floors = made.floors(data)
    truth, said = forecasts_of_test(good)
    rows = truth.reshape(-1, 2)
    wanted = {
        name: (1 - np.square(each - truth).sum((0, 1)) / np.square(rows - rows.mean(0)).sum(0)).mean()
        for name, each in said.items()
    }
    assert {name: floors[name] for name in said} == pytest.approx(wanted, rel=1e-9)
    assert floors["best"] == max(floors[name] for name in said)
    assert floors["linear"] > floors["best"]
    assert made.floors(data) == floors


def test_a_constant_has_no_correlation_and_is_no_floor_of_one(good: str, cache: Path) -> None:
    made = task(good, metric="PearsonCorrCoef", metrics=[{"name": "PearsonCorrCoef", "goal": "max"}])
    floors = made.floors(made.load())
    assert set(floors) == {"last", "seasonal", "drift", "best", "linear"}
    truth, said = forecasts_of_test(good)
    r = [np.corrcoef(said["seasonal"][..., c].ravel(), truth[..., c].ravel())[0, 1] for c in (0, 1)]
    assert floors["seasonal"] == pytest.approx(np.mean(r), rel=1e-9)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"metric": "mse_"}, "dataset.metrics: there is no metric 'mse_'; did you mean mse or mase or mae?"),
        ({"metrics": ["R2Scor"]}, "dataset.metrics: there is no metric 'R2Scor'; did you mean R2Score?"),
        ({"metric": "Accuracy"}, "dataset.metrics: 'Accuracy' is told of classes, and this dataset predicts numbers."),
        ({"metric": "mae_raw"}, "dataset.metric: mae_raw is in the units of one target, and there are 2; take mae."),
    ],
)
def test_metrics_that_cannot_be_are_refused_while_a_run_is_planned(good: str, options, sentence: str) -> None:
    given = {"path": good, "target": ["load", "temp"], **SMALL, **options}
    with pytest.raises(BadInput) as caught:
        series.reading(given)
    assert str(caught.value) == sentence


def test_mase_cannot_be_chosen_where_there_is_nothing_to_measure_by(tmp_path: Path) -> None:
    rhythm = hourly().assign(load=lambda f: np.arange(400) % 24 + 0.0)[["date", "load"]]
    path = write(rhythm, tmp_path / "rhythm.csv")
    assert OwnSeries(path, **SMALL).spec.metrics == ("mse", "mae", "smape", "mae_raw")
    with pytest.raises(BadInput, match=r"dataset.metric: mase is measured by train's seasonal error, which is 0"):
        OwnSeries(path, metric="mase", **SMALL).spec  # noqa: B018


def test_several_series_are_scored_each_on_its_own_scale(tmp_path: Path, evaluate) -> None:
    frame = hourly()[["date", "load"]]
    other = frame.assign(load=frame["load"][::-1].to_numpy() * 100)
    path = write(pd.concat([frame.assign(id=1), other.assign(id=2)]), tmp_path / "long.csv")
    made = OwnSeries(path, id="id", **SMALL)
    data = loading.load(made)
    assert data.test.x.shape[1] == 2
    found = evaluate(made, data.test, lambda batch: torch.zeros_like(batch.y))
    alone = []
    for frame_of in (frame, other):
        one = OwnSeries(write(frame_of, tmp_path / "one.csv"), **SMALL)
        split = one.load().test
        alone.append(evaluate(one, split, lambda batch: torch.zeros_like(batch.y)))
    for name in ("mse", "mae", "mase", "smape", "mae_raw"):
        assert found[name] == pytest.approx(np.mean([each[name] for each in alone]), rel=1e-5)


def test_the_content_counts_and_not_the_form_of_the_file(good: str, tmp_path: Path) -> None:
    frame = pd.read_csv(good)
    first = data_hash(task(good).load())
    shuffled = write(frame.sample(frac=1, random_state=0), tmp_path / "shuffled.csv")
    frame.to_csv(tmp_path / "comma.csv", sep=";", decimal=",", index=False)
    assert data_hash(task(shuffled).load()) == data_hash(task(str(tmp_path / "comma.csv")).load()) == first
    frame.loc[399, "load"] += 0.001
    assert data_hash(task(write(frame, tmp_path / "other.csv")).load()) != first


@pytest.mark.data
def test_the_collected_forms_of_one_series_have_one_hash() -> None:
    names = ("s01_good.csv", "s02_semicolon_decimal_comma.csv", "s12_shuffled.csv", "s31_good.parquet")
    assert len({data_hash(OwnSeries(case(name), input_steps=48, horizon=12).load()) for name in names}) == 1


@pytest.mark.parametrize("options", [{}, {"channels": "shared"}, {"past": "wind", "future": "price"}])
def test_a_network_needs_no_file(good: str, options: dict[str, Any]) -> None:
    spec = task(good, **options).spec
    far = task("gone.csv", **options)
    far.recall(spec.protocol)
    shape = ("input_size", "output_size", "max_length", "protocol", "inputs", "outputs")
    assert [getattr(far.spec, name) for name in shape] == [getattr(spec, name) for name in shape]


def test_losses_of_items_add_up(good: str) -> None:
    for channels in ("mixed", "shared"):
        made = task(good, channels=channels)
        data = made.load()
        batch = made.batch(data.test, torch.arange(20))
        prediction = torch.randn(batch.y.shape, generator=torch.Generator().manual_seed(0))
        items = made.item_losses(prediction, batch)
        assert items is not None
        assert items.totals.shape == (20,)
        assert float(items.totals.sum() / items.counts.sum()) == pytest.approx(float(made.loss(prediction, batch)))


def test_how_many_are_evaluated_at_once_follows_from_their_steps(tmp_path: Path) -> None:
    path = write(hourly(3000), tmp_path / "a.csv")
    made = OwnSeries(path, input_steps=1000, horizon=12)
    assert at_once(made, made.load().test) == 100
    made = OwnSeries(path, input_steps=1000, horizon=12, channels="shared")
    assert at_once(made, made.load().test) == 50


def test_samples_are_in_the_file_s_units(good: str) -> None:
    made = task(good)
    test = made.load().test

    def exact(batch):
        return batch.y

    found = made.shown(test).samples("run", exact)
    found.check()
    frame = pd.read_csv(good)
    raw, times = (
        frame[["load", "temp"]].to_numpy(),
        pd.to_datetime(frame["date"]).astype("datetime64[ns]").astype("int64").to_numpy(),
    )
    assert (found.columns, found.clock, found.floor_names) == (
        ("load", "temp"), "time", ("last", "seasonal", "mean", "drift")
    )  # fmt: skip
    for n, origin in enumerate(found.origins):
        o = 325 + int(origin)
        assert found.input[n] == pytest.approx(raw[o - 30 : o], rel=1e-6)
        assert found.truth[n] == pytest.approx(raw[o : o + 12], rel=1e-6)
        assert found.prediction[n] == pytest.approx(raw[o : o + 12], rel=1e-5)
        assert found.floors[1, n] == pytest.approx(raw[o - 24 : o - 12], rel=1e-6)
        assert np.array_equal(found.times[n], times[o : o + 12])


def test_curves_of_a_forecast(good: str) -> None:
    made = task(good)
    test = made.load().test
    curves = made.curves()
    for index in torch.arange(test.size).split(10):
        batch = made.batch(test, index)
        curves.see(index, batch, torch.zeros_like(batch.y))
    found = json.loads(json.dumps(curves.as_dict()))
    assert found["columns"] == ["load", "temp"]
    assert found["steps"]["mse"] == pytest.approx(found["floors"]["last"]["steps"]["mse"], rel=1e-5)
    z = standard(good, "load", "temp")
    error = np.array([z[o - 1] - z[o : o + 12] for o in range(325, 389)])
    assert found["by_column"]["mae"] == pytest.approx(np.abs(error).mean((0, 1)), rel=1e-5)
    assert found["steps"]["mse"] == pytest.approx(np.square(error).mean((0, 2)), rel=1e-5)


@pytest.mark.integration
def test_a_bad_file_is_refused_while_the_run_is_planned(tmp_path: Path) -> None:
    path = write(hourly(60), tmp_path / "short.csv")
    with pytest.raises(BadInput, match="60 rows are too few"):
        prepare(["dataset=own_series", f"dataset.path={path}", "dataset.input_steps=48", "dataset.horizon=12"])


@pytest.mark.integration
def test_a_run_from_the_file_to_the_record(good: str, tmp_path: Path) -> None:
    results = tmp_path / "results"
    record = run(
        ["dataset=own_series", f"dataset.path={good}", "dataset.target=[load,temp]", "dataset.input_steps=30",
         "dataset.horizon=12", "dataset.channels=shared", "cell=gru", "hidden_size=8", "params=null", "budget=smoke",
         "budget.updates=20"],
        results=results,
    )  # fmt: skip
    assert record["status"] == "ok"
    assert record["dataset"]["reference"] == "linear"
    assert record["dataset"]["reading"]["facts"]["windows"] == [223, 26, 64]
    assert record["floor"] == "best"
    assert record["floors"]["best"] == min(record["floors"][name] for name in ("last", "seasonal", "mean", "drift"))
    assert record["metrics"]["test/mase"] > 0
    folder = results / "runs" / record["id"]
    kept = json.loads((folder / "horizon.json").read_text())
    assert np.mean(kept["steps"]["mse"]) == pytest.approx(record["metrics"]["test/mse"])
    assert {path.name for path in folder.iterdir()} >= {"samples.npz", "outcomes.npz"}
    Path(good).unlink()
    network = load_model(record["id"], results=results)
    assert network(torch.zeros(2, 30, 5), None).shape == (2, 12)
    write(hourly().drop(columns="temp"), Path(good))
    with pytest.raises(BadInput, match="has changed since this run was planned"):
        samples.make(Store.open(results), record["id"])


@pytest.mark.integration
def test_a_run_is_chosen_and_measured_by_the_main_metric(good: str, cache: Path) -> None:
    record = run(
        ["dataset=own_series", f"dataset.path={good}", "dataset.target=[load,temp]", "dataset.input_steps=30",
         "dataset.horizon=12", "dataset.metrics=[mse,R2Score,mase]", "dataset.metric=mase", "cell=gru", "hidden_size=8",
         "params=null", "budget=smoke", "budget.updates=20"],
        results=cache / "results",
    )  # fmt: skip
    assert (record["status"], record["metric"], record["goal"]) == ("ok", "mase", "min")
    assert {"test/mse", "test/R2Score", "test/mase"} <= record["metrics"].keys()
    assert record["floors"]["best"] == min(record["floors"][name] for name in ("last", "seasonal", "mean", "drift"))
    assert record["floors"] == task(good, metric="mase").floors(None)
    Path(good).unlink()
    assert load_model(record["id"], results=cache / "results")(torch.zeros(2, 30, 6), None).shape == (2, 24)
