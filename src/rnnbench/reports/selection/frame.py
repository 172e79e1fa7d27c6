"""Records as one tidy DataFrame, one row a run. Everything else in this room starts from that frame."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from rnnbench.store import index, rows
from rnnbench.store.record import Record
from rnnbench.store.rows import COLUMNS, TIME, fitting, number
from rnnbench.store.store import Store

# Pandas' types by their names in `COLUMNS`, where they can be made of a column of arrow's as it is.
READY: dict[str, Any] = {
    "str": pd.StringDtype(na_value=float("nan")),
    "Int64": pd.Int64Dtype(),
    "boolean": pd.BooleanDtype(),
}


def records_frame(records: Iterable[Record]) -> pd.DataFrame:
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
    - floor (value of the dataset's named floor), floor_name, target; solved: from where on a run has solved the task
    - best_step, params, live_params, state_size, flops_per_step
    - train_seconds, wall_seconds (s), steps_per_second (1/s), peak_memory_mb (MB)
    - device (in words), device_kind (cpu | cuda | ...), precision, backend, threads, host
    - commit, dirty, source_hash, torch (its version), toolchain (of a compiled cell: compiler and flags)
    - attempts, started, finished (UTC)
    - own_source: what the user's own modules said, as JSON; files: of a dataset that reads the user's files, each with
      the sha256 of its content, as JSON; floors: of such data all of them by name, and which is the reference, as JSON;
      id_lacks: what its id does not tell ("threads", of an old record)

    Two records with one id are one run: the first stays.
    """
    unique: dict[str, Record] = {}
    for record in records:
        unique.setdefault(_id_text(fitting(record["id"], "str")), record)
    ordered = [unique[key] for key in sorted(unique)]
    made = {
        name: _series(values, COLUMNS[name])
        for name, values in rows.columns([rows.row(record) for record in ordered]).items()
    }
    return pd.DataFrame(made | _metrics([rows.metrics_of(record) for record in ordered]))


def store_frame(store: Store) -> pd.DataFrame:
    """`records_frame(store.iterate())`, from the store's index: of a hundred thousand runs in a second.

    Records that cannot be read are left out and named in `store.problems`.
    """
    found = index.load(store)
    store.problems = found.problems
    found.table = _first_of_each_id(found.table)
    made = {name: _from_arrow(found.table[name], dtype) for name, dtype in COLUMNS.items()}
    metrics = {name: found.table[column] for name, column in found.metrics.items() if name not in COLUMNS}
    return pd.DataFrame(made | {name: _from_arrow(column, "float64") for name, column in metrics.items()})


def _first_of_each_id(table: Any) -> Any:
    """The rows of an index by id; of several with one id the first."""
    import pyarrow.compute as pc

    if pc.all(pc.equal(table["id"], table["folder"])).as_py() is not False and not table["id"].null_count:
        return table  # by folder, and every run lies in the folder of its id
    ids = [_id_text(run) for run in table["id"].to_pylist()]
    at = {run: n for n, run in reversed(list(enumerate(ids)))}
    return table.take([at[run] for run in sorted(at)])


def _id_text(run: str | None) -> str:
    return str(run)


def _metrics(metrics: Sequence[rows.Row]) -> dict[str, pd.Series[Any]]:
    """Every metric of the records under its own name, sorted."""
    names = sorted({name for some in metrics for name in some} - set(COLUMNS))
    return {name: pd.Series([number(some.get(name)) for some in metrics], dtype="float64") for name in names}


def _series(values: list[Any], dtype: str) -> pd.Series[Any]:
    """One column of fitting values (`rows.fitting`)."""
    return _times(pd.Series(values, dtype="str")) if dtype == TIME else pd.Series(values, dtype=dtype)


def _from_arrow(column: Any, dtype: str) -> pd.Series[Any]:
    """One column of an index as `_series` has it, without a Python object for each value."""
    if dtype == "float64":
        return pd.Series(column.to_numpy())
    if dtype == TIME:
        return _times(_from_arrow(column, "str"))
    return pd.Series(READY[dtype].__from_arrow__(column.cast("large_string") if dtype == "str" else column))


def _times(texts: pd.Series[Any]) -> pd.Series[Any]:
    return pd.to_datetime(texts, utc=True, format="ISO8601", errors="coerce").astype("datetime64[us, UTC]")
