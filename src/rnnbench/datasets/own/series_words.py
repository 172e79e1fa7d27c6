"""What is said of a series before anything is trained, its protocol, and what may be a mistake."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from rnnbench.datasets.base.named_metrics import Chosen, Goal, affordable
from rnnbench.datasets.base.reading import Reading
from rnnbench.datasets.own import answers, grid, kept_scores, series_floors, series_metrics
from rnnbench.datasets.own.series_floors import BEST, REFERENCE, TRIVIAL, Scores
from rnnbench.datasets.own.series_read import READING_VERSION, Part, Series
from rnnbench.store.content import SHOWN

MOST_LOST = 0.2  # share of windows
TOLD = 0.999  # |r| of a column that tells the target
COMPARED = 5_000  # rows that are compared for that
ROUNDED = 0.01  # of a column's deviation, that float32 may take from it
WARNED = 6  # columns with a warning of their own
LISTED = 12  # columns in a sentence


def describe(series: Series, scores: dict[str, Scores] | None = None) -> Reading:
    """The printed lines, the warnings and the facts. scores: of the floors, where they are known already."""
    chosen = measured(series)
    scores = kept_scores.floors(series) if scores is None else scores
    lines = [
        _what(series),
        *_lost(series),
        _windows(series),
        *_channels(series),
        _floors(series, scores, chosen.metric),
    ]
    facts: dict[str, Any] = {
        "input_steps": series.plan.input_steps,
        "horizon": series.plan.horizon,
        "season": series.season,
        "columns": list(series.targets),
        "windows": [len(origins) for origins in series.origins],
        "series": len(series.parts),
        "step": series.step.words,
        "floors": {name: {"mse": found.mse, "mae": found.mae, "mase": found.mase} for name, found in scores.items()},
    }
    return Reading(tuple(lines), tuple(_warnings(series)), facts)


def protocol(series: Series) -> str:
    """Everything that moves a number, in one string; what a network's shape depends on stands first."""
    options, plan = series.options, series.plan
    channels = f"{options.channels} of {len(series.targets)}"
    split = "/".join(str(float(share)).removeprefix("0") for share in plan.shares)
    known = "+".join(name.removeprefix("sin_") for name in series.calendar[::2])
    if plan.borders is not None:
        split = "/".join(map(str, plan.borders)) + " rows"
    by = "by each series' time" if len(series.parts) > 1 and options.cut == "each" else "by time"
    parts = [
        f"{series.sha256[:SHOWN]} {plan.input_steps}->{plan.horizon} direct {channels}, {series.features} features",
        series.step.words,
        _joined(series.targets),
        f"past {_joined(series.past)}",
        f"future {_joined(series.future, *([f'calendar({known})'] if known else []))}",
        *([f"{len(series.parts)} series by {_plain(options.id or 'id')}"] if len(series.parts) > 1 else []),
        f"anchor {options.anchor}",
        f"split {split} {by}",
        f"gap {plan.gap}",
        "scaled by train" if options.scale == "standard" else "not scaled",
        f"missing {options.missing}",
        *([f"duplicates {options.duplicates}"] if options.duplicates != "refuse" else []),
        f"season {series.season or '-'}",
        f"stride {plan.stride}",
        *(f"{name} {value}" for name, value in _file_options(series)),
        f"reading {READING_VERSION}",
    ]
    return ", ".join(parts)


def _joined(columns: Iterable[str], *more: str) -> str:
    return "+".join([*map(_plain, columns), *more]) or "-"


def _plain(name: str) -> str:
    """A column's name in a protocol, in quotes where it could be taken for something else: `a,b`, `-`, `a+b`."""
    return name if re.fullmatch(r"\w[\w .:/%°-]*", name) else repr(name)


def _file_options(series: Series) -> Iterable[tuple[str, str]]:
    """How the file is read, where somebody says it: another decimal sign makes other numbers."""
    options = series.options
    names = ("time", "freq", "separator", "decimal", "thousands", "date_format", "timezone", "encoding")
    for name in names:
        value = getattr(options, name)
        if value not in (None, "auto"):
            yield name, repr(value)


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more


