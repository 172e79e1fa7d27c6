"""Which results may be looked at across datasets: entries that met on common tasks, on equal terms.

A task is a `BLOCK`: one dataset, version, protocol, data, budget and metric. A league holds the tasks of one budget (by
name), device kind and precision that entries connect; what differs in one of these is another league, never another
number in the same column. Of one dataset and protocol a league has one budget in updates: a budget of one name may
grant different datasets different updates, but the same one twice would count twice. Entries that meet on no task are
in no common league.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from rnnbench.reports.selection.axes import AXES, axis_words
from rnnbench.reports.tables.labels import dotted, text_or, told_apart
from rnnbench.reports.tables.numbers import count
from rnnbench.store.rows import BLOCK, compact_json

TERMS = ("budget", "device_kind", "precision")
GRANT = ("updates", "batch_size")
SUBJECT = tuple(name for name in BLOCK if name not in ("budget", *GRANT))  # a task, whatever it was granted
# Of the axes, what follows from the dataset or from the rule for backends: the same network has others elsewhere.
FOLLOWS = ("encoder", "head", "backend")
USED = tuple(dict.fromkeys((
    "id", *BLOCK, "device_kind", "precision", "backend", "axes", "label", "entry", "status", "reason", "seed",
    "value", "floor", "floor_name", "target", "solved", "row", *AXES,
)))  # fmt: skip


@dataclass(frozen=True)
class League:
    """Entries and the tasks they met on.

    terms: budget, device_kind, precision, and granted: "50,000 updates of 32" where this is a league of its own because
    its datasets were also run with another number of updates, else empty. tasks: one row a task, `BLOCK`, floor,
    floor_name, target, and `name`, by which its column is told apart. entries: one row an entry, `label` and the axes.
    runs: one row a run that counts: task, entry (rows of these two), id, seed, status, value; merit (value, signed so
    that more is better); score (0 at the floor, 1 at the target; NaN where one is unknown); imputed: the run failed,
    and its merit and score are the floor's, or those of the task's worst run in this league where that is worse (or
    where there is no floor; NaN where nothing is known). reached: 1 where it solved the task, 0 where not (a
    failed run did not), NaN of a task that has no such notion.
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
        on = [self.terms[name] for name in ("budget", "granted", "device_kind")]
        precision = self.terms["precision"]
        return dotted(what, *on, f"precision {precision}" if precision else "")

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
        part = part.assign(granted=_granted(part))
        words: Sequence[Any] = terms
        named = {key: "" if pd.isna(word) else str(word) for key, word in zip(TERMS, words, strict=True)}
        for granted, same in part.groupby("granted", sort=True):
            same = same.copy()
            terms_of = named | {"granted": str(granted)}
            made = [_league(terms_of, same[same["component"] == number]) for number in _components(same)]
            found += sorted(made, key=lambda league: (-len(league.entries), league.tasks["name"].tolist()))
    return found


def _granted(part: pd.DataFrame) -> pd.Series[Any]:
    """Which of several budgets in updates each run belongs to, in words; empty for the usual one of its dataset.

    The usual one of a dataset and protocol is that which most results of all these datasets were granted (an entry on a
    dataset is one result), of equal ones the larger. Every other is told by its updates and makes a league of its own.
    """
    grants = pd.Series(
        [granted_in_words(*pair) for pair in zip(*(part[name] for name in GRANT), strict=True)], index=part.index
    )
    subjects = part.groupby(list(SUBJECT), dropna=False, sort=False).ngroup()
    pairs = pd.DataFrame({"grant": grants, "subject": subjects, "player": part["player"], "size": part["updates"]})
    common = pairs.drop_duplicates(["grant", "subject", "player"]).groupby("grant").size()
    choices = pairs.drop_duplicates(["subject", "grant"])
    choices = choices.assign(common=choices["grant"].map(common), size=choices["size"].astype("float64"))
    usual = choices.sort_values(["common", "size", "grant"], ascending=False, na_position="last")
    of = usual.drop_duplicates("subject").set_index("subject")["grant"]
    return grants.where(grants != subjects.map(of), "")


def _scored(runs: pd.DataFrame) -> pd.DataFrame:
    """runs with merit, score and imputed; floor and target are the task's, the worst run is the league's."""
    by_task = runs.groupby("task")
    known = {name: by_task[name].transform("first") for name in ("floor", "floor_name", "target", "goal", "solved")}
    sign = pd.Series(np.where(known["goal"] == "min", -1.0, 1.0), index=runs.index)
    counts = (runs["status"] == "ok") & runs["value"].notna()
    merit = (sign * runs["value"]).where(counts)
    floor, target = sign * known["floor"], sign * known["target"]
    worst = merit.groupby([runs["task"], *(runs[name] for name in TERMS)], dropna=False).transform("min")
    merit = merit.where(counts, worst.fillna(floor).clip(upper=floor.fillna(np.inf)))
    score = ((merit - floor) / (target - floor)).where(target > floor)
    reached = (counts & (merit >= sign * known["solved"])).astype("float64").where(known["solved"].notna())
    return runs.assign(**known, merit=merit, score=score, imputed=~counts, reached=reached)


