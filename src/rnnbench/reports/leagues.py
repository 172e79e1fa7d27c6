"""Which results may be looked at across datasets: entries that met on common tasks, on equal terms.

A task is a `BLOCK`: one dataset, version, protocol, data, budget and metric. A league holds the tasks of one budget (by
name), device kind and precision that entries connect; what differs in one of these is another league, never another
number in the same column. Entries that meet on no task are in no common league.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from rnnbench.reports.frames import BLOCK, compact_json

TERMS = ("budget", "device_kind", "precision")
# Of the axes, what follows from the dataset or from the rule for backends: the same network has others elsewhere.
FOLLOWS = ("encoder", "head", "backend")
AXES = ("cell", "operator", "peephole", "direction", "depth", "hidden_size", "options")
USED = tuple(dict.fromkeys((
    "id", *BLOCK, "device_kind", "precision", "backend", "axes", "label", "entry", "status", "reason", "seed",
    "value", "floor", "floor_name", "target", "row", *AXES,
)))  # fmt: skip


@dataclass(frozen=True)
class League:
    """Entries and the tasks they met on.

    terms: budget, device_kind, precision. tasks: one row a task, `BLOCK`, floor, floor_name, target, and `name`, by
    which its column is told apart. entries: one row an entry, `label` and the axes. runs: one row a run that counts:
    task, entry (rows of these two), id, seed, status, value; merit (value, signed so that more is better); score (0 at
    the floor, 1 at the target; NaN where one is unknown); imputed: the run failed, and its merit and score are the
    floor's, or those of the task's worst run where that is worse (or where there is no floor).
    """

    terms: dict[str, str]
    tasks: pd.DataFrame
    entries: pd.DataFrame
    runs: pd.DataFrame

    @property
    def title(self) -> str:
        """ "adding, digits · small · cpu · precision 32": of few tasks their names, of more their number."""
        names = self.tasks["name"].tolist()
        what = ", ".join(names) if len(names) <= 4 else f"{len(names)} tasks"
        precision = self.terms["precision"]
        on = (self.terms["budget"], self.terms["device_kind"], f"precision {precision}" if precision else "")
        return " · ".join(filter(None, [what, *on]))

    def values(self, column: str) -> dict[tuple[int, int], np.ndarray]:
        """One number a run (merit, score, imputed ...), by (entry, task), by seed."""
        runs = self.runs.sort_values(["entry", "task", "seed", "id"])
        keys = runs[["entry", "task"]].to_numpy()
        starts = np.flatnonzero(np.r_[True, (keys[1:] != keys[:-1]).any(axis=1)]) if len(keys) else np.array([], int)
        parts = np.split(runs[column].to_numpy(), starts[1:])
        return {(int(keys[at, 0]), int(keys[at, 1])): part for at, part in zip(starts, parts, strict=True)}


def leagues(runs: pd.DataFrame) -> list[League]:
    """The leagues of runs (of `chosen.chosen`), by budget, device and precision, the one with most entries first.

    Shown and counted is what the leaderboard shows: of several settings the one that validation prefers.
    """
    if runs.empty:
        return []
    runs = runs.loc[runs["shown"], list(USED)].reset_index(drop=True)
    runs = runs.assign(task=runs.groupby(list(BLOCK), dropna=False, sort=True).ngroup())
    runs = _scored(runs)
    found = []
    for terms, part in runs.groupby(list(TERMS), dropna=False, sort=True):
        part = part.assign(player=_players(part))
        words: Sequence[Any] = terms
        named = {key: "" if pd.isna(word) else str(word) for key, word in zip(TERMS, words, strict=True)}
        made = [_league(named, part[part["component"] == each]) for each in _components(part)]
        found += sorted(made, key=lambda league: (-len(league.entries), league.tasks["name"].tolist()))
    return found


def _scored(runs: pd.DataFrame) -> pd.DataFrame:
    """runs with merit, score and imputed; the floor and the target are the task's."""
    by_task = runs.groupby("task")
    known = {name: by_task[name].transform("first") for name in ("floor", "floor_name", "target", "goal")}
    sign = pd.Series(np.where(known["goal"] == "min", -1.0, 1.0), index=runs.index)
    counts = (runs["status"] == "ok") & runs["value"].notna()
    merit = (sign * runs["value"]).where(counts)
    floor, target = sign * known["floor"], sign * known["target"]
    worst = merit.groupby(runs["task"]).transform("min")
    merit = merit.where(counts, worst.fillna(floor).clip(upper=floor.fillna(np.inf)))
    score = ((merit - floor) / (target - floor)).where(target > floor)
    return runs.assign(**known, merit=merit, score=score, imputed=~counts)


