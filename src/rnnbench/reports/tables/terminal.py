"""A table for a terminal. Columns of numbers keep their width; texts fold at spaces, after commas, before brackets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnnbench.reports.tables.folding import column_widths, folded, shrunk

if TYPE_CHECKING:
    from rich.table import Table as RichTable

    from rnnbench.reports.tables.table import Section, Table

WIDTH = 120  # columns, where nothing says how many there are
GAP = 2  # between columns
LAST_WIDTH = 4  # to which a text gives way where its words do not fit: they break then


def to_rich(table: Table, width: int = WIDTH) -> RichTable:
    """The sections for a terminal of so many columns."""
    from rich.table import Table as RichTable
    from rich.text import Text

    outer = RichTable.grid(expand=False)
    outer.add_column()
    for section in table.sections:
        outer.add_row(Text(section.title, style="bold"))
        if section.terms:
            outer.add_row(Text(section.terms, style="dim"))
        if section.rows:
            outer.add_row(_inner(section, table.left, width))
        for line in section.remarks:
            outer.add_row(Text("  " + line, style="yellow"))
        outer.add_row("")
    outer.add_row(Text(table.legend, style="dim") if table.sections else Text(table.empty))
    return outer


def _inner(section: Section, left: frozenset[str], width: int) -> RichTable:
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    room = width - GAP * (len(section.rows[0]) - 1)
    widths, _ = column_widths(section, left, room)
    widths = shrunk(widths, {name: LAST_WIDTH for name in widths if name in left}, room)
    inner = RichTable(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, pad_edge=False)
    for name in section.rows[0]:
        text = name in left
        heading = folded(name, widths[name]) if text else name
        inner.add_column(heading, justify="left" if text else "right", overflow="fold", no_wrap=not text)
    for n, row in enumerate(section.rows):
        texts = {name: folded(text, widths[name]) if name in left else text for name, text in row.items()}
        inner.add_row(*(Text(text, style="bold" * ((n, name) in section.bold)) for name, text in texts.items()))
    return inner
