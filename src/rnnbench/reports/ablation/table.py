"""An ablation for people: Markdown and CSV. Formats what `ablation` computed and adds nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from rnnbench.reports.ablation.measures import ALL, measure_name
from rnnbench.reports.ablation.overview import OVERVIEW_NOTE, overview_cells, overview_figure, tally
from rnnbench.reports.ablation.study import AblationResult, Study
from rnnbench.reports.ablation.verdicts import ALPHA, rules
from rnnbench.reports.selection.blocks import terms
from rnnbench.reports.tables.frames import frame_to_csv
from rnnbench.reports.tables.markdown import code, escaped, one_line, table_lines
from rnnbench.reports.tables.numbers import (
    count,
    estimate,
    missing,
    p_bound,
    p_text,
    plus_minus,
    points,
    ratio,
    rounded,
    share,
    short,
    with_arrow,
)
from rnnbench.store.store import write_atomic

FRAMES = ("effects", "diagnostics", "cost", "coverage")
FILES = ("ablation.md", "ablation_verdicts.csv", *(f"ablation_{name}.csv" for name in FRAMES))
Cells = dict[str, str]


def metric_name(study: Study) -> str:
    """ "mse ↓": the main metric and where better is."""
    return with_arrow(study.metric, study.goal)


def effect_cells(study: Study) -> Iterator[Cells]:
    """The rows of the effects table as texts by heading: the baseline, variants, controls, then against controls."""
    base = study.coverage.iloc[0]
    empty = dict.fromkeys(("difference [95% CI]", "p", "Holm p", "verdict"), "")
    yield {"variant": f"{base['variant']} (baseline)", "pairs": "", "mean": _level(base)} | empty
    levels = {row["variant"]: row for _, row in study.coverage.iterrows()}
    for _, row in study.effects.iterrows():
        main = row["against"] == base["variant"]
        yield {
            "variant": row["variant"] if main else f"{row['variant']} against {row['against']}",
            "pairs": str(row["n"]),
            "mean": _level(levels[row["variant"]]),
            "difference [95% CI]": estimate(row["difference"], row["low"], row["high"]) or "-",
            "p": p_text(row["p"]) or "-",
            "Holm p": p_text(row["p_holm"]) or "-",
            "verdict": study.verdicts.effects[row["variant"]].word if main else "",
        }


def _level(row: pd.Series[Any]) -> str:
    return plus_minus(row["mean"], row["low"], row["high"]) or "-"


def diagnostic_cells(study: Study) -> Iterator[Cells]:
    """The rows of the diagnostics table over all layers: the baseline's level, every arm's with its effect."""
    rows = study.diagnostics[study.diagnostics["layer"] == ALL]
    names = list(study.coverage["variant"])
    for measure, family in rows.groupby("measure", sort=False):
        by_arm = {row["variant"]: row for _, row in family.iterrows()}
        first = next((row for row in by_arm.values() if not missing(row["baseline"])), None)
        cells = {"diagnostic": measure_name(str(measure))}
        cells |= {names[0]: "-" if first is None else _size(str(measure), first["baseline"]) or "-"}
        yield cells | {name: _diagnostic(by_arm[name], str(measure)) for name in names[1:]}


def _diagnostic(row: pd.Series[Any], measure: str) -> str:
    """ "16.2 (x4.02)*": the level, how it differs from the baseline, a star where Holm's p is below .05."""
    level = _size(measure, row["mean"])
    if not level or not row["n"]:
        return level or "-"
    effect = ratio(row["effect"]) if row["scale"] == "ratio" else points(row["effect"])
    return f"{level} ({effect})" + ("*" if not missing(row["p_holm"]) and row["p_holm"] < ALPHA else "")


def _size(measure: str, value: Any) -> str:
    return share(value) if measure.startswith("sat.") or measure == "grad.spikes" else short(value, 3)


def cost_cells(study: Study) -> Iterator[Cells]:
    """The rows of the cost table."""
    for _, row in study.cost.iterrows():
        yield {
            "variant": row["variant"],
            "parameters": _with_ratio(count(row["params"]), row["params_ratio"]),
            "training s": _with_ratio(rounded(row["train_seconds"]), row["seconds_ratio"]),
            "memory MB": _with_ratio(rounded(row["peak_memory_mb"]), row["memory_ratio"]),
            "FLOP a step": short(row["flops_per_step"]) or "-",
        }


def _with_ratio(text: str, value: Any) -> str:
    """A number with its ratio to the baseline's."""
    if not text:
        return "-"
    precise = f"x{value:.4f}" if not missing(value) and 0 < abs(value - 1) < 0.005 else ratio(value)
    return f"{text} ({precise})" if precise else text


