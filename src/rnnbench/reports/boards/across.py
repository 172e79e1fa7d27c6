"""The leaderboard across datasets: each league's entries by their scores on all of its tasks, every doubt in sight."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from rnnbench.reports.boards.common_tasks import largest_block, left_out
from rnnbench.reports.boards.leagues import AXES, GRANT, League, granted_in_words, plainest
from rnnbench.reports.statistics import many_tasks as across
from rnnbench.reports.statistics.elo import FEWEST_TASKS, MOST_ENTRIES, elo
from rnnbench.reports.statistics.many_tasks import FEWEST_SEEDS, iqm_interval, mean_ranks
from rnnbench.reports.statistics.paired import smallest_p
from rnnbench.reports.tables.numbers import between, known
from rnnbench.reports.tables.table import Section, Table

COLUMNS: dict[str, str] = {
    "budget": "str", "granted": "str", "device": "str", "precision": "str", "league": "Int64", "rank": "Int64",
    "standing": "str", "label": "str", "iqm": "float64", "iqm_low": "float64", "iqm_high": "float64",
    "mark": "str", "mean_rank": "float64", "better": "float64", "better_low": "float64", "better_high": "float64",
    "against": "str", "elo": "float64", "elo_low": "float64", "elo_high": "float64", "elo_rank": "Int64",
    "clique": "str", "tasks": "Int64", "of_tasks": "Int64", "not_run": "str", "runs": "Int64", "imputed": "Int64",
    "fewest_seeds": "Int64",
    "cell": "str", "operator": "str", "peephole": "str", "direction": "str", "depth": "Int64", "hidden_size": "Int64",
    "options": "str",
}  # fmt: skip
LEGEND = (
    "IQM: mean of the middle half of all runs' scores (0 at the floor, 1 at the target), every task with equal weight, "
    "with its 95% interval by a bootstrap over seeds within tasks. ≈: that interval overlaps the leader's. "
    "Mean rank: over tasks. P(better): the probability that a run beats "
    "a run of the plain LSTM on a task drawn at random, with its interval. Elo: Bradley-Terry over all tasks, plain "
    "LSTM = 1000, interval over resampled datasets; entries whose intervals overlap the leader's share rank 1. "
    "Clique: entries that share a letter are not told apart (Wilcoxon over datasets, Holm). "
    "*: runs that failed are in, as the floor or as the task's worst run, whichever is worse. "
    "n<5: too few seeds for an interval. An entry that was not run on every task of the ranking has no rank and no IQM."
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
    """The figures of one league.

    Ranks, IQM and P(better) are over one set of tasks (`largest_block`), so that a column never holds numbers of
    unequal tasks; Elo, which is made for entries that did not all meet, is over all tasks.
    """
    merits, scores, imputed = (league.values(name) for name in ("merit", "score", "imputed"))
    entries, names = range(len(league.entries)), league.tasks["name"].tolist()
    empty = {t for (_, t), part in merits.items() if np.isnan(part).any()}  # all failed, and no floor to count as
    tasks = [t for t in range(len(names)) if t not in empty]
    on = [[t for t in tasks if (e, t) in merits] for e in entries]
    over, ranked = largest_block(on)
    scored = [t for t in over if not any(np.isnan(scores[e, t]).any() for e in ranked)]
    anchor = plainest(league.entries, [len({*on[e]} & {*over}) for e in entries])
    against = anchor if anchor in ranked else None
    inside = set(ranked)
    rows = [_entry(league, e, on[e], over or tasks) for e in entries]
    for e, row in enumerate(rows):
        mine = [t for t in over or tasks if t in on[e]]
        row |= _counts([merits[e, t] for t in mine], [imputed[e, t] for t in mine])
        found = iqm_interval([scores[e, t] for t in scored] if e in inside else [])
        row |= dict(zip(("iqm", "iqm_low", "iqm_high"), found, strict=True))
        row |= _better(e, against if e in inside else None, over, merits, league)
    remarks = [f"every run failed and no floor is known: not counted: {_names(names, empty)}"] if empty else []
    remarks += left_out(league.tasks, over, tasks, len(ranked), len(rows))
    remarks += _anchor_remark(league, anchor, ranked)
    remarks += _add_ranks(rows, ranked, over, league, scores if scored == over else merits, merits)
    remarks += _add_elo(rows, anchor, tasks, league, merits)
    if unscored := [t for t in over if t not in scored]:
        remarks.append(f"no floor or target, so no score, and not in the IQM: {_names(names, unscored)}")
    _place(rows, ranked)
    rows.sort(key=lambda row: (row["rank"] is None, row["rank"] or 0, _last(-row["elo"]), row["label"]))
    return Standing(rows, _terms(league), remarks)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _names(names: Sequence[str], chosen: Iterable[int]) -> str:
    return ", ".join(names[t] for t in sorted(chosen))


def _entry(league: League, e: int, on: Sequence[int], over: Sequence[int]) -> Row:
    of = league.entries.iloc[e]
    missing = [league.tasks["name"][t] for t in over if t not in on]
    row = {name: of[name] for name in ("label", *AXES)}
    row |= {"budget": league.terms["budget"], "granted": league.terms["granted"]}
    row |= {"device": league.terms["device_kind"], "precision": league.terms["precision"]}
    row |= {"tasks": len(over) - len(missing), "of_tasks": len(over), "not_run": ", ".join(missing)}
    return row | {"rank": None, "standing": "", "clique": "", "mean_rank": math.nan}


def _counts(merits: Sequence[np.ndarray], imputed: Sequence[np.ndarray]) -> Row:
    """How many runs an entry has on the tasks of the ranking, and how few on one of them."""
    fewest = min((len(part) for part in merits), default=0)
    row = {"fewest_seeds": fewest, "mark": f"n<{FEWEST_SEEDS}" if 0 < fewest < FEWEST_SEEDS else ""}
    return row | {"runs": sum(map(len, merits)), "imputed": int(sum(part.sum() for part in imputed))}


def _better(
    e: int, anchor: int | None, over: Sequence[int], merits: dict[tuple[int, int], np.ndarray], league: League
) -> Row:
    """The probability of improvement over the plain LSTM, on the tasks of the ranking."""
    found: tuple[float, float, float] = (math.nan, math.nan, math.nan)
    against = ""
    if anchor is not None and anchor != e:
        found = across.improvement([merits[e, t] for t in over], [merits[anchor, t] for t in over])
        against = league.entries["label"][anchor]
    return dict(zip(("better", "better_low", "better_high"), found, strict=True)) | {"against": against}


def _anchor_remark(league: League, anchor: int | None, ranked: Sequence[int]) -> list[str]:
    if anchor is None:
        return ["no plain LSTM was run: Elo's mean is 1000, and nothing to be better than"]
    said = f"the plain LSTM (Elo 1000) is {league.entries['label'][anchor]}"
    return [said + "; it is not ranked, so nothing is to be better than" * bool(ranked and anchor not in ranked)]


def _datasets(league: League, over: Sequence[int]) -> list[int]:
    """The number of each task's dataset: lengths of one dataset are not independent, and count as one."""
    names = league.tasks["dataset"].fillna("unknown").astype(str)
    numbers = {name: n for n, name in enumerate(dict.fromkeys(names[t] for t in over))}
    return [numbers[names[t]] for t in over]


