"""The coverage table: how the runs of every entry ended on every dataset, and what was skipped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from rnnbench.reports.selection.coverage import failures
from rnnbench.reports.tables.labels import dotted
from rnnbench.reports.tables.numbers import counted
from rnnbench.reports.tables.table import Section, Table
from rnnbench.store.record import FINAL

KEYS = ("dataset", "budget", "label")
LEGEND = (
    "Every finished run, also those of settings that a search did not choose. Seeds: how many different ones. "
    "With a result: ok and with a value on test."
)
LEFT = frozenset({"entry", "failures"})


def coverage_table(runs: pd.DataFrame, skipped: Mapping[str, int] | None = None) -> Table:
    """One row a dataset, budget and label: runs, with_result, seeds, one column a status, and why runs failed.

    runs: of `chosen.chosen`. skipped: cells of sweeps whose axes do not go together, counted by reason.
    """
    counts = runs[[*KEYS, "status", "reason", "seed", "value"]].assign(
        **{name: runs[name].fillna("unknown") for name in KEYS},
        with_result=(runs["status"] == "ok") & runs["value"].notna(),
        **{status: runs["status"] == status for status in FINAL},
    )
    groups = counts.groupby(list(KEYS), dropna=False, sort=True)
    table = groups[["with_result", *FINAL]].sum().astype("Int64")
    table.insert(0, "runs", groups.size().astype("Int64"))
    table.insert(2, "seeds", groups["seed"].nunique().astype("Int64"))
    lost = counts.loc[counts["status"] != "ok", [*KEYS, "status", "reason"]]
    bad = lost.groupby(list(KEYS), dropna=False, sort=True)
    said = {key: failures(part) for key, part in bad}
    table = table.assign(failures=[said.get(key, "") for key in table.index]).reset_index()
    table = table.astype(dict.fromkeys((*KEYS, "failures"), "str"))
    remarks = [f"skipped: {counted(n, 'cell')}: {reason}" for reason, n in sorted((skipped or {}).items())]
    sections = [_section(part) for _, part in table.groupby(["dataset", "budget"], dropna=False, sort=True)]
    if remarks and sections:
        sections.append(Section("never started", [], remarks=remarks))
    return Table("coverage", table, sections, LEGEND, LEFT)


def _section(part: pd.DataFrame) -> Section:
    first = part.iloc[0]
    met = [status for status in FINAL if part[status].sum()]
    return Section(dotted(first["dataset"], first["budget"]), [_texts(row, met) for _, row in part.iterrows()])


def _texts(row: pd.Series[Any], met: list[str]) -> dict[str, str]:
    return {
        "entry": str(row["label"]),
        "with a result": f"{row['with_result']}/{row['runs']}",
        "seeds": str(row["seeds"]),
        **{status: str(row[status]) for status in met},
        "failures": row["failures"],
    }
