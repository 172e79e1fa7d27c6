"""Your own series from a table: what comes next, from what was, and from what is known of the future."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnbench.datasets.base.kept_floors import kept
from rnnbench.datasets.base.losses import ItemLosses
from rnnbench.datasets.base.named_metrics import Accumulator, Chosen, from_name
from rnnbench.datasets.base.pictures import Pictures
from rnnbench.datasets.base.reading import Reading
from rnnbench.datasets.base.shown import Network, Shown, spread
from rnnbench.datasets.base.spec import Batch, Data, Metrics, Split, TaskSpec
from rnnbench.datasets.base.task import Task
from rnnbench.datasets.base.words import plural, sizes
from rnnbench.datasets.own import kept_scores, series_floors, series_metrics, series_words
from rnnbench.datasets.own.series import Options, Series, read
from rnnbench.datasets.own.series_floors import BEST, LONGEST_FITTED, REFERENCE, TRIVIAL, Scores
from rnnbench.datasets.own.series_read import READING_VERSION
from rnnbench.errors import BadInput
from rnnbench.store import samples as store
from rnnbench.store.samples import ORIGINS, fitted_name

FORM = re.compile(r"\S+ (?P<L>\d+)->(?P<H>\d+) direct (?P<how>mixed|shared) of (?P<C>\d+), (?P<F>\d+) features, ")
TARGET = (0.0, "a perfect forecast")
Floats = NDArray[np.float64]
SHOWN_STEPS = 512  # of an input, at most


@dataclass(frozen=True)
class Form:
    """What a network's shape depends on. features: of the input of one that sees all C targets at once."""

    input_steps: int
    horizon: int
    channels: str
    targets: int
    features: int
    protocol: str
    chosen: Chosen
    reference: str | None = None


class Windows(Batch):
    """A batch that knows where its windows are. rows: B, the origins; part: B, of which series each is."""

    rows: Tensor
    part: Tensor


