"""The cost table: what an entry is and what it takes, by device, precision, backend and machine."""

from __future__ import annotations

from typing import Any

import pandas as pd

from rnnbench.reports.selection.axes import AXES
from rnnbench.reports.tables.labels import dotted
from rnnbench.reports.tables.numbers import brief_count, count, known, rounded
from rnnbench.reports.tables.table import Section, Table
from rnnbench.store.rows import BLOCK

MACHINE = ("device", "host", "threads", "torch")
WHERE = ("dataset", "protocol", "budget", "updates", "batch_size", "device_kind", "precision", "backend", *MACHINE)
SIZES = ("params", "live_params", "state_size", "flops_per_step")
MEDIANS = ("train_seconds", "steps_per_second", "peak_memory_mb")
LEGEND = (
    "Parameters, and those of them that ever got a gradient where fewer; state: numbers carried from step to step; "
    "FLOPs: of one time step of one sequence, forward. Seconds of training, updates per second and peak memory are "
    "medians over the runs that ended well. They compare within a section only: one device, precision, backend, "
    "machine and torch."
)
LEFT = frozenset({"entry"})


def cost_table(runs: pd.DataFrame) -> Table:
    """The cost of the entries that are shown, of runs (of `chosen.chosen`): one row an entry and machine.

    Columns: where (`WHERE`), label and axes, runs (how many it is of), then params, live_params, state_size,
    flops_per_step; train_seconds (s), steps_per_second (1/s) and peak_memory_mb (MB) as medians.
    """
    ok = runs[runs["shown"] & (runs["status"] == "ok")]
    keys = list(dict.fromkeys([*BLOCK, *WHERE, "axes"]))
    groups = ok.groupby(keys, dropna=False, sort=True)
    parts = [groups[list(MEDIANS)].median(), groups[["label", *AXES, *SIZES]].first(), groups.size().rename("runs")]
    table = pd.concat(parts, axis=1).reset_index()
    table = table[[*WHERE, "label", *AXES, "runs", *SIZES, *MEDIANS]]
    table = table.sort_values([*WHERE, "params", "label"], kind="stable", na_position="last").reset_index(drop=True)
    texts = [*WHERE, "label", *AXES]
    kinds = {name: runs[name].dtype for name in table if name in runs and name not in texts}
    table = table.astype(kinds | {name: "str" for name in texts if table[name].dtype == object})
    sections = [_section(part) for _, part in table.groupby(list(WHERE), dropna=False, sort=False)]
    return Table("cost", table, sections, LEGEND, LEFT, "No run ended well yet.")


def _section(part: pd.DataFrame) -> Section:
    first = part.iloc[0]
    title = dotted(*(first[name] for name in ("dataset", "budget", "device_kind", "backend")))
    terms = {
        "updates": count(first["updates"]), "batch": count(first["batch_size"]), "precision": first["precision"],
        "threads": count(first["threads"]), "torch": first["torch"], "on": first["device"], "host": first["host"],
    }  # fmt: skip
    said = ", ".join(f"{key} {value}" for key, value in terms.items() if value and not pd.isna(value))
    return Section(title, [_texts(row) for _, row in part.iterrows()], said)


def _texts(row: pd.Series[Any]) -> dict[str, str]:
    dead = known(row["live_params"]) and known(row["params"]) and row["live_params"] != row["params"]
    return {
        "entry": str(row["label"]),
        "runs": str(row["runs"]),
        "parameters": count(row["params"]) + (f" ({count(row['live_params'])} live)" if dead else ""),
        "state": count(row["state_size"]),
        "FLOPs/step": brief_count(row["flops_per_step"]),
        "train s": rounded(row["train_seconds"]),
        "steps/s": rounded(row["steps_per_second"]),
        "memory MB": rounded(row["peak_memory_mb"]),
    }