def _what(series: Series) -> str:
    """`s01.csv: 400 rows, hourly, 2024-01-01 00:00 .. 2024-01-17 15:00, 2 numeric columns (load, temp), ...`."""
    parts = [f"{series.file}: {series.file_rows:,} rows"]
    if len(series.parts) > 1:
        parts.append(f"{len(series.parts)} series ({_listed(str(part.id) for part in series.parts)})")
    if series.time is None:
        parts.append("no column of times: each row is a step")
    else:
        first = min(part.first for part in series.parts)
        last = max(series.times(part)[-1] for part in series.parts)
        parts.append(f"{series.step.words}, {grid.clock(first, series.step)} .. {grid.clock(last, series.step)}")
    named = [*series.targets, *series.past, *series.future]
    parts.append(f"{len(named)} numeric column{'s' * (len(named) != 1)} ({_listed(named)})")
    parts += series.left_out
    return ", ".join([*parts, *series.said])


def _lost(series: Series) -> list[str]:
    """What was missing and what was done about it."""
    lost, gaps = series.lost, series.lost.gaps
    if not lost.values:
        return []
    parts = []
    if gaps.rows:
        unit = series.step.amount(gaps.rows).split(" ", 1)
        what = f"{unit[0]} missing {unit[1]}" if len(unit) == 2 else f"{gaps.rows:,} missing rows"
        where = "1 gap" if gaps.places == 1 else f"{gaps.places:,} gaps"
        parts.append(f"{where} ({what}, first after {gaps.first})")
    cells = {name: count - gaps.rows for name, count in lost.values.items() if count > gaps.rows}
    if cells:
        named = ", ".join(f"{count:,} missing in {name}" for name, count in list(cells.items())[:LISTED])
        longest = f", up to {lost.longest:,} in a row" if lost.longest > 1 and not gaps.rows else ""
        parts.append(named + longest)
    how = "inputs filled from the past" if series.options.missing == "forward" else "filled by a line"
    out = [f"{' and '.join(parts)}: {how}"]
    names = ("training", "validation", "test")
    for name, whole, origins in zip(names, lost.windows, series.origins, strict=True):
        if whole > len(origins):
            gone = whole - len(origins)
            have = "has" if gone == 1 else "have"
            are = "is" if gone == 1 else "are"
            out.append(f"{gone:,} of {whole:,} {name} windows {have} a missing target and {are} left out")
    return ["; ".join(out)]


def _windows(series: Series) -> str:
    plan = series.plan
    season = f"season {series.season}" if series.season else "no season"
    what = f"{series.step.amount(plan.horizon)} of {_listed(series.targets)}"
    seen = [*([f"past {_listed(series.past)}"] if series.past else [])]
    seen += [f"future {_listed(series.future)}"] if series.future else []
    told = [name.removeprefix("sin_").replace("_", " ") for name in series.calendar[::2]]
    seen += [f"calendar ({', '.join(told)})"] if told else []
    beside = f" with {', '.join(seen)}" if seen else ""
    counts = "/".join(f"{len(origins):,}" for origins in series.origins)
    gap = f" (gaps of {series.step.amount(plan.gap)})" if plan.gap else ""
    ranges = _spans(series) if len(series.parts) == 1 else _shared_spans(series)
    return f"{season}; {what} from {plan.input_steps:,}{beside}; {ranges}{gap}; windows {counts}"


def _shared_spans(series: Series) -> str:
    if series.options.cut == "each":
        return "each series split by its own rows"
    return f"{_spans(series)} in every series"


def _spans(series: Series) -> str:
    """`train to .., val .. .., test from ..`, of all series, as times, or as rows without them."""
    found: list[tuple[Any, Any]] = []
    times = [series.times(part) for part in series.parts]
    for which in range(3):
        ends = []
        for part, each in zip(series.parts, times, strict=True):
            low, high = (row - part.rows[0] for row in part.ranges[which])
            ends += [(each[low], each[high - 1])] if high > low else []
        found.append((min(first for first, _ in ends), max(last for _, last in ends)))

    def at(time: Any) -> str:
        return f"{int(time) + 1}" if series.time is None else grid.clock(time, series.step)

    (_, train), (val, val_end), (test, test_end) = found
    to = "" if test_end == max(each[-1] for each in times) else f" to {at(test_end)}"
    row = "row " if series.time is None else ""
    return f"train to {row}{at(train)}, val {at(val)} .. {at(val_end)}, test from {at(test)}{to}"


