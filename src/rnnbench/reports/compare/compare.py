"""Two selections of runs against each other: which entries they share, and whether what changed is more than noise.

Which entries are the same is decided in `counterparts.py`, what may be said of a difference in `differences.py`. Runs
of one seed are paired.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from rnnbench.errors import IDS
from rnnbench.reports.compare.counterparts import asked_less, counterparts
from rnnbench.reports.compare.differences import ALPHA, add_p, difference, said_of
from rnnbench.reports.compare.solving import COLUMNS as SOLVING
from rnnbench.reports.compare.solving import time_to_solve
from rnnbench.reports.selection.select import Selected
from rnnbench.reports.statistics.means import FEWEST_FOR_INTERVAL
from rnnbench.reports.statistics.paired import holm
from rnnbench.reports.statistics.room import no_room, room_of
from rnnbench.reports.statistics.two_samples import fisher_p
from rnnbench.reports.tables.frames import Row, typed_frame
from rnnbench.reports.tables.labels import text_or
from rnnbench.store.curves import Curves
from rnnbench.store.rows import number

MACHINE = ("device", "host", "threads", "torch")
FACTS = ("commit", "source_hash", "torch", "toolchain", "host", "device")
COLUMNS: dict[str, str] = {
    "dataset": "str", "protocol": "str", "budget": "str", "device": "str", "precision": "str", "backend": "str",
    "metric": "str", "goal": "str", "label": "str", "label_b": "str", "a": "float64", "b": "float64", "n_a": "Int64",
    "n_b": "Int64", "runs_a": "Int64", "runs_b": "Int64", "pairs": "Int64", "gain": "float64", "low": "float64",
    "high": "float64", "test": "str", "p": "float64", "p_holm": "float64", "p_fails": "float64",
    "bits": "boolean", "verdict": "str", "speed_a": "float64", "speed_b": "float64", "speed_ratio": "float64",
    "notes": "str", **SOLVING,
}  # fmt: skip
NO_BIT = ("malloc_tuned", "omp_wait_policy")  # of a host
VOID, ALIKE = "void", ("same", "noise")
LOSSES = ("worse", "perhaps worse", "lost", "fails more", "moved")


@dataclass(frozen=True)
class Comparison:
    """rows: a frame of `COLUMNS`, one row an entry and task that both have. changed: "commit: a1b2 -> c3d4", of facts
    that are not the same on both sides. only_a, only_b: entries without a counterpart, with the reason if it is seen.
    missing: what the second should have had and a reader could not see in the rows: entries that are gone, seeds, and
    records of either side that could not be read.
    """

    rows: pd.DataFrame
    changed: list[str] = field(default_factory=list)
    only_a: list[str] = field(default_factory=list)
    only_b: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    @property
    def losses(self) -> pd.DataFrame:
        """The rows that a gate stops: worse, or perhaps, all runs lost or more of them, or moved."""
        return self.rows[self.rows["verdict"].isin(list(LOSSES))]


def compare(a: Selected, b: Selected, *, exact: bool = False) -> Comparison:
    """a before, b after. Raises BadInput where one has several entries for one of the other, or they share none.

    exact: where one kind of processor, one torch, so many threads and (of compiled cells) one compiler with one set of
    flags made both, equal seeds must give equal bits.

    Columns of the rows: n_a, n_b: seeds with a value on test, of runs_a, runs_b; a, b: their means, over the `pairs`
    seeds that both have where these are 3 or more; gain: b - a, signed so that above 0 is better, with its interval.
    test: `flips` (sign flips, from 8 pairs on where Holm could pass), `t` (Student's, of fewer), or `welch` where fewer
    than 3 seeds agree; p_holm: Holm over all rows in which anything differs. p_fails: Fisher's exact p that b's runs
    fail more often, Holm over rows with failures. bits: whether every metric of every seed that both have is equal;
    missing where equal bits are not promised.

    verdict: `same` (no pair differs), `better`, `worse` (p_holm <= .05 of sign flips), `perhaps better`, `perhaps
    worse` (of another test, or 5 pairs and more that all differ by the same), `noise`, `too few` (seeds for a test),
    `lost` (a had values, b's runs all failed), `fails more` (p_fails <= .05), `moved` (exact, and bits differ), `void`
    (in place of same or noise where different entries were asked for, and both have solved the task or neither has
    learned it: `statistics.room`; of one entry before and after it stays what it is).
    solve_a, solve_b, with solve_low and solve_high: the Kaplan-Meier median of the updates until validation first said
    that the task is solved, and its interval, where records say what that is and both sides have curves; infinite where
    more than half of the runs never did. timed, censored: runs with a curve, and those of them that never did.
    p_solve: the exact log-rank test of these times, unpaired, Holm over the rows that have them.

    speed_ratio: b's updates per second by a's, on one machine and torch only; never a loss: they were taken at
    different times.
    """
    met = counterparts(a, b)
    curves = (_curves(a, [pair[0] for pair in met.pairs]), _curves(b, [pair[1] for pair in met.pairs]))
    rows = [_row(*pair) | time_to_solve(*pair, curves) for pair in met.pairs]
    add_p(rows)
    for name in ("p_fails", "p_solve"):
        for row, p in zip(rows, holm([row[name] for row in rows]), strict=True):
            row[name] = p
    for row in rows:
        row["verdict"] = _verdict(row, exact=exact)
        if met.are_choices and row["no_room"] and row["verdict"] in ALIKE:
            row["verdict"] = VOID
            short_reason = row["no_room"].partition(":")[0]  # the legend has what follows from it
            row["notes"] = "; ".join(filter(None, [row["notes"], short_reason]))
    rows.sort(key=lambda row: [str(row[name]) for name in ("dataset", "budget", "label", "backend")])
    missing = [f"{line}: gone" for line in met.gone]
    missing += [] if "seed" in asked_less(a, b) else _seeds_gone(rows)
    unread = list(a.problems | b.problems)
    missing += [f"{place}: cannot be read" for place in unread[:IDS]]
    missing += [f"{len(unread) - IDS} more records: cannot be read"] * (len(unread) > IDS)
    return Comparison(typed_frame(rows, COLUMNS), _changed(a.frame, b.frame), met.only_a, met.only_b, missing)


def _curves(found: Selected, sides: Iterable[pd.DataFrame]) -> Curves:
    """The histories of those runs whose task can be solved."""
    return found.curves(run for runs in sides for run in runs.loc[runs["solved"].notna(), "id"])


def _seeds_gone(rows: Sequence[Row]) -> list[str]:
    """Entries of which the second has too few seeds for a test, and the first had enough."""
    return [
        f"{row['dataset']} · {row['label']}: {row['n_b']} of {row['n_a']} seeds have a value, too few for a test"
        for row in rows
        if row["verdict"] == "too few" and row["n_a"] >= FEWEST_FOR_INTERVAL > row["n_b"]
    ]


def _row(a: pd.DataFrame, b: pd.DataFrame) -> Row:
    first, other = a.iloc[0], b.iloc[0]
    values = [side[(side["status"] == "ok") & side["value"].notna()] for side in (a, b)]
    sign = -1.0 if first["goal"] == "min" else 1.0
    row = {name: first[name] for name in ("dataset", "protocol", "budget", "precision", "backend", "metric", "goal")}
    row |= {"device": first["device_kind"], "label": first["label"], "label_b": other["label"]}
    row |= {"n_a": len(values[0]), "n_b": len(values[1]), "runs_a": len(a), "runs_b": len(b)}
    row |= difference(*(side.groupby("seed")["value"].mean() for side in values), sign=sign)
    room = room_of(*(number(first[name]) for name in ("floor", "target", "solved")), sign=sign)
    row["no_room"] = no_room(sign * row["a"], sign * row["b"], room)
    lost = len(a) - len(values[0]), len(b) - len(values[1])
    row |= {"p_fails": fisher_p(lost[0], len(a), lost[1], len(b)) if any(lost) else math.nan}
    row["bits"] = _equal_bits(a, b)
    row |= _speed(*values)
    notes = _differing(first, other)
    if speed_note := row.pop("speed_note"):
        notes.append(speed_note)
    return row | {"notes": "; ".join(notes)}


def _differing(first: pd.Series[Any], other: pd.Series[Any]) -> list[str]:
    """What else is not the same of an entry on both sides: "params: 17473 -> 13121"."""
    lines = []
    for name in ("training", "params", "target", "floor"):
        before, after = (text_or(side[name], "none") for side in (first, other))
        if before != after:
            lines.append(f"{name}: {before} -> {after}")
    return lines


def _speed(a: pd.DataFrame, b: pd.DataFrame) -> Row:
    """Median updates per second of both, and their ratio where one machine took them."""
    both = pd.concat([a, b])
    one = len(both[[*MACHINE, "toolchain", "precision", "backend", "updates", "batch_size"]].drop_duplicates()) == 1
    speeds = [float(side["steps_per_second"].median()) if len(side) else math.nan for side in (a, b)]
    ratio = speeds[1] / speeds[0] if one and speeds[0] > 0 else math.nan
    note = "speeds of several machines, torches or settings" if not one and len(a) and len(b) else ""
    return {"speed_a": speeds[0], "speed_b": speeds[1], "speed_ratio": ratio, "speed_note": note}


def _equal_bits(a: pd.DataFrame, b: pd.DataFrame) -> bool | None:
    """Whether runs of one seed ended alike, with every metric equal; None where nothing promises it, or none meet."""
    both = pd.concat([a, b])
    promised = both[["precision", "backend", "threads", "torch", "toolchain"]].drop_duplicates()
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
    return said_of(row)


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
