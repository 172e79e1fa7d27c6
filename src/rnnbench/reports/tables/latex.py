r"""A table as LaTeX for a paper: booktabs, a caption of a line, numbers as mathematics, and what explains them below.

Everything from a record is escaped. Widths are estimated for an article of 10 pt.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rnnbench.reports.tables.folding import column_widths, pieces
from rnnbench.store.text import printable

if TYPE_CHECKING:
    from rnnbench.reports.tables.table import Section, Table

# What pdflatex does not read as it stands, by character.
SIGNS = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": "$<$", ">": "$>$", "|": "$|$",
    '"': "''", "±": r"$\pm$", "↑": r"$\uparrow$", "↓": r"$\downarrow$",
    "≈": r"$\approx$", "−": r"$-$", "×": r"$\times$", "→": r"$\rightarrow$", "≥": r"$\geq$", "≤": r"$\leq$",
    "·": r"\textperiodcentered{}", "…": r"\ldots{}", "µ": r"$\mu$", "–": "--", "[": "{[}", "]": "{]}",
    "*": "{*}",
}  # fmt: skip
NEEDS = "% needs \\usepackage{array,booktabs}"
SIDEWAYS = "% and \\usepackage{rotating}, for a table that is wider than the page"
PAGE = {"table": 345, "sidewaystable": 550}  # pt of the text of an article, across and down, by environment
# Sizes of letters: how wide they are by those of 10 pt, and pt beside each column.
SIZES = {"": (1.0, 6), r"\small": (0.925, 6), r"\footnotesize": (0.85, 4), r"\scriptsize": (0.8, 3)}
# Widths in pt of what is not as wide as a digit, 5 pt, in Computer Modern at 10 pt.
WIDTHS = dict.fromkeys("±≈×→−≥≤", 12.0) | dict.fromkeys("mM%@Ww+=<>", 8.4) | dict.fromkeys(" .,:;'|!iljtf-()[]", 3.6)
CAPITAL = 7.2
PLAIN = r"\d+(?:,\d{3})*(?:\.\d+)?"
# (9.11 ± 5.62)e-4 | 0.512 ± 0.012 | -5.3e-05 | -0.3: only where no word, number or bracket ends before it
NUMBER = re.compile(
    rf"(?<![\w.)])(?:\((?P<mean>-?{PLAIN}) ± (?P<half>{PLAIN})\)e(?P<scale>-?\d+)"
    rf"|(?P<middle>-?{PLAIN}) ± (?P<spread>{PLAIN})(?![\w.])"
    rf"|(?P<number>-?{PLAIN})e(?P<power>[+-]?\d+)(?!\w)"
    rf"|(?P<minus>-{PLAIN})(?!\w))"
)


def escaped(text: str) -> str:
    """text without anything that LaTeX would read as a command."""
    return "".join(SIGNS.get(letter, letter) for letter in " ".join(printable(text).split()).replace("->", "→"))


def number(text: str) -> str:
    r"""A cell of a column of numbers: `(9.11 ± 5.62)e-4` as $(9.11 \pm 5.62)\times10^{-4}$, a minus as a minus."""
    parts, end = [], 0
    for found in NUMBER.finditer(text := " ".join(printable(text).split())):
        parts += [_kept(text[end : found.start()]), f"${_formula(found)}$"]
        end = found.end()
    return "".join([*parts, _kept(text[end:])])


def _kept(text: str) -> str:
    """escaped, with the blanks at its ends."""
    inner = escaped(text)
    return f"{' ' * text.startswith(' ')}{inner}{' ' * (text.endswith(' ') and bool(inner))}"


def _formula(found: re.Match[str]) -> str:
    have = {name: text.replace(",", "{,}") for name, text in found.groupdict().items() if text}
    if "mean" in have:
        return rf"({have['mean']} \pm {have['half']})\times10^{{{int(have['scale'])}}}"
    if "middle" in have:
        return rf"{have['middle']} \pm {have['spread']}"
    if "number" in have:
        return rf"{have['number']}\times10^{{{int(have['power'])}}}"
    return have["minus"]


def to_latex(table: Table) -> str:
    """A table environment for each section: title as caption; below it terms, remarks and legend as notes."""
    parts = [_environment(table, section, n) for n, section in enumerate(table.sections, 1)]
    needs = "\n".join([NEEDS, *([SIDEWAYS] if any("sidewaystable" in part for part in parts) else [])])
    return "\n\n".join([needs, *(parts or ["% " + " ".join(table.empty.split())])]) + "\n"


def _environment(table: Table, section: Section, n: int) -> str:
    shape = layout(section, table.left) if section.rows else Layout()
    lines = [rf"\begin{{{shape.environment}}}", r"\centering", rf"\caption{{{escaped(section.title)}}}"]
    lines.append(rf"\label{{tab:{re.sub(r'[^A-Za-z0-9]+', '-', table.name)}-{n}}}")
    lines += _tabular(section, table.left, shape) if section.rows else []
    legend = [table.legend] if section.rows else []  # each float stands alone; without rows there is nothing to explain
    notes = [escaped(note) for note in (section.terms, *section.remarks, *legend) if note.strip()]
    if notes:
        lines += [r"\begin{flushleft}", r"\footnotesize", "\n\n".join(notes), r"\end{flushleft}"]
    return "\n".join([*lines, rf"\end{{{shape.environment}}}"])


def _tabular(section: Section, left: frozenset[str], shape: Layout) -> list[str]:
    names = list(section.rows[0])
    columns = "".join(_column(name in left, shape.widths.get(name)) for name in names)
    lines = [rf"{shape.size}\setlength{{\tabcolsep}}{{{SIZES[shape.size][1]}pt}}"] if shape.size else []
    lines += [rf"\begin{{tabular}}{{{columns}}}", r"\toprule"]
    lines += [" & ".join(map(escaped, names)) + r" \\", r"\midrule"]
    for n, row in enumerate(section.rows):
        cells = {name: _cell(row[name], name in left, name in shape.widths) for name in names}
        cells = {name: section.stressed(n, name, r"{\boldmath\textbf{{}}}", text) for name, text in cells.items()}
        lines.append(" & ".join(cells.values()) + r" \\")
    return [*lines, r"\bottomrule", r"\end{tabular}"]


def _column(is_text: bool, width: float | None) -> str:
    if width is None:
        return "l" if is_text else "r"
    return rf">{{\raggedright\arraybackslash}}p{{{width:.2f}\textwidth}}"


def _cell(text: str, is_text: bool, wraps: bool) -> str:
    if not is_text:
        return number(text)
    return r"\allowbreak{}".join(map(_kept, _breakable(text))) if wraps else escaped(text)


def _breakable(text: str) -> list[str]:
    """text in parts between which a line may end without a blank."""
    parts: list[str] = []
    for word in text.split():
        first, *rest = pieces(word)
        parts[-1:] = [f"{parts[-1]} {first}" if parts else first]
        parts += rest
    return parts


@dataclass(frozen=True)
class Layout:
    r"""How a table fits: environment, size of letters, and the columns that fold, in shares of \textwidth."""

    environment: str = "table"
    size: str = ""
    widths: dict[str, float] = field(default_factory=dict)


def layout(section: Section, left: frozenset[str]) -> Layout:
    """The largest letters with which a section fits the page, upright if there are any; else the smallest, sideways."""
    names, found = list(section.rows[0]), Layout()
    for environment, page in PAGE.items():
        for size, (scale, beside) in SIZES.items():
            room = (page - 2 * beside * len(names)) / scale
            widths, natural = column_widths(section, left, room, points)
            folds = [name for name in names if widths[name] < natural[name]]
            found = Layout(environment, size, {name: widths[name] * scale / PAGE["table"] for name in folds})
            if sum(widths.values()) <= room:
                return found
    return found


def points(text: str) -> int:
    """How wide a text is, about, in letters of 10 pt."""
    text = re.sub(r"e[-+]?\d+", "×1000", text)  # as a power of ten
    return math.ceil(sum(WIDTHS.get(letter, CAPITAL if letter.isupper() else 5.1) for letter in text))
