"""A comparison for people: what is not the same, every shared entry with its change, and what only one side has."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pandas as pd

from rnnbench.reports.compare.compare import LOSSES, Comparison
from rnnbench.reports.statistics.means import FEWEST_FOR_INTERVAL
from rnnbench.reports.tables.labels import dotted, text_or
from rnnbench.reports.tables.numbers import count, known, p_text, rounded, short, with_arrow, with_ends
from rnnbench.reports.tables.table import Section, Table, without_empty

MOST_LISTED = 12
LEGEND = (
    "First, second: means on test over the seeds compared (8 of 10 and 8 seeds: 8 are in both). Gain: second minus "
    "first, with its 95% interval; above 0 is better, whatever the metric's direction. p: paired by seed where 3 seeds "
    "agree, else Welch's test; Holm over all rows in which anything differs. better, worse: p ≤ .05 of sign flips, "
    "from 8 pairs on where Holm can pass at all. perhaps: p ≤ .05 of Student's t or Welch's test where it cannot, or 5 "
    "pairs and more that all differ by the same; no result, but a gate stops there too: it must notice. same: no pair "
    "differs; noise: not told apart; void: neither, of two entries that were asked for against each other and both "
    "solve the task, or neither learns it: alike by the task, which decides nothing; lost: every run failed; fails "
    "more: Fisher's p ≤ .05; moved: equal bits were asked for, and differ. Speed: updates per second, second by first, "
    "on one machine only; taken at different times, so it is told and never gated."
)
SOLVING_LEGEND = (
    " Updates to solve: the Kaplan-Meier median until validation first reached what the task says is solved; never: "
    "runs that did not within their budget (censored). Log-rank p: whether the times differ, over all assignments of "
    "the runs, or 100,000 drawn ones; Holm over the entries that have one."
)
LEFT = frozenset({"entry", "verdict", "notes"})


def compare_table(found: Comparison) -> Table:
    """The comparison as a table: one section a dataset and budget, then what is only on one side."""
    parts = found.rows.groupby(["dataset", "budget"], dropna=False, sort=True)
    sections = [_section(part) for _, part in parts]
    legend = LEGEND + SOLVING_LEGEND * bool(found.rows["p_solve"].notna().any())
    return Table("compare", found.rows, [*sections, _summary(found)], legend, LEFT)


def _section(part: pd.DataFrame) -> Section:
    first = part.iloc[0]
    texts = without_empty([_texts(row) for _, row in part.iterrows()], ("notes",))
    losses = frozenset((n, "verdict") for n, row in enumerate(texts) if row["verdict"] in LOSSES)
    remarks = [said for _, row in part.iterrows() if (said := _solving(row))]
    title, terms = dotted(first["dataset"], first["budget"]), text_or(first["protocol"], "")
    return Section(title, texts, terms, remarks, bold=losses)


def _summary(found: Comparison) -> Section:
    """How many entries got which verdict, and what is not in the rows."""
    verdicts = Counter(found.rows["verdict"])
    entries = "1 entry" if len(found.rows) == 1 else f"{len(found.rows)} entries"
    said = ", ".join(f"{n} {verdict}" for verdict, n in sorted(verdicts.items()))
    return Section(f"{entries} compared: {said}", [], remarks=_remarks(found))


def _remarks(found: Comparison) -> list[str]:
    lines = list(found.changed)
    for word, only in (("first", found.only_a), ("second", found.only_b)):
        lines += [f"only in the {word}: {line}" for line in only[:MOST_LISTED]]
        if len(only) > MOST_LISTED:
            lines.append(f"only in the {word}: {len(only) - MOST_LISTED} more")
    return lines


def _texts(row: pd.Series[Any]) -> dict[str, str]:
    fails = [row["runs_a"] - row["n_a"], row["runs_b"] - row["n_b"]]
    return {
        "entry": _entry(row),
        "metric": with_arrow(row["metric"], row["goal"]),
        "first": short(row["a"]) or "-",
        "second": short(row["b"]) or "-",
        "n": _seeds(row),
        "gain": with_ends(row["gain"], row["low"], row["high"]) or "-",
        "p (Holm)": p_text(row["p_holm"]),
        "verdict": str(row["verdict"]),
        "failed": f"{fails[0]} -> {fails[1]}" if any(fails) else "",
        "speed": f"×{rounded(row['speed_ratio'])}" if known(row["speed_ratio"]) else "",
        "notes": row["notes"],
    }


def _solving(row: pd.Series[Any]) -> str:
    """How long both took to solve the task, how many runs never did, and the p; empty where nothing says it."""
    if not known(row["p_solve"]):
        return ""
    medians = [count(row[f"solve_{side}"]) or "more than its budget" for side in "ab"]
    never = [f"{row[f'censored_{side}']} of {row[f'timed_{side}']}" for side in "ab"]
    return (
        f"{_entry(row)}: updates to solve {medians[0]} -> {medians[1]} (medians), never in {never[0]} -> {never[1]} "
        f"runs, log-rank p {p_text(row['p_solve'])}"
    )


def _entry(row: pd.Series[Any]) -> str:
    other = f" -> {row['label_b']}" if row["label_b"] != row["label"] else ""
    return f"{row['label']}{other}"


def _seeds(row: pd.Series[Any]) -> str:
    """Over how many seeds the means are."""
    pairs, n = row["pairs"], (row["n_a"], row["n_b"])
    if pairs < FEWEST_FOR_INTERVAL:
        return f"{n[0]} and {n[1]} seeds"
    return f"{pairs} pairs" if n == (pairs, pairs) else f"{pairs} of {n[0]} and {n[1]} seeds"
