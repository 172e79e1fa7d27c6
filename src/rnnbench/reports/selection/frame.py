"""Records as one tidy DataFrame, one row a run. Everything else in this room starts from that frame."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from rnnbench.store import index
from rnnbench.store.rows import COLUMNS, TIME, fitting, number, part, row
from rnnbench.store.store import Store


def records_frame(records: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """One row a run, sorted by id, so that the order of the records never shows in anything derived.

    Columns (what a record does not hold is missing, never zero):

    - id; entry: the run without its seed (`store.record.entry_id` of its config, else of its axes, dataset, budget)
    - status, reason
    - label, cell, cell_version, operator, peephole, direction, depth, hidden_size, options ("k=v, ..."): the axes;
      axes: those that make the network, as canonical JSON, equal exactly when the same network is compared;
      training: the others, "adam, optimizer.lr=0.01"
    - dataset, dataset_version, protocol, data_hash; task: the dataset with its options as canonical JSON
    - budget (its name), updates, batch_size: what was granted; updates_done: optimizer steps really taken
    - seed
    - metric, goal (max | min): the main metric; value: it on test; val: it on validation
    - "split/metric": every metric of the record under its own name, after the fixed columns, sorted
    - floor (value of the dataset's named floor), floor_name, target
    - best_step, params, live_params, state_size, flops_per_step
    - train_seconds, wall_seconds (s), steps_per_second (1/s), peak_memory_mb (MB)
    - device (in words), device_kind (cpu | cuda | ...), precision, backend, threads, host
    - commit, dirty, source_hash, torch (its version)
    - attempts, started, finished (UTC)

    Two records with one id are one run: the first stays.
    """
    unique: dict[str, Mapping[str, Any]] = {}
    for record in records:
        unique.setdefault(str(record["id"]), record)
    ordered = [unique[key] for key in sorted(unique)]
    rows = [row(record) for record in ordered]
    columns = {name: _series([fitting(each[name], dtype) for each in rows], dtype) for name, dtype in COLUMNS.items()}
    return pd.DataFrame(columns | _metrics([part(record, "metrics") for record in ordered]))


def store_frame(store: Store) -> pd.DataFrame:
    """`records_frame(store.iterate())`, from the store's index: of a hundred thousand runs in seconds.

    Records that cannot be read are left out and named in `store.problems`.
    """
    found = index.load(store)
    store.problems = found.problems
    table = found.table.to_pydict()
    at = {run: n for n, run in reversed(list(enumerate(table["id"])))}  # the first of two with one id
    order = [at[run] for run in sorted(at)]
    columns = {name: _series([table[name][n] for n in order], dtype) for name, dtype in COLUMNS.items()}
    return pd.DataFrame(columns | _metrics([json.loads(table["metrics"][n]) for n in order]))


def _metrics(metrics: Sequence[Mapping[str, Any]]) -> dict[str, pd.Series[Any]]:
    """Every metric of the records under its own name, sorted."""
    names = sorted({str(key) for some in metrics for key in some} - set(COLUMNS))
    return {name: pd.Series([number(some.get(name)) for some in metrics], dtype="float64") for name in names}


def _series(values: list[Any], dtype: str) -> pd.Series[Any]:
    """One column of fitting values (`rows.fitting`)."""
    if dtype == TIME:
        texts = pd.Series(values, dtype="str")
        return pd.to_datetime(texts, utc=True, format="ISO8601", errors="coerce").astype("datetime64[us, UTC]")
    return pd.Series(values, dtype=dtype)
