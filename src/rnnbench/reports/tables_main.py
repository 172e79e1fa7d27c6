"""Every table of a selection, from one look at its runs."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from rnnbench.reports.across_table import across_table
from rnnbench.reports.axis_table import axis_table
from rnnbench.reports.chosen import chosen
from rnnbench.reports.cost_table import cost_table
from rnnbench.reports.coverage_table import coverage_table
from rnnbench.reports.export import Table
from rnnbench.reports.leagues import leagues
from rnnbench.reports.literature import literature_table
from rnnbench.reports.task_table import task_table


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