def coverage_cells(study: Study) -> Iterator[Cells]:
    """The rows of the coverage table: runs, pairs, divergences with p, the verdict on gradients."""
    for _, row in study.coverage.iterrows():
        verdict = study.verdicts.gradients.get(row["variant"])
        first = "" if missing(row["first_non_finite"]) else f", first non-finite at {short(row['first_non_finite'], 6)}"
        yield {
            "variant": row["variant"],
            "runs with a result": row["coverage"],
            "pairs": str(row["pairs"]),
            "diverged": f"{row['diverged']} of {row['runs']}{first}",
            "Holm p": p_text(row["p_holm"]) or "-",
            "gradient problem": verdict.word if verdict else "",
        }


LEFT = frozenset({
    "study", "variant", "verdict", "diagnostic", "runs with a result", "diverged", "gradient problem",
})  # fmt: skip
STAR = (
    f"Mean over the pairs (shares: arithmetic; others: geometric, in brackets the ratio to the baseline). "
    f"* Holm p < {p_bound(ALPHA)} over the variants of a row. Every layer is in ablation_diagnostics.csv."
)


def to_markdown(result: AblationResult, figures: Sequence[Mapping[str, str]] = ()) -> str:
    """The whole report. figures: by study, path by caption."""
    lines = [f"# Ablation: {escaped(result.name)}", ""]
    lines += [f"- not run: {escaped(runs)}: {code(entry)}" for entry, runs in result.not_run.items()] + [""] * bool(
        result.not_run
    )
    if len(result.studies) > 1:
        lines += [
            "## Overview",
            "",
            *tally(result),
            "",
            *table_lines(overview_cells(result), LEFT),
            "",
            OVERVIEW_NOTE,
            "",
        ]
        lines += picture_lines(overview_figure(result))
    for n, study in enumerate(result.studies):
        lines += [f"## {escaped(study.title)}", "", escaped(terms(study.arms[0].runs)), ""]
        lines += [f"- note: {escaped(note)}" for note in study.notes] + [""] * bool(study.notes)
        lines += ["### Verdicts", ""]
        for key, question in study.questions.items():
            lines += [f"**{escaped(question)}** {one_line(study.verdicts.answers[key])}", ""]
        margin = "" if missing(study.margin) else f" Margin: ±{short(study.margin, 3)}."
        lines += [f"### Effect on {escaped(metric_name(study))} (test)", "", *table_lines(effect_cells(study), LEFT)]
        lines += ["", f"Mean ± half of its 95% interval over all runs; differences over the pairs.{margin}"]
        lines += ["", "### Failures and gradients", "", *table_lines(coverage_cells(study), LEFT), ""]
        lines += [f"- {escaped(text)}" for text in gradient_reasons(study)]
        if not study.diagnostics.empty:
            lines += ["", "### Diagnostics", "", *table_lines(diagnostic_cells(study), LEFT), "", STAR]
        lines += [
            "",
            "### Cost",
            "",
            *table_lines(cost_cells(study), LEFT),
            "",
            "Medians; in brackets the ratio to the baseline.",
        ]
        drawn = figures[n] if n < len(figures) else {}
        lines += ["", "### Figures", ""] * bool(drawn) + picture_lines(drawn)
        lines += [""] * (lines[-1] != "")
    lines += ["## Rules of the verdicts", "", *(f"- {escaped(rule)}" for rule in rules(result.spec.margin))]
    return "\n".join(lines) + "\n"


def picture_lines(drawn: Mapping[str, str]) -> list[str]:
    """Figures (path by caption) in Markdown, each with its caption below."""
    return [line for caption, path in drawn.items() for line in (f"![{caption}]({path})", "", caption, "")]


def gradient_reasons(study: Study) -> list[str]:
    """One line for each failure and each verdict on gradients that is not `none`."""
    lines = [f"{row['variant']}: {row['failures']}" for _, row in study.coverage.iterrows() if row["failures"]]
    verdicts = study.verdicts.gradients.items()
    return lines + [f"{name}: {verdict.word}: {verdict.why}" for name, verdict in verdicts if verdict.word != "none"]


def verdicts_frame(result: AblationResult) -> pd.DataFrame:
    """One row a study and variant or control: both verdicts and why, and whether it is the choice."""
    rows = [
        (study.title, name, effect.word, effect.why, gradient.word, gradient.why, name == study.verdicts.choice)
        for study in result.studies
        for name, effect in study.verdicts.effects.items()
        for gradient in [study.verdicts.gradients[name]]
    ]
    return pd.DataFrame(rows, columns=["study", "variant", "effect", "why", "gradient_problem", "signs", "choice"])


def write_ablation(result: AblationResult, folder: str | Path, figures: Sequence[Mapping[str, str]] = ()) -> list[Path]:
    """Write the report as ablation.md and its frames as CSV, each whole or not at all; returns the paths.

    The same records give the same bytes. CSV: every column, floats to 6 significant digits, missing ones empty.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    frames = {"verdicts": verdicts_frame(result)} | {name: result.frame(name) for name in FRAMES}
    contents = {"ablation.md": to_markdown(result, figures)} | {
        f"ablation_{name}.csv": frame_to_csv(frame) for name, frame in frames.items()
    }
    for name, content in contents.items():
        write_atomic(folder / name, content)
    return [folder / name for name in contents]
