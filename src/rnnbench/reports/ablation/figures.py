"""The figures of an ablation. Each shows every variant beside its baseline, and failed runs as what they are."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rnnbench.reports.ablation.curves import column, over_time, over_training
from rnnbench.reports.ablation.measures import GATES
from rnnbench.reports.ablation.overview import draw_overview, overview_figure
from rnnbench.reports.ablation.study import AblationResult, Study
from rnnbench.reports.figures import ACCENT, BASE, WARN, legend, log_ticks, new_figure, panels, plain, save
from rnnbench.reports.tables.numbers import estimate, missing, short
from rnnbench.store.curves import Curves
from rnnbench.store.rows import number, part

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FOLDER = "figures"
FEW = 3  # studies that have every figure each
LOSS = ("val/loss", "train/loss")
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
    wanted = CAPTIONS if len(result.studies) <= FEW else ("gradient_norm",)
    for n, study in enumerate(result.studies):
        prefix = f"{n + 1}_" if len(result.studies) > 1 else ""
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
    if name in ("loss", "gradient_norm_training"):
        keys = LOSS if name == "loss" else ("train/grad_norm_max",)
        return any(column(histories, run, key) for arm in study.arms for run in arm.runs["id"] for key in keys)
    measure = {"gradient_norm": "grad.median", "gradient_time": "h.first", "cell_state": "c.max"}.get(name, "sat.total")
    return measure in set(study.diagnostics["measure"])


def _draw(study: Study, histories: Curves, name: str) -> Figure:
    if name == "effects":
        return _effects(study)
    if name == "loss":
        key = next(key for key in LOSS if any(column(histories, run, key) for run in study.details))
        return over_training(study, histories, key, "loss on validation" if key == "val/loss" else "training loss")
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
    if not missing(study.margin):
        axes.axvspan(-study.margin, study.margin, color="#dddddd", zorder=0)
    axes.axvline(0, color=BASE, linewidth=1)
    labels, ends = [], study.coverage.set_index("variant")["diverged"]
    for place, row in enumerate(rows):
        main = row["against"] == base
        word = study.verdicts.effects[row["variant"]].word if main else ""
        labels.append(row["variant"] if main else f"{row['variant']}\nagainst {row['against']}")
        said = "no pairs"
        if not missing(row["difference"]):
            colour = {"helps": ACCENT, "hurts": WARN}.get(word, "black")
            if not missing(row["low"]):
                axes.plot([row["low"], row["high"]], [place, place], color=colour, linewidth=2)
            axes.plot(row["difference"], place, "o" if main else "D", color=colour, markersize=6)
            said = f"{estimate(row['difference'], row['low'], row['high'])}  n={row['n']}"
        lost = int(ends[row["variant"]]) if main else 0
        word += f", {lost} diverged" if lost else ""
        right = f"{said}\n{word}" if word else said
        axes.annotate(right, (1.01, place), xycoords=("axes fraction", "data"), va="center", fontsize=9)
    axes.set_yticks(range(len(rows)), labels, fontsize=9)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    better = "right" if study.goal == "max" else "left"
    margin = "" if missing(study.margin) else f"; grey: too small to matter (±{short(study.margin, 3)})"
    axes.set_xlabel(f"difference in {study.metric} to {base}, paired by seed ({better} is better){margin}", fontsize=10)
    axes.set_title(study.title, fontsize=10, loc="left")
    return figure


def _norms(study: Study) -> Figure:
    """One line a variant, marks for every run, on a logarithmic axis."""
    figure = new_figure(1.5 + 0.4 * len(study.arms))
    axes = figure.subplots()
    plain(axes)
    marks = {"median": ("o", ACCENT), "p99": ("|", "black"), "max": ("x", WARN)}
    labels = []
    for place, arm in enumerate(study.arms):
        broke = 0
        for run in arm.runs["id"]:
            norm = part(study.details[run], "grad_norm")
            broke += norm.get("first_non_finite") is not None
            for n, (key, (marker, colour)) in enumerate(marks.items()):
                if (value := number(norm.get(key))) > 0:
                    axes.plot(value, place + 0.18 * (n - 1), marker, color=colour, markersize=6, alpha=0.75)
        labels.append(f"{arm.name}\n{broke} of {len(arm.runs)} not finite" if broke else arm.name)
    axes.set_xscale("log")
    log_ticks(axes.xaxis)
    axes.set_yticks(range(len(labels)), labels, fontsize=9)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_xlabel("gradient norm before clipping, one mark a run", fontsize=10)
    names = {"median": "median", "p99": "99th percentile", "max": "largest"}
    legend(
        figure, [(names[k], {"marker": m, "color": c, "linestyle": "", "markersize": 7}) for k, (m, c) in marks.items()]
    )
    return figure


def _saturation(study: Study) -> Figure:
    """A panel for each gate; stacked bars for each arm: below .01, above .99."""
    found = _saturated(study)
    gates = sorted(
        {gate for _, gate in found}, key=lambda gate: (GATES.find(gate) if gate in GATES else len(GATES), gate)
    )
    height = 0.8 + 0.26 * len(study.arms)
    figure, grid = panels(len(gates), columns=min(len(gates), 4), height=height, sharex=True, sharey=True)
    names = [arm.name for arm in study.arms]
    for axes, gate in zip(grid, gates, strict=True):
        for place, name in enumerate(names):
            runs = found.get((name, gate), [])
            if not runs:
                axes.annotate(
                    "not recorded", (0.02, place), xycoords=("axes fraction", "data"), va="center", fontsize=8
                )
                continue
            low, high = (sum(run[end] for run in runs) / len(runs) for end in (0, 1))
            axes.barh(place, low, color=ACCENT, height=0.6)
            axes.barh(place, high, left=low, color="#E69F00", height=0.6)
            axes.plot([sum(run) for run in runs], [place] * len(runs), ".", color="black", markersize=3)
        axes.set_title(f"gate {gate}", fontsize=9, loc="left")
        axes.xaxis.set_major_formatter(lambda value, _: f"{short(100 * value, 3)}%")
    grid[0].set_yticks(range(len(names)), names, fontsize=9)
    grid[0].set_ylim(len(names) - 0.5, -0.5)
    figure.supxlabel("share of gate values", fontsize=10)
    bar = {"linewidth": 8}
    legend(figure, [("below .01", {"color": ACCENT, **bar}), ("above .99", {"color": "#E69F00", **bar})])
    return figure


def _saturated(study: Study) -> dict[tuple[str, str], list[tuple[float, float]]]:
    """By arm and gate: (below .01, above .99) of every run, mean over its layers."""
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for arm, run in _runs(study):
        by_gate: dict[str, list[tuple[float, float]]] = {}
        for gates in part(study.details[run], "saturation").values():
            for gate in gates if isinstance(gates, Mapping) else ():
                pair = (number(part(gates, gate).get("low")), number(part(gates, gate).get("high")))
                if all(map(math.isfinite, pair)):
                    by_gate.setdefault(str(gate), []).append(pair)
        for gate, pairs in by_gate.items():
            mean = (sum(p[0] for p in pairs) / len(pairs), sum(p[1] for p in pairs) / len(pairs))
            found.setdefault((arm, gate), []).append(mean)
    return found


def _runs(study: Study) -> Iterator[tuple[str, str]]:
    for arm in study.arms:
        for run in arm.runs["id"]:
            yield arm.name, str(run)
