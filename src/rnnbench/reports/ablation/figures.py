"""The figures of an ablation. Each shows every variant beside its baseline, and failed runs as what they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnbench.reports.ablation.curves import column, over_time, over_training
from rnnbench.reports.ablation.measures import gate_place, saturated
from rnnbench.reports.ablation.overview import draw_overview, overview_figure
from rnnbench.reports.ablation.study import AblationResult, Study
from rnnbench.reports.figures import ACCENT, BASE, WARN, legend, log_ticks, new_figure, panels, plain, save
from rnnbench.reports.tables.numbers import estimate, missing, short
from rnnbench.store.curves import Curves
from rnnbench.store.rows import number, part

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Ends = tuple[float, float]  # the shares of a gate's values below .01 and above .99

FOLDER = "figures"
ORANGE = "#E69F00"
EFFECT_COLOURS = {"helps": ACCENT, "hurts": WARN}
FEW = 3  # studies that have every figure each
# What must have been recorded for a figure to be drawn: one of these columns of a history, or this measure.
OVER_TRAINING = {"loss": ("val/loss", "train/loss"), "gradient_norm_training": ("train/grad_norm_max",)}
OF_MEASURE = {
    "gradient_norm": "grad.median",
    "gradient_time": "h.first",
    "cell_state": "c.max",
    "saturation": "sat.total",
}
CAPTIONS = {
    "effects": "Paired difference to the baseline with its 95% interval; grey: too small to matter.",
    "loss": "Loss over training: median over seeds, quartiles as band (a run that stopped early keeps its last value); "
    "dashed with a cross: runs that diverged.",
    "gradient_norm": "Gradient norm over training, one mark a run: median, 99th percentile, largest.",
    "gradient_norm_training": "Largest gradient norm since the last validation: median over seeds, quartiles as band.",
    "gradient_time": "Gradient with respect to h at time t: median over seeds, per layer.",
    "cell_state": "Largest |C| at time t: median over seeds, per layer.",
    "saturation": "Share of gate values below .01 and above .99, mean over layers; dots: single runs.",
}


def planned(result: AblationResult, histories: Curves) -> list[dict[str, str]]:
    """By study: the captions of its figures with their paths, as far as there is something to draw.

    Of many studies the overview shows the effects, and each has only what bears on its gradients.
    """
    found = []
    several = len(result.studies) > 1
    wanted = CAPTIONS if len(result.studies) <= FEW else ("gradient_norm",)
    for n, study in enumerate(result.studies, 1):
        prefix = f"{n}_" if several else ""
        names = [name for name in wanted if _has(study, histories, name)]
        found.append({CAPTIONS[name]: f"{FOLDER}/{prefix}{name}.png" for name in names})
    return found


def draw(result: AblationResult, histories: Curves, folder: Path) -> list[Path]:
    """Draw every planned figure into folder/figures/ as PNG; returns the paths."""
    by_caption = {caption: name for name, caption in CAPTIONS.items()}
    paths = [save(draw_overview(result), folder / path) for path in overview_figure(result).values()]
    for study, figures in zip(result.studies, planned(result, histories), strict=True):
        for caption, path in figures.items():
            paths.append(save(_draw(study, histories, by_caption[caption]), folder / path))
    return paths


def _has(study: Study, histories: Curves, name: str) -> bool:
    """Is there anything to draw?"""
    if name == "effects":
        return bool(study.effects["difference"].notna().any())
    if name in OVER_TRAINING:
        return any(column(histories, run, key) for run in study.details for key in OVER_TRAINING[name])
    return OF_MEASURE[name] in set(study.diagnostics["measure"])


def _draw(study: Study, histories: Curves, name: str) -> Figure:
    if name == "effects":
        return _effects(study)
    if name == "loss":
        recorded = [key for key in OVER_TRAINING["loss"] if any(column(histories, run, key) for run in study.details)]
        words = {"val/loss": "loss on validation", "train/loss": "training loss"}
        return over_training(study, histories, recorded[0], words[recorded[0]])
    if name == "gradient_norm_training":
        return over_training(study, histories, "train/grad_norm_max", "gradient norm")
    if name == "gradient_norm":
        return _norms(study)
    if name == "saturation":
        return _saturation(study)
    if name == "gradient_time":
        return over_time(study, "h_grad_norm", "|dLoss/dh| at t", "log")
    return over_time(study, "cell_state_max", "largest |C| at t", "linear")


def _effects(study: Study) -> Figure:
    """A forest plot: one line a variant, baseline at zero, margin as a band, verdict at the right."""
    base = study.arms[0].name
    rows = [row for _, row in study.effects.iterrows()]
    figure = new_figure(1.3 + 0.42 * len(rows))
    axes = figure.subplots()
    plain(axes)
    axes.grid(False, axis="y")
    axes.axvline(0, color=BASE, linewidth=1)
    margin = ""
    if not missing(study.margin):
        axes.axvspan(-study.margin, study.margin, color="#dddddd", zorder=0)
        margin = f"; grey: too small to matter (±{short(study.margin, 3)})"
    labels = []
    for place, row in enumerate(rows):
        is_main = row["against"] == base
        labels.append(row["variant"] if is_main else f"{row['variant']}\nagainst {row['against']}")
        _draw_effect(axes, place, row, study.verdicts.effects[row["variant"]].word if is_main else "")
        said = _effect_words(study, row, is_main)
        axes.annotate(said, (1.01, place), xycoords=("axes fraction", "data"), va="center", fontsize=9)
    axes.set_yticks(range(len(rows)), labels, fontsize=9)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    better = "right" if study.goal == "max" else "left"
    axes.set_xlabel(f"difference in {study.metric} to {base}, paired by seed ({better} is better){margin}", fontsize=10)
    axes.set_title(study.title, fontsize=10, loc="left")
    return figure


def _draw_effect(axes: Axes, place: int, row: pd.Series[Any], word: str) -> None:
    """A difference with its interval. word: the verdict; empty for a comparison with a control, drawn as a diamond."""
    if missing(row["difference"]):
        return
    colour = EFFECT_COLOURS.get(word, "black")
    if not missing(row["low"]):
        axes.plot([row["low"], row["high"]], [place, place], color=colour, linewidth=2)
    axes.plot(row["difference"], place, "o" if word else "D", color=colour, markersize=6)


def _effect_words(study: Study, row: pd.Series[Any], is_main: bool) -> str:
    """The numbers of a comparison; below them, of one with the baseline, the verdict and how many runs diverged."""
    numbers = "no pairs"
    if not missing(row["difference"]):
        numbers = f"{estimate(row['difference'], row['low'], row['high'])}  n={row['n']}"
    if not is_main:
        return numbers
    verdict = study.verdicts.effects[row["variant"]].word
    lost = int(study.coverage.set_index("variant")["diverged"][row["variant"]])
    return f"{numbers}\n{verdict}, {lost} diverged" if lost else f"{numbers}\n{verdict}"


@dataclass(frozen=True)
class Mark:
    """How one norm of a run is drawn. shift: from its arm's line, in lines."""

    key: str
    name: str
    marker: str
    colour: str
    shift: float


