"""A table as files: CSV, Markdown, LaTeX (booktabs), Parquet and JSON. Formats, and adds nothing."""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from rnnbench.store import write_atomic

if TYPE_CHECKING:
    from rich.table import Table as RichTable

FORMATS = ("csv", "md", "tex", "parquet", "json")
# What pdflatex does not read as it stands, by character.
LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "±": r"$\pm$", "↑": r"$\uparrow$", "↓": r"$\downarrow$",
    "≈": r"$\approx$", "−": r"$-$", "×": r"$\times$", "→": r"$\rightarrow$", "≥": r"$\geq$", "≤": r"$\leq$",
    "·": r"\textperiodcentered{}", "…": r"\ldots{}", "µ": r"$\mu$", "–": "--", "[": "{[}", "]": "{]}",
}  # fmt: skip


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


def to_csv(table: Table) -> str:
    """Every column of the frame, floats to 6 significant digits."""
    return table.frame.to_csv(index=False, float_format="%.6g", lineterminator="\n")


def to_json(table: Table) -> str:
    """{name, legend, remarks, rows}: rows as objects with every column, null where nothing is known."""
    rows = [{str(key): _plain(value) for key, value in row.items()} for row in table.frame.to_dict("records")]
    remarks = [f"{section.title}: {line}" for section in table.sections for line in section.remarks]
    whole = {"name": table.name, "legend": table.legend, "remarks": remarks, "rows": rows}
    return json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if value is None or pd.isna(value):
        return None
    if isinstance(value, (bool, str, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value.item() if hasattr(value, "item") else str(value)


def to_parquet(table: Table) -> bytes:
    """The frame with its types and every digit. Equal bytes under one version of pyarrow."""
    buffer = io.BytesIO()
    table.frame.to_parquet(buffer, index=False)
    return buffer.getvalue()


def markdown_escaped(text: str) -> str:
    """text without what Markdown would read as markup: table bars, emphasis, code, HTML tags, line ends."""
    return re.sub(r"[\\|*`]|<(?=[A-Za-z/!])", r"\\\g<0>", " ".join(text.split()))


def latex_escaped(text: str) -> str:
    """text without anything that LaTeX would read as a command."""
    return "".join(LATEX.get(letter, letter) for letter in " ".join(text.split()))


def to_markdown(table: Table) -> str:
    """One section and table for each section, then the legend."""
    parts = []
    for section in table.sections:
        lines = [f"## {markdown_escaped(section.title)}", ""]
        lines += [markdown_escaped(section.terms), ""] if section.terms else []
        if section.rows:
            names = list(section.rows[0])
            lines.append("| " + " | ".join(map(markdown_escaped, names)) + " |")
            lines.append("|" + "|".join("---" if name in table.left else "--:" for name in names) + "|")
            lines += [
                "| " + " | ".join(_stressed(section, n, name, "**{}**", markdown_escaped) for name in names) + " |"
                for n in range(len(section.rows))
            ]
        said = [f"- {markdown_escaped(line)}" for line in section.remarks]
        parts.append("\n".join([*lines, *([""] if said and section.rows else []), *said]))
    return "\n\n".join([*(parts or [table.empty]), *([table.legend] if parts else [])]) + "\n"


def _stressed(section: Section, n: int, name: str, form: str, escape: Callable[[str], str]) -> str:
    text = escape(section.rows[n][name])
    return form.replace("{}", text) if (n, name) in section.bold and text else text


def to_latex(table: Table) -> str:
    r"""A table environment for each section; needs \usepackage{booktabs}. Everything is escaped."""
    parts = ["% needs \\usepackage{booktabs}"]
    for number, section in enumerate(table.sections, 1):
        names = list(section.rows[0]) if section.rows else []
        columns = "".join("l" if name in table.left else "r" for name in names)
        caption = ". ".join(filter(None, [section.title, section.terms, *section.remarks]))
        lines = [r"\begin{table}", r"\centering", rf"\caption{{{latex_escaped(caption)}}}"]
        lines.append(rf"\label{{tab:{re.sub(r'[^A-Za-z0-9]+', '-', table.name)}-{number}}}")
        if names:
            lines += [rf"\begin{{tabular}}{{{columns}}}", r"\toprule"]
            lines += [" & ".join(map(latex_escaped, names)) + r" \\", r"\midrule"]
            for n in range(len(section.rows)):
                cells = (_stressed(section, n, name, r"\textbf{{}}", latex_escaped) for name in names)
                lines.append(" & ".join(cells) + r" \\")
            lines += [r"\bottomrule", r"\end{tabular}"]
        parts.append("\n".join([*lines, r"\end{table}"]))
    if not table.sections:
        parts.append("% " + table.empty)
    return "\n\n".join([*parts, "% " + " ".join(table.legend.split())]) + "\n"


def to_rich(table: Table) -> RichTable:
    """The sections for a terminal."""
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    outer = RichTable.grid(expand=False)
    outer.add_column()
    for section in table.sections:
        outer.add_row(Text(section.title, style="bold"))
        if section.terms:
            outer.add_row(Text(section.terms, style="dim"))
        if section.rows:
            inner = RichTable(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, pad_edge=False)
            for name in section.rows[0]:
                left = name in table.left
                inner.add_column(name, justify="left" if left else "right", overflow="fold", no_wrap=not left)
            for n, row in enumerate(section.rows):
                inner.add_row(*(Text(text, style="bold" * ((n, name) in section.bold)) for name, text in row.items()))
            outer.add_row(inner)
        for line in section.remarks:
            outer.add_row(Text("  " + line, style="yellow"))
        outer.add_row("")
    outer.add_row(Text(table.legend, style="dim") if table.sections else Text(table.empty))
    return outer


WRITERS: dict[str, Callable[[Table], str | bytes]] = {
    "csv": to_csv, "md": to_markdown, "tex": to_latex, "parquet": to_parquet, "json": to_json,
}  # fmt: skip


def write_table(table: Table, folder: Path, formats: Iterable[str] = FORMATS) -> list[Path]:
    """Write name.csv, .md, .tex, .parquet and .json into folder, each whole or not at all; returns the paths.

    The same records give the same bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for ending in formats:
        path = folder / f"{table.name}.{ending}"
        write_atomic(path, WRITERS[ending](table))
        paths.append(path)
    return paths