def _channels(series: Series) -> list[str]:
    if series.options.channels == "mixed":
        return []
    return [f"channels shared: one network over one of {len(series.targets)} at a time"]


def _floors(series: Series, scores: dict[str, Scores], metric: str) -> str:
    """`floors on test, mse: mean 1.0956 (the best), seasonal(24) 1.3651, last 2.2547; a linear model makes .9`."""
    if metric not in series_metrics.OWN:
        return answers.by_the_run(metric)
    values = series_floors.values(scores, metric)
    ranked = sorted((name for name in values if name in TRIVIAL), key=lambda name: values[name])
    told = []
    for name in ranked:
        label = f"seasonal({series.season})" if name == "seasonal" else name
        told.append(f"{label} {values[name]:.4f}{' (the best)' * (name == ranked[0])}")
    line = f"floors on test, {metric}: {', '.join(told)}"
    if series.season and "seasonal" not in scores:
        line += f"; no seasonal one: less than {series.season} rows lie before the first window of test"
    if REFERENCE in scores:
        line += f"; for reference, linear {values[REFERENCE]:.4f}"
    return line


def measured(series: Series) -> Chosen:
    """The metrics that are asked for of this file. Raises BadInput on one that it cannot have."""
    options, horizon = series.options, series.plan.horizon
    targets = len(series.targets)
    chosen = series_metrics.choose(
        options.metrics,
        options.metric,
        targets=targets,
        measurable=bool(series_floors.scalable(series.seasonal_error).any()),
    )
    most = max(len(origins) for origins in series.origins[1:])
    affordable(chosen.metrics, items=most * horizon, outputs=targets)
    return chosen


def floor_values(scores: dict[str, Scores], metric: str = "mse") -> dict[str, float]:
    """Every predictor's value in one of the task's own metrics by name, with `best`."""
    return with_best(series_floors.values(scores, metric))


def with_best(found: dict[str, float], goal: Goal = "min") -> dict[str, float]:
    """The trivial predictors, `best` and the rest."""
    trivial = {name: value for name, value in found.items() if name in TRIVIAL}
    rest = {name: value for name, value in found.items() if name not in TRIVIAL}
    return {**trivial, BEST: found[series_floors.best(found, goal)], **rest}


def _warnings(series: Series) -> list[str]:
    return [*_constant(series), *_few_left(series), *_unmeasured(series), *_first(_levels(series)),
            *_first(_leaks(series)), *_first(_rounded(series)), *_without_windows(series),
            *_peeks(series)]  # fmt: skip


def _first(found: list[str]) -> list[str]:
    """The first sentences, one a column, and how many more columns they would be said of."""
    more = len(found) - WARNED
    return found if more <= 1 else [*found[:WARNED], f"and {more:,} more like the last"]


def _constant(series: Series) -> list[str]:
    """Columns that never change in train tell nothing."""
    names = [*series.targets, *series.past, *series.future]
    found = []
    for column, name in enumerate(names):
        values = [_seen(series, part, 0, column) for part in series.parts]
        flat = [part.id for part, each in zip(series.parts, values, strict=True) if len(each) and np.ptp(each) == 0]
        if len(flat) == len(series.parts):
            found.append(f"{name!r} never changes in train")
        elif flat:
            found.append(f"{name!r} never changes in train in {len(flat)} series ({_listed(map(str, flat))})")
    return found


def _few_left(series: Series) -> list[str]:
    whole, left = sum(series.lost.windows), sum(len(origins) for origins in series.origins)
    if whole - left <= MOST_LOST * whole:
        return []
    return [f"{whole - left:,} of {whole:,} windows ({100 * (whole - left) / whole:.0f}%) are lost to missing values"]


def _unmeasured(series: Series) -> list[str]:
    left_out = int((~series_floors.scalable(series.seasonal_error)).sum())
    if not left_out:
        return []
    columns = "column" if series.seasonal_error.size == 1 else "columns"
    return [f"mase leaves out {left_out:,} of {series.seasonal_error.size:,} {columns}: a seasonal error of 0, or none"]


