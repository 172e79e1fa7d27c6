"""A league in one picture: a matrix of entries and tasks, coloured by score, with the mean and how many runs solved it.

It is for sets that ask on which tasks networks part: five tasks and four entries or more.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from rnnbench.reports.boards.leagues import League, leagues
from rnnbench.reports.figures import BASE, new_figure, save
from rnnbench.reports.selection.chosen import chosen
from rnnbench.reports.tables.labels import cut, pieces_apart
from rnnbench.reports.tables.numbers import short, with_arrow

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PATH = "figures/matrix.png"
FEWEST_TASKS, FEWEST_ENTRIES = 5, 4  # with fewer the leaderboard's picture says it
MOST_TASKS, MOST_ENTRIES = 14, 40
FILLED = 0.5  # at least so many of its cells were run
COLOURS = "YlGnBu"  # one hue after the other in order of lightness, also without colour
DARK = 0.6  # from this score on, text is white
ACROSS = 100  # characters of all headings beside each other
LONGEST = 42  # characters of what tells tasks of one dataset apart
LONGEST_LABEL = 40
NOTE = (
    "Colour: score, 0 at the task's floor and 1 at its target. Number: mean on test over seeds. k/n: runs that solved "
    "the task. Grey: not run, or no score."
)


def matrix_link(frame: pd.DataFrame) -> list[str]:
    """The lines of a published set's README about the picture; none where it is not drawn."""
    if _league(frame) is None:
        return []
    return ["", f"![score of every entry on every task, and how many runs solved it]({PATH})"]


def draw_matrix(folder: Path, frame: pd.DataFrame) -> Path | None:
    """Draw the matrix of a runs frame into folder/figures/matrix.png; None where there is no league for one."""
    league, path = _league(frame), folder / PATH
    if league is None:
        path.unlink(missing_ok=True)
        return None
    order = best_first(league)
    figure = new_figure(1.8 + 0.34 * len(order))
    axes = figure.subplots()
    _draw(axes, league, order)
    figure.supxlabel("\n".join(textwrap.wrap(NOTE, 130)), x=0.005, ha="left", fontsize=8, color=BASE)
    return save(figure, path)


def best_first(league: League) -> list[int]:
    """The entries' numbers by their mean score over the tasks, every task with equal weight; one not run counts 0."""
    scores = league.values("score")
    tasks = range(len(league.tasks))
    mean = [np.mean([_mean(scores.get((entry, task))) for task in tasks]) for entry in range(len(league.entries))]
    return sorted(range(len(mean)), key=lambda entry: (-mean[entry], entry))


def _league(frame: pd.DataFrame) -> League | None:
    """The largest league of a size that a picture can hold."""
    fit = [league for league in leagues(chosen(frame)) if _fits(league)]
    return fit[0] if fit else None


def _fits(league: League) -> bool:
    tasks, entries = len(league.tasks), len(league.entries)
    if not (FEWEST_TASKS <= tasks <= MOST_TASKS and FEWEST_ENTRIES <= entries <= MOST_ENTRIES):
        return False
    return len(league.values("score")) >= FILLED * tasks * entries


def _mean(values: np.ndarray | None) -> float:
    """The mean of the scores that are known; 0 of none."""
    known = np.empty(0) if values is None else values[~np.isnan(values)]
    return float(known.mean()) if len(known) else 0.0


def _draw(axes: Axes, league: League, order: Sequence[int]) -> None:
    """One cell an entry and task; the axes' names are the entries and the tasks."""
    scores, values, solved = (league.values(name) for name in ("score", "value", "reached"))
    tasks = range(len(league.tasks))
    grid = np.full((len(order), len(tasks)), np.nan)
    for line, entry in enumerate(order):
        for task in tasks:
            if (found := scores.get((entry, task))) is not None and not np.isnan(found).all():
                grid[line, task] = np.nanmean(found)
    axes.set_facecolor("#dddddd")
    axes.imshow(np.clip(grid, 0, 1), cmap=COLOURS, vmin=0, vmax=1, aspect="auto")
    for line, entry in enumerate(order):
        for task in tasks:
            text = _words(values.get((entry, task)), solved.get((entry, task)))
            colour = "white" if grid[line, task] > DARK else "black"
            axes.annotate(text, (task, line), ha="center", va="center", fontsize=8, color=colour)
    axes.set_xticks(list(tasks), _headings(league.tasks), fontsize=8)
    labels = [cut(str(league.entries["label"].iloc[entry]), LONGEST_LABEL) for entry in order]
    axes.set_yticks(range(len(order)), labels, fontsize=9)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xticks(np.arange(0.5, len(tasks) - 1), minor=True)
    axes.set_yticks(np.arange(0.5, len(order) - 1), minor=True)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.tick_params(which="minor", length=0)


def _words(values: np.ndarray | None, solved: np.ndarray | None) -> str:
    """The mean of the runs with a value and k/n of those that solved it; empty where none has a value."""
    known = np.empty(0) if values is None else values[~np.isnan(values)]
    if not len(known):
        return ""
    mean = short(float(known.mean()), 3)
    if solved is None or np.isnan(solved).all():
        return mean
    return f"{mean}  {int(np.nansum(solved))}/{len(solved)}"


def _headings(tasks: pd.DataFrame) -> list[str]:
    """Each task's dataset, with what of its protocol tells it from others of that dataset, and its metric."""
    found, width = [], max(8, ACROSS // len(tasks))
    for _, task in tasks.iterrows():
        same = tasks.loc[tasks["dataset"] == task["dataset"], "protocol"].astype(str).tolist()
        apart = pieces_apart(str(task["protocol"]), same, LONGEST) if len(same) > 1 else ""
        metric = with_arrow(task["metric"], task["goal"])
        lines = [*_wrapped(str(task["dataset"]), width), *textwrap.wrap(apart, width), *_wrapped(metric, width)]
        found.append("\n".join(lines))
    return found


def _wrapped(name: str, width: int) -> list[str]:
    """A name in lines of at most so many characters, where it has underscores to break it at."""
    return textwrap.wrap(name.replace("_", "_ "), width, break_long_words=False) if len(name) > width else [name]
