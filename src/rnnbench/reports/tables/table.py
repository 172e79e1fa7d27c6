"""What a table is: columns, rows and notes under a title, before anybody has said how it is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd


@dataclass(frozen=True)
class Section:
    """Rows that may be compared, as texts by column heading (the same headings in every row).

    terms: on what terms; remarks: a line each, below; bold: (row, heading) of what stands out.
    """

    title: str
    rows: Sequence[Mapping[str, str]]
    terms: str = ""
    remarks: Sequence[str] = ()
    bold: frozenset[tuple[int, str]] = frozenset()

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
