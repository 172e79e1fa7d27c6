"""Curves of an ablation: over training and over the time steps of a sequence, medians over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rnnbench.reports.ablation.design import Arm
from rnnbench.reports.ablation.measures import curves
from rnnbench.reports.ablation.study import Study
from rnnbench.reports.figures import ACCENT, BASE, WARN, legend, line_style, log_ticks, middle, panels
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
    ok = {arm.name: _finished(arm, histories, key) for arm in study.arms}
    values = [v for arm in study.arms for run in arm.runs["id"] for _, v in column(histories, run, key) if v > 0]
    usual = [value for some in ok.values() for run in some for value in run[1] if value > 0]
    top = min(max(values, default=0), 3 * max(usual, default=math.inf))  # beyond, a run that diverges is off the panel
    for axes, arm in zip(grid, others or [base], strict=True):
        _band(axes, ok[base.name], BASE, base.name)
        _band(axes, ok[arm.name], ACCENT, arm.name)
        lost = 0
        for run, status in zip(arm.runs["id"], arm.runs["status"], strict=True):
            curve = column(histories, run, key)
            if status != "ok" and curve:
                axes.plot(*zip(*curve, strict=True), color=WARN, linewidth=1, linestyle="--")
                step, value = curve[-1]
                axes.plot(step, min(value, top), marker="x", color=WARN, markersize=6, clip_on=False)
            lost += status != "ok"
        runs = f"{len(arm.runs) - lost} of {len(arm.runs)} runs" if lost else f"{len(arm.runs)} runs"
        axes.set_title(f"{arm.name} · {runs}", fontsize=9, loc="left", color=WARN if lost else "black")
        if values and usual:
            axes.set_yscale("log")
            axes.set_ylim(min(usual) * 0.9, top * 1.1)
            log_ticks(axes.yaxis)
    figure.supxlabel("update", fontsize=10)
    figure.supylabel(name, fontsize=10)
    lost = int((base.runs["status"] != "ok").sum())
    name_of_base = f"{base.name} ({len(base.runs) - lost} of {len(base.runs)} runs)" if lost else base.name
    legend(figure, [(name_of_base, {"color": BASE}), ("variant", {"color": ACCENT})], failed=_any_failed(study))
    return figure


def _finished(arm: Arm, histories: Curves, key: str) -> list[tuple[list[float], list[float]]]:
    """Steps and values of an arm's ok runs on all their steps; a run that stopped early keeps its last value."""
    found = [
        curve
        for run, status in zip(arm.runs["id"], arm.runs["status"], strict=True)
        if status == "ok" and (curve := column(histories, run, key))
    ]
    steps = sorted({step for curve in found for step, _ in curve})
    rows = []
    for curve in found:
        known, last, values = dict(curve), math.nan, []
        for step in steps:
            last = known.get(step, last)
            values.append(last)
        rows.append((steps, values))
    return rows


def _band(axes: Axes, rows: Sequence[tuple[Sequence[float], Sequence[float]]], colour: str, label: str) -> None:
    if not rows:
        return
    centre, low, high = middle([values for _, values in rows])
    axes.fill_between(rows[0][0], low, high, color=colour, alpha=0.2, linewidth=0)
    axes.plot(rows[0][0], centre, color=colour, linewidth=1.6, label=label)


def _any_failed(study: Study) -> bool:
    return any((arm.runs["status"] != "ok").any() for arm in study.arms[1:])


def over_time(study: Study, key: str, name: str, scale: str) -> Figure:
    """A panel for each layer; a line for each arm, the baseline thick and grey behind."""
    from matplotlib.ticker import MaxNLocator

    by_layer: dict[str, dict[str, list[list[float]]]] = {}
    for arm in study.arms:
        for run in arm.runs["id"]:
            for layer, curve in curves(study.details[run], key):
                by_layer.setdefault(layer, {}).setdefault(arm.name, []).append(curve)
    figure, grid = panels(len(by_layer), columns=2, height=2.6, extra=0.5 + 0.25 * math.ceil(len(study.arms) / 5))
    styles: dict[str, dict[str, Any]] = {study.arms[0].name: {"color": BASE, "linewidth": 4.5, "alpha": 0.45}}
    styles |= {arm.name: line_style(n) | {"linewidth": 1.6} for n, arm in enumerate(study.arms[1:])}
    for axes, (layer, by_arm) in zip(grid, sorted(by_layer.items()), strict=True):
        for name_of_arm, rows in by_arm.items():
            centre, low, high = middle(rows)
            times, style = range(1, len(centre) + 1), styles[name_of_arm]
            axes.plot(times, centre, **style)
            if len(study.arms) <= 3:
                axes.fill_between(times, low, high, color=style["color"], alpha=0.15, linewidth=0)
        positive = any(value > 0 for rows in by_arm.values() for row in rows for value in row)
        if positive and scale == "log":
            axes.set_yscale("log")
            log_ticks(axes.yaxis)
        axes.set_title(layer, fontsize=9, loc="left")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.supxlabel("time step t", fontsize=10)
    figure.supylabel(name, fontsize=10)
    legend(figure, list(styles.items()))
    return figure
