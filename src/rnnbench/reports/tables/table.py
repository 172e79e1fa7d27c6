"""What a table is: columns, rows and notes under a title, before anybody has said how it is written."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd


@dataclass(frozen=True)
class Section:
    """Rows that may be compared, as texts by column heading (the same headings in every row).

    terms: on what terms; remarks: a line each, below; bold: (row, heading) of what stands out; faint: the rows that a
    terminal shows dimmed; brief: the same in narrower columns, for a terminal (None: as it is).
    """

    title: str
    rows: Sequence[Mapping[str, str]]
    terms: str = ""
    remarks: Sequence[str] = ()
    bold: frozenset[tuple[int, str]] = frozenset()
    faint: frozenset[int] = frozenset()
    brief: Section | None = None

    def stressed(self, n: int, name: str, form: str, text: str) -> str:
        """text, the cell as a format writes it, put into form ("**{}**") where the cell stands out."""
        return form.replace("{}", text, 1) if (n, name) in self.bold and text else text


@dataclass(frozen=True)
class Table:
    """One table: `frame` for programs (CSV, Parquet, JSON), `sections` for people (Markdown, LaTeX, terminal).

    name: of its files. left: the headings whose columns are texts. empty: said where there are no rows.
    """

    name: str
    frame: pd.DataFrame
    sections: Sequence[Section]
    legend: str
    left: frozenset[str] = field(default_factory=frozenset)
    empty: str = "No finished runs yet."


def without_empty(rows: Sequence[Mapping[str, str]], may_go: Collection[str] | None = None) -> list[dict[str, str]]:
    """rows without the columns that are empty in every row. may_go: the headings that may be left out, None: all."""
    if not rows:
        return []
    kept = [name for name in rows[0] if (may_go is not None and name not in may_go) or any(row[name] for row in rows)]
    return [{name: row[name] for name in kept} for row in rows]
