"""rnnbench trains every recurrent variant on shared tasks and logs the results to tables.

From Python::

    import rnnbench

    record = rnnbench.run(["cell=gru", "dataset=digits", "seed=0"])   # one run, as `rnnbench run` does it
    table = rnnbench.records()                                       # every record as a tidy pandas DataFrame
    model = rnnbench.load_model(record["id"])                         # a finished run's network with its weights

The networks are a library of their own that needs torch only: ``from rnnbench.nn import LSTM, Stack``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rnnbench._version import __version__ as __version__

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd
    from torch import nn

__all__ = ["load_model", "records", "run"]


def run(overrides: Sequence[str] = (), *, results: str | Path | None = None) -> dict[str, Any]:
    """Do one run and return its record (see `rnnbench.records` for the keys).

    overrides: as on the command line, e.g. ``["cell=gru", "depth=2", "seed=1"]``. A run that is recorded
    already is not repeated: its record is returned. results: the store, default ``results/`` or ``RNNBENCH_RESULTS``.
    Raises `rnnbench.errors.BadInput` on an unknown name or an axis the cell cannot take.
    """
    from rnnbench.runs.run import run as run_one

    return run_one(list(overrides), results=results)


def records(results: str | Path | None = None) -> pd.DataFrame:
    """Every record of a store as one tidy DataFrame: one row a run, nested keys joined by a dot or slash.

    Columns are documented in `rnnbench.reports.selection.frame.records_frame`. Imports no torch.
    """
    from rnnbench.reports.selection.frame import records_frame
    from rnnbench.store.store import Store

    return records_frame(Store.open(results).records().values())


def load_model(run_id: str, *, results: str | Path | None = None) -> nn.Module:
    """The network of a finished run with the weights of its best validation step, in eval mode, on the CPU.

    run_id: the id of a record or an unambiguous beginning of it.
    """
    from rnnbench.runs.load import load_model as load

    return load(run_id, results=results)
