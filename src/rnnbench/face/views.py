"""What every answer of the face can do: stand as a table in a notebook and on a terminal, and name itself in a line."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rnnbench.reports.tables.html import lines_to_html, to_html
from rnnbench.reports.tables.table import Section, Table
from rnnbench.reports.tables.terminal import to_rich
from rnnbench.store.text import printable

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console, ConsoleOptions, RenderableType


class View:
    """An answer as data. A notebook shows it as HTML tables, `rich.print` on a terminal; `repr` is one line.

    frame: its main table as a DataFrame. remarks: what else its reader must know, a sentence each: what was left out,
    what is unfinished or stale.
    """

    if TYPE_CHECKING:
        frame: pd.DataFrame
        remarks: tuple[str, ...]

    def shown(self) -> Sequence[Table]:
        """The tables that stand for it."""
        raise NotImplementedError

    def _repr_html_(self) -> str:
        parts = [to_html(table) for table in self.shown()] + [lines_to_html(self.remarks)]
        return "\n".join(part for part in parts if part)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        from rich.text import Text

        for table in self.shown():
            yield to_rich(table)
        for remark in self.remarks:
            yield Text(printable(remark), style="yellow")

    def __repr__(self) -> str:
        rows = len(self.frame)
        said = f", {len(self.remarks)} remark{'s' * (len(self.remarks) != 1)}" if self.remarks else ""
        return f"<{type(self).__name__}: {rows} row{'s' * (rows != 1)}{said}; .frame is a DataFrame>"


def section(title: str, rows: Collection[Mapping[str, Any]], remarks: Sequence[str] = (), terms: str = "") -> Section:
    """Rows of plain values as a section of texts; what is not there is empty."""
    texts = [{str(key): "" if value is None else str(value) for key, value in row.items()} for row in rows]
    return Section(title, texts, terms, remarks)


def table(
    name: str, frame: pd.DataFrame, sections: Sequence[Section], left: Collection[str], legend: str = ""
) -> Table:
    """A table of these sections. left: the headings whose columns are texts."""
    return Table(name, frame, sections, legend, frozenset(left))
