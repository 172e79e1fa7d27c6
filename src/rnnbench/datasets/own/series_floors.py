"""What a series' forecasts must beat: last, seasonal, mean and drift, and a linear model for reference.

All on test, every origin, float64, on the scale a network sees. `best` is the best of the four in the main metric: the
honest floor. `linear` is ridge regression from the L input values of a channel to the H coming ones, one for all
channels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnbench.datasets.base.named_metrics import Goal
from rnnbench.datasets.own.series_read import Series

TRIVIAL = ("last", "seasonal", "mean", "drift")
BEST, REFERENCE = "best", "linear"
RIDGE = 1e-3
MOST_FITTED = 250_000  # windows x channels that the linear model is fitted on, evenly spread
LONGEST_FITTED = 2000  # input steps; beyond, no linear model
VALUES_AT_ONCE = 1 << 17  # a chunk stays in the processor's cache

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Scores:
    """A predictor on test. mse, mae: on the network's scale; mase: None where no column has a seasonal error; smape and
    mae_raw in the file's units; mse_by, mae_by: steps x columns."""

    mse: float
    mae: float
    mase: float | None
    smape: float
    mae_raw: float
    mse_by: Values
    mae_by: Values


@dataclass
class _Sums:
    """Sums of errors, steps x columns or parts x columns."""

    square: Values
    absolute: Values
    of_part: Values
    count_of_part: Values
    symmetric: float = 0.0
    raw: float = 0.0
    count: int = 0


def floors(series: Series) -> dict[str, Scores]:
    """Every floor that can be had, and `linear` where it can be fitted. `seasonal` needs a whole season before every
    origin of test, and its values."""
    shape = series.plan.horizon, len(series.targets)
    parts = len(series.parts), len(series.targets)
    sums: dict[str, _Sums] = {}
    for part, truth, said in on_test(series):
        for name, forecast in said:
            if name not in sums:
                sums[name] = _Sums(np.zeros(shape), np.zeros(shape), np.zeros(parts), np.zeros(parts))
            _add(sums[name], forecast, truth, series, part)
    return {name: _scores(found, series) for name, found in sums.items()}


def on_test(series: Series) -> Iterator[tuple[NDArray[np.int64], Values, Iterator[tuple[str, Values]]]]:
    """What the predictors say of test, some origins at a time: the series of each origin, the truth, origins x steps x
    targets, and the forecasts by name, of that shape or what broadcasts to it; on the scale a network sees."""
    scaled = series.scaled()[:, : len(series.targets)]
    names = [name for name in TRIVIAL if name != "seasonal" or _seasons_reach_back(series)]
    weights = _linear(series, scaled) if series.plan.input_steps <= LONGEST_FITTED else None
    names += [REFERENCE] if weights is not None else []
    for origins in _chunks(series, series.origins[2]):
        part = series.part_of(origins)
        truth = scaled[origins[:, None] + np.arange(series.plan.horizon)]
        yield part, truth, _said(names, series, scaled, origins, part, weights)


def _said(
    names: list[str],
    series: Series,
    scaled: Values,
    origins: NDArray[np.int64],
    part: NDArray[np.int64],
    weights: Values | None,
) -> Iterator[tuple[str, Values]]:
    for name in names:
        yield name, _forecast(name, series, scaled, origins, part, weights)


def forecasts(series: Series, origins: NDArray[np.int64]) -> dict[str, Values]:
    """The trivial forecasts from some origins, on the network's scale; origins x steps x targets."""
    scaled, part = series.scaled()[:, : len(series.targets)], series.part_of(origins)
    shape = len(origins), series.plan.horizon, len(series.targets)
    names = [name for name in TRIVIAL if name != "seasonal" or _seasons_reach_back(series)]
    return {name: np.broadcast_to(_forecast(name, series, scaled, origins, part, None), shape) for name in names}


def values(scores: Mapping[str, Scores], metric: str = "mse") -> dict[str, float]:
    """Every predictor's value in a metric that scores have."""
    return {name: float(getattr(found, metric)) for name, found in scores.items()}


def best(found: Mapping[str, float], goal: Goal = "min") -> str:
    """The trivial predictor with the best value."""
    sign = -1 if goal == "max" else 1
    return min((name for name in found if name in TRIVIAL), key=lambda name: sign * found[name])


def _seasons_reach_back(series: Series) -> bool:
    if series.season is None:
        return False
    origins, targets = series.origins[2], len(series.targets)
    begins = np.array([low + series.observed[low:high, :targets].argmax(0).max() for low, high in _rows(series)])
    return bool((origins - series.season >= begins[series.part_of(origins)]).all())