def _players(runs: pd.DataFrame) -> pd.Series[Any]:
    """What makes an entry the same on another dataset; where that leaves two rows on one task, all that tells apart."""
    short = runs["axes"].map(_across)
    rows = runs.groupby([runs["task"], short])["row"].transform("nunique")
    twice = set(short[rows > 1])
    whole = runs["axes"] + runs["backend"].fillna("").astype(str)
    return short.where(~short.isin(list(twice)), whole)


@lru_cache(maxsize=100_000)
def _across(axes: str) -> str:
    known = _read(axes)
    if known is None:
        return axes
    options = known.get("options") or {}
    chosen = {name for name in FOLLOWS if any(str(key).startswith(name) for key in options)}
    return compact_json({key: value for key, value in known.items() if key not in FOLLOWS or key in chosen})


def _read(axes: str) -> dict[str, Any] | None:
    """An entry's axes; None of a search, whose axes are its name and study."""
    try:
        known = json.loads(axes)
    except ValueError:
        return None
    return known if isinstance(known, dict) else None


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
    measured = ["status", "reason", "value", "merit", "score", "imputed", "reached", "backend"]
    kept = ["task", "entry", "id", "seed", *measured]
    tasks = tasks[[*BLOCK, "floor", "floor_name", "target"]].assign(name=names).reset_index(drop=True)
    return League(terms, tasks, entries[["label", *AXES, "axes"]], runs[kept].reset_index(drop=True))


def task_names(tasks: pd.DataFrame) -> list[str]:
    """A name for each task (rows with the columns of `BLOCK`): its dataset, with what tells equal ones apart."""
    names = tasks["dataset"].fillna("unknown").astype(str).tolist()
    return told_apart(names, lambda n: [f"{key} {text_or(tasks[key].iloc[n], 'none')}" for key in BLOCK[1:]])


def granted_in_words(updates: Any, batch_size: Any) -> str:
    """ "50,000 updates of 32": what runs were granted."""
    if pd.isna(updates):
        return "updates unknown"
    return f"{count(updates)} updates" + ("" if pd.isna(batch_size) else f" of {int(batch_size)}")


def _labels(entries: pd.DataFrame) -> list[str]:
    """The entries' labels, with what differs added where two are alike."""
    labels = entries["label"].fillna("unknown").astype(str).tolist()
    return told_apart(labels, axis_words(entries, ("backend",)))


def plainest(entries: pd.DataFrame, tasks_of: Sequence[int]) -> int | None:
    """The row of the plain LSTM among entries; None where there is none.

    Plain is forward, without peepholes, of no more layers and with no other options than every entry has: where all are
    of two layers, so is the plain one. Without a dense LSTM it is the plain ConvLSTM. Of several the one with most
    tasks (tasks_of: how many each was run on), then the widest.
    """
    options = {n: found for n, text in enumerate(entries["axes"]) if (found := _options(str(text))) is not None}
    if not options:
        return None
    shared = frozenset.intersection(*options.values())
    depths = [_size(depth) for depth in entries["depth"].iloc[list(options)].dropna()]
    least = min(depths, default=0)
    alike = [n for n, mine in options.items() if mine == shared]
    preferences = [_preference(entries.iloc[n], tasks_of[n], n) for n in alike if _is_plain(entries.iloc[n], least)]
    return min(preferences)[-1] if preferences else None


def _options(axes: str) -> frozenset[str] | None:
    """An entry's options, one text each; None of a search."""
    known = _read(axes)
    if known is None:
        return None
    return frozenset(compact_json({key: value}) for key, value in (known.get("options") or {}).items())


def _is_plain(entry: pd.Series[Any], layers: int) -> bool:
    """Whether this is an LSTM or ConvLSTM, forward, without peepholes, of at most so many layers."""
    without_peephole = pd.isna(entry["peephole"]) or entry["peephole"] in ("off", "none")
    forward_lstm = entry["cell"] in ("lstm", "convlstm") and entry["direction"] == "forward"
    return forward_lstm and without_peephole and _size(entry["depth"]) <= layers


def _preference(entry: pd.Series[Any], tasks: int, n: int) -> tuple[bool, int, int, int]:
    """Less is preferred: a dense LSTM, on more tasks, wider, then the first."""
    return entry["cell"] != "lstm", -tasks, -_size(entry["hidden_size"]), n


def _size(value: Any) -> int:
    return 0 if pd.isna(value) else int(value)
