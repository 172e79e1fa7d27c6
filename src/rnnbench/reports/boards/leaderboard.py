"""The leaderboard: entries compared on equal terms, with spread, floor, target, cost, and every failure in sight."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from rnnbench.reports.boards.floors import floors_of, key_of, with_floors
from rnnbench.reports.selection.axes import AXES, axis_words
from rnnbench.reports.selection.chosen import ROW, choose
from rnnbench.reports.selection.coverage import coverage, failures, fill_unknown
from rnnbench.reports.statistics.counts import solved_interval
from rnnbench.reports.statistics.means import FEWEST_FOR_INTERVAL, can_part, mean_ci, mean_of_known
from rnnbench.reports.tables.frames import Row, typed_frame
from rnnbench.reports.tables.labels import text_or, told_apart
from rnnbench.reports.tables.standing import standings
from rnnbench.store.rows import BLOCK

MACHINE = ("device", "host", "threads", "torch")  # times compare on one

Part = Mapping[str, np.ndarray]  # some runs: their columns by name

# What of a runs frame a row is made from.
USED = tuple(dict.fromkeys((
    "id", *BLOCK, *ROW, *AXES, "label", "entry", "status", "reason", "value", "val", "training", "floor", "floor_name",
    "target", "solved", "params", "live_params", "train_seconds", "steps_per_second", *MACHINE,
    "source_hash", "dirty", "stage", "stale",
)))  # fmt: skip

COLUMNS: dict[str, str] = {
    "dataset": "str", "dataset_version": "str", "protocol": "str", "data_hash": "str",
    "budget": "str", "updates": "Int64", "batch_size": "Int64", "metric": "str", "goal": "str",
    "rank": "Int64", "standing": "str", "label": "str",
    "settings": "str", "trials": "Int64", "training": "str", "entry": "str",
    "mean": "float64", "low": "float64", "high": "float64", "n": "Int64", "mark": "str", "val": "float64",
    "floor": "float64", "floor_name": "str", "target": "float64", "score": "float64",
    "params": "Int64", "live_params": "Int64", "train_seconds": "float64", "steps_per_second": "float64",
    "device": "str", "precision": "str", "backend": "str",
    "runs": "Int64", "ok": "Int64", "coverage": "str", "failures": "str", "notes": "str",
    "cell": "str", "operator": "str", "peephole": "str", "direction": "str", "depth": "Int64", "hidden_size": "Int64",
    "options": "str",
}  # fmt: skip
# Of a board with a task that can be solved, after those.
SOLVED: dict[str, str] = {
    "solved": "Int64", "solved_of": "Int64", "solved_low": "float64", "solved_high": "float64", "solved_at": "float64",
    "best_seed": "float64",
}  # fmt: skip


def leaderboard(frame: pd.DataFrame) -> pd.DataFrame:
    """The leaderboard of a runs frame (of `records_frame`), datasets grouped, best first, failures last.

    An entry is one result-changing config without its seed. A row is one choice of axes on one dataset, protocol, data,
    budget, device kind, precision, backend and number of threads; of several entries there (a search) it shows the one
    with the best mean value on validation. Test values choose nothing. Columns, missing where unknown:

    - dataset, dataset_version, protocol, data_hash, budget, updates, batch_size, metric, goal: ranks hold within these
    - rank: 1 is best by mean; missing without a value. standing: `best` (its interval is apart from every other, and
      none of them is of width 0 from fewer than 5 seeds), `tied` (intervals overlap the leader's, who is marked as
      well), else empty
    - label: the axes in words, with what tells two equal labels apart; entry: the id of the entry shown
    - settings: `default`, `set` (one entry, with training options given) or `tuned` (the best of several entries);
      trials: how many entries there were, or trials of a search (its winner is shown by its final runs);
      training: optimizer and training options of the one shown
    - mean, low, high: of the main metric on test over the ok runs, with its 95% interval; n: of how many seeds;
      mark: `n<3` where these are too few for an interval; val: the mean on validation
    - floor, floor_name, target; score: 0 at the floor, 1 at the target
    - params, live_params; train_seconds (s), steps_per_second (1/s): medians over the ok runs. Speeds compare only
      under one device, precision and backend; none is given where a row's runs had several machines or torch versions,
      and a row of another machine than most of its block says so in notes
    - device (its kind), precision, backend
    - runs, ok: counts; coverage: "2/3: 1 diverged"; failures: the same with reasons; notes: what else to know (`stale`
      runs are counted where frame has such a column: of those that are `sweeps.stale`)
    - cell, operator, peephole, direction, depth, hidden_size, options: the axes one by one
    - solved, solved_of, solved_low, solved_high, solved_at, only where a record says from where on its task is solved:
      how many of so many runs solved it (one that failed did not), the exact 95% interval of that share
      (`statistics.counts`), and the value of the main metric on test that it takes; best_seed: the best run's value,
      which papers on such tasks print in the place of the mean

    Where records keep their floors by name, each is a row as well (`boards.floors`): settings is `floor`, or `fitted`
    of the reference, and rank, entry and n are missing.
    """
    runs = fill_unknown(frame.sort_values("id"))
    runs = choose(runs[[name for name in USED if name in runs]])
    facts = _of_all_runs(runs)
    rows = [_row(part, facts[int(part["row"][0])]) for part in _parts(_shown(runs))]
    can_be_solved = any(row["solved"] is not None for row in rows)
    table = typed_frame(_with_machines(rows), COLUMNS | (SOLVED if can_be_solved else {}))
    for column in ("floor", "floor_name", "target"):
        table[column] = table[column].fillna(_in_block(table, column))
    known = floors_of(frame)
    blocks = []
    for _, block in table.groupby(list(BLOCK), dropna=False, sort=True):
        ranked = _ranked(_told_apart(block))
        said = known.get(key_of(ranked.iloc[0]))
        blocks.append(ranked if said is None else with_floors(ranked, said))
    return pd.concat(blocks, ignore_index=True) if blocks else table


@dataclass(frozen=True)
class _Facts:
    """What is known of a row from all of its runs, those that it does not show as well.

    trials: how many entries there were, or trials of a search; undecided: no validation value to choose by; lost: what
    became of the runs of the entries that are not shown.
    """

    trials: int
    undecided: bool
    lost: str


def _of_all_runs(runs: pd.DataFrame) -> dict[int, _Facts]:
    """The facts of every row of runs (of `choose`)."""
    rows = runs.groupby("row")
    trials = rows["entry"].nunique()
    if "stage" in runs:
        searched = (runs["stage"] == "trial").astype(int).groupby(runs["row"]).sum()
        trials = trials.where(searched == 0, searched)
    undecided = rows["undecided"].first()
    entry = runs[runs["shown"]].drop_duplicates("row").set_index("row")["entry"]
    others = runs[runs["status"] != "ok"]
    others = others[others["entry"] != others["row"].map(entry)]
    lost = {int(part["row"][0]): failures(part) for part in _parts(others[["row", "status", "reason"]])}
    return {int(row): _Facts(int(trials[row]), bool(undecided[row]), lost.get(int(row), "")) for row in undecided.index}


def _shown(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs that rows show, with the number of their machine: device, host, threads and version of torch."""
    shown = runs[runs["shown"]]
    return shown.assign(machine=shown.groupby(list(MACHINE), dropna=False).ngroup())


