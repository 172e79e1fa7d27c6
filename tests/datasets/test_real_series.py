"""The series that come with the package, and ETTh1: their yaml, and their floors, computed here with pandas."""

from __future__ import annotations

import inspect
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

import rnnbench.datasets as datasets
from rnnbench.datasets import OwnSeries
from rnnbench.datasets.own.sources import DOWNLOADS, EMBEDDED, locate

CONF = Path(__file__).parents[2] / "conf" / "dataset"
SERIES = ("co2", "etth1", "seattle_weather", "sunspots")
Rows = tuple[int, int]


def node(name: str) -> dict[str, Any]:
    return yaml.safe_load((CONF / f"{name}.yaml").read_text())


def made(name: str, **options: Any) -> OwnSeries:
    """A dataset as its yaml has it, but for some options."""
    given = {key: value for key, value in node(name).items() if key not in ("meta", "_target_")}
    return OwnSeries(**given | options)


def by_share(rows: int, gap: int) -> tuple[Rows, Rows]:
    """Train and test of .7/.1/.2 with two gaps."""
    left = rows - 2 * gap
    val, test = int(left * Fraction(1, 10)), int(left * Fraction(2, 10))
    return (0, left - val - test), (rows - test, rows)


def by_hand(frame: pd.DataFrame, season: int, horizon: int, train: Rows, test: Rows) -> dict[str, list[float]]:
    """mse, mae and mase of three forecasts of every window of test. frame: NaN is filled by lines and never counted."""
    observed = frame.iloc[slice(*train)]
    scaled = (frame - observed.mean()) / observed.std(ddof=0)
    seasonal_error = scaled.iloc[slice(*train)].diff(season).abs().mean().to_numpy()
    z = scaled.interpolate().to_numpy()
    origins, ahead = np.arange(test[0], test[1] - horizon + 1)[:, None], np.arange(horizon)
    truth = z[origins + ahead]
    forecasts = {
        "last": np.broadcast_to(z[origins - 1], truth.shape),
        "seasonal": z[origins - season + ahead % season],
        "mean": np.zeros_like(truth),
    }
    found = {}
    for name, forecast in forecasts.items():
        error = np.abs(forecast - truth)
        found[name] = [(error**2).mean(), error.mean(), (error.mean((0, 1)) / seasonal_error).mean()]
    return found


# What is printed here was computed with pandas before any of this was written.
@pytest.mark.parametrize(
    ("name", "options", "windows", "printed"),
    [
        ("co2", {}, 385, {"last": (0.109834, 0.267521, 2.2423), "seasonal": (0.036798, 0.173607, 1.4551),
                          "mean": (12.369010, 3.489695, 29.2494)}),
        ("sunspots", {}, 47, {"last": (4.472154, 1.683533, 2.6661), "seasonal": (1.200884, 0.828342, 1.3118),
                              "mean": (2.857773, 1.323765, 2.0964)}),
        ("seattle_weather", {}, 283, {"last": (1.089043, 0.614297, 0.8550), "seasonal": (1.103672, 0.645646, 0.9067),
                                      "mean": (1.070892, 0.759892, 1.1634)}),
        ("seattle_weather", {"target": "temp_max"}, 283,
         {"last": (0.389008, 0.486882, 0.8807), "seasonal": (0.448246, 0.518738, 0.9384),
          "mean": (1.105155, 0.861277, 1.5580)}),
    ],
    ids=["co2", "sunspots", "seattle", "seattle's warmth"],
)  # fmt: skip
def test_floors_are_those_of_pandas(name, options, windows, printed, evaluate) -> None:
    task = made(name, **options)
    config = node(name) | options
    columns = [config["target"]] if isinstance(config["target"], str) else config["target"]
    frame = pd.read_csv(locate(name))[columns]
    train, test = by_share(len(frame), config["horizon"])
    expected = by_hand(frame, config["season"], config["horizon"], train, test)
    for forecast, (mse, mae, mase) in printed.items():
        assert np.round(expected[forecast], 6)[:2].tolist() == [mse, mae]
        assert round(expected[forecast][2], 4) == mase
    data = task.load()
    assert data.test.size == windows
    floors = task.floors(data)
    assert {key: floors[key] for key in expected} == pytest.approx({key: each[0] for key, each in expected.items()})
    assert floors["best"] == min(floors[key] for key in (*expected, "drift"))
    assert task.spec.floor == "best"
    nothing = evaluate(task, data.test, lambda batch: torch.zeros_like(batch.y))
    told = [nothing[key] for key in ("mse", "mae", "mase")]
    assert told == pytest.approx(expected["last"], rel=1e-4), "the anchor is the last value"


@pytest.mark.data
def test_etth1_has_informers_borders_and_floors(need) -> None:
    need(DOWNLOADS["etth1"])
    task = made("etth1")
    frame = pd.read_csv(locate("etth1")).drop(columns="date").iloc[:14400]
    expected = by_hand(frame, 24, 24, (0, 8640), (11520, 14400))
    assert np.round(expected["last"], 6).tolist() == [1.222018, 0.670588, 1.612094]
    assert np.round(expected["seasonal"], 6).tolist() == [0.424445, 0.389213, 0.937348]
    assert np.round(expected["mean"], 6).tolist() == [1.109961, 0.794770, 2.109823]
    data = task.load()
    assert [split.size for split in data] == [8521, 2857, 2857]
    floors = task.floors(data)
    assert {key: floors[key] for key in expected} == pytest.approx({key: each[0] for key, each in expected.items()})
    assert floors["best"] == floors["seasonal"]
    assert floors["linear"] == pytest.approx(0.308627, abs=5e-7)


def test_what_may_not_be_passed_on_says_so() -> None:
    shared = {name: node(name)["meta"].get("share", True) for name in SERIES}
    assert shared == {"co2": True, "etth1": False, "seattle_weather": True, "sunspots": True}


@pytest.mark.parametrize("name", SERIES)
def test_the_yaml_of_a_series(name: str) -> None:
    config = node(name)
    meta, options = config["meta"], [key for key in config if key not in ("meta", "_target_")]
    assert options == list(inspect.signature(OwnSeries).parameters), "an option missing here cannot be overridden"
    assert getattr(datasets, config["_target_"].rpartition(".")[2]) is OwnSeries
    assert meta["name"] == config["name"] == config["source"] == name
    assert meta["reader"] == "series"
    assert (meta["download"] == "none") == (name in EMBEDDED)
    assert set(meta["paper"]) == {"updates", "batch_size", "source"}


@pytest.mark.parametrize("name", [name for name in SERIES if name in EMBEDDED])
def test_a_series_of_the_package_needs_no_network(name: str, cache: Path, offline: None) -> None:
    task = made(name)
    assert task.spec.name == name
    assert task.spec.protocol.startswith(EMBEDDED[name][1][:12]), "the content is told, and no path"
    assert list(cache.iterdir()) == []
