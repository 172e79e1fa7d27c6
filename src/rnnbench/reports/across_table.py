"""The leaderboard across datasets: each league's entries by their scores on all of its tasks, every doubt in sight."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from rnnbench.reports import across
from rnnbench.reports.across import iqm_interval, mean_ranks
from rnnbench.reports.elo import FEWEST_TASKS, MOST_ENTRIES, elo
from rnnbench.reports.export import Section, Table
from rnnbench.reports.leagues import AXES, League, plainest
from rnnbench.reports.numbers import known, plus_minus
from rnnbench.reports.paired import smallest_p
from rnnbench.reports.stats import FEWEST_FOR_INTERVAL

COLUMNS: dict[str, str] = {
    "budget": "str", "device": "str", "precision": "str", "league": "Int64", "rank": "Int64", "standing": "str",
    "label": "str", "iqm": "float64", "iqm_low": "float64", "iqm_high": "float64", "mark": "str",
    "mean_rank": "float64", "better": "float64", "better_low": "float64", "better_high": "float64",
    "against": "str", "elo": "float64", "elo_low": "float64", "elo_high": "float64", "elo_rank": "Int64",
    "clique": "str", "tasks": "Int64", "of_tasks": "Int64", "not_run": "str", "runs": "Int64", "imputed": "Int64",
    "fewest_seeds": "Int64",
    "cell": "str", "operator": "str", "peephole": "str", "direction": "str", "depth": "Int64", "hidden_size": "Int64",
    "options": "str",
}  # fmt: skip
LEGEND = (
    "IQM: mean of the middle half of all runs' scores (0 at the floor, 1 at the target), every task with equal weight, "
    "± half of its 95% interval by a bootstrap over seeds within tasks. ≈: that interval overlaps the leader's. "
    "Mean rank: over tasks, of the entries that ran on all of them. P(better): the probability that a run beats "
    "a run of the plain LSTM on a task drawn at random, with its interval. Elo: Bradley-Terry, plain LSTM = 1000, "
    "interval over resampled tasks; entries whose intervals overlap the leader's share rank 1. "
    "Clique: entries that share a letter are not told apart (Wilcoxon over tasks, Holm). "
    "*: runs that failed are in, as the floor or as the task's worst run, whichever is worse. "
    "n<3: too few seeds for an interval. An entry that was not run on every task has no rank."
)
LEFT = frozenset({"entry", "clique", "not run on"})
Row = dict[str, Any]


@dataclass(frozen=True)
class Standing:
    """A league in figures: a row an entry, best first, and what must be said of them."""

    rows: list[Row]
    terms: str
    remarks: list[str]


def across_table(leagues: Sequence[League]) -> Table:
    """The table of all leagues that have at least two tasks and two entries; `COLUMNS` are those of its frame.

    standing is `best` (the IQM's interval is apart from every other ranked one), `tied` or empty. imputed: runs that
    failed and count as the floor or worse; not_run: the league's tasks that the entry was not run on.
    """
    found = [league for league in leagues if len(league.tasks) > 1 and len(league.entries) > 1]
    standings = [stand(league) for league in found]
    rows = [row | {"league": n} for n, standing in enumerate(standings, 1) for row in standing.rows]
    frame = pd.DataFrame({name: pd.Series([row[name] for row in rows], dtype=kind) for name, kind in COLUMNS.items()})
    sections = [
        Section(f"across {league.title}", *_shown(standing)) for league, standing in zip(found, standings, strict=True)
    ]
    return Table("across", frame, sections, LEGEND, LEFT, "No two entries met on two datasets yet.")


def stand(league: League) -> Standing:
    """The figures of one league."""
    merits, scores, imputed = (league.values(name) for name in ("merit", "score", "imputed"))
    entries, tasks = range(len(league.entries)), range(len(league.tasks))
    on = {e: [t for t in tasks if (e, t) in merits] for e in entries}
    complete = [e for e in entries if len(on[e]) == len(tasks)]
    scored = [t for t in tasks if not any(np.isnan(scores[e, t]).any() for e in entries if t in on[e])]
    anchor = plainest(league.entries, [len(on[e]) for e in entries])
    rows = [_entry(league, e, on[e]) for e in entries]
    for e, row in enumerate(rows):
        mine = [t for t in on[e] if t in scored]
        row |= dict(zip(("iqm", "iqm_low", "iqm_high"), iqm_interval([scores[e, t] for t in mine]), strict=True))
        fewest = min(len(merits[e, t]) for t in on[e])
        row |= {"fewest_seeds": fewest, "mark": f"n<{FEWEST_FOR_INTERVAL}" if fewest < FEWEST_FOR_INTERVAL else ""}
        row |= {"runs": sum(len(merits[e, t]) for t in on[e])}
        row |= {"imputed": int(sum(imputed[e, t].sum() for t in on[e]))}
        row |= _better(e, anchor, on, merits, league)
    remarks = _anchor_remark(league, anchor)
    remarks += _add_ranks(rows, complete, league, merits)
    remarks += _add_elo(rows, anchor, league, merits)
    unscored = [league.tasks["name"][t] for t in tasks if t not in scored]
    if unscored:
        remarks.append(f"no floor or target, so no score, and not in the IQM: {', '.join(unscored)}")
    _place(rows, complete)
    rows.sort(key=lambda row: (row["rank"] is None, row["rank"] or 0, _last(-row["iqm"]), row["label"]))
    return Standing(rows, _terms(league), remarks)


def _entry(league: League, e: int, on: Sequence[int]) -> Row:
    of = league.entries.iloc[e]
    missing = [name for t, name in enumerate(league.tasks["name"]) if t not in on]
    row = {name: of[name] for name in ("label", *AXES)}
    row |= {"budget": league.terms["budget"], "device": league.terms["device_kind"]}
    row |= {"precision": league.terms["precision"], "tasks": len(on), "of_tasks": len(league.tasks)}
    return row | {"not_run": ", ".join(missing), "rank": None, "standing": "", "clique": "", "mean_rank": math.nan}


def _better(
    e: int, anchor: int | None, on: dict[int, list[int]], merits: dict[tuple[int, int], np.ndarray], league: League
) -> Row:
    """The probability of improvement over the plain LSTM, on the tasks that both were run on."""
    found: tuple[float, float, float] = (math.nan, math.nan, math.nan)
    against = ""
    if anchor is not None and anchor != e:
        common = [t for t in on[e] if t in on[anchor]]
        found = across.improvement([merits[e, t] for t in common], [merits[anchor, t] for t in common])
        against = league.entries["label"][anchor] if common else ""
    return dict(zip(("better", "better_low", "better_high"), found, strict=True)) | {"against": against}


def _anchor_remark(league: League, anchor: int | None) -> list[str]:
    if anchor is None:
        return ["no plain LSTM was run: Elo's mean is 1000, and nothing to be better than"]
    return [f"the plain LSTM (Elo 1000) is {league.entries['label'][anchor]}"]


def _add_ranks(
    rows: Sequence[Row], complete: Sequence[int], league: League, merits: dict[tuple[int, int], np.ndarray]
) -> list[str]:
    """Mean ranks and cliques of the entries that were run on every task."""
    tasks = len(league.tasks)
    if len(complete) < 2:
        return ["fewer than two entries were run on every task: no ranks; a selection of fewer tasks may have them"]
    means = np.array([[merits[e, t].mean() for t in range(tasks)] for e in complete])
    for e, rank in zip(complete, mean_ranks(means), strict=True):
        rows[e]["mean_rank"] = float(rank)
    if len(complete) > MOST_ENTRIES:
        return [f"no test of {len(complete)} entries: pairs grow with the square"]
    if not across.can_tell_apart(len(complete), tasks):
        pairs = len(complete) * (len(complete) - 1) // 2
        return [
            f"no test over tasks: with {tasks} of them Wilcoxon's p is at least {smallest_p(tasks):.2g}, and Holm over "
            f"{pairs} pairs would need {across.ALPHA / pairs:.2g}"
        ]
    for e, letters in zip(complete, across.cliques(means), strict=True):
        rows[e]["clique"] = letters
    return []


def _add_elo(
    rows: Sequence[Row], anchor: int | None, league: League, merits: dict[tuple[int, int], np.ndarray]
) -> list[str]:
    blank = {"elo": math.nan, "elo_low": math.nan, "elo_high": math.nan, "elo_rank": None}
    for row in rows:
        row |= blank
    if len(rows) > MOST_ENTRIES:
        return [f"no Elo of {len(rows)} entries: pairs grow with the square; a selection of {MOST_ENTRIES} has it"]
    nobody = np.array([])
    shares = [across.games([merits.get((e, t), nobody) for e in range(len(rows))]) for t in range(len(league.tasks))]
    found = elo(np.stack(shares), anchor)
    for e, row in enumerate(rows):
        row |= {"elo": float(found.strength[e]), "elo_low": float(found.low[e]), "elo_high": float(found.high[e])}
        row["elo_rank"] = int(found.rank[e]) or None
    few = len(league.tasks) < FEWEST_TASKS
    return [f"Elo without intervals: resampling {len(league.tasks)} tasks says nothing, it takes {FEWEST_TASKS}"] * few


def _place(rows: Sequence[Row], complete: Sequence[int]) -> None:
    """Ranks by IQM, where no task has a score by mean rank; who is best, and whose interval overlaps the best one's."""
    if len(complete) < 2:
        return
    by_score = any(not math.isnan(rows[e]["iqm"]) for e in complete)
    key = "iqm" if by_score else "mean_rank"
    ranked = [rows[e] for e in complete if not math.isnan(rows[e][key])]
    ranked.sort(key=lambda row: (-row["iqm"] if by_score else row["mean_rank"], row["label"]))
    for place, row in enumerate(ranked, 1):
        row["rank"] = place
    if len(ranked) < 2 or not by_score or math.isnan(ranked[0]["iqm_low"]):
        return
    first = ranked[0]
    tied = [row for row in ranked[1:] if row["iqm_high"] >= first["iqm_low"] and row["iqm_low"] <= first["iqm_high"]]
    if tied:
        for row in (first, *tied):
            row["standing"] = "tied"
    elif not any(math.isnan(row["iqm_low"]) for row in ranked):
        first["standing"] = "best"


def _last(value: float) -> float:
    return math.inf if math.isnan(value) else value


def _terms(league: League) -> str:
    protocols = league.tasks["protocol"].fillna("protocol unknown")
    tasks = [f"{name}: {protocol}" for name, protocol in zip(league.tasks["name"], protocols, strict=True)]
    return f"{len(tasks)} tasks ({'; '.join(tasks)})"


def _shown(standing: Standing) -> tuple[list[dict[str, str]], str, list[str], frozenset[tuple[int, str]]]:
    """Rows as texts, and the other parts of a section."""
    some = {
        name: any(test(row) for row in standing.rows)
        for name, test in {
            "clique": lambda row: row["clique"],
            "not run on": lambda row: row["not_run"],
            "Elo rank": lambda row: row["elo_rank"],
        }.items()
    }
    rows = []
    for row in standing.rows:
        cells = _cells(row)
        rows.append({name: text for name, text in cells.items() if some.get(name, True)})
    best = frozenset(
        (n, name) for n, row in enumerate(standing.rows) if row["standing"] == "best" for name in ("entry", "IQM ↑")
    )
    return rows, standing.terms, standing.remarks, best


def _cells(row: Row) -> dict[str, str]:
    score = plus_minus(row["iqm"], row["iqm_low"], row["iqm_high"]) or "-"
    score += f" ({row['mark']})" * bool(row["mark"]) + " ≈" * (row["standing"] == "tied")
    return {
        "#": "-" if row["rank"] is None else str(row["rank"]),
        "entry": row["label"],
        "IQM ↑": score,
        "mean rank ↓": f"{row['mean_rank']:.2f}" if known(row["mean_rank"]) else "",
        "P(better)": between(row["better"], row["better_low"], row["better_high"], 2),
        "Elo": between(row["elo"], row["elo_low"], row["elo_high"], 0),
        "Elo rank": "" if row["elo_rank"] is None else str(row["elo_rank"]),
        "clique": row["clique"],
        "tasks": f"{row['tasks']}/{row['of_tasks']}",
        "runs": f"{row['runs'] - row['imputed']}/{row['runs']}" + "*" * bool(row["imputed"]),
        "not run on": row["not_run"],
    }


def between(value: float, low: float, high: float, decimals: int) -> str:
    """ "0.61 [0.40, 0.83]", the number alone where there is no interval, empty where there is no number."""
    if not known(value):
        return ""
    ends = f" [{low:.{decimals}f}, {high:.{decimals}f}]" if known(low) and known(high) else ""
    return f"{value:.{decimals}f}{ends}"
