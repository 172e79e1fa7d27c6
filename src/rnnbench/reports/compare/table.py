"""A comparison for people: what is not the same, every shared entry with its change, and what only one side has."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pandas as pd

from rnnbench.reports.compare.compare import LOSSES, Comparison
from rnnbench.reports.statistics.means import FEWEST_FOR_INTERVAL
from rnnbench.reports.tables.numbers import ARROW, known, p_value, rounded, short
from rnnbench.reports.tables.table import Section, Table

MOST_LISTED = 12
LEGEND = (
    "First, second: means on test over the seeds compared (8 of 10 and 8 seeds: 8 are in both). Gain: second minus "
    "first, with its 95% interval; above 0 is better, whatever the metric's direction. p: paired by seed where 3 seeds "
    "agree, else Welch's test; Holm over all rows in which anything differs. better, worse: p ≤ .05 of sign flips, "
    "from 8 pairs on where Holm can pass at all. perhaps: p ≤ .05 of Student's t or Welch's test where it cannot, or 5 "
    "pairs and more that all differ by the same; no result, but a gate stops there too: it must notice. same: no pair "
    "differs; noise: not told apart; lost: every run failed; fails more: Fisher's p ≤ .05; moved: equal bits were "
    "asked for, and differ. Speed: updates per second, second by first, on one machine only; taken at different times, "
    "so it is told and never gated."
)
LEFT = frozenset({"entry", "verdict", "notes"})


def compare_table(found: Comparison) -> Table:
    """The comparison as a table: one section a dataset and budget, then what is only on one side."""
    rows = found.rows
    sections = []
    for _, part in rows.groupby(["dataset", "budget"], dropna=False, sort=True):
        first = part.iloc[0]
        title = " · ".join(str(word) for word in (first["dataset"], first["budget"]) if not pd.isna(word))
        terms = "" if pd.isna(first["protocol"]) else str(first["protocol"])
        texts = [_texts(row) for _, row in part.iterrows()]
        bold = frozenset((n, "verdict") for n, row in enumerate(texts) if row["verdict"] in LOSSES)
        kept = [name for name in texts[0] if name != "notes" or any(row["notes"] for row in texts)]
        sections.append(Section(title, [{name: row[name] for name in kept} for row in texts], terms, bold=bold))
    counts = Counter(rows["verdict"])
    summary = ", ".join(f"{n} {verdict}" for verdict, n in sorted(counts.items()))
    sections.append(
        Section(f"{len(rows)} entr{'y' if len(rows) == 1 else 'ies'} compared: {summary}", [], remarks=_remarks(found))
    )
    return Table("compare", rows, sections, LEGEND, LEFT)


def _remarks(found: Comparison) -> list[str]:
    lines = list(found.changed)
    for word, only in (("first", found.only_a), ("second", found.only_b)):
        lines += [f"only in the {word}: {line}" for line in only[:MOST_LISTED]]
        if len(only) > MOST_LISTED:
            lines.append(f"only in the {word}: {len(only) - MOST_LISTED} more")
    return lines


def _texts(row: pd.Series[Any]) -> dict[str, str]:
    other = f" -> {row['label_b']}" if row["label_b"] != row["label"] else ""
    interval = f" [{short(row['low'], 3)}, {short(row['high'], 3)}]" if known(row["low"]) else ""
    fails = [row["runs_a"] - row["n_a"], row["runs_b"] - row["n_b"]]
    return {
        "entry": f"{row['label']}{other}",
        "metric": f"{row['metric']} {ARROW.get(str(row['goal']), '')}".strip(),
        "first": short(row["a"]) or "-",
        "second": short(row["b"]) or "-",
        "n": _seeds(row),
        "gain": (short(row["gain"], 3) + interval) or "-",
        "p (Holm)": p_value(row["p_holm"]),
        "verdict": str(row["verdict"]),
        "failed": f"{fails[0]} -> {fails[1]}" if any(fails) else "",
        "speed": f"×{rounded(row['speed_ratio'])}" if known(row["speed_ratio"]) else "",
        "notes": row["notes"],
    }


def _seeds(row: pd.Series[Any]) -> str:
    """Over how many seeds the means are."""
    pairs, n = row["pairs"], (row["n_a"], row["n_b"])
    if pairs < FEWEST_FOR_INTERVAL:
        return f"{n[0]} and {n[1]} seeds"
    return f"{pairs} pairs" if n == (pairs, pairs) else f"{pairs} of {n[0]} and {n[1]} seeds"
