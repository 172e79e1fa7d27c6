"""Published numbers beside ours: from one data file with sources, and only where protocol and metric are the same.

`literature.csv`, a row a number: dataset, protocol (ours, whole; * is anything up to the next comma, for a part that
changes no comparison: a seed), metric, goal; network (its name
in the source); cell, peephole, depth, params (which network of ours it is, empty where we have none); value; training
(what the source did otherwise than we do); source. A number goes in only if somebody read it in the source, or in a
paper that repeats it: then the source says so ("second hand").
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd

from rnnbench.reports.statistics.means import can_part, mean_ci
from rnnbench.reports.tables.frames import Row, typed_frame
from rnnbench.reports.tables.numbers import count, known, plus_minus, short, with_arrow
from rnnbench.reports.tables.table import Section, Table, without_empty

FILE = Path(__file__).with_name("literature.csv")
SIZE = 0.05  # a network is the published one where its parameters differ by no more than this share
INPUT: dict[str, str] = {
    "dataset": "str", "protocol": "str", "metric": "str", "goal": "str", "network": "str", "cell": "str",
    "peephole": "str", "depth": "Int64", "params": "Int64", "value": "float64", "training": "str", "source": "str",
}  # fmt: skip
COLUMNS: dict[str, str] = {
    "dataset": "str", "protocol": "str", "metric": "str", "goal": "str", "network": "str", "published_params": "Int64",
    "published": "float64", "training": "str", "source": "str", "label": "str", "our_protocol": "str",
    "budget": "str", "updates": "Int64", "device": "str", "precision": "str", "params": "Int64", "mean": "float64",
    "low": "float64", "high": "float64", "n": "Int64", "difference": "float64", "standing": "str",
}  # fmt: skip
LEGEND = (
    "Published figures were read in the source; ours stand beside them only under the same protocol and metric, for "
    "the same cell, peepholes, depth and parameters (to 5%). Difference: ours − published. inside: the published "
    "figure lies in our 95% interval over seeds; better, worse: ours is, and it does not. The budget is ours."
)
LEFT = frozenset({"network", "ours", "our protocol", "standing", "source", "trained otherwise"})
MAY_BE_EMPTY = frozenset({"ours", "our protocol", "budget", "difference", "standing", "trained otherwise", "source"})
NOT_RUN = "not run"


@lru_cache(maxsize=1)
def published_numbers() -> pd.DataFrame:
    """The data file as it stands."""
    return pd.read_csv(FILE, dtype=INPUT)


def literature_table(runs: pd.DataFrame) -> Table:
    """What is published on the datasets of runs (of `chosen.chosen`), with ours where they are comparable.

    One row a published number and entry of ours; standing is inside, better, worse, `no interval`, `not run`, or
    `other protocol`: the dataset was run, but not so that the figures compare. Empty where nothing is of ours to run.
    """
    of_dataset = dict(iter(runs[runs["shown"]].groupby("dataset"))) if len(runs) else {}
    none = runs.iloc[:0]
    rows = [
        row for _, each in published_numbers().iterrows()
        for row in _beside(each, of_dataset.get(each["dataset"], none))
    ]  # fmt: skip
    sections = [
        _section([row for row in rows if (row["dataset"], row["protocol"], row["metric"]) == key])
        for key in dict.fromkeys((row["dataset"], row["protocol"], row["metric"]) for row in rows)
    ]
    return Table(
        "published",
        typed_frame(rows, COLUMNS),
        sections,
        LEGEND,
        LEFT,
        "No published number is known for these datasets.",
    )


def _beside(number: pd.Series[Any], mine: pd.DataFrame) -> Iterator[Row]:
    """A published number beside those of the shown runs on its dataset."""
    if mine.empty:
        return
    row = {name: number[name] for name in ("dataset", "protocol", "metric", "goal", "network", "training", "source")}
    row |= {"published": number["value"], "published_params": number["params"]}
    row |= dict.fromkeys(("label", "our_protocol", "budget", "updates", "device", "precision", "params", "n"))
    row |= dict.fromkeys(("mean", "low", "high", "difference"), math.nan)
    fits = [protocol for protocol in mine["protocol"].dropna().unique() if is_protocol(protocol, number["protocol"])]
    if not fits:
        yield row | {"standing": "other protocol"}
        return
    mine = mine[mine["protocol"].isin(fits)]
    same = mine[_is_network(mine, number)] if not pd.isna(number["cell"]) else mine.iloc[:0]
    ours = [_ours(part, number) for _, part in same.groupby("row")]
    if pd.isna(number["cell"]):
        yield row | {"standing": ""}
    elif not ours:
        yield row | {"standing": NOT_RUN}
    yield from (row | each for each in ours)


def is_protocol(protocol: str, pattern: str) -> bool:
    """Whether a protocol of ours is the one of a published number: part by part, * for anything without a comma."""
    return re.fullmatch("[^,]*".join(map(re.escape, pattern.split("*"))), protocol) is not None


def _is_network(runs: pd.DataFrame, number: pd.Series[Any]) -> pd.Series[bool]:
    """Which runs are of the published network."""
    peephole = runs["peephole"].replace({"none": "off"})
    same: pd.Series[bool] = (
        (runs["cell"] == number["cell"]) & (peephole == number["peephole"]) & (runs["direction"] == "forward")
    )
    same &= (runs["depth"] == number["depth"]).fillna(False).astype(bool)
    if not pd.isna(number["params"]):
        near = (runs["params"].astype("float64") / float(number["params"]) - 1).abs() <= SIZE
        same &= near
    return same


def _ours(part: pd.DataFrame, number: pd.Series[Any]) -> Row:
    column = f"test/{number['metric']}"
    ok = part[part["status"] == "ok"]
    values = ok[column].dropna() if column in ok else ok["value"].iloc[:0]
    mean, low, high = mean_ci(values)
    first, difference = part.iloc[0], mean - number["value"]
    if not known(mean):
        standing = NOT_RUN
    elif low <= number["value"] <= high:
        standing = "inside"
    elif not can_part(low, high, len(values)):
        standing = "no interval"
    else:
        standing = "better" if (difference > 0) == (number["goal"] == "max") else "worse"
    row = {name: first[name] for name in ("label", "budget", "updates", "precision", "params")}
    return row | {
        "our_protocol": first["protocol"], "device": first["device_kind"],
        "mean": mean, "low": low, "high": high, "n": len(values),
        "difference": difference, "standing": standing,
    }  # fmt: skip


def _section(rows: list[Row]) -> Section:
    first = rows[0]
    title = f"{first['dataset']} {with_arrow(first['metric'], first['goal'])}"
    texts = without_empty([_texts(row) for row in rows], MAY_BE_EMPTY)
    return Section(title, texts, str(first["protocol"]))


def _texts(row: Row) -> dict[str, str]:
    ran = row["label"] is not None
    value = plus_minus(row["mean"], row["low"], row["high"]) + f" (n={row['n']})" if known(row["mean"]) else "-"
    return {
        "network": str(row["network"]),
        "published": short(row["published"]),
        "ours": str(row["label"]) if ran else "",
        "our protocol": str(row["our_protocol"]) if ran and row["our_protocol"] != row["protocol"] else "",
        "budget": f"{row['budget']}, {count(row['updates'])} updates" if ran else "",
        "result": value,
        "difference": f"{row['difference']:+.3g}" if known(row["difference"]) else "",
        "standing": str(row["standing"]),
        "trained otherwise": "" if pd.isna(row["training"]) else str(row["training"]),
        "source": str(row["source"]),
    }
