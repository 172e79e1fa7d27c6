"""A table for a notebook: plain HTML without scripts or styles of its own, every text escaped."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING

from rnnbench.store.text import printable

if TYPE_CHECKING:
    from rnnbench.reports.tables.table import Section, Table

MOST = 200  # rows of a section that a notebook is given; a browser takes long over thousands


def to_html(table: Table) -> str:
    """One heading and table for each section, then the legend."""
    if not table.sections:
        return _line(table.empty)
    return "\n".join([*(_section(section, table.left) for section in table.sections), _line(table.legend)])


def lines_to_html(lines: Iterable[str]) -> str:
    """A list of what else is to be said; empty where there is nothing."""
    items = "".join(f"<li>{_safe(line)}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else ""


def _section(section: Section, left: frozenset[str]) -> str:
    parts = [f"<p><b>{_safe(section.title)}</b></p>"] if section.title else []
    parts += [_line(section.terms), _rows(section, left) if section.rows else ""]
    parts.append(lines_to_html(section.remarks))
    return "\n".join(part for part in parts if part)


def _rows(section: Section, left: frozenset[str]) -> str:
    names = list(section.rows[0])
    side = {name: f' style="text-align: {"left" if name in left else "right"}"' for name in names}
    head = "".join(f"<th{side[name]}>{_safe(name)}</th>" for name in names)
    lines = [f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>"]
    for n, row in enumerate(section.rows[:MOST]):
        cells = (section.stressed(n, name, "<b>{}</b>", _safe(row[name])) for name in names)
        lines.append(
            "<tr>" + "".join(f"<td{side[name]}>{cell}</td>" for name, cell in zip(names, cells, strict=True)) + "</tr>"
        )
    more = len(section.rows) - MOST
    return "\n".join([*lines, "</tbody></table>", _line(f"and {more} rows more" if more > 0 else "")])


def _safe(text: str) -> str:
    return escape(printable(text))


def _line(text: str) -> str:
    return f"<p><small>{_safe(text)}</small></p>" if text else ""