def _levels(series: Series) -> list[str]:
    """Targets whose mean level on test lies outside what train ever reached."""
    found = []
    for column, name in enumerate(series.targets):
        for part in series.parts:
            train, test = (_seen(series, part, which, column) for which in (0, 2))
            if len(train) and len(test) and _is_outside(test, train):
                whose = "" if part.id is None else f" of series {part.id!r}"
                found.append(
                    f"{name!r}{whose} is {test.mean():.4g} on average in test, outside train's {train.min():.4g} .. "
                    f"{train.max():.4g}"
                )
                break
    return found


def _rounded(series: Series) -> list[str]:
    """Columns that float32 cannot hold without a scale: 1e12 and its changes by 1."""
    if series.options.scale == "standard":
        return []
    found = []
    for column, name in enumerate((*series.targets, *series.past, *series.future)):
        for part in series.parts:
            train = _seen(series, part, 0, column)
            kept = train.astype(np.float32).astype(np.float64)
            if np.abs(kept - train).max() > ROUNDED * train.std() > 0:
                found.append(f"{name!r} loses digits in float32 without a scale: dataset.scale=standard")
                break
    return found


def _is_outside(test: Any, train: Any) -> bool:
    """Whether test's mean is; that of what never changes may differ from it by rounding."""
    level = min(max(test.mean(), test.min()), test.max())
    return not train.min() <= level <= train.max()


def _seen(series: Series, part: Part, split: int, column: int) -> Any:
    low, high = part.ranges[split]
    return series.values[low:high, column][series.observed[low:high, column]]


def _leaks(series: Series) -> list[str]:
    """Further columns that tell the target ahead of time: more than the target itself does."""
    low, high = series.parts[0].ranges[0]
    values = series.values[low : min(high, low + COMPARED)]
    C, names = len(series.targets), (*series.past, *series.future)
    told: dict[tuple[int, int], str] = {}
    for ahead in range(min(series.plan.horizon, len(values) - 2) + 1 if names else 0):
        later = values[ahead:, :C]
        r = _correlations(values[: len(values) - ahead], later)
        own = np.abs(np.diagonal(r[:C])) if ahead else np.zeros(C)
        of_further = r[C : C + len(names)]
        for column, target in np.argwhere((np.abs(of_further) > TOLD) & (np.abs(of_further) > own)).tolist():
            is_future = column >= len(series.past)
            if (ahead or is_future) and (column, target) not in told:
                when = f"{series.step.amount(ahead)} later" if ahead else "at the same time"
                what = f"{names[column]!r} all but equals {series.targets[target]!r} {when}"
                told[column, target] = f"{what} (r = {of_further[column, target]:.4f}): is it known by then?"
    return list(told.values())


def _correlations(first: Any, second: Any) -> Any:
    """Of every column of the one with every column of the other; 0 where one is constant."""
    a, b = (each - each.mean(0) for each in (first, second))
    size = np.sqrt(np.outer(np.square(a).sum(0), np.square(b).sum(0)))
    return np.divide(a.T @ b, size, out=np.zeros_like(size), where=size > 0)


def _without_windows(series: Series) -> list[str]:
    """Series too short to be in a split."""
    if len(series.parts) == 1:
        return []
    found = []
    for name, origins in zip(("train", "val", "test"), series.origins, strict=True):
        there = np.bincount(series.part_of(origins), minlength=len(series.parts)) > 0
        if not there.all():
            ids = [str(part.id) for part, has in zip(series.parts, there, strict=True) if not has]
            found.append(f"{len(ids)} of {len(series.parts)} series have no window in {name} ({_listed(ids)})")
    return found


def _peeks(series: Series) -> list[str]:
    """A line over a gap ends in what is future to the windows in between."""
    if series.options.missing != "linear":
        return []
    count = 0
    for part in series.parts:
        for low, high in part.ranges[1:]:
            count += int((~series.observed[low:high]).sum())
    if not count:
        return []
    are = "value is" if count == 1 else "values are"
    return [f"{count:,} {are} drawn by a line in val and test: inputs there tell a little of what follows"]
