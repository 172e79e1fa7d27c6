"""Where a text may be broken, and how wide columns of texts are so that a table fits its page."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rnnbench.reports.tables.table import Section

PIECES = re.compile(r"\s*\S+?(?:,(?=[^\s\d])|=(?=[A-Za-z]{3})|(?=[(\[]|\s|\Z))")


def pieces(text: str) -> list[str]:
    """What is not broken: words, and their parts that end with a comma or a sign of equality or begin with a bracket.

    Numbers stay whole.
    """
    return [piece.strip() for piece in PIECES.findall(text)] or [""]


def folded(text: str, width: int) -> str:
    """text in lines of at most width letters, broken within a piece only where that is longer."""
    lines = [""]
    for piece in PIECES.findall(text):
        if lines[-1] and len(lines[-1] + piece) > width:
            lines.append("")
        lines[-1] += piece if lines[-1] else piece.lstrip()
        while len(lines[-1]) > width:
            lines[-1:] = [lines[-1][:width], lines[-1][width:]]
    return "\n".join(lines)


def column_widths(
    section: Section, left: frozenset[str], room: float, measure: Callable[[str], int] = len
) -> tuple[dict[str, int], dict[str, int]]:
    """(widths, natural widths) of a section's columns, together `room` at most where that is possible.

    Columns of texts (left) give way, the widest first, and none below its longest piece; numbers keep their width.
    measure: of a text, in the unit of room; letters by default.
    """
    columns = {name: [name, *(row[name] for row in section.rows)] for name in section.rows[0]}
    natural = {name: max(map(measure, texts)) for name, texts in columns.items()}
    texts = {name: columns[name] for name in columns if name in left}
    least = {name: max(measure(piece) for text in each for piece in pieces(text)) for name, each in texts.items()}
    return shrunk(natural, least, room), natural


def shrunk(widths: Mapping[str, int], least: Mapping[str, int], room: float) -> dict[str, int]:
    """widths that sum to `room` at most, if those named in `least` can give so much."""
    widths = dict(widths)
    while sum(widths.values()) > room and (loose := [name for name in least if widths[name] > least[name]]):
        widths[max(loose, key=lambda name: widths[name])] -= 1
    return widths
