"""Two selections of runs against each other: which entries they share, and whether what changed is more than noise.

Entries are the same where task, device, precision, backend and network are; what the two selections ask for differently
(cell=lstm against cell=gru) is what is compared, and no part of that. Runs of one seed are paired.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from rnnbench.errors import BadInput
from rnnbench.reports.chosen import chosen
from rnnbench.reports.frames import BLOCK, compact_json
from rnnbench.reports.numbers import known
from rnnbench.reports.paired import holm, paired
from rnnbench.reports.selection import Selected
from rnnbench.reports.stats import FEWEST_FOR_INTERVAL

ALPHA = 0.05
FLIPS_FROM = 8  # pairs; below, a sign-flip test survives no family, and Student's t is used
KEYS = (*BLOCK, "device_kind", "precision", "backend")
MACHINE = ("device", "host", "threads", "torch")
# What a word of a selection takes out of the key; a budget is a name and its numbers.
DROPS = {"device": ("device_kind",), "budget": ("budget", "updates", "batch_size"), "updates": ("updates",),
         "batch_size": ("batch_size",), "precision": ("precision",), "backend": ("backend",)}  # fmt: skip
FACTS = ("commit", "source_hash", "torch", "host", "device")
COLUMNS: dict[str, str] = {
    "dataset": "str", "protocol": "str", "budget": "str", "device": "str", "precision": "str", "backend": "str",
    "metric": "str", "goal": "str", "label": "str", "label_b": "str", "a": "float64", "b": "float64", "n_a": "Int64",
    "n_b": "Int64", "runs_a": "Int64", "runs_b": "Int64", "pairs": "Int64", "gain": "float64", "low": "float64",
    "high": "float64", "test": "str", "p": "float64", "p_holm": "float64", "p_fails": "float64",
    "bits": "boolean", "verdict": "str", "speed_a": "float64", "speed_b": "float64", "speed_ratio": "float64",
    "notes": "str",
}  # fmt: skip
NO_BIT = ("malloc_tuned", "omp_wait_policy")  # of a host
LOSSES = ("worse", "lost", "fails more", "moved")
Row = dict[str, Any]


@dataclass(frozen=True)
class Comparison:
    """rows: a frame of `COLUMNS`, one row an entry and task that both have. changed: "commit: a1b2 -> c3d4", of facts
    that are not the same on both sides. only_a, only_b: entries without a counterpart, with the reason if it is seen.
    """

    rows: pd.DataFrame
    changed: list[str] = field(default_factory=list)
    only_a: list[str] = field(default_factory=list)
    only_b: list[str] = field(default_factory=list)

    @property
    def losses(self) -> pd.DataFrame:
        """The rows that a gate stops: worse by a test (Holm over all rows), all runs lost or more of them, or moved."""
        return self.rows[self.rows["verdict"].isin(list(LOSSES))]


def compare(a: Selected, b: Selected, *, exact: bool = False) -> Comparison:
    """a before, b after. Raises BadInput where one has several entries for one of the other, or they share none.

    exact: where one kind of processor, one torch and so many threads made both, equal seeds must give equal bits.

    Columns of the rows: a, b: means on test over the seeds with a value (n_a, n_b, of runs_a, runs_b); gain: b - a,
    signed so that above 0 is better, with its 95% interval, over `pairs` seeds that both have (`test` is `flips` from 8
    pairs on, else `t`), or, where fewer than 3 seeds agree, between the means (`welch`); p_holm: Holm over all rows
    in which anything differs. p_fails: Fisher's exact p that b's runs fail more often, Holm over rows with failures.
    bits: whether every metric of every seed that both have is equal; missing where equal bits are not promised.

    verdict: `same` (no pair differs), `better`, `worse` (p_holm <= .05), `noise`, `too few` (seeds for a test), `lost`
    (a had values, b's runs all failed), `fails more` (p_fails <= .05), `moved` (exact, and bits differ). speed_ratio:
    b's updates per second by a's, on one machine and torch only; never a loss: they were taken at different times.
    """
    free = _asked_differently(a, b)
    sides = [_keyed(found, free) for found in (a, b)]
    names = [_unique(side, word) for side, word in zip(sides, ("first", "second"), strict=True)]
    shared = sorted(set(names[0]) & set(names[1]))
    if not shared:
        raise BadInput(_nothing_shared(sides[0], sides[1]))
    groups = [dict(iter(side.groupby("key"))) for side in sides]
    rows = [_row(groups[0][key], groups[1][key]) for key in shared]
    for name, adjusted in (("p", "p_holm"), ("p_fails", "p_fails")):
        for row, p in zip(rows, holm([row[name] for row in rows]), strict=True):
            row[adjusted] = p
    for row in rows:
        row["verdict"] = _verdict(row, exact=exact)
    rows.sort(key=lambda row: [str(row[name]) for name in ("dataset", "budget", "label", "backend")])
    frame = pd.DataFrame({name: pd.Series([row[name] for row in rows], dtype=kind) for name, kind in COLUMNS.items()})
    only = [_only(sides[n], sides[1 - n], set(names[n]) - set(shared)) for n in (0, 1)]
    return Comparison(frame, _changed(a.frame, b.frame), *only)


def _asked_differently(a: Selected, b: Selected) -> set[str]:
    """The keys whose values the two selections ask for differently."""
    both = {key for key in a.wanted.keys() | b.wanted.keys() if a.wanted.get(key) != b.wanted.get(key)}
    if "dataset" in both or "metric" in both or "protocol" in both:
        raise BadInput("two datasets, metrics or protocols do not compare: both selections must ask for the same.")
    return both


def _keyed(found: Selected, free: set[str]) -> pd.DataFrame:
    """The runs that a leaderboard shows, with the key by which they meet the other side's."""
    runs = chosen(found.frame)
    runs = runs[runs["shown"]].copy()
    dropped = {column for key in free for column in DROPS.get(key, ())}
    network = {axes: _network(axes, free) for axes in runs["axes"].unique()}
    columns = [runs[name].fillna("").astype(str) for name in KEYS if name not in dropped]
    runs["network"] = runs["axes"].map(network)
    runs["key"] = [json.dumps(parts) for parts in zip(*columns, runs["network"], strict=True)]
    return runs


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


def _row(a: pd.DataFrame, b: pd.DataFrame) -> Row:
    first, other = a.iloc[0], b.iloc[0]
    values = [side[(side["status"] == "ok") & side["value"].notna()] for side in (a, b)]
    sign = -1.0 if first["goal"] == "min" else 1.0
    row = {name: first[name] for name in ("dataset", "protocol", "budget", "precision", "backend", "metric", "goal")}
    row |= {"device": first["device_kind"], "label": first["label"], "label_b": other["label"]}
    row |= {"a": values[0]["value"].mean(), "b": values[1]["value"].mean()}
    row |= {"n_a": len(values[0]), "n_b": len(values[1]), "runs_a": len(a), "runs_b": len(b)}
    row |= _difference(*(sign * side.groupby("seed")["value"].mean() for side in values))
    lost = len(a) - len(values[0]), len(b) - len(values[1])
    row |= {"p_fails": fails_more(lost[0], len(a), lost[1], len(b)) if any(lost) else math.nan}
    row["bits"] = _equal_bits(a, b)
    row["p"] = math.nan if row["equal"] else row["p"]  # nothing to test, and no place in the family
    row |= _speed(*values)
    notes = [
        f"{name}: {_word(first[name])} -> {_word(other[name])}"
        for name in ("training", "params", "target", "floor")
        if _word(first[name]) != _word(other[name])
    ]
    return row | {"notes": "; ".join([*notes, *([row.pop("speed_note")] if row.get("speed_note") else [])])}


def _word(value: Any) -> str:
    return "none" if value is None or pd.isna(value) else str(value)


def _difference(a: pd.Series[Any], b: pd.Series[Any]) -> Row:
    """Merits by seed: their difference, paired where at least 3 seeds agree."""
    both = pd.DataFrame({"a": a, "b": b}).dropna()
    d = (both["b"] - both["a"]).to_numpy(dtype=np.float64)
    if len(d) >= FEWEST_FOR_INTERVAL:
        found = paired(d)
        flips = found.n >= FLIPS_FROM
        p = found.p if flips else t_p(d)
        row = {"pairs": found.n, "gain": found.mean, "low": found.low, "high": found.high, "p": p}
        return row | {"test": "flips" if flips else "t", "equal": not d.any()}
    gain, low, high, p = welch(a.dropna().to_numpy(), b.dropna().to_numpy())
    equal = bool(len(d)) and len(d) == len(a) == len(b) and not d.any()
    return {"pairs": len(d), "gain": gain, "low": low, "high": high, "p": p, "equal": equal,
            "test": "welch" if known(p) else ""}  # fmt: skip


def t_p(differences: np.ndarray) -> float:
    """Two-sided p of Student's paired test; 1 where nothing differs, 0 where all differ by the same."""
    from scipy.special import stdtr

    n, mean, spread = differences.size, float(differences.mean()), float(differences.std(ddof=1))
    if spread <= 1e-12 * abs(mean):
        return 1.0 if mean == 0 else 0.0
    return float(2 * stdtr(n - 1, -abs(mean) / spread * math.sqrt(n)))


def welch(a: np.ndarray, b: np.ndarray) -> tuple[float, float, float, float]:
    """The difference of means b - a, the ends of its 95% interval, and Welch's two-sided p.

    Below 3 values on a side there are no interval and no p.
    """
    from scipy.special import stdtr, stdtrit

    if not (a.size and b.size):
        return math.nan, math.nan, math.nan, math.nan
    gain = float(b.mean() - a.mean())
    if min(a.size, b.size) < FEWEST_FOR_INTERVAL:
        return gain, math.nan, math.nan, math.nan
    parts = np.array([a.var(ddof=1) / a.size, b.var(ddof=1) / b.size])
    error = math.sqrt(parts.sum())
    if error <= 1e-12 * abs(gain) or error == 0:
        return gain, gain, gain, 1.0 if gain == 0 else 0.0
    freedom = parts.sum() ** 2 / (parts[0] ** 2 / (a.size - 1) + parts[1] ** 2 / (b.size - 1))
    half = float(stdtrit(freedom, 1 - ALPHA / 2)) * error
    return gain, gain - half, gain + half, float(2 * stdtr(freedom, -abs(gain) / error))


def fails_more(lost_a: int, runs_a: int, lost_b: int, runs_b: int) -> float:
    """Fisher's exact one-sided p that so many of b's runs fail, or more, when a and b fail equally often."""
    lost, every = lost_a + lost_b, runs_a + runs_b
    ways = [math.comb(runs_b, k) * math.comb(runs_a, lost - k) for k in range(lost_b, min(lost, runs_b) + 1)]
    return sum(ways) / math.comb(every, lost)


def _speed(a: pd.DataFrame, b: pd.DataFrame) -> Row:
    """Median updates per second of both, and their ratio where one machine took them."""
    both = pd.concat([a, b])
    one = len(both[[*MACHINE, "precision", "backend", "updates", "batch_size"]].drop_duplicates()) == 1
    speeds = [float(side["steps_per_second"].median()) if len(side) else math.nan for side in (a, b)]
    ratio = speeds[1] / speeds[0] if one and speeds[0] > 0 else math.nan
    note = "speeds of several machines, torches or settings" if not one and len(a) and len(b) else ""
    return {"speed_a": speeds[0], "speed_b": speeds[1], "speed_ratio": ratio, "speed_note": note}


def _equal_bits(a: pd.DataFrame, b: pd.DataFrame) -> bool | None:
    """Whether runs of one seed ended alike, with every metric equal; None where nothing promises it, or none meet."""
    both = pd.concat([a, b])
    promised = both[["precision", "backend", "threads", "torch"]].drop_duplicates()
    processors = {(kind, _processor(host)) for kind, host in zip(both["device_kind"], both["host"], strict=True)}
    if len(promised) > 1 or len(processors) > 1 or {kind for kind, _ in processors} != {"cpu"}:
        return None
    names = ["status", *sorted(name for name in map(str, a) if "/" in name and name in b)]
    sides = [side.drop_duplicates("seed").set_index("seed")[names] for side in (a, b)]
    seeds = sides[0].index.intersection(sides[1].index)
    return sides[0].loc[seeds].equals(sides[1].loc[seeds]) if len(seeds) else None


def _processor(host: Any) -> str:
    """A record's host without what a speed depends on and no bit does."""
    return ", ".join(word for word in str(host).split(", ") if word.partition("=")[0] not in NO_BIT)


def _verdict(row: Row, *, exact: bool) -> str:
    if row["n_a"] and not row["n_b"]:
        return "lost"
    if row["p_fails"] <= ALPHA:
        return "fails more"
    if exact and row["bits"] is False:
        return "moved"
    if row["equal"]:
        return "same"
    if not known(row["p_holm"]):
        return "too few"
    if row["p_holm"] <= ALPHA:
        return "better" if row["gain"] > 0 else "worse"
    return "noise"


def _changed(a: pd.DataFrame, b: pd.DataFrame) -> list[str]:
    """The facts that are not the same on both sides."""
    lines = []
    for name in FACTS:
        of = [sorted({str(value)[:12] if name == "commit" else str(value) for value in side[name].dropna()})
              for side in (a, b)]  # fmt: skip
        if of[0] != of[1]:
            lines.append(f"{name}: {_few(of[0])} -> {_few(of[1])}")
    return lines


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "") if names else "unknown"


def _only(mine: pd.DataFrame, other: pd.DataFrame, keys: set[str]) -> list[str]:
    """Entries without a counterpart: "digits · LSTM", with what differs where the other side has nearly the same."""
    lines = []
    for _, part in mine[mine["key"].isin(list(keys))].groupby("key"):
        first = part.iloc[0]
        near = other[(other["network"] == first["network"]) & (other["dataset"] == first["dataset"])]
        if near.empty:
            reason = ""
        else:
            differ = [name for name in KEYS if _word(near.iloc[0][name]) != _word(first[name])]
            reason = f": the other has it with another {', '.join(differ)}" if differ else ""
        lines.append(f"{_word(first['dataset'])} · {_word(first['budget'])} · {first['label']}{reason}")
    return sorted(lines)


def _nothing_shared(a: pd.DataFrame, b: pd.DataFrame) -> str:
    found = _only(a, b, set(a["key"]))
    why = next((line for line in found if ": the other" in line), "")
    return "the two selections share no entry on a task" + (f"; {why}." if why else ".")
