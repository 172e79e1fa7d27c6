"""Curves of an ablation: over training and over the time steps of a sequence, medians over seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rnnbench.reports.ablation.design import Arm
from rnnbench.reports.ablation.measures import curves
from rnnbench.reports.ablation.study import Study
from rnnbench.reports.figures import ACCENT, BASE, WARN, legend, line_style, log_ticks, panels
from rnnbench.reports.statistics.quartiles import quartiles
from rnnbench.store.curves import Curves
from rnnbench.store.rows import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def column(histories: Curves, run: str, key: str) -> list[tuple[float, float]]:
    """(step, value) of one run where there is a value."""
    pairs = [(number(row.get("step")), number(row.get(key))) for row in histories.get(run, [])]
    return [(step, value) for step, value in pairs if math.isfinite(value)]


def over_training(study: Study, histories: Curves, key: str, name: str) -> Figure:
    """A panel for each variant with the baseline behind it: median and quartiles over training."""
    base, *others = study.arms
    figure, grid = panels(max(1, len(others)), columns=3, height=2.2, sharex=True, sharey=True)
    finished = {arm.name: _finished(arm, histories, key) for arm in study.arms}
    bottom, top = _range(study.arms, histories, key, finished.values())
    for axes, arm in zip(grid, others or [base], strict=True):
        _draw_band(axes, finished[base.name], BASE, base.name)
        _draw_band(axes, finished[arm.name], ACCENT, arm.name)
        _draw_failed(axes, arm, histories, key, top)
        colour = WARN if _failed(arm) else "black"
        axes.set_title(f"{arm.name} · {_counted(arm)}", fontsize=9, loc="left", color=colour)
        if bottom is not None:
            axes.set_yscale("log")
            axes.set_ylim(bottom * 0.9, top * 1.1)
            log_ticks(axes.yaxis)
    figure.supxlabel("update", fontsize=10)
    figure.supylabel(name, fontsize=10)
    name_of_base = f"{base.name} ({_counted(base)})" if _failed(base) else base.name
    any_failed = any(_failed(arm) for arm in others)
    legend(figure, [(name_of_base, {"color": BASE}), ("variant", {"color": ACCENT})], failed=any_failed)
    return figure


def _failed(arm: Arm) -> int:
    """How many of its runs."""
    return int((arm.runs["status"] != "ok").sum())


def _counted(arm: Arm) -> str:
    """ "5 runs", or "4 of 5 runs" where one failed."""
    total, lost = len(arm.runs), _failed(arm)
    return f"{total - lost} of {total} runs" if lost else f"{total} runs"


@dataclass(frozen=True)
class Finished:
    """The curves of an arm's ok runs on all their steps."""

    steps: Sequence[float]
    rows: Sequence[Sequence[float]]


def _finished(arm: Arm, histories: Curves, key: str) -> Finished:
    """A run that stopped early keeps its last value."""
    ok = arm.runs.loc[arm.runs["status"] == "ok", "id"]
    curves_of_runs = [curve for run in ok if (curve := column(histories, run, key))]
    steps = sorted({step for curve in curves_of_runs for step, _ in curve})
    rows = []
    for curve in curves_of_runs:
        known = dict(curve)
        last = math.nan
        values = []
        for step in steps:
            last = known.get(step, last)
            values.append(last)
        rows.append(values)
    return Finished(steps, rows)


def _range(
    arms: Sequence[Arm], histories: Curves, key: str, finished: Iterable[Finished]
) -> tuple[float | None, float]:
    """(bottom, top) of a logarithmic axis; no bottom where nothing finished is positive.

    The top is at most 3 times what finished runs reach: beyond, a run that diverges is off the panel.
    """
    usual = [value for some in finished for row in some.rows for value in row if value > 0]
    every_curve = [column(histories, run, key) for arm in arms for run in arm.runs["id"]]
    largest = max((value for curve in every_curve for _, value in curve if value > 0), default=0)
    if not usual:
        return None, largest
    return min(usual), min(largest, 3 * max(usual))


def _draw_band(axes: Axes, finished: Finished, colour: str, label: str) -> None:
    """Median and quartiles."""
    if not finished.rows:
        return
    centre, low, high = quartiles(finished.rows)
    axes.fill_between(finished.steps, low, high, color=colour, alpha=0.2, linewidth=0)
    axes.plot(finished.steps, centre, color=colour, linewidth=1.6, label=label)


def _draw_failed(axes: Axes, arm: Arm, histories: Curves, key: str, top: float) -> None:
    """The failed runs of an arm, dashed, with a cross at the end, which is drawn at the top where it is beyond."""
    for run in arm.runs.loc[arm.runs["status"] != "ok", "id"]:
        curve = column(histories, run, key)
        if not curve:
            continue
        axes.plot(*zip(*curve, strict=True), color=WARN, linewidth=1, linestyle="--")
        step, value = curve[-1]
        axes.plot(step, min(value, top), marker="x", color=WARN, markersize=6, clip_on=False)


def over_time(study: Study, key: str, name: str, scale: str) -> Figure:
    """A panel for each layer; a line for each arm, the baseline thick and grey behind. scale: linear | log."""
    by_layer = _by_layer(study, key)
    legend_lines = math.ceil(len(study.arms) / 5)
    figure, grid = panels(len(by_layer), columns=2, height=2.6, extra=0.5 + 0.25 * legend_lines)
    styles: dict[str, dict[str, Any]] = {study.arms[0].name: {"color": BASE, "linewidth": 4.5, "alpha": 0.45}}
    styles |= {arm.name: line_style(n) | {"linewidth": 1.6} for n, arm in enumerate(study.arms[1:])}
    for axes, (layer, by_arm) in zip(grid, sorted(by_layer.items()), strict=True):
        _draw_layer(axes, by_arm, styles, scale)
        axes.set_title(layer, fontsize=9, loc="left")
    figure.supxlabel("time step t", fontsize=10)
    figure.supylabel(name, fontsize=10)
    legend(figure, list(styles.items()))
    return figure


def _by_layer(study: Study, key: str) -> dict[str, dict[str, list[list[float]]]]:
    """The curves over t of all runs, by layer and arm."""
    found: dict[str, dict[str, list[list[float]]]] = {}
    for arm in study.arms:
        for run in arm.runs["id"]:
            for layer, curve in curves(study.details[run], key):
                found.setdefault(layer, {}).setdefault(arm.name, []).append(curve)
    return found


def _draw_layer(
    axes: Axes, by_arm: Mapping[str, list[list[float]]], styles: Mapping[str, Mapping[str, Any]], scale: str
) -> None:
    from matplotlib.ticker import MaxNLocator

    for arm, rows in by_arm.items():
        centre, low, high = quartiles(rows)
        times = range(1, len(centre) + 1)
        axes.plot(times, centre, **styles[arm])
        if len(styles) <= 3:  # more bands would hide each other
            axes.fill_between(times, low, high, color=styles[arm]["color"], alpha=0.15, linewidth=0)
    is_positive = any(value > 0 for rows in by_arm.values() for row in rows for value in row)
    if is_positive and scale == "log":
        axes.set_yscale("log")
        log_ticks(axes.yaxis)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
