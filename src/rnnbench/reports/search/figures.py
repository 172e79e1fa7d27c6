"""Figures of a search: the best share of each study with the importance of each option, and values over the space."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from rnnbench.reports.figures import ACCENT, BASE, WARN, legend, line_style, log_ticks, new_figure, panels, plain, save
from rnnbench.reports.search.result import SearchResult
from rnnbench.reports.search.table import FIGURES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FEW = 6  # studies that a panel can tell apart by colour


def draw(result: SearchResult, importance: pd.DataFrame, folder: Path) -> list[Path]:
    """Both figures, as PNG in folder."""
    return [_overview(result, importance, folder / FIGURES[0]), _space(result, folder / FIGURES[1])]


def _overview(result: SearchResult, importance: pd.DataFrame, path: Path) -> Path:
    studies = result.studies
    figure = new_figure(1.6 + 0.34 * (len(studies) + 1))
    left, right = figure.subplots(1, 2, width_ratios=[1.25, 1])
    _best(left, result)
    _heat(right, importance)
    return save(figure, path)


def _best(axes: Axes, result: SearchResult) -> None:
    """Each study's best share on test as dots, their mean as a bar, the winner's finals as diamonds."""
    plain(axes)
    trials, studies = result.trials, result.studies
    for place, (_, row) in enumerate(studies.iterrows()):
        mine = trials[trials["study"] == row["study"]]
        top = mine.loc[(mine["stage"] == "trial") & (mine["chosen"] != ""), "test"]
        finals = mine.loc[mine["stage"] == "final", "test"]
        axes.scatter(top, [place] * len(top), s=22, color=ACCENT, alpha=0.7, linewidths=0, zorder=3)
        axes.plot([row["top_test"]] * 2, [place - 0.28, place + 0.28], color=ACCENT, linewidth=2, zorder=4)
        axes.scatter(
            finals, [place + 0.28] * len(finals), s=14, marker="D", color=WARN, alpha=0.8, linewidths=0, zorder=3
        )
        if row["verdict"] == "baseline":
            axes.axvline(row["top_test"], color=BASE, linewidth=1, linestyle="--")
    axes.set_yticks(range(len(studies)), studies["label"])
    axes.invert_yaxis()
    better = {"max": " (more is better)", "min": " (less is better)"}.get(result.goal, "")
    axes.set_xlabel(f"test/{result.metric}{better}", fontsize=9)
    share = 100 * float(result.rules["top"])
    said = f"best {share:g}% of trials by validation (bar: mean)"
    said += "; diamonds: winner on fresh seeds" if (trials["stage"] == "final").any() else ""
    axes.set_title(said, fontsize=9, loc="left")


def _heat(axes: Axes, importance: pd.DataFrame) -> None:
    """Importance by study and option; blank where it is unknown."""
    table = importance.pivot_table(index="label", columns="key", values="importance", sort=False, dropna=False)
    table = table.reindex(index=importance["label"].unique(), columns=importance["key"].unique())
    values = table.to_numpy(float)
    axes.imshow(values, cmap="Blues", vmin=0, vmax=1.3, aspect="auto")
    for (y, x), value in np.ndenumerate(values):
        if np.isfinite(value):
            axes.text(
                x, y, f"{value:.2f}", ha="center", va="center", fontsize=8, color="white" if value > 0.7 else "black"
            )
    axes.set_xticks(
        range(len(table.columns)), [name.replace("optimizer.", "") for name in table.columns], fontsize=8, rotation=20
    )
    axes.set_yticks(range(len(table.index)), table.index, fontsize=8)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title("share of the variance explained (fANOVA)", fontsize=9, loc="left")


def _space(result: SearchResult, path: Path) -> Path:
    """Validation over each option, a dot a trial; lines where an option was the only one searched and is a list."""
    space, studies = result.rules["space"], result.studies
    figure, axes = panels(len(space), columns=2, height=2.6, sharey=True)
    trials = result.trials[(result.trials["stage"] == "trial") & result.trials["val"].notna()]
    few = len(studies) <= FEW
    for panel, dimension in zip(axes, space, strict=False):
        key = dimension["key"]
        for n, (_, row) in enumerate(studies.iterrows()):
            mine = trials[trials["study"] == row["study"]].sort_values(key, key=_numbers)
            _points(panel, mine, dimension, line_style(n) if few else {"color": ACCENT}, joined=few and len(space) == 1)
        panel.set_xlabel(f"{key}" + (" (its distance from 1)" if dimension["scale"] == "log1m" else ""), fontsize=9)
        panel.set_ylabel(f"val/{result.metric}", fontsize=9)
        if _logarithmic(dimension, trials[key]):
            panel.set_xscale("log")
            log_ticks(panel.xaxis)
    if few:
        legend(figure, [(str(label), line_style(n)) for n, label in enumerate(studies["label"])])
    return save(figure, path)


def _points(axes: Axes, mine: pd.DataFrame, dimension: Any, style: dict[str, Any], *, joined: bool) -> None:
    values = _numbers(mine[dimension["key"]])
    if dimension["scale"] == "log1m":
        values = 1 - values
    axes.plot(values, mine["val"], marker="o", markersize=3.5, alpha=0.75,
              **(style if joined else {"color": style["color"], "linestyle": "none"}))  # fmt: skip


def _numbers(values: pd.Series[Any]) -> pd.Series[Any]:
    """Values as numbers where they all are; a choice in words stays what it is."""
    numbers = pd.to_numeric(values, errors="coerce")
    return values.astype(str) if numbers.isna().any() else numbers


def _logarithmic(dimension: Any, values: pd.Series[Any]) -> bool:
    """An interval as it was sampled; a list of numbers where it spans a decade or two."""
    if dimension["kind"] != "choice":
        return bool(dimension["scale"] != "linear")
    numbers = _numbers(values)
    return numbers.dtype.kind in "if" and bool((numbers > 0).all()) and bool(numbers.max() / numbers.min() >= 20)
