"""The tables of docs/speed.md: written by the command that measures them, each with where it was measured.

A page has a place for a table where it has its two marks, each a line of its own::

    <!-- table: cells -->
    <!-- end -->
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import torch

from rnnbench import toolchain
from rnnbench.bench.harness import Result
from rnnbench.errors import BadInput
from rnnbench.runs import host

PLACE = re.compile(r"^<!-- table: (?P<name>\w+) -->\n(?P<body>.*?)^<!-- end -->$", re.M | re.S)


def places(page: str) -> dict[str, str]:
    """What a page says of each table, by the table's name."""
    return {found["name"]: found["body"] for found in PLACE.finditer(page)}


def read(path: Path) -> str:
    """A page to write to. Raises BadInput where there is none, or it has no place for a table."""
    try:
        page = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"--write {path}: it cannot be read ({error}); name a page with places for tables.") from None
    if not places(page):
        marks = "a line `<!-- table: cells -->` and a line `<!-- end -->`"
        raise BadInput(f"--write {path}: it has no place for a table, which is {marks}.")
    return page


def write(path: Path, name: str, body: str) -> bool:
    """Put a table into its place on a page, and leave the rest. Returns whether there is one."""
    page = read(path)
    if name not in places(page):
        return False

    def filled(found: re.Match[str]) -> str:
        return f"<!-- table: {name} -->\n{body}<!-- end -->" if found["name"] == name else found[0]

    path.write_text(PLACE.sub(filled, page), encoding="utf-8")
    return True


def markdown(result: Result, where: str = "") -> str:
    """A table as a page has it: title, where it was measured, rows."""
    title = f"{result.title}. {where}".strip()
    lines = [title, ""]
    if result.columns:
        lines += [_line(result.columns), f"|---|{'--:|' * (len(result.columns) - 1)}"]
        lines += [_line(row) for row in result.rows]
    return "\n".join(lines).rstrip("\n") + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def where() -> str:
    """What a speed depends on, as a sentence: processor, compiler, torch, commit."""
    found, git = toolchain.find(), host.git_state()
    if found is None:
        compiled = [host.cpu_name(), "no compiler"]
    else:
        compiled = [f"{host.cpu_name()} ({found.processor})", f"{found.compiler} `{' '.join(found.flags)}`"]
    commit = "of no checkout" if git["commit"] is None else f"commit {git['commit'][:12]}"
    changed = " with changes" if git["dirty"] else ""
    return f"Measured on {', '.join(compiled)}, torch {torch.__version__}, {commit}{changed}."