class OwnSeries(Task):
    """Predict the next `horizon` rows of the targets from the last `input_steps` rows, all at once (direct).

    x: B L F, float32: the targets, the past columns, and the future columns and the calendar moved H rows back, so that
    at input step t a network reads what is known of row t + H. y: B H C flattened, float32. Both on train's scale, and
    relative to `anchor`: `last`, each target's last input value; `seasonal`, for y the value of one season before;
    `none`. Errors are the same with any anchor. channels=shared: one target at a time, C rows of x and y for each
    window, next to each other; an update still sees `budget.batch_size` windows.

    A split holds origins only (N 1, or N 2 with the series), the series lies once on each device. All options are
    explained in conf/dataset/own_series.yaml. Floors: datasets/own/series_floors.py. Metrics: mse (main) and mae on
    train's scale; mase, the mean over series and targets of mean |e| / train's seasonal error; smape in [0, 2] and
    mae_raw (of one target) in the file's units; metrics, metric: others, and the main one, also by torchmetrics' names
    (datasets/own/series_metrics.py says what those are told of). Floors are in the main one. Raises BadInput on wrong
    options or data, MissingData on a missing file; the file is read when the spec is first asked for.
    """

    def __init__(
        self,
        path: str | None = None,
        source: str | None = None,
        name: str = "own_series",
        time: str | None = None,
        id: str | None = None,
        target: str | Sequence[str] | None = None,
        past: str | Sequence[str] | None = None,
        future: str | Sequence[str] | None = None,
        calendar: str = "auto",
        input_steps: int | None = None,
        horizon: int | None = None,
        season: int | str | None = "auto",
        freq: str = "auto",
        missing: str = "refuse",
        duplicates: str = "refuse",
        split: Sequence[float] = (0.7, 0.1, 0.2),
        gap: int | str = "horizon",
        cut: str = "calendar",
        borders: Sequence[int] | None = None,
        channels: str = "mixed",
        anchor: str = "last",
        stride: int = 1,
        strategy: str = "direct",
        scale: str = "standard",
        separator: str | None = None,
        decimal: str | None = None,
        thousands: str | None = None,
        date_format: str | None = None,
        timezone: str | None = None,
        encoding: str | None = None,
        columns: Sequence[str] | None = None,
        metrics: Sequence[Any] | None = None,
        metric: str | None = None,
    ) -> None:
        self.name = name
        self.options = Options(
            name=name, path=path, source=source, time=time, id=id, target=target, past=past, future=future,
            calendar=calendar, input_steps=input_steps, horizon=horizon, season=season, freq=freq, missing=missing,
            duplicates=duplicates, split=split, gap=gap, cut=cut, borders=borders, channels=channels, anchor=anchor,
            stride=stride, strategy=strategy, scale=scale, separator=separator, decimal=decimal, thousands=thousands,
            date_format=date_format, timezone=timezone, encoding=encoding, columns=columns,
            metrics=metrics, metric=metric,
        )  # fmt: skip
        self.pictures = Pictures(self._values)

    @cached_property
    def series(self) -> Series:
        """The file, read and checked."""
        return read(self.options)

    @cached_property
    def scores(self) -> dict[str, Scores]:
        """The floors and the reference on test."""
        return kept_scores.floors(self.series)

    @cached_property
    def form(self) -> Form:
        """What the file makes of the options."""
        series, plan = self.series, self.series.plan
        return Form(
            plan.input_steps,
            plan.horizon,
            self.options.channels,
            len(series.targets),
            series.features,
            series_words.protocol(series),
            series_words.measured(series),
            REFERENCE if plan.input_steps <= LONGEST_FITTED else None,
        )

    def recall(self, protocol: str) -> None:
        """The shapes that a record's protocol tells: a network needs no data."""
        if found := FORM.match(protocol):
            numbers = (int(found[key]) for key in ("L", "H", "C", "F"))
            input_steps, horizon, targets, features = numbers
            chosen = series_metrics.choose(self.options.metrics, self.options.metric, targets=targets)
            self.form = Form(input_steps, horizon, found["how"], targets, features, protocol, chosen)

    @cached_property
    def spec(self) -> TaskSpec:  # type: ignore[override]
        """Reads the file, unless `recall` was told what it holds."""
        form = self.form
        shared = form.channels == "shared"
        chosen = form.chosen
        target, source = TARGET if chosen.metric in series_metrics.OWN else (None, "")
        return TaskSpec(
            name=self.name,
            protocol=form.protocol,
            inputs="features",
            input_size=form.features - form.targets + 1 if shared else form.features,
            outputs="sequence",
            output_size=form.horizon if shared else form.horizon * form.targets,
            loss="mse",
            metric=chosen.metric,
            metrics=chosen.metrics,
            goal=chosen.goal,
            floor=BEST,
            target=target,
            target_source=source,
            max_length=form.input_steps,
            reference=form.reference,
        )

    def load(self) -> Data:
        """Origins of the three splits; the series itself is in `pictures`."""
        return Data(*map(self._split, self.series.origins))

    def _split(self, origins: NDArray[np.int64]) -> Split:
        columns = [origins] if len(self.series.parts) == 1 else [origins, self.series.part_of(origins)]
        x = torch.from_numpy(np.column_stack(columns).astype(np.int32))
        return Split(x, self.pictures.stamp(READING_VERSION, len(x)))

    def _values(self) -> Tensor:
        """rows x (targets, past, future, calendar), float32, on train's scale."""
        series = self.series
        return torch.from_numpy(np.column_stack([series.scaled(), series.known]).astype(np.float32))

    def beside(self) -> Iterable[Tensor]:
        """The series."""
        return [self.pictures.on()]

    def item_steps(self, split: Split) -> int:
        """A window is L steps, of each target where they are shared."""
        return self.form.input_steps * self._rows_each

    @property
    def _rows_each(self) -> int:
        """Rows of a batch that a window makes."""
        return self.form.targets if self.form.channels == "shared" else 1

    def batch(self, split: Split, index: Tensor) -> Windows:
        """The windows at index, cut out of the series."""
        form = self.form
        L, H, C = form.input_steps, form.horizon, form.targets
        values = self.pictures.on(split.x.device)
        place = split.x.index_select(0, index).long()
        rows = place[:, 0]
        part = place[:, 1] if place.shape[1] > 1 else torch.zeros_like(rows)
        window = values[rows[:, None] + torch.arange(-L, H, device=rows.device)]  # B L+H F
        known_from = C + len(self.series.past)  # columns: the targets, past ones, those that are known ahead
        targets = window[..., :C]
        past = window[:, :L, C:known_from]
        ahead = window[:, H:, known_from:]  # at each step what is known of H rows later
        level = targets[:, L - 1 : L] if self.options.anchor == "last" else torch.zeros_like(targets[:, :1])
        seen = targets[:, :L] - level
        y = targets[:, L:] - self.anchor(rows)
        beside = torch.cat([past, ahead], -1)
        if form.channels == "shared":
            seen = seen.transpose(1, 2).reshape(-1, L, 1)
            beside = beside.repeat_interleave(C, 0)
            y = y.transpose(1, 2).reshape(-1, H)
        batch = Windows(torch.cat([seen, beside], -1), y.flatten(1))
        batch.rows, batch.part = rows, part
        return batch

    def anchor(self, rows: Tensor) -> Tensor:
        """What forecasts from origins (B) are relative to, on train's scale, B H C or B 1 C."""
        values, C = self.pictures.on(rows.device), self.form.targets
        if self.options.anchor == "seasonal":
            assert self.series.season is not None
            ahead = torch.arange(self.form.horizon, device=rows.device) % self.series.season
            return values[rows[:, None] - self.series.season + ahead, :C]
        last = values[rows - 1, :C][:, None]
        return last if self.options.anchor == "last" else torch.zeros_like(last)

    def forecast(self, output: Tensor, windows: int) -> Tensor:
        """A network's output, or y, as B H C: still relative to the anchor."""
        H, C = self.form.horizon, self.form.targets
        if self.form.channels == "shared":
            return output.reshape(windows, C, H).transpose(1, 2)
        return output.reshape(windows, H, C)

    def item_losses(self, prediction: Tensor, batch: Batch) -> ItemLosses | None:
        """The squared error of each window, the mean over its steps and targets."""
        squares = (prediction.float() - batch.y.float()).square()
        total = squares.reshape(-1, self._rows_each * squares.shape[1]).mean(1)
        return ItemLosses(total, torch.ones_like(total))

    def metrics(self) -> Metrics:
        """The spec's metrics, summed in float64."""
        return SeriesMetrics(self)

    def curves(self) -> SeriesCurves:
        """Errors by step of the forecast and by target."""
        return SeriesCurves(self)

    def floors(self, data: Data) -> Mapping[str, float]:
        """`last`, `seasonal`, `mean`, `drift`, `best` and `linear` on test, in the main metric."""
        metric = self.spec.metric
        if metric in series_metrics.OWN:
            return series_words.floor_values(self.scores, metric)
        return kept(self, data, self._floors_by_name, by="numpy")

    def _floors_by_name(self) -> dict[str, float]:
        """The floors in a main metric that is one of torchmetrics. Those that have no value in it (a constant has no
        correlation) are left out. Raises BadInput where none has."""
        named, found = from_name(self.spec.metric), dict[str, Accumulator]()
        for _, truth, said in series_floors.on_test(self.series):
            wanted = torch.from_numpy(truth)
            for name, forecast in said:
                if name not in found:
                    found[name] = Accumulator(named, truth.shape[2])
                    found[name].to(wanted.device)
                whole = torch.from_numpy(np.broadcast_to(forecast, truth.shape).copy())
                found[name].update(whole.flatten(0, 1), wanted.flatten(0, 1))
        values = {name: float(each.compute()) for name, each in found.items()}
        values = {name: value for name, value in values.items() if np.isfinite(value)}
        if not values.keys() & set(TRIVIAL):
            raise BadInput(
                f"dataset.metric={self.spec.metric} has no value of any trivial forecast of test: take it into "
                "dataset.metrics and another one as dataset.metric."
            )
        return series_words.with_best(values, self.spec.goal)

    def reading(self) -> Reading:
        """What was read, what was done about what is missing, splits, floors."""
        return series_words.describe(self.series, self.scores)

    def summary(self, data: Data) -> str:
        """`8,521/2,857/2,857 windows of 96 + 24 rows, 7 targets, 13 features`."""
        form = self.form
        steps = f"{form.input_steps} + {form.horizon} rows"
        return f"{sizes(data)} windows of {steps}, {plural(form.targets, 'target')}, {plural(form.features, 'feature')}"

    def shown(self, test: Split) -> Shown:
        """A few forecasts in the file's units, with the floors."""
        return SeriesShown(self, test)