def _parts(runs: pd.DataFrame) -> Iterator[Part]:
    """The runs of each row, in the order of rows, as arrays by column: a frame for each takes far longer to make."""
    runs = runs.sort_values("row", kind="stable")
    columns = {str(name): _array(runs[name]) for name in runs}
    bounds = [*np.flatnonzero(np.diff(columns["row"], prepend=-1)).tolist(), len(runs)]
    for start, end in itertools.pairwise(bounds):
        yield {name: values[start:end] for name, values in columns.items()}


def _array(column: pd.Series[Any]) -> np.ndarray:
    return column.to_numpy(object if pd.api.types.is_extension_array_dtype(column.dtype) else None)


def _where(part: Part, these: np.ndarray) -> Part:
    return {name: values[these] for name, values in part.items()}


def _in_block(table: pd.DataFrame, column: str) -> pd.Series[Any]:
    """The value that the rows of each block share, for rows that have none of their own."""
    return table.groupby(list(BLOCK), dropna=False)[column].transform("first")


def _row(mine: Part, facts: _Facts) -> Row:
    """One row of the leaderboard from the runs that it shows, and what is known of all its runs."""
    ok = _where(mine, (mine["status"] == "ok") & pd.notna(mine["value"]))
    names = (*AXES, "floor", "floor_name", "target", "params", "live_params", "training")
    row = {name: mine[name][0] for name in (*BLOCK, "label", "precision", "backend")}
    row |= {name: _first_known(mine[name]) for name in names}
    row |= {"rank": None, "standing": "", "entry": mine["entry"][0], "device": mine["device_kind"][0]}
    row |= _settings(facts.trials, row["training"])
    row |= _result(ok, row["floor"], row["target"])
    row |= _solved(mine, -1.0 if row["goal"] == "min" else 1.0)
    row |= _times(ok)
    row |= {"runs": len(mine["status"]), "ok": int((mine["status"] == "ok").sum())}
    row |= {"coverage": coverage(mine), "failures": failures(mine)}
    return row | {"notes": "; ".join(_notes(mine, facts, one_machine=row["machines"] <= 1))}


def _settings(trials: int, training: Any) -> Row:
    """How many settings were tried, and whether the one shown was chosen, given by hand, or is the default one."""
    given = not pd.isna(training) and "=" in training
    return {"trials": trials, "settings": "tuned" if trials > 1 else "set" if given else "default"}