def _rows(series: Series) -> list[tuple[int, int]]:
    return [part.rows for part in series.parts]


def _chunks(series: Series, origins: NDArray[np.int64], width: int = 0) -> Iterator[NDArray[np.int64]]:
    """Origins, so many at once that their windows stay small. width: rows of one; by default H."""
    size = max(1, VALUES_AT_ONCE // ((width or series.plan.horizon) * len(series.targets)))
    for start in range(0, len(origins), size):
        yield origins[start : start + size]


def _forecast(
    name: str,
    series: Series,
    scaled: Values,
    origins: NDArray[np.int64],
    part: NDArray[np.int64],
    weights: Values | None,
) -> Values:
    """What a predictor says at some origins; origins x steps x columns, or what broadcasts to it."""
    ahead = np.arange(series.plan.horizon)
    last = scaled[origins - 1][:, None]
    if name == "last":
        return np.asarray(last)
    if name == "seasonal":
        assert series.season is not None
        return np.asarray(scaled[origins[:, None] - series.season + ahead % series.season])
    if name == "mean":
        targets = slice(None, len(series.targets))
        return ((series.center - series.mean) / series.std)[part, None, targets]
    L = series.plan.input_steps
    if name == "drift":  # the line through the first and the last value that a network sees
        slope = (last - scaled[origins - L][:, None]) / max(1, L - 1)
        return np.asarray(last + slope * (ahead + 1)[:, None])
    assert weights is not None
    seen = scaled[origins[:, None] + np.arange(-L, 0)].transpose(0, 2, 1)
    return np.asarray((seen @ weights[:-1] + weights[-1]).transpose(0, 2, 1))


def _add(sums: _Sums, forecast: Values, truth: Values, series: Series, part: NDArray[np.int64]) -> None:
    targets = len(series.targets)
    std, mean = series.std[part, None, :targets], series.mean[part, None, :targets]
    error = forecast - truth
    absolute = np.abs(error)
    sums.square += np.square(error).sum(0)
    sums.absolute += absolute.sum(0)
    which, first = np.unique(part, return_index=True)  # origins are in the order of their series
    sums.of_part[which] += np.add.reduceat(absolute.sum(1), first, axis=0)
    sums.count_of_part[which] += np.diff(first, append=len(part))[:, None] * truth.shape[1]
    raw = absolute * std
    size = np.abs(forecast * std + mean) + np.abs(truth * std + mean)
    sums.symmetric += float(np.divide(2 * raw, size, out=np.zeros_like(raw), where=size > 0).sum())
    sums.raw += float(raw.sum())
    sums.count += len(truth)


def _scores(sums: _Sums, series: Series) -> Scores:
    values = sums.count * sums.square.size
    return Scores(
        mse=float(sums.square.sum()) / values,
        mae=float(sums.absolute.sum()) / values,
        mase=mase(sums.of_part, sums.count_of_part, series.seasonal_error),
        smape=sums.symmetric / values,
        mae_raw=sums.raw / values,
        mse_by=sums.square / sums.count,
        mae_by=sums.absolute / sums.count,
    )


def scalable(seasonal_error: Values) -> NDArray[np.bool_]:
    """Which series and columns have a seasonal error to be measured by: known, and not 0."""
    return np.isfinite(seasonal_error) & (seasonal_error > 0)


def mase(absolute: Values, count: Values, seasonal_error: Values) -> float | None:
    """The mean over series and columns of mean |e| / seasonal error; None where there is nothing to measure by.

    absolute, count: sums of |e| and their numbers, parts x columns. A series without a window does not count.
    """
    counts = scalable(seasonal_error) & (count > 0)
    if not counts.any():
        return None
    return float((absolute[counts] / count[counts] / seasonal_error[counts]).mean())


def _linear(series: Series, scaled: Values) -> Values | None:
    """Ridge weights from L values and a constant to H, fitted on train's windows of all channels; (L + 1) x H."""
    L, H = series.plan.input_steps, series.plan.horizon
    origins = series.origins[0]
    most = max(1, MOST_FITTED // scaled.shape[1])
    if len(origins) > most:
        origins = origins[np.arange(most) * len(origins) // most]
    square, cross = np.zeros((L + 1, L + 1)), np.zeros((L + 1, H))
    for some in _chunks(series, origins, L + H):
        window = scaled[some[:, None] + np.arange(-L, H)].transpose(0, 2, 1).reshape(-1, L + H)
        seen = np.column_stack([window[:, :L], np.ones(len(window))])
        square += seen.T @ seen
        cross += seen.T @ window[:, L:]
    try:
        return np.asarray(np.linalg.solve(square + RIDGE * np.eye(L + 1), cross))
    except np.linalg.LinAlgError:
        return None