class SeriesMetrics:
    """Sums of a split's errors by step and target, and by series; exact over the split, whatever the batches were."""

    def __init__(self, task: OwnSeries) -> None:
        self.task = task
        named = [name for name in task.spec.metrics if name not in series_metrics.OWN]
        self._named = {name: Accumulator(from_name(name), task.form.targets) for name in named}
        self.reset()

    def reset(self) -> None:
        """Forget everything seen."""
        self._sums: dict[str, Tensor] = {}
        self._windows = 0
        for metric in self._named.values():
            metric.reset()

    @torch.no_grad()
    def update(self, prediction: Tensor, batch: Batch) -> None:
        """Add a batch of this task."""
        if not isinstance(batch, Windows):
            raise TypeError("a series' metrics need its own batches, which know their origins")
        task, windows = self.task, len(batch.rows)
        wide = torch.float32 if prediction.device.type == "mps" else torch.float64  # mps has no float64
        if prediction.shape != batch.y.shape:
            raise ValueError(f"prediction {tuple(prediction.shape)} and target {tuple(batch.y.shape)} differ in shape")
        relative, truth = (task.forecast(each.float(), windows).to(wide) for each in (prediction, batch.y))
        error = relative - truth
        absolute = error.abs()
        std, mean = (self._of_targets(each, prediction.device, wide)[batch.part][:, None] for each in ("std", "mean"))
        anchor = task.anchor(batch.rows).to(wide)
        size = ((relative + anchor) * std + mean).abs() + ((truth + anchor) * std + mean).abs()
        symmetric = torch.where(size > 0, 2 * absolute * std / size, torch.zeros_like(size))
        parts = torch.zeros(len(task.series.parts), absolute.shape[2], dtype=wide, device=error.device)
        self._add("square", error.square().sum(0))
        self._add("absolute", absolute.sum(0))
        self._add("symmetric", symmetric.sum())
        self._add("raw", (absolute * std).sum())
        self._add("of_part", parts.index_add(0, batch.part, absolute.sum(1)))
        self._add("count_of_part", parts[:, 0].index_add(0, batch.part, torch.ones_like(absolute[:, 0, 0])))
        self._tell_named(relative + anchor, batch.rows)
        self._windows += windows

    def _tell_named(self, forecast: Tensor, rows: Tensor) -> None:
        """Metrics of torchmetrics are told of B H rows of C values, and of the truth as it is: not of y, whose anchor
        was subtracted in float32, which breaks ties."""
        if not self._named:
            return
        ahead = torch.arange(self.task.form.horizon, device=rows.device)
        truth = self.task.pictures.on(rows.device)[rows[:, None] + ahead, : self.task.form.targets]
        for metric in self._named.values():
            if not self._windows:
                metric.to(forecast.device)
            metric.update(forecast.flatten(0, 1), truth.flatten(0, 1))

    def _of_targets(self, name: str, device: torch.device, wide: torch.dtype) -> Tensor:
        values: NDArray[np.float64] = getattr(self.task.series, name)
        return torch.from_numpy(values[:, : self.task.form.targets]).to(device=device, dtype=wide)

    def _add(self, name: str, value: Tensor) -> None:
        self._sums[name] = self._sums[name] + value if name in self._sums else value

    def compute(self) -> dict[str, float]:
        """`loss`, which is mse, and the spec's metrics."""
        if not self._windows:
            raise RuntimeError("no batch was seen, so there is nothing to compute")
        sums = {name: value.double().cpu().numpy() for name, value in self._sums.items()}
        H, series = self.task.form.horizon, self.task.series
        values = self._windows * sums["square"].size
        count = np.broadcast_to(sums["count_of_part"][:, None] * H, sums["of_part"].shape)
        mase = series_floors.mase(sums["of_part"], count, series.seasonal_error)
        found = {
            "mse": float(sums["square"].sum()) / values,
            "mae": float(sums["absolute"].sum()) / values,
            "mase": float("nan") if mase is None else mase,
            "smape": float(sums["symmetric"]) / values,
            "mae_raw": float(sums["raw"]) / values,
            **{name: float(metric.compute()) for name, metric in self._named.items()},
        }
        return {"loss": found["mse"], **{name: found[name] for name in self.task.spec.metrics}}

    def errors(self) -> tuple[Floats, Floats]:
        """mse and mae by step and target, H C, on train's scale."""
        square, absolute = (self._sums[name].double().cpu().numpy() for name in ("square", "absolute"))
        return square / self._windows, absolute / self._windows