def _result(ok: Part, floor: float, target: float) -> Row:
    """The main metric on test over the runs that have one."""
    n = len(ok["value"])
    mean, low, high = mean_ci(ok["value"])
    few = 0 < n < FEWEST_FOR_INTERVAL
    return {
        "mean": mean, "low": low, "high": high, "n": n, "val": mean_of_known(ok["val"]),
        "mark": f"n<{FEWEST_FOR_INTERVAL}" if few else "", "score": _score(mean, floor, target),
    }  # fmt: skip


def _solved(mine: Part, sign: float) -> Row:
    """How many of the runs solved the task, with the interval of that share; nothing of a task without the notion."""
    at, n = float(_first_known(mine["solved"])), len(mine["status"])
    if math.isnan(at):
        return dict.fromkeys(SOLVED)
    merits = sign * mine["value"].astype(np.float64)
    counts = (mine["status"] == "ok") & ~np.isnan(merits)
    solved = int((counts & (merits >= sign * at)).sum())
    low, high = solved_interval(solved, n)
    best = sign * float(merits[counts].max()) if counts.any() else math.nan
    return {
        "solved": solved, "solved_of": n, "solved_low": low, "solved_high": high, "solved_at": at, "best_seed": best,
    }  # fmt: skip


def _times(ok: Part) -> Row:
    """Medians of the times where one machine took them; how many machines there were, and which it is if one."""
    machines = len(set(ok["machine"]))
    row: Row = dict.fromkeys(("train_seconds", "steps_per_second"), math.nan)
    if machines <= 1:
        row = {name: _median(ok[name]) for name in row}
    machine = tuple(text_or(ok[name][0], "none") for name in MACHINE) if machines == 1 else None
    return row | {"machines": machines, "machine": machine}


def _median(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else math.nan


def _with_machines(rows: list[Row]) -> list[Row]:
    """rows; noted is whose times are of another machine or torch version than most of their block's on that device."""
    blocks: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        if row["machine"] is not None:
            blocks.setdefault(tuple(str(row[name]) for name in (*BLOCK, "device")), []).append(row)
    for block in blocks.values():
        times = Counter(row["machine"] for row in block)
        usual = min(times, key=lambda machine: (-times[machine], machine))
        for row in block:
            if row["machine"] != usual:
                device, host, threads, torch = row["machine"]
                said = f"{OTHER_MACHINE}: {device}, {host}, threads {threads}, torch {torch}"
                row["notes"] = "; ".join(filter(None, [row["notes"], said]))
    return rows


def _first_known(column: np.ndarray) -> Any:
    """The first value that is there; the first of all, missing, where there is none."""
    return column[int(pd.notna(column).argmax())]


def _score(mean: float, floor: float, target: float) -> float:
    """0 at the floor, 1 at the target, for goals of both kinds; NaN where either is unknown or they are equal."""
    return (mean - floor) / (target - floor) if target != floor else math.nan


def _notes(mine: Part, facts: _Facts, *, one_machine: bool) -> list[str]:
    """What a reader must know of a row besides its numbers."""
    notes = []
    if facts.undecided:
        notes.append("no validation value to choose by")
    if not one_machine:
        notes.append("several machines or torch versions: no times")
    sources = mine["source_hash"]
    if (versions := len(set(sources[pd.notna(sources)]))) > 1:
        notes.append(f"{versions} versions of the code")
    if "stale" in mine and mine["stale"].any():
        notes.append(f"{mine['stale'].sum()} stale")
    if any(dirty is True for dirty in mine["dirty"]):
        notes.append("uncommitted changes")
    if facts.lost:
        notes.append(f"in the other trials {facts.lost}")
    return notes


def _told_apart(block: pd.DataFrame) -> pd.DataFrame:
    """block with the differing axes added to labels that would otherwise look the same on one device and backend."""
    block = block.copy()
    for _, same in block.groupby(["device", "precision", "backend"], dropna=False):
        if same["label"].duplicated().any():
            labels = [text_or(label, "unknown") for label in same["label"]]
            ids = [f"entry {entry}" for entry in same["entry"]]
            block.loc[same.index, "label"] = told_apart(labels, axis_words(same), ids)
    return block


def _ranked(block: pd.DataFrame) -> pd.DataFrame:
    """block sorted best first with ranks and standings; rows without a value last, by label."""
    block = block.assign(key=block["mean"] * (-1 if block["goal"].iloc[0] == "max" else 1))
    block = block.sort_values(["key", "label", "device", "precision", "backend", "entry"], na_position="last")
    block = block.drop(columns="key").reset_index(drop=True)
    valued = int(block["mean"].notna().sum())
    block["rank"] = pd.array([n + 1 if n < valued else None for n in range(len(block))], dtype="Int64")
    low, high, n = (block[name][:valued].tolist() for name in ("low", "high", "n"))
    said = standings(low, high, [can_part(*each) for each in zip(low, high, n, strict=True)])
    block["standing"] = pd.Series([*said, *[""] * (len(block) - valued)], dtype="str")
    return block


OTHER_MACHINE = "† times of another machine or torch version"
