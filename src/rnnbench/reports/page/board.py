"""The leaderboard of a page: blocks, entries with their runs, what they were made from, and who is on the front.

A page says what it leaves out: runs beyond `RUNS` of one entry, configs beyond `CONFIGS` entries.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from rnnbench.reports.boards.floors import entries, is_floor
from rnnbench.reports.boards.leaderboard import leaderboard
from rnnbench.reports.boards.leaderboard_table import settings, solved_of
from rnnbench.reports.page.source import Data, Source
from rnnbench.reports.selection.blocks import blocks, metric_name, terms, title
from rnnbench.reports.selection.coverage import fill_unknown, one_line
from rnnbench.reports.statistics.means import mean_of_known
from rnnbench.reports.tables.numbers import between, brief_count, known, plus_minus, rounded, short
from rnnbench.store.record import Record, canonical, identity
from rnnbench.store.rows import BLOCK, COLUMNS, part

RUNS = 50  # of one entry that are listed, failed ones first
RUNS_IN_ALL = 20_000  # a page stays one that a browser opens at once
CONFIGS = 1_500  # entries whose config is kept for comparison: each takes reading a record
COSTS = ("train_seconds", "params")
NEVER_NEGATIVE = frozenset({"mse", "mae", "rmse", "nll", "error", "perplexity", "bpc"})
RUN_COLUMNS = ("id", "seed", "status", "reason", "value", "val", "best_step", "train_seconds", "commit", "device")

Runs = Mapping[str, np.ndarray]  # some runs: their columns by name


def board(source: Source) -> Data:
    """blocks: what may be compared, terms, floors; entries: rows of all blocks in order; runs: by entry; configs."""
    table = leaderboard(source.frame)
    metrics = [name for name in source.frame.columns if name not in COLUMNS and "/" in name]
    mine = _by_entry(fill_unknown(source.frame), metrics)
    found: Data = {"blocks": [], "entries": [], "runs": [], "left_out": 0}
    room = RUNS_IN_ALL
    for whole in blocks(table):
        block = entries(whole)
        found["blocks"].append(_block(block) | {"floors": _floors(whole)})
        fronts = {cost: _front(block, cost) for cost in COSTS}
        for place, (_, row) in enumerate(block.iterrows()):
            runs = _counted(mine[_key(row)])
            entry = _entry(row, len(found["blocks"]) - 1) | {"metrics": _metrics(runs, metrics)}
            entry["front"] = [cost for cost in COSTS if place in fronts[cost]]
            found["entries"].append(entry)
            listed = _listed(runs, min(RUNS, room))
            room -= len(listed["id"])
            found["left_out"] += len(runs["id"]) - len(listed["id"])
            found["runs"].append(listed)
    return found | {"configs": _configs(source, found["runs"])}


def _counted(runs: Runs) -> Runs:
    """The runs of an entry that its row is about: of a search's winner those on fresh seeds alone."""
    if "stage" not in runs:
        return runs
    finals = runs["stage"] == "final"
    return _where(runs, finals) if finals.any() else runs


def plain(value: Any, digits: int = 7) -> Any:
    """A value as JSON holds it: missing and not finite is null, floats have `digits` significant digits."""
    if value is None or isinstance(value, (str, bool)) or type(value) is int:
        return value
    if type(value) is not float and pd.isna(value):
        return None
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.{digits}g}") if math.isfinite(value) else None
    return value


def _by_entry(frame: pd.DataFrame, metrics: Sequence[str]) -> dict[tuple[Any, ...], Runs]:
    """The runs of every entry in every block, by seed and id: their columns as arrays."""
    key = [*BLOCK, "entry"]
    used = [name for name in dict.fromkeys((*key, *RUN_COLUMNS, "stage", *metrics)) if name in frame]
    frame = frame[used].sort_values(["seed", "id"])
    numbers = frame.groupby(key, dropna=False, sort=False).ngroup().to_numpy()
    order = np.argsort(numbers, kind="stable")
    columns = {name: _array(frame[name])[order] for name in used}
    bounds = [*np.flatnonzero(np.diff(numbers[order], prepend=-1)).tolist(), len(order)]
    found: dict[tuple[Any, ...], Runs] = {}
    for start, end in itertools.pairwise(bounds):
        first = [columns[name][start] for name in key]
        found[tuple(None if pd.isna(v) else v for v in first)] = {n: c[start:end] for n, c in columns.items()}
    return found


def _array(column: pd.Series[Any]) -> np.ndarray:
    return column.to_numpy(object if pd.api.types.is_extension_array_dtype(column.dtype) else None)


def _where(runs: Runs, these: np.ndarray) -> Runs:
    return {name: values[these] for name, values in runs.items()}


def _key(row: pd.Series[Any]) -> tuple[Any, ...]:
    return tuple(None if pd.isna(row[name]) else row[name] for name in (*BLOCK, "entry"))


def _block(block: pd.DataFrame) -> Data:
    first = block.iloc[0]
    words = {"title": title(block), "terms": terms(block), "heading": metric_name(block)}
    known_ones = {key: plain(first[key]) for key in ("dataset", "budget", "metric", "goal", "floor", "target")}
    return words | known_ones | {"bounds": bounds(str(first["metric"]))}


