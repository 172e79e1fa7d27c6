"""Random files with random options, against pandas and loops: windows, scales, what a network is fed, floors."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from rnnbench.datasets.own_series import OwnSeries
from rnnbench.errors import BadInput

SEEDS = range(25)
FREQS = ("h", "15min", "D", "W", "MS", "ME", "B", "QS", "3h", "numbers", "rows")
SEASONS = {"h": 24, "15min": 96, "D": 7, "W": 52, "MS": 12, "ME": 12, "B": 5, "QS": 4, "3h": 8}


@dataclass
class File:
    """A table with the options to read it by. grid: all times; columns: targets, past, future."""

    freq: str
    grid: Any
    frame: pd.DataFrame
    columns: list[str]
    targets: int
    past: int
    options: dict[str, Any]


def drawn(seed: int) -> File:
    """A random file: of one series or several, with gaps, repeated times and rows out of order."""
    rng = np.random.default_rng(seed)

    def one(*choices: Any) -> Any:
        return choices[rng.integers(len(choices))]

    freq, is_long, rows = one(*FREQS), rng.random() < 0.45, int(rng.integers(90, 260))
    C, P, F = int(rng.integers(1, 4)), int(rng.integers(0, 3)), int(rng.integers(0, 3))
    columns = [f"t{i}" for i in range(C)] + [f"p{i}" for i in range(P)] + [f"f{i}" for i in range(F)]
    grid: Any = np.arange(rows) * one(1, 0.5, 10.0)
    if freq in SEASONS:
        grid = pd.date_range(one("2019-01-31", "2020-03-28", "2015-12-30"), periods=rows, freq=freq)
    frames = []
    for number in range(int(rng.integers(2, 4)) if is_long else 1):
        low = int(rng.integers(0, rows // 5)) if is_long else 0
        times = grid[low : rows - int(rng.integers(0, rows // 6)) if is_long else rows]
        values = np.cumsum(rng.normal(size=(len(times), len(columns))), 0) * one(1, 1e-3, 1e6) + one(0, 5, 1e6)
        values += 3 * np.sin(np.arange(len(times)) * 2 * np.pi / 12)[:, None]
        if rng.random() < 0.1:
            values[:, 0] = 0.1
        frames.append(pd.DataFrame(values.round(6), columns=columns).assign(ds=times, unique_id=f"s{number}"))
    frame = pd.concat(frames, ignore_index=True)
    options: dict[str, Any] = {"missing": one("refuse", "forward", "linear")}
    if options["missing"] != "refuse":
        frame[columns] = frame[columns].mask(rng.random((len(frame), len(columns))) < one(0, 0.003, 0.02))
        kept = rng.random(len(frame)) > one(0, 0.004, 0.02)
        kept[frame.groupby("unique_id").head(1).index] = True
        frame = frame[kept] if freq != "rows" else frame
    if freq != "rows":
        options["duplicates"] = one("refuse", "first", "last", "mean")
        again = frame.sample(0 if options["duplicates"] == "refuse" else 4, random_state=seed)
        frame = pd.concat([frame, again.assign(t0=again["t0"] + 1)])
        frame = frame.sample(frac=1, random_state=seed) if rng.random() < 0.5 else frame
    frame = frame.drop(columns=[*(["ds"] if freq == "rows" else []), *([] if is_long else ["unique_id"])])
    H, L, calendar = int(one(1, 2, 5, 8)), int(one(1, 8, 11, 16)), one("auto", "none")
    options |= {
        "horizon": H, "input_steps": max(L, H) if F or calendar == "auto" else L, "calendar": calendar,
        "target": columns[:C], "past": columns[C : C + P], "future": columns[C + P :],
        "season": one("auto", "none", 5, 13), "split": one([0.7, 0.1, 0.2], [0.6, 0.2, 0.2], [0.5, 0.25, 0.25]),
        "gap": one("horizon", 0, 3), "cut": one("calendar", "each"), "channels": one("mixed", "shared"),
        "stride": int(one(1, 1, 2, 7)), "scale": one("standard", "standard", "none"),
        "freq": "B" if freq == "B" else "auto",
    }  # fmt: skip
    has_season = options["season"] != "none" and (freq in SEASONS or options["season"] != "auto")
    options["anchor"] = one("last", "none", "seasonal" if has_season else "last")
    if rng.random() < 0.3:
        options["borders"] = [rows // 2, rows // 2 + rows // 6, rows // 2 + rows // 3]
    return File(freq, grid, frame, columns, C, P, options)


@dataclass
class Known:
    """One series as pandas makes it. offset: its first row in the grid; z: filled and scaled."""

    offset: int
    raw: pd.DataFrame
    ranges: list[tuple[int, int]] = field(default_factory=list)
    mean: Any = None
    std: Any = None
    center: Any = None
    z: Any = None
    unknown: Any = None
    seasonal_error: list[float] = field(default_factory=list)


class Model:
    """The same file by pandas, row by row."""

    def __init__(self, file: File) -> None:
        self.file, self.o = file, file.options
        season = self.o["season"]
        self.season: int | None = SEASONS.get(file.freq) if season == "auto" else None if season == "none" else season
        self.L, self.H, self.C = self.o["input_steps"], self.o["horizon"], file.targets
        names = sorted(file.frame["unique_id"].unique()) if "unique_id" in file.frame else [None]
        self.series = {name: self._of(name) for name in names}
        start = min(each.offset for each in self.series.values())
        whole = max(each.offset + len(each.raw) for each in self.series.values()) - start
        for each in self.series.values():
            rows = len(each.raw)
            each.ranges = self._ranges(rows)
            if len(names) > 1 and self.o["cut"] == "calendar":
                shift = each.offset - start
                edges = [np.clip(np.array(edge) - shift, 0, rows).tolist() for edge in self._ranges(whole)]
                each.ranges = [(low, high) for low, high in edges]
            self._scale(each)
        self.windows = [self._windows(split) for split in range(3)]

    def _of(self, name: str | None) -> Known:
        frame, columns = self.file.frame, self.file.columns
        frame = frame if name is None else frame[frame["unique_id"] == name]
        if "ds" not in frame:
            return Known(0, frame[columns].reset_index(drop=True))
        how = self.o["duplicates"]
        if how in ("first", "last"):
            frame = frame.drop_duplicates("ds", keep=how)
        found = frame.groupby("ds", sort=True)[columns].mean()
        grid = list(self.file.grid)
        low, high = grid.index(found.index[0]), grid.index(found.index[-1])
        return Known(low, found.reindex(grid[low : high + 1]).reset_index(drop=True))

    def _ranges(self, rows: int) -> list[tuple[int, int]]:
        gap = self.o["gap"]
        if "borders" in self.o:
            first, second, third = self.o["borders"]
            gap = 0 if gap == "horizon" else gap
            return [(0, first), (first + gap, second), (second + gap, third)]
        gap = self.H if gap == "horizon" else gap
        val, test = (int((rows - 2 * gap) * Fraction(str(share))) for share in self.o["split"][1:])
        train = rows - 2 * gap - val - test
        return [(0, train), (train + gap, train + gap + val), (rows - test, rows)]

    def _scale(self, each: Known) -> None:
        train = each.raw.iloc[slice(*each.ranges[0])]
        center, std = train.mean(), train.std(ddof=0).where(train.nunique() > 1, 1.0)
        mean = center if self.o["scale"] == "standard" else 0 * center
        std = std if self.o["scale"] == "standard" else 0 * std + 1
        how = {"refuse": each.raw, "forward": each.raw.ffill(), "linear": each.raw.interpolate(limit_area="inside")}
        filled = how[self.o["missing"]]
        each.unknown = filled.isna().to_numpy()
        each.z = ((filled.fillna(center) - mean) / std).to_numpy()
        each.mean, each.std, each.center = mean.to_numpy(), std.to_numpy(), ((center - mean) / std).to_numpy()
        lag = self.season or 1
        apart = (train - train.shift(lag)).abs().mean() / std
        each.seasonal_error = apart.iloc[: self.C].tolist()

    def _windows(self, split: int) -> list[tuple[str | None, int]]:
        reach = max(self.L, self.season or 0) if self.o["anchor"] == "seasonal" else self.L
        found = []
        for name, each in self.series.items():
            low, high = each.ranges[split]
            for origin in range(max(low, reach + (low if split == 0 else 0)), high - self.H + 1, self.o["stride"]):
                ahead = slice(origin, origin + self.H)
                wrong = each.unknown if self.o["missing"] == "linear" else each.raw.isna().to_numpy()
                if wrong[ahead, : self.C].any() or each.unknown[origin - reach : origin].any():
                    continue
                if not each.unknown[ahead, self.C + self.file.past :].any():
                    found.append((name, origin))
        return found

    def fed(self, name: str | None, origin: int, calendar: tuple[str, ...]) -> tuple[Any, Any]:
        """x and y of a window with all targets, L F and H C."""
        each, C, L, H = self.series[name], self.C, self.L, self.H
        seen, ahead = each.z[origin - L : origin, :C].copy(), each.z[origin : origin + H, :C].copy()
        if self.o["anchor"] == "last":
            ahead -= seen[-1]
            seen -= seen[-1].copy()
        if self.o["anchor"] == "seasonal":
            assert self.season
            ahead -= np.stack([each.z[origin - self.season + h % self.season, :C] for h in range(H)])
        past = each.z[origin - L : origin, C : C + self.file.past]
        known = [each.z[origin - L + H : origin + H, C + self.file.past :]]
        for part in calendar:
            times = self.file.grid[each.offset + origin - L + H : each.offset + origin + H]
            phase = {
                "hour": (times - times.normalize()) / pd.Timedelta("1D"),
                "weekday": times.day_of_week / 7,
                "day_of_year": (times.day_of_year - 1) / 365.25,
            }[part]
            angle = 2 * np.pi * np.asarray(phase, float)
            known.append(np.stack([np.sin(angle), np.cos(angle)], 1))
        return np.concatenate([seen, past, *known], 1), ahead

    def floors(self) -> dict[str, dict[str, float | None]]:
        """mse, mae, mase and smape of the trivial forecasts on test, one step after another."""
        found = {}
        test, C, S = self.windows[2], self.C, self.season
        for kind in ("last", "mean", "drift", *(["seasonal"] if S and all(o >= S for _, o in test) else [])):
            errors, relative, of_series = [], [], defaultdict(list)
            for name, o in test:
                each = self.series[name]
                z = each.z[:, :C]
                for h in range(self.H):
                    if kind == "mean":
                        forecast = each.center[:C]
                    elif kind == "seasonal":
                        forecast = z[o - (S or 0) + h % (S or 1)]
                    else:
                        slope = (z[o - 1] - z[o - self.L]) / max(1, self.L - 1) if kind == "drift" else 0
                        forecast = z[o - 1] + (h + 1) * slope
                    errors.append(forecast - z[o + h])
                    of_series[name].append(np.abs(errors[-1]))
                    size = sum(np.abs(v * each.std[:C] + each.mean[:C]) for v in (forecast, z[o + h]))
                    apart = 2 * np.abs(errors[-1]) * each.std[:C]
                    relative.append(np.divide(apart, size, out=np.zeros(C), where=size > 0))
            scaled = [
                np.mean(of_series[name], 0)[c] / error
                for name in of_series
                for c, error in enumerate(self.series[name].seasonal_error)
                if error > 0
            ]
            found[kind] = {
                "mse": float(np.square(errors).mean()),
                "mae": float(np.abs(errors).mean()),
                "mase": float(np.mean(scaled)) if scaled else None,
                "smape": float(np.mean(relative)),
            }
        return found


@pytest.mark.integration
def test_random_files_are_what_pandas_and_loops_make_of_them(tmp_path: Path) -> None:
    read = 0
    for seed in SEEDS:
        file = drawn(seed)
        path = tmp_path / f"{seed}.csv"
        file.frame.to_csv(path, index=False)
        try:
            task = OwnSeries(path=str(path), **file.options)
            data, floors = task.load(), task.scores
        except BadInput:
            continue
        read += 1
        check(task, data, floors, Model(file), f"seed {seed}, {file.freq}, {file.options}")
    assert read > len(SEEDS) / 2


def check(task: OwnSeries, data: Any, floors: Any, model: Model, what: str) -> None:
    """Compare a task with the model."""
    series, shared = task.series, task.form.channels == "shared"
    calendar = tuple(name.removeprefix("sin_") for name in series.calendar[::2])
    for split, wanted in zip(data, model.windows, strict=True):
        rows = split.x[:, 0].numpy()
        parts = split.x[:, 1].numpy() if split.x.shape[1] > 1 else np.zeros(len(rows), int)
        found = [(series.parts[p].id, int(r - series.parts[p].rows[0])) for r, p in zip(rows, parts, strict=True)]
        assert found == wanted, what
        some = np.unique(np.linspace(0, len(found) - 1, 7).astype(int))
        batch = task.batch(split, torch.from_numpy(some))
        fed = [model.fed(*found[at], calendar) for at in some]
        C = model.C
        if shared:
            x = [np.concatenate([x[:, c : c + 1], x[:, C:]], 1) for x, _ in fed for c in range(C)]
            y = [y[:, c] for _, y in fed for c in range(C)]
        else:
            x, y = [x for x, _ in fed], [y.ravel() for _, y in fed]
        close = 1e-5 * max(1.0, *(np.abs(each.z).max() for each in model.series.values()))
        np.testing.assert_allclose(batch.x, np.stack(x), rtol=1e-5, atol=close, err_msg=what)
        np.testing.assert_allclose(batch.y, np.stack(y), rtol=1e-5, atol=close, err_msg=what)
    for number, part in enumerate(series.parts):
        each = model.series[part.id]
        np.testing.assert_allclose(series.mean[number], each.mean, rtol=1e-9, atol=1e-12, err_msg=what)
        np.testing.assert_allclose(series.std[number], each.std, rtol=1e-7, err_msg=what)
        apart = series.seasonal_error[number]
        np.testing.assert_allclose(apart, each.seasonal_error, rtol=1e-7, atol=1e-12, err_msg=what)
        if model.file.freq in SEASONS:
            times = model.file.grid[each.offset : each.offset + len(each.raw)]
            assert (series.times(part) == times.to_numpy()).all(), what
    wanted_floors = model.floors()
    assert set(wanted_floors) == set(floors) - {"linear"}, what
    for name, values in wanted_floors.items():
        for metric, value in values.items():
            found_value = getattr(floors[name], metric)
            assert found_value == (None if value is None else pytest.approx(value, rel=1e-6, abs=1e-12)), (what, metric)