NORMS = (
    Mark("median", "median", "o", ACCENT, -0.18),
    Mark("p99", "99th percentile", "|", "black", 0.0),
    Mark("max", "largest", "x", WARN, 0.18),
)


def _norms(study: Study) -> Figure:
    """One line a variant, marks for every run, on a logarithmic axis."""
    figure = new_figure(1.5 + 0.4 * len(study.arms))
    axes = figure.subplots()
    plain(axes)
    labels = []
    for place, arm in enumerate(study.arms):
        norms = [part(study.details[run], "grad_norm") for run in arm.runs["id"]]
        for norm in norms:
            for mark in NORMS:
                value = number(norm.get(mark.key))
                if value > 0:
                    axes.plot(value, place + mark.shift, mark.marker, color=mark.colour, markersize=6, alpha=0.75)
        broke = sum(norm.get("first_non_finite") is not None for norm in norms)
        labels.append(f"{arm.name}\n{broke} of {len(arm.runs)} not finite" if broke else arm.name)
    axes.set_xscale("log")
    log_ticks(axes.xaxis)
    axes.set_yticks(range(len(labels)), labels, fontsize=9)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_xlabel("gradient norm before clipping, one mark a run", fontsize=10)
    line = {"linestyle": "", "markersize": 7}
    legend(figure, [(mark.name, {"marker": mark.marker, "color": mark.colour, **line}) for mark in NORMS])
    return figure


def _saturation(study: Study) -> Figure:
    """A panel for each gate; stacked bars for each arm: below .01, above .99."""
    found = _saturated(study)
    gates = sorted({gate for _, gate in found}, key=lambda gate: (gate_place(gate), gate))
    height = 0.8 + 0.26 * len(study.arms)
    figure, grid = panels(len(gates), columns=min(len(gates), 4), height=height, sharex=True, sharey=True)
    names = [arm.name for arm in study.arms]
    for axes, gate in zip(grid, gates, strict=True):
        for place, name in enumerate(names):
            _draw_saturation(axes, place, found.get((name, gate), []))
        axes.set_title(f"gate {gate}", fontsize=9, loc="left")
        axes.xaxis.set_major_formatter(lambda value, _: f"{short(100 * value, 3)}%")
    grid[0].set_yticks(range(len(names)), names, fontsize=9)
    grid[0].set_ylim(len(names) - 0.5, -0.5)
    figure.supxlabel("share of gate values", fontsize=10)
    bar = {"linewidth": 8}
    legend(figure, [("below .01", {"color": ACCENT, **bar}), ("above .99", {"color": ORANGE, **bar})])
    return figure


def _draw_saturation(axes: Axes, place: int, runs: Sequence[Ends]) -> None:
    """The bars of one arm and gate: the means over its runs, each of which is a dot."""
    if not runs:
        axes.annotate("not recorded", (0.02, place), xycoords=("axes fraction", "data"), va="center", fontsize=8)
        return
    low, high = _means(runs)
    axes.barh(place, low, color=ACCENT, height=0.6)
    axes.barh(place, high, left=low, color=ORANGE, height=0.6)
    axes.plot([sum(run) for run in runs], [place] * len(runs), ".", color="black", markersize=3)


def _saturated(study: Study) -> dict[tuple[str, str], list[Ends]]:
    """By arm and gate: the shares of every run, mean over its layers."""
    found: dict[tuple[str, str], list[Ends]] = {}
    for arm in study.arms:
        for run in arm.runs["id"]:
            layers: dict[str, list[Ends]] = {}
            for gates in part(study.details[run], "saturation").values():
                for gate, ends in saturated(gates).items():
                    if all(map(math.isfinite, ends)):
                        layers.setdefault(gate, []).append(ends)
            for gate, pairs in layers.items():
                found.setdefault((arm.name, gate), []).append(_means(pairs))
    return found


def _means(pairs: Sequence[Ends]) -> Ends:
    low = sum(pair[0] for pair in pairs) / len(pairs)
    high = sum(pair[1] for pair in pairs) / len(pairs)
    return low, high
