"""How networks go on after a prompt, as Markdown."""

from __future__ import annotations

import re

from rnnbench.reports.predictions.sheets import Sheet
from rnnbench.reports.tables.markdown import escaped
from rnnbench.store.samples import Text
from rnnbench.store.text import printable


def markdown(sheet: Sheet) -> str:
    """A heading and a block of text an entry, exactly as it was drawn: nothing in it is markup."""
    rows = sheet.of(Text)
    shown = rows[0][1]
    lines = [f"# {escaped(sheet.dataset)}: how each network goes on", ""]
    lines += [f"{escaped(term)}  " for term in (*sheet.terms, *([f"drawn with {shown.how}"] if shown.how else []))]
    if shown.prompt:
        lines += ["", "The prompt, which all of them were given:", "", *block(shown.prompt)]
    for row in sheet.rows:
        lines += ["", f"## {escaped(row.label)} ({escaped(row.note)})"]
        if isinstance(row.samples, Text):
            lines += ["", *block(row.samples.sample)]
    return "\n".join(lines) + "\n"


def block(text: str) -> list[str]:
    """The lines of a code block that a text cannot end."""
    text = printable(text)
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}text", text, fence]