class SeriesCurves:
    """Errors on test by step and by column, beside those of the floors."""

    def __init__(self, task: OwnSeries) -> None:
        self.task, self.sums = task, SeriesMetrics(task)

    def see(self, index: Tensor, batch: Batch, prediction: Tensor) -> None:
        """Add a batch."""
        self.sums.update(prediction, batch)

    def as_dict(self) -> dict[str, Any]:
        """columns: C names; steps: mse and mae of the steps 1..H; by_column: of each target; floors: the same."""
        floors = {name: _by_step_and_column(found.mse_by, found.mae_by) for name, found in self.task.scores.items()}
        found = _by_step_and_column(*self.sums.errors())
        return {"columns": list(self.task.series.targets), **found, "floors": floors}


def _by_step_and_column(mse: Floats, mae: Floats) -> dict[str, dict[str, list[float]]]:
    """Means over the columns, and over the steps, of what is H C."""
    return {
        "steps": {"mse": mse.mean(1).tolist(), "mae": mae.mean(1).tolist()},
        "by_column": {"mse": mse.mean(0).tolist(), "mae": mae.mean(0).tolist()},
    }


class SeriesShown(Shown):
    """ORIGINS forecasts spread evenly over test, in a batch of their own."""

    whole = False

    def __init__(self, task: OwnSeries, test: Split) -> None:
        self.task, self.test = task, test

    def samples(self, run: str, network: Network) -> store.Series:
        """Input, truth, forecasts and floors in the file's units; what was missing there is NaN."""
        task, series = self.task, self.task.series
        L, H = min(task.form.input_steps, SHOWN_STEPS), task.form.horizon
        C = min(task.form.targets, store.MOST_COLUMNS)
        index = spread(self.test.size, ORIGINS)
        batch = task.batch(self.test, index.to(self.test.x.device))
        output = task.forecast(network(batch).float(), len(index)) + task.anchor(batch.rows)
        rows, part = batch.rows.cpu().numpy(), batch.part.cpu().numpy()
        std, mean = (each[part, None, : task.form.targets] for each in (series.std, series.mean))
        raw = np.where(series.observed, series.values, np.nan)
        before, after = rows[:, None] + np.arange(-L, 0), rows[:, None] + np.arange(H)
        floors = {name: each * std + mean for name, each in series_floors.forecasts(series, rows).items()}
        return store.Series(
            run=run,
            columns=tuple(fitted_name(name) for name in series.targets[:C]),
            series=tuple(fitted_name(series.parts[number].id or "") for number in part),
            clock="time" if self._has_times() else "row",
            floor_names=tuple(floors),
            origins=index.numpy(),
            input_times=self._times(before, part),
            times=self._times(after, part),
            input=raw[before][..., :C].astype(np.float32),
            truth=raw[after][..., :C].astype(np.float32),
            prediction=(output.cpu().numpy() * std + mean)[..., :C].astype(np.float32),
            floors=np.stack([each[..., :C] for each in floors.values()]).astype(np.float32),
        )

    def _has_times(self) -> bool:
        return self.task.series.step.kind not in ("rows", "number")

    def _times(self, rows: NDArray[np.int64], part: NDArray[np.int64]) -> NDArray[np.int64]:
        """Nanoseconds since 1970, or rows of the series; N T."""
        series = self.task.series
        out = rows - series.starts[part][:, None]
        if self._has_times():
            for number in np.unique(part):
                out[part == number] = (
                    series.times(series.parts[number]).astype("datetime64[ns]").astype(np.int64)[out[part == number]]
                )
        return out
