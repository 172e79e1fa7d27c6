"""Is there a gradient problem? Five signs, each compared with the baseline, each with a size that it must reach."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rnnbench.reports.tables.numbers import missing, p_text, points, ratio, share

Row = Mapping[str, Any]
PROBLEM, NONE, UNKNOWN = "problem", "none", "not enough evidence"
FEWEST_FOR_ABSENT = 5  # pairs; below, an interval shows the absence of nothing
FACTOR = 2.0
SPIKES = 0.001  # 1 update in 1000
SATURATED = 0.05


def gradient_rules(alpha: float) -> list[str]:
    """The rules of the gradient verdict, as they stand under every report."""
    return [
        f"Gradient problem: any of five signs with Holm's p < {alpha:g} over the variants (each sign is its own "
        "family) and of the size stated. Diverges: in more seeds than the baseline (status diverged, or a gradient"
        f" that was not finite). Spikes: the share of updates above 10x the median norm is at least {FACTOR:g} "
        f"times the baseline's, and above it by {SPIKES:.1%} of the updates. Bursts: largest / median norm at least"
        f" {FACTOR:g} times the baseline's. Fades: |dLoss/dh| at t=1 relative to t=T at most 1/{FACTOR:g} of the "
        "baseline's. Saturates: the share of gate values below .01 or above .99, mean over gates, at least "
        f"{SATURATED * 100:g} percentage points above the baseline's.",
        f"No gradient problem: at least {FEWEST_FOR_ABSENT} pairs, no more divergences than the baseline, and the "
        "95% interval of every recorded sign excludes the size stated. Otherwise not enough evidence. Signs rest "
        "on all runs that recorded them, failed ones included; a largest norm that was not finite counts as the "
        "largest that any run of the study had.",
    ]


def gradient_verdict(measures: Mapping[str, Row], ends: Row, base: str, alpha: float) -> tuple[str, str]:
    """(word, why) of one variant. measures: its rows of the diagnostics frame over all layers."""
    found = list(_signs(measures, ends, base, alpha))
    if problems := [text for state, text in found if state == PROBLEM]:
        return PROBLEM, "; ".join(problems)
    if not any(measure in measures and measures[measure]["n"] for measure in SIGNS):
        more = [text for state, text in found if state == UNKNOWN and "no pairs" not in text]
        return UNKNOWN, "; ".join(["no gradient diagnostics to compare", *more])
    if open_signs := [text for state, text in found if state == UNKNOWN]:
        return UNKNOWN, "; ".join(open_signs)
    return NONE, "every recorded sign is ruled out"


def _signs(measures: Mapping[str, Row], ends: Row, base: str, alpha: float) -> Iterator[tuple[str, str]]:
    """(state, what was seen) of every sign that was recorded."""
    yield _diverges(ends, base, alpha)
    for measure, (name, sign) in SIGNS.items():
        if measure not in measures:
            continue
        row = measures[measure]
        if not row["n"]:
            yield UNKNOWN, f"{name}: no pairs"
            continue
        large, absent, text = sign(row)
        clear = not missing(row["p_holm"]) and row["p_holm"] < alpha
        enough = row["n"] >= FEWEST_FOR_ABSENT and not missing(row["low"])
        state = PROBLEM if large and clear else NONE if enough and absent else UNKNOWN
        few = f" ({row['n']} pair{'s' * (row['n'] != 1)})" if row["n"] < FEWEST_FOR_ABSENT else ""
        yield state, f"{name} {text}, Holm p {p_text(row['p_holm'])}{few}"


def _diverges(ends: Row, base: str, alpha: float) -> tuple[str, str]:
    own, others, n = int(ends["paired_diverged"]), int(ends["baseline_diverged"]), int(ends["known_ends"])
    text = f"diverges in {own} of {n} seeds, {base} in {others}"
    text += "" if missing(ends["p_holm"]) else f", Holm p {p_text(ends['p_holm'])}"
    if own > others:
        return (PROBLEM if not missing(ends["p_holm"]) and ends["p_holm"] < alpha else UNKNOWN), text
    return (NONE if n >= FEWEST_FOR_ABSENT else UNKNOWN), text


def _spikes(row: Row) -> tuple[bool, bool, str]:
    least = max((FACTOR - 1) * float(row["baseline"]), SPIKES)  # of the difference
    text = f"in {share(row['mean'])} of the updates, {share(row['baseline'])} in the baseline"
    return bool(row["effect"] >= least), bool(row["high"] < least), text


def _bursts(row: Row) -> tuple[bool, bool, str]:
    text = f"{ratio(row['effect'], row['low'], row['high'])} the baseline's"
    return bool(row["effect"] >= FACTOR), bool(row["high"] < FACTOR), text


def _fades(row: Row) -> tuple[bool, bool, str]:
    text = f"{ratio(row['effect'], row['low'], row['high'])} the baseline's"
    return bool(row["effect"] <= 1 / FACTOR), bool(row["low"] > 1 / FACTOR), text


def _saturates(row: Row) -> tuple[bool, bool, str]:
    text = f"{points(row['effect'], row['low'], row['high'])}"
    return bool(row["effect"] >= SATURATED), bool(row["high"] < SATURATED), text


SIGNS = {
    "grad.spikes": ("spikes", _spikes),
    "grad.max_over_median": ("largest / median norm", _bursts),
    "h.first_over_last": ("gradient at t=1 relative to t=T", _fades),
    "sat.total": ("gate saturation", _saturates),
}