def _floors(block: pd.DataFrame) -> list[Data]:
    """The floors of a block, in its order: rows beside its entries."""
    rows = block[is_floor(block)]
    names = ("label", "mean", "score", "mark", "settings", "notes")
    return [
        {name: plain(row[name]) for name in names} | {"result": plus_minus(row["mean"], row["low"], row["high"])}
        for _, row in rows.iterrows()
    ]


def bounds(metric: str) -> list[float | None]:
    """The least and the largest value of a metric, as far as its name tells: intervals are drawn up to there."""
    parts = set(metric.split("_"))
    if "accuracy" in parts:
        return [0.0, 1.0]
    return [0.0, None] if parts & NEVER_NEGATIVE or "cross_entropy" in metric else [None, None]


def _entry(row: pd.Series[Any], block: int) -> Data:
    """One row of the leaderboard: numbers to sort by, and the same as people read them."""
    names = (
        "rank", "standing", "label", "training", "entry", "mean", "low", "high", "n", "mark", "score", "params",
        "train_seconds", "steps_per_second", "device", "precision", "backend", "runs", "ok", "coverage", "failures",
        "notes", "cell", "operator", "peephole", "direction", "depth", "hidden_size", "options",
    )  # fmt: skip
    words = {
        "result": plus_minus(row["mean"], row["low"], row["high"]), "params_text": brief_count(row["params"]),
        "seconds_text": rounded(row["train_seconds"]), "speed_text": rounded(row["steps_per_second"]),
        "settings": settings(row), "val": short(row["val"]), "solved": solved_of(row),
    }  # fmt: skip
    if known(row.get("solved")):
        share = row["solved"] / row["solved_of"]
        words |= {
            "solved_share": plain(share),
            "solved_interval": between(share, row["solved_low"], row["solved_high"], 2),
        }
    return {"block": block} | {name: plain(row[name]) for name in names} | words


def _front(block: pd.DataFrame, cost: str) -> set[int]:
    """The places of entries that no other beats in both value and cost, where their times may be compared at all."""
    sign = -1 if block["goal"].iloc[0] == "max" else 1
    rivals: dict[tuple[Any, ...], list[tuple[int, float, float]]] = {}  # of those that compare: place, loss, price
    for place, (_, row) in enumerate(block.iterrows()):
        if known(row["mean"]) and known(row[cost]):
            where = () if cost == "params" else (row["device"], row["precision"], row["backend"])
            rivals.setdefault(where, []).append((place, sign * row["mean"], row[cost]))
    return {one[0] for some in rivals.values() for one in some if not any(_beats(other, one) for other in some)}


def _beats(one: tuple[int, float, float], other: tuple[int, float, float]) -> bool:
    """Whether one (place, loss, price) is nowhere worse than the other, and somewhere better."""
    nowhere_worse = one[1] <= other[1] and one[2] <= other[2]
    return bool(nowhere_worse and one[1:] != other[1:])


def _metrics(runs: Runs, names: Sequence[str]) -> list[list[Any]]:
    """[name, mean over the ok runs] of every metric that is there."""
    ok = runs["status"] == "ok"
    means = {name: mean_of_known(runs[name][ok]) for name in names}
    return [[name, short(mean)] for name, mean in means.items() if known(mean)]


def _listed(runs: Runs, most: int) -> dict[str, list[Any]]:
    """The runs of an entry by column: failed ones first where there are too many, in the order of their seeds."""
    ok = runs["status"] == "ok"
    failed_first = np.concatenate([np.flatnonzero(~ok), np.flatnonzero(ok)])
    kept = np.sort(failed_first[:most])
    found = {name: [plain(value) for value in runs[name][kept].tolist()] for name in RUN_COLUMNS}
    found["reason"] = [one_line(text, 300) if text else "" for text in found["reason"]]
    return found


def _configs(source: Source, runs: Sequence[Mapping[str, Sequence[Any]]]) -> Data:
    """What entries were made from: options by entry, those that all share apart, and the command of a run of each."""
    flat: dict[int, dict[str, str]] = {}
    commands: dict[int, str] = {}
    for place, listed in enumerate(runs[:CONFIGS]):
        record = source.read(listed["id"][0]) if listed["id"] else None
        if record is not None:
            flat[place] = flattened(record)
            commands[place] = str(record.get("command") or "")
    in_all = _in_all(list(flat.values()))
    own = {}
    for place, options in flat.items():
        own[place] = {key: value for key, value in options.items() if key not in in_all}
    return {"shared": in_all, "own": own, "commands": commands}


def _in_all(configs: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """The options that every config has with the same value."""
    found = dict(configs[0]) if configs else {}
    for options in configs:
        found = {key: value for key, value in found.items() if options.get(key) == value}
    return found


def flattened(record: Record) -> dict[str, str]:
    """A record's config as "a.b" -> text, without the seed, what never changes a result, and notes on groups."""
    found: dict[str, str] = {}

    def walk(key: str, node: Any) -> None:
        if isinstance(node, Mapping):
            for name in sorted(node, key=str):
                if name == "meta" and isinstance(node[name], Mapping):
                    walk(key, node[name])
                else:
                    walk(f"{key}.{name}" if key else str(name), node[name])
        else:
            found[key] = "null" if node is None else str(canonical(node))

    config = part(record, "config") or part(record, "axes")
    walk("", {key: value for key, value in identity(config).items() if key != "seed"})
    return found
