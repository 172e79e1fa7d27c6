"""Tables as Markdown. Nothing of a record is ever markup."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from rnnbench.reports.tables.table import Section, Table
from rnnbench.store.text import printable

# Bars of tables, emphasis, code, tags, entities, links: an underscore within a word and a bracket alone are none.
MARKUP = re.compile(r"[\\|*`]|<(?=[A-Za-z/!?])|&(?=#?\w+;)|^\[|\](?=[(\[])|(?<!\w)_|_(?!\w)|~(?=~)|(?<=~)~")
BLOCK = re.compile(r"[#>+=~-]|\d+(?=[.)])")  # what makes a heading, a list or a quotation of the line it begins


def one_line(text: str) -> str:
    """text, which may have markup of ours, as one printable line."""
    return " ".join(printable(text).split())


def escaped(text: str) -> str:
    """text without what Markdown, or a terminal that shows the file, would read as anything but text."""
    return MARKUP.sub(r"\\\g<0>", one_line(text))


def line_escaped(text: str) -> str:
    """The same of a text that begins a line."""
    line = escaped(text)
    start = BLOCK.match(line)
    return line if start is None else f"{line[: start.end() - 1]}\\{line[start.end() - 1 :]}"


def code(text: str) -> str:
    """The same of a text that is shown as code: on one line, and it cannot end before its end."""
    quoted = one_line(text).replace("`", "'")
    return f"`{quoted}`"


def bold_parts(text: str) -> list[tuple[str, bool]]:
    """A text with Markdown's **bold** in parts: (text, is it bold)."""
    return [(piece, bool(n % 2)) for n, piece in enumerate(text.split("**")) if piece]


def table_lines(rows: Iterable[Mapping[str, str]], left: Collection[str]) -> list[str]:
    """Rows as the lines of a table; none without rows. left: the headings whose columns are texts."""
    found = list(rows)
    return _lines(Section("", found), left) if found else []


def _lines(section: Section, left: Collection[str]) -> list[str]:
    names = list(section.rows[0])
    lines = [_line([escaped(name) for name in names]), "|" + "|".join(_rule(name in left) for name in names) + "|"]
    for n, row in enumerate(section.rows):
        lines.append(_line([section.stressed(n, name, "**{}**", escaped(row[name])) for name in names]))
    return lines


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _rule(is_text: bool) -> str:
    return "---" if is_text else "--:"


def to_markdown(table: Table) -> str:
    """One section and table for each section, then the legend."""
    if not table.sections:
        return f"{table.empty}\n"
    parts = [_section(section, table.left) for section in table.sections]
    return "\n\n".join([*parts, table.legend]) + "\n"


def _section(section: Section, left: Collection[str]) -> str:
    lines = [f"## {escaped(section.title)}", ""]
    if section.terms:
        lines += [line_escaped(section.terms), ""]
    if section.rows:
        lines += _lines(section, left)
    if section.rows and section.remarks:
        lines.append("")
    lines += [f"- {escaped(line)}" for line in section.remarks]
    return "\n".join(lines)
