"""Searches on a page: studies, trials on parallel axes, the best so far, importance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from rnnbench.reports.page.board import plain
from rnnbench.reports.page.source import Data, Source, head_runs
from rnnbench.reports.search.importance import importance
from rnnbench.reports.search.result import SearchResult, search_result
from rnnbench.reports.search.table import study_cells
from rnnbench.reports.tables.numbers import known, short
from rnnbench.store.manifests import SpaceRow
from rnnbench.store.rows import number

Axis = Data

TRIALS = 1_000  # of one search that have a line: the best by validation, spread over the studies


def searched(source: Source) -> Data:
    """found: the source's searches; remarks: those of which nothing can be shown, and why."""
    found, remarks = [], []
    for name in sorted(source.heads):
        rules = source.heads[name].get("search")
        if not isinstance(rules, Mapping):
            continue
        records = source.records(head_runs(source, name))
        if not any(record["status"] == "ok" for record in records):
            remarks.append(f"{name}: no run of this search has ended ok.")
            continue
        try:
            found.append(_search(search_result(name, rules, records)))
        except (KeyError, TypeError, IndexError) as error:  # a manifest that was cut short
            remarks.append(f"{name}: its description cannot be read ({type(error).__name__}: {error}).")
    return {"found": found, "remarks": remarks}


def _search(result: SearchResult) -> Data:
    trials = result.trials[result.trials["stage"] == "trial"]
    shown = _shown(trials, result)
    axes = [_axis(dimension, list(shown[dimension["key"]])) for dimension in result.rules["space"]]
    studies = zip(result.studies["study"], result.studies["label"], strict=True)
    return {
        "name": result.name,
        "metric": result.metric,
        "goal": result.goal,
        "sentences": list(result.sentences),
        "studies": [[str(key), str(label)] for key, label in studies],
        "table": study_cells(result),
        "axes": [{"key": axis["key"], "ticks": axis["ticks"]} for axis in axes],
        "trials": [_trial(row, axes) for _, row in shown.iterrows()],
        "left_out": len(trials) - len(shown),
        "best": _best_so_far(trials, result),
        "importance": _importance(result),
    }


def _shown(trials: pd.DataFrame, result: SearchResult) -> pd.DataFrame:
    """The trials that have a line: the best of every study by validation."""
    each = max(1, TRIALS // max(1, len(result.studies)))
    ranked = trials.assign(key=trials["val"] * -trials["study"].map(lambda study: _sign(result, study)))
    return ranked.sort_values(["study", "key", "number"]).groupby("study", sort=False).head(each)


def _sign(result: SearchResult, study: str) -> int:
    """1 where more is better in this study: two of one search may be of two datasets."""
    return 1 if result.goals.get(study, result.goal) == "max" else -1


def _axis(dimension: SpaceRow, values: Sequence[Any]) -> Data:
    """One axis: how a value becomes a place between 0 and 1, and what is written at which places."""
    scale = dimension.get("scale", "linear")
    low, high = number(dimension.get("low")), number(dimension.get("high"))
    is_interval = known(low) and known(high) and low != high
    if dimension.get("kind") == "choice" or not is_interval:
        names = sorted(dict.fromkeys(map(str, values)), key=_numbers_first)
        last = len(names) - 1
        places = {name: n / last if last else 0.5 for n, name in enumerate(names)}
        return {"key": dimension["key"], "places": places, "ticks": [[place, name] for name, place in places.items()]}
    ends = [_scaled(low, scale), _scaled(high, scale)]
    middle = sum(ends) / 2
    between = {"log": math.exp(middle), "log1m": 1 - math.exp(middle)}.get(scale, middle)
    upside_down = float(ends[0] > ends[1])
    ticks = [[upside_down, short(low, 3)], [0.5, short(between, 3)], [1 - upside_down, short(high, 3)]]
    return {"key": dimension["key"], "ends": sorted(ends), "scale": scale, "ticks": ticks}


def _numbers_first(text: str) -> tuple[int, float, str]:
    """To sort by: numbers by their value, then other words."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    return (0, value, "") if math.isfinite(value) else (1, 0.0, text)


def _scaled(value: float, scale: str) -> float:
    """A value on the scale it was drawn from; log1m counts the distance from 1."""
    if scale == "log":
        return math.log(value) if value > 0 else math.nan
    if scale == "log1m":
        return math.log(1 - value) if value < 1 else math.nan
    return value


def _place(axis: Axis, value: Any) -> float | None:
    """Where a value stands on an axis, 0 to 1; None where it has no place there."""
    if "places" in axis:
        place: float | None = plain(axis["places"].get(str(value)), 4)
        return place
    if not known(value) or isinstance(value, str):
        return None
    low, high = axis["ends"]
    share = (_scaled(float(value), axis["scale"]) - low) / (high - low)
    place = plain(min(max(share, 0.0), 1.0), 4)
    return place


def _trial(row: pd.Series[Any], axes: Sequence[Axis]) -> Data:
    values = [row[axis["key"]] for axis in axes]
    return {
        "study": str(row["study"]),
        "number": plain(row["number"]),
        "status": row["status"],
        "val": plain(row["val"]),
        "id": row["id"],
        "chosen": row["chosen"],
        "values": [value if isinstance(value, str) else short(value, 3) for value in values],
        "places": [_place(axis, value) for axis, value in zip(axes, values, strict=True)],
    }


def _best_so_far(trials: pd.DataFrame, result: SearchResult) -> dict[str, list[list[Any]]]:
    """By study: [trial, best validation value up to it] where it changed, and at the last trial."""
    found: dict[str, list[list[Any]]] = {}
    for study, mine in trials.sort_values("number").groupby("study", sort=False):
        sign = _sign(result, str(study))
        best, line = math.nan, []
        for trial, value in zip(mine["number"], mine["val"], strict=True):
            is_better = math.isnan(best) or sign * value > sign * best
            if known(value) and is_better:
                best = float(value)
                line.append([plain(trial), plain(best)])
        last = plain(mine["number"].max())
        if line and line[-1][0] != last:
            line.append([last, plain(best)])
        found[str(study)] = line
    return found


def _importance(result: SearchResult) -> list[Data]:
    table = importance(result)
    names = ("label", "key", "importance", "note")
    return [{name: plain(row[name], 4) for name in names} for _, row in table.iterrows()]
