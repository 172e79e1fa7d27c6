"""Tables for a terminal, as wide as it is. Columns of numbers keep their width; texts fold where they may be broken."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from rnnbench.reports.tables.folding import column_widths, folded, pieces, shrunk
from rnnbench.reports.tables.markdown import bold_parts
from rnnbench.reports.tables.table import Section
from rnnbench.store.text import printable

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, Group, RenderableType
    from rich.table import Table as RichTable
    from rich.text import Text

    from rnnbench.reports.tables.table import Table

GAP = 2  # between columns
LAST_WIDTH = 4  # to which a text gives way where its words do not fit: they break then


def to_rich(table: Table) -> Group:
    """The sections below each other, then the legend, to print with rich."""
    from rich.console import Group
    from rich.text import Text

    if not table.sections:
        return Group(Text(table.empty))
    parts: list[RenderableType] = []
    for section in table.sections:
        parts += _section(section.brief or section, table.left)
    return Group(*parts, Text(table.legend, style="dim"))


def _section(section: Section, left: Collection[str]) -> list[RenderableType]:
    from rich.text import Text

    parts: list[RenderableType] = [Text(printable(section.title), style="bold")]
    if section.terms:
        parts.append(Text(printable(section.terms), style="dim"))
    if section.rows:
        parts.append(Rows(_safe(section), frozenset(map(printable, left))))
    parts += [Text(f"  {printable(line)}", style="yellow") for line in section.remarks]
    return [*parts, ""]


def rows_to_rich(rows: Iterable[Mapping[str, str]], left: Collection[str]) -> Rows | str:
    """Rows alone, without a title, to print with rich; an empty line without rows. left: the headings of texts."""
    found = list(rows)
    return Rows(_safe(Section("", found)), frozenset(map(printable, left))) if found else ""


def _safe(section: Section) -> Section:
    """A section whose cells and headings hold no character that a terminal obeys."""
    rows = [{printable(name): printable(text) for name, text in row.items()} for row in section.rows]
    bold = frozenset((n, printable(name)) for n, name in section.bold)
    return replace(section, rows=rows, bold=bold)


@dataclass(frozen=True)
class Rows:
    """The rows of a section, laid out by the width of the terminal that they are printed on. There is at least one."""

    section: Section
    left: frozenset[str]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterable[RenderableType]:
        yield self._laid_out(options.max_width)

    def _laid_out(self, width: int) -> RichTable:
        from rich import box
        from rich.table import Table as RichTable

        widths = self._widths(width)
        laid = RichTable(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, pad_edge=False)
        for name, room in widths.items():
            is_text = name in self.left
            justify: Literal["left", "right"] = "left" if is_text else "right"
            laid.add_column(folded(name, room), justify=justify, overflow="fold", no_wrap=not is_text)
        for n in range(len(self.section.rows)):
            laid.add_row(*self._cells(n, widths), style="dim" if n in self.section.faint else "")
        return laid

    def _widths(self, width: int) -> dict[str, int]:
        """How wide each column is: texts give way at their words, then headings of numbers, then words break."""
        rows = self.section.rows
        room = width - GAP * (len(rows[0]) - 1)
        widths, _ = column_widths(self.section, self.left, room)
        numbers = {name: [*pieces(name), *(row[name] for row in rows)] for name in widths if name not in self.left}
        widths = shrunk(widths, {name: max(map(len, texts)) for name, texts in numbers.items()}, room)
        return shrunk(widths, {name: LAST_WIDTH for name in widths if name in self.left}, room)

    def _cells(self, n: int, widths: Mapping[str, int]) -> Sequence[Text]:
        from rich.text import Text

        cells = []
        for name, text in self.section.rows[n].items():
            shown = folded(text, widths[name]) if name in self.left else text
            cells.append(Text(shown, style="bold" if (n, name) in self.section.bold else ""))
        return cells


def marked_text(text: str, style: str = "") -> Text:
    """A text whose **bold** is Markdown's, as a terminal shows it."""
    from rich.text import Text

    return Text.assemble(*((piece, "bold" if bold else "") for piece, bold in bold_parts(printable(text))), style=style)