def _players(runs: pd.DataFrame) -> pd.Series[Any]:
    """What makes an entry the same on another dataset; where that leaves two rows on one task, all that tells apart."""
    short = runs["axes"].map(_across)
    rows = runs.groupby([runs["task"], short])["row"].transform("nunique")
    twice = set(short[rows > 1])
    whole = runs["axes"] + runs["backend"].fillna("").astype(str)
    return short.where(~short.isin(list(twice)), whole)


@lru_cache(maxsize=100_000)
def _across(axes: str) -> str:
    try:
        known = json.loads(axes)
    except ValueError:  # a search: its name and study
        return axes
    if not isinstance(known, dict):
        return axes
    options = known.get("options") or {}
    chosen = {name for name in FOLLOWS if any(str(key).startswith(name) for key in options)}
    return compact_json({key: value for key, value in known.items() if key not in FOLLOWS or key in chosen})


def _components(part: pd.DataFrame) -> list[int]:
    """Number (in `part["component"]`) the groups of runs whose entries and tasks connect; the numbers in order."""
    pairs = part[["player", "task"]].drop_duplicates()
    of_task = {task: n for n, task in enumerate(sorted(pairs["task"].unique()))}
    while True:
        least = pairs["task"].map(of_task).groupby(pairs["player"]).transform("min")
        lower = least.groupby(pairs["task"]).min().to_dict()
        if lower == of_task:
            break
        of_task = lower
    part["component"] = part["task"].map(of_task)
    return sorted(part["component"].unique())


def _league(terms: dict[str, str], part: pd.DataFrame) -> League:
    tasks = part.drop_duplicates("task").sort_values("task")
    names = task_names(tasks)
    entries = part.sort_values(["label", "player", "id"]).drop_duplicates("player").reset_index(drop=True)
    entries["label"] = _labels(entries)
    number = {task: n for n, task in enumerate(tasks["task"])}
    player = {key: n for n, key in enumerate(entries["player"])}
    runs = part.assign(task=part["task"].map(number), entry=part["player"].map(player))
    kept = ["task", "entry", "id", "seed", "status", "reason", "value", "merit", "score", "imputed", "backend"]
    tasks = tasks[[*BLOCK, "floor", "floor_name", "target"]].assign(name=names).reset_index(drop=True)
    return League(terms, tasks, entries[["label", *AXES, "axes"]], runs[kept].reset_index(drop=True))


def task_names(tasks: pd.DataFrame) -> list[str]:
    """A name for each task (rows with the columns of `BLOCK`): its dataset, with what tells equal ones apart."""
    names = tasks["dataset"].fillna("unknown").astype(str).tolist()
    for dataset, times in Counter(names).items():
        if times == 1:
            continue
        same = [n for n, name in enumerate(names) if name == dataset]
        rows = tasks.iloc[same]
        differ = [name for name in BLOCK[1:] if rows[name].nunique(dropna=False) > 1]
        for n, (_, row) in zip(same, rows.iterrows(), strict=True):
            names[n] = f"{dataset} [{', '.join(f'{key} {_word(row[key])}' for key in differ)}]"
    return names


def _word(value: Any) -> str:
    return "none" if pd.isna(value) else str(value)


def _labels(entries: pd.DataFrame) -> list[str]:
    """The entries' labels, with what differs added where two are alike."""
    labels = entries["label"].fillna("unknown").astype(str).tolist()
    times = Counter(labels)
    for label in [label for label, n in times.items() if n > 1]:
        same = [n for n, each in enumerate(labels) if each == label]
        rows = entries.iloc[same]
        differ = [name for name in (*AXES, "backend") if rows[name].nunique(dropna=False) > 1]
        texts = [", ".join(f"{key}={_word(row[key])}" for key in differ) for _, row in rows.iterrows()]
        if len(set(texts)) < len(texts):
            texts = [f"{text}, {n}" if text else f"{n}" for n, text in enumerate(texts, 1)]
        for n, text in zip(same, texts, strict=True):
            labels[n] = f"{label} [{text}]"
    return labels


def plainest(entries: pd.DataFrame, tasks_of: Sequence[int]) -> int | None:
    """The row of the plain LSTM among entries: one layer forward, no peephole, nothing set; None where there is none.

    Without a dense LSTM the plain ConvLSTM. Of several the one with most tasks (tasks_of: how many each was run on),
    then the one with fewest layers, forward, without options; then the widest. With peepholes it is none.
    """
    order = []
    for n, (_, row) in enumerate(entries.iterrows()):
        plain = row["cell"] in ("lstm", "convlstm") and (pd.isna(row["peephole"]) or row["peephole"] in ("off", "none"))
        if plain and not str(row["axes"]).startswith("search "):
            depth, size = (0 if pd.isna(row[name]) else int(row[name]) for name in ("depth", "hidden_size"))
            bare = (row["direction"] != "forward", not pd.isna(row["options"]))
            order.append((row["cell"] != "lstm", -tasks_of[n], depth, *bare, -size, n))
    return min(order)[-1] if order else None