def _add_ranks(
    rows: Sequence[Row], ranked: Sequence[int], over: Sequence[int], league: League,
    values: dict[tuple[int, int], np.ndarray], merits: dict[tuple[int, int], np.ndarray],
) -> list[str]:  # fmt: skip
    """Mean ranks over tasks, and cliques over datasets by values (scores where there are: they have one unit)."""
    if not ranked:
        return []
    means = np.array([[across.mean(merits[e, t]) for t in over] for e in ranked])
    for e, rank in zip(ranked, mean_ranks(means), strict=True):
        rows[e]["mean_rank"] = float(rank)
    if len(ranked) > MOST_ENTRIES:
        return [f"no test of {len(ranked)} entries: pairs grow with the square"]
    of = _datasets(league, over)
    number = max(of) + 1
    if not across.can_tell_apart(len(ranked), number):
        pairs = len(ranked) * (len(ranked) - 1) // 2
        return [
            f"no test over tasks: with {_counted(number, 'dataset')} Wilcoxon's p is at least "
            f"{smallest_p(number):.2g}, and Holm over {_counted(pairs, 'pair')} would need {across.ALPHA / pairs:.2g}"
        ]
    by_task = np.array([[across.mean(values[e, t]) for t in over] for e in ranked])
    columns = [[n for n, each in enumerate(of) if each == dataset] for dataset in range(number)]
    pooled = np.array([[across.mean(row[column]) for column in columns] for row in by_task])
    for e, letters in zip(ranked, across.cliques(pooled), strict=True):
        rows[e]["clique"] = letters
    return []


def _add_elo(
    rows: Sequence[Row], anchor: int | None, tasks: Sequence[int], league: League,
    merits: dict[tuple[int, int], np.ndarray],
) -> list[str]:  # fmt: skip
    for row in rows:
        row |= {"elo": math.nan, "elo_low": math.nan, "elo_high": math.nan, "elo_rank": None}
    if len(rows) > MOST_ENTRIES:
        return [f"no Elo of {len(rows)} entries: pairs grow with the square; a selection of {MOST_ENTRIES} has it"]
    if not tasks:
        return []
    nobody = np.array([])
    shares = [across.games([merits.get((e, t), nobody) for e in range(len(rows))]) for t in tasks]
    of = _datasets(league, tasks)
    found = elo(np.stack(shares), anchor, datasets=of)
    for e, row in enumerate(rows):
        row |= {"elo": float(found.strength[e]), "elo_low": float(found.low[e]), "elo_high": float(found.high[e])}
        row["elo_rank"] = int(found.rank[e]) or None
    number = max(of) + 1
    said = [
        f"the {len(of)} tasks are of {_counted(number, 'dataset')}; those of one dataset count together in cliques "
        "and Elo's interval"
    ]
    said *= number < len(of)
    few = f"Elo without intervals: resampling {_counted(number, 'dataset')} says nothing, it takes {FEWEST_TASKS}"
    return said + [few] * (number < FEWEST_TASKS)


def _place(rows: Sequence[Row], entries: Sequence[int]) -> None:
    """Ranks by IQM, where no task has a score by mean rank; who is best, and whose interval overlaps the best one's."""
    by_score = any(not math.isnan(rows[e]["iqm"]) for e in entries)
    key = "iqm" if by_score else "mean_rank"
    ranked = [rows[e] for e in entries if not math.isnan(rows[e][key])]
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
    """Every task's protocol, and what it was granted: once where that is equal."""
    protocols = league.tasks["protocol"].fillna("protocol unknown")
    granted = [granted_in_words(*pair) for pair in zip(*(league.tasks[name] for name in GRANT), strict=True)]
    alike = len(set(granted)) == 1
    tasks = [
        f"{name}: {protocol}" + f", {grant}" * (not alike)
        for name, protocol, grant in zip(league.tasks["name"], protocols, granted, strict=True)
    ]
    return f"{len(tasks)} tasks ({'; '.join(tasks)})" + f" · {granted[0]}" * alike


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
    score = between(row["iqm"], row["iqm_low"], row["iqm_high"], 3) or "-"
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
