"""Is there a gradient problem? Five signs, each compared with the baseline, each with a size that it must reach."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rnnbench.reports.tables.frames import Row
from rnnbench.reports.tables.numbers import missing, p_bound, p_text, points, ratio, share

Sign = Callable[[Row], tuple[bool, bool, str]]  # is it large, is it small enough to be absent, what was seen
NO_PAIRS = "no pairs"
PROBLEM, NONE, UNKNOWN = "problem", "none", "not enough evidence"
FEWEST_FOR_ABSENT = 5  # pairs; below, an interval shows the absence of nothing
FACTOR = 2.0
SPIKES = 0.001  # 1 update in 1000
SATURATED = 0.05


def gradient_rules(alpha: float) -> list[str]:
    """The rules of the gradient verdict, as they stand under every report."""
    return [
        f"Gradient problem: any of five signs with Holm's p < {p_bound(alpha)} over the variants (each sign is its own "
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
    texts: dict[str, list[str]] = {PROBLEM: [], NONE: [], UNKNOWN: []}
    for state, text in _signs(measures, ends, base, alpha):
        texts[state].append(text)
    if texts[PROBLEM]:
        return PROBLEM, "; ".join(texts[PROBLEM])
    has_pairs = any(measures[measure]["n"] for measure in SIGNS if measure in measures)
    if not has_pairs:
        more = [text for text in texts[UNKNOWN] if NO_PAIRS not in text]
        return UNKNOWN, "; ".join(["no gradient diagnostics to compare", *more])
    if texts[UNKNOWN]:
        return UNKNOWN, "; ".join(texts[UNKNOWN])
    return NONE, "every recorded sign is ruled out"


def _signs(measures: Mapping[str, Row], ends: Row, base: str, alpha: float) -> Iterator[tuple[str, str]]:
    """(state, what was seen) of every sign that was recorded."""
    yield _diverges(ends, base, alpha)
    for measure, (name, sign) in SIGNS.items():
        if measure in measures:
            yield _state(measures[measure], name, sign, alpha)


def _state(row: Row, name: str, sign: Sign, alpha: float) -> tuple[str, str]:
    """(state, what was seen) of one sign that was recorded."""
    n = row["n"]
    if not n:
        return UNKNOWN, f"{name}: {NO_PAIRS}"
    is_large, is_absent, text = sign(row)
    said = f"{name} {text}, Holm p {p_text(row['p_holm'])}"
    is_enough = n >= FEWEST_FOR_ABSENT
    if not is_enough:
        said += f" ({n} pair)" if n == 1 else f" ({n} pairs)"
    if is_large and _below(row["p_holm"], alpha):
        return PROBLEM, said
    if is_absent and is_enough and not missing(row["low"]):
        return NONE, said
    return UNKNOWN, said


def _below(p: Any, alpha: float) -> bool:
    return not missing(p) and p < alpha


def _diverges(ends: Row, base: str, alpha: float) -> tuple[str, str]:
    own, others, n = int(ends["paired_diverged"]), int(ends["baseline_diverged"]), int(ends["known_ends"])
    text = f"diverges in {own} of {n} seeds, {base} in {others}"
    if not missing(ends["p_holm"]):
        text += f", Holm p {p_text(ends['p_holm'])}"
    if own > others:
        return (PROBLEM if _below(ends["p_holm"], alpha) else UNKNOWN), text
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
    text = points(row["effect"], row["low"], row["high"])
    return bool(row["effect"] >= SATURATED), bool(row["high"] < SATURATED), text


SIGNS: dict[str, tuple[str, Sign]] = {
    "grad.spikes": ("spikes", _spikes),
    "grad.max_over_median": ("largest / median norm", _bursts),
    "h.first_over_last": ("gradient at t=1 relative to t=T", _fades),
    "sat.total": ("gate saturation", _saturates),
}
