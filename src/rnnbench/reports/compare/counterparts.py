"""Which entries of two selections are the same, what only one of them has, and what the second should have had.

Entries are the same where task, device, precision, backend and network are. What the two selections ask for
differently (cell=lstm against cell=gru) is what is compared, and no part of that.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from rnnbench.errors import BadInput
from rnnbench.reports.selection.chosen import chosen
from rnnbench.reports.selection.select import Selected
from rnnbench.reports.selection.select import matches as matches
from rnnbench.reports.tables.labels import dotted, text_or
from rnnbench.store.rows import BLOCK, compact_json

KEYS = (*BLOCK, "device_kind", "precision", "backend")
# What a word of a selection takes out of the key; a budget is a name and its numbers.
DROPS = {"device": ("device_kind",), "budget": ("budget", "updates", "batch_size"), "updates": ("updates",),
         "batch_size": ("batch_size",), "precision": ("precision",), "backend": ("backend",)}  # fmt: skip
# Words that ask for some of an entry's runs. All others ask for some of the entries.
OF_RUNS = {"seed", "status", "commit", "since", "until", "host", "torch", "id"}


@dataclass(frozen=True)
class Counterparts:
    """pairs: the runs of an entry on both sides. only_a, only_b: entries of one side, each with the reason if it is
    seen. gone: those of only_a that neither the second selection's words leave out, nor the machine of its sweep.
    are_choices: whether the two selections ask for different entries (cell=lstm against cell=gru), and not for the same
    ones at two times.
    """

    pairs: list[tuple[pd.DataFrame, pd.DataFrame]]
    only_a: list[str] = field(default_factory=list)
    only_b: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    are_choices: bool = False


def counterparts(a: Selected, b: Selected) -> Counterparts:
    """Raises BadInput where one has several entries for one of the other, or they share none."""
    free = _asked_differently(a, b)
    sides = [_keyed(found, free) for found in (a, b)]
    names = [_unique(side, word) for side, word in zip(sides, ("first", "second"), strict=True)]
    shared = sorted(set(names[0]) & set(names[1]))
    if not shared:
        raise BadInput(_nothing_shared(sides[0], sides[1]))
    groups = [dict(iter(side.groupby("key"))) for side in sides]
    pairs = [(groups[0][key], groups[1][key]) for key in shared]
    fewer = asked_less(a, b)
    only_a = dict(_only(sides[0], sides[1], set(names[0]) - set(shared)))
    only_b = dict(_only(sides[1], sides[0], set(names[1]) - set(shared)))
    excused = {key: why for key in only_a if (why := _excused(groups[0][key], fewer, b.skipped_runs))}
    gone = [line for key, line in only_a.items() if key not in excused]
    told = [f"{line} ({excused[key]})" if key in excused else line for key, line in only_a.items()]
    return Counterparts(pairs, sorted(told), sorted(only_b.values()), sorted(gone), bool(free - OF_RUNS))


def asked_less(a: Selected, b: Selected) -> dict[str, list[str]]:
    """b's words that ask for less than a's: of a key that a leaves open, or some of the values that a asks for."""
    return {
        key: values for key, values in b.wanted.items() if key not in a.wanted or set(values) < set(a.wanted[key])
    }  # fmt: skip


def _excused(entry: pd.DataFrame, fewer: dict[str, list[str]], skipped: Mapping[str, str]) -> str:
    """Why the second selection need not have an entry, in words; empty where it should have it.

    skipped: the very runs that its sweeps left to another machine, with the reason.
    """
    if _left_out(entry, fewer):
        return "not asked of the second"
    runs = [str(run) for run in entry["id"]]
    return f"skipped in the second: {skipped[runs[0]].rstrip('.')}" if skipped.keys() >= set(runs) else ""


def _left_out(entry: pd.DataFrame, fewer: dict[str, list[str]]) -> bool:
    """Whether words that ask for some of the entries do not ask for this one."""
    return any(not matches(entry, key, values).any() for key, values in fewer.items() if key not in OF_RUNS)


def _asked_differently(a: Selected, b: Selected) -> set[str]:
    """The keys whose values the two selections ask for differently."""
    both = {
        key for key in a.wanted.keys() | b.wanted.keys() if set(a.wanted.get(key, ())) != set(b.wanted.get(key, ()))
    }
    if "dataset" in both or "metric" in both or "protocol" in both:
        raise BadInput("two datasets, metrics or protocols do not compare: both selections must ask for the same.")
    return both


def _keyed(found: Selected, free: set[str]) -> pd.DataFrame:
    """The runs that a leaderboard shows, with the key by which they meet the other side's."""
    runs = chosen(found.frame)
    runs = runs[runs["shown"]].copy()
    dropped = {column for key in free for column in DROPS.get(key, ())}
    network = {axes: _network(axes, free) for axes in runs["axes"].unique()}
    columns = [runs[name].map(_key_text) for name in KEYS if name not in dropped]
    runs["network"] = runs["axes"].map(network)
    runs["key"] = [json.dumps(parts) for parts in zip(*columns, runs["network"], strict=True)]
    return runs


def _key_text(value: Any) -> str:
    return "" if pd.isna(value) else str(value)


def _network(axes: str, free: set[str]) -> str:
    """A network's axes without those that are compared; a cell's new version is the same entry."""
    try:
        values = json.loads(axes)
    except ValueError:  # a study of a search
        return axes
    if not isinstance(values, dict):
        return axes
    gone = {"cell_version", "backend", *free}
    gone |= {"params_budget", "hidden_size"} if free & {"params", "hidden_size"} else set()
    options = {key: value for key, value in (values.get("options") or {}).items() if key not in free}
    return compact_json({key: value for key, value in values.items() if key not in gone} | {"options": options})


def _unique(side: pd.DataFrame, word: str) -> list[str]:
    """The keys of one side, each of one row of a leaderboard."""
    rows = side.groupby("key")["row"].nunique()
    if len(twice := rows.index[rows > 1]):
        labels = sorted(side.loc[side["key"] == twice[0], "label"].dropna().unique())
        raise BadInput(
            f"the {word} selection has {rows[twice[0]]} entries for one of the other ({', '.join(labels)}); "
            "ask for one of them."
        )
    return [str(key) for key in rows.index]


def _only(mine: pd.DataFrame, other: pd.DataFrame, keys: Collection[str]) -> Iterator[tuple[str, str]]:
    """Entries without a counterpart by key: "digits · LSTM", with what differs where the other has nearly the same."""
    for key, part in mine[mine["key"].isin(list(keys))].groupby("key"):
        first = part.iloc[0]
        near = other[(other["network"] == first["network"]) & (other["dataset"] == first["dataset"])]
        differ = [] if near.empty else _differing_keys(first, near.iloc[0])
        reason = f" (the other has it with another {', '.join(differ)})" if differ else ""
        dataset, budget = (text_or(first[name], "none") for name in ("dataset", "budget"))
        yield str(key), f"{dotted(dataset, budget, first['label'])}{reason}"


def _differing_keys(first: pd.Series[Any], other: pd.Series[Any]) -> list[str]:
    return [name for name in KEYS if text_or(first[name], "none") != text_or(other[name], "none")]


def _nothing_shared(a: pd.DataFrame, b: pd.DataFrame) -> str:
    found = sorted(line for _, line in _only(a, b, set(a["key"])))
    why = next((line for line in found if "(the other" in line), "")
    return "the two selections share no entry on a task" + (f"; {why}." if why else ".")
