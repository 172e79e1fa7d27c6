"""Every table of a selection, from one look at its runs."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from rnnbench.reports.boards.across import across_table
from rnnbench.reports.boards.axes import axis_table
from rnnbench.reports.boards.cost import cost_table
from rnnbench.reports.boards.coverage import coverage_table
from rnnbench.reports.boards.leagues import leagues
from rnnbench.reports.boards.literature import literature_table
from rnnbench.reports.boards.tasks import task_table
from rnnbench.reports.selection.chosen import chosen
from rnnbench.reports.tables.table import Table


def all_tables(frame: pd.DataFrame, skipped: Mapping[str, int] | None = None) -> dict[str, Table]:
    """across, tasks, axes, cost, coverage and published of a runs frame (of `records_frame`), by name.

    skipped: cells of sweeps that were never started, counted by reason (`coverage.skipped_cells`).
    """
    runs = chosen(frame)
    found = leagues(runs)
    tables = (
        across_table(found), task_table(found), axis_table(runs), cost_table(runs), coverage_table(runs, skipped),
        literature_table(runs),
    )  # fmt: skip
    return {table.name: table for table in tables}
