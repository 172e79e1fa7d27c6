"""All studies of one ablation at a glance: every effect on one scale, as a share of what the baseline has learned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pandas as pd

from rnnbench.reports.ablation.study import AblationResult, Study
from rnnbench.reports.figures import ACCENT, BASE, WARN, new_figure, plain
from rnnbench.reports.tables.numbers import estimate, missing, p_text, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OVERVIEW_NOTE = (
    "Share: the difference as a share of the distance from the floor to the study's baseline, positive where the "
    "variant is better. Every study corrects for its own family of comparisons."
)
CAPTION = "Every effect as a share of what its baseline has learned, 95% interval; grey: too small to matter."


def overview_figure(result: AblationResult) -> dict[str, str]:
    """Path by caption of the overview's figure; empty where there is one study only, or nothing to draw."""
    drawn = len(result.studies) > 1 and any(study.effects["difference"].notna().any() for study in result.studies)
    return {CAPTION: "figures/overview.png"} if drawn else {}


def overview_cells(result: AblationResult) -> Iterator[dict[str, str]]:
    """One row a study and variant, as texts by heading."""
    for study, name in zip(result.studies, short_titles(result), strict=True):
        for n, row in enumerate(_main(study)):
            value, low, high = _shares(study, row)
            share = "-" if missing(value) else f"{percent(value)} [{percent(low)}, {percent(high)}]"
            yield {
                "study": name if n == 0 else "",
                "variant": f"{row['variant']} against {row['against']}",
                "pairs": str(row["n"]),
                "difference [95% CI]": estimate(row["difference"], row["low"], row["high"]) or "-",
                "share": share,
                "Holm p": p_text(row["p_holm"]) or "-",
                "verdict": study.verdicts.effects[row["variant"]].word,
                "gradient problem": study.verdicts.gradients[row["variant"]].word,
            }


def short_titles(result: AblationResult) -> list[str]:
    """The studies' titles without what they all begin with."""
    parts = [study.title.split(" · ") for study in result.studies]
    shortest = min(map(len, parts), default=0)
    same = 0
    while same < shortest - 1 and len({part[same] for part in parts}) == 1:  # the last part always stays
        same += 1
    return [" · ".join(part[same:]) for part in parts]


def tally(result: AblationResult) -> list[str]:
    """For every variant in how many studies it got which verdict, as lines of Markdown."""
    found: dict[tuple[str, str], Counter[str]] = {}
    for study in result.studies:
        for row in _main(study):
            key = (str(row["variant"]), str(row["against"]))
            found.setdefault(key, Counter())[study.verdicts.effects[key[0]].word] += 1
    lines = []
    for (name, base), words in found.items():
        total = words.total()
        if total > 1:
            said = ", ".join(f"{word} in {n} of {total}" for word, n in words.items())
            lines.append(f"- **{name}** against {base}: {said}")
    return lines


def _main(study: Study) -> list[pd.Series[Any]]:
    """The comparisons with the baseline."""
    base = study.arms[0].name
    return [row for _, row in study.effects.iterrows() if row["against"] == base]


def _shares(study: Study, row: pd.Series[Any]) -> tuple[float, float, float]:
    """Difference and its interval as shares of the distance from floor to baseline, more is better."""
    sign = -1 if study.goal == "min" else 1
    unit = sign * study.margin / study.share
    value, low, high = (row[key] / unit for key in ("difference", "low", "high"))
    return value, min(low, high), max(low, high)


def draw_overview(result: AblationResult) -> Figure:
    """A forest plot over all studies."""
    lines = sum(1 + len(_main(study)) for study in result.studies)
    figure = new_figure(1.0 + 0.24 * lines)
    axes = figure.subplots()
    plain(axes)
    axes.grid(False, axis="y")
    share = 100 * max(study.share for study in result.studies)
    axes.axvspan(-share, share, color="#dddddd", zorder=0)
    axes.axvline(0, color=BASE, linewidth=1)
    place, labels = 0, []
    for study, name in zip(result.studies, short_titles(result), strict=True):
        labels.append((place, name, True))
        place += 1
        for row in _main(study):
            _line(axes, place, study, row)
            labels.append((place, f"{row['variant']} against {row['against']}", False))
            place += 1
    axes.set_yticks([at for at, _, _ in labels], [text for _, text, _ in labels], fontsize=8)
    for tick, (_, _, head) in zip(axes.get_yticklabels(), labels, strict=True):
        tick.set_fontweight("bold" if head else "normal")
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(place - 0.4, -0.6)
    axes.set_xlabel("difference in % of the distance from floor to baseline (right is better)", fontsize=9)
    return figure


def _line(axes: Axes, place: int, study: Study, row: pd.Series[Any]) -> None:
    """One comparison: difference and interval in percent, the verdict at the right."""
    word = study.verdicts.effects[row["variant"]].word
    colour = {"helps": ACCENT, "hurts": WARN}.get(word, "black")
    value, low, high = (100 * share for share in _shares(study, row))
    if not missing(low):
        axes.plot([low, high], [place, place], color=colour, linewidth=2)
    if not missing(value):
        axes.plot(value, place, "o", color=colour, markersize=5)
    lost = int(study.coverage.set_index("variant").loc[row["variant"], "diverged"])
    text = f"{word}, {lost} diverged" if lost else word
    axes.annotate(text, (1.01, place), xycoords=("axes fraction", "data"), va="center", fontsize=8, color=colour)
