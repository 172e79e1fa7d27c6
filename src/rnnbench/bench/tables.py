"""`make bench`: every table but the last, in a process that is set up as a run's.

Its memory allocator is tuned as a run's is, which moves these ratios by a fifth.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from rnnbench.bench import cells, document, frames, goals, scans, whole_runs
from rnnbench.bench import harness as training
from rnnbench.errors import BadInput


def tables(rounds: int, updates: int) -> dict[str, Callable[[], training.Result]]:
    """Every table by name, not yet measured. The narrower a limit, the more rounds."""
    return {
        "harness": lambda: training.harness(rounds, updates),
        "backends": lambda: training.backends(rounds),
        "convlstm": lambda: frames.common_form(2 * rounds),
        "bf16": lambda: frames.bf16(rounds),
        "memory": frames.memory,
        "doubling": lambda: frames.doubling(rounds),
        "cells": lambda: cells.cells(min(rounds, cells.ROUNDS)),
        "lowest": lambda: cells.lowest(min(rounds, cells.ROUNDS)),
        "compilation": cells.compile_times,
        "scan": lambda: scans.scans(min(rounds, scans.ROUNDS)),
        "updates": lambda: whole_runs.updates(min(rounds, cells.ROUNDS)),
        "quickstart": whole_runs.sweep_before_and_after,
    }


def _table(result: training.Result) -> Table:
    table = Table(box=None, pad_edge=False)
    for n, column in enumerate(result.columns):
        table.add_column(column, justify="right" if n else "left")
    for row in result.rows:
        table.add_row(*row)
    return table


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables as they are measured; 1 where a limit or goal was clearly missed, or a table failed."""
    parser = argparse.ArgumentParser("python -m rnnbench.bench.tables", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="at least 10 tell a missed limit from noise")
    parser.add_argument("--updates", type=int, default=200, help="of a round of the harness")
    parser.add_argument("--processor", help="of cells and updates: compiled for a lesser kind of this processor")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the tables into their places on it, too")
    parser.add_argument("tables", nargs="*", default=[], help=f"only these of {', '.join(tables(1, 1))}")
    args = parser.parse_args(argv)
    known = tables(args.rounds, args.updates)
    if unknown := [name for name in args.tables if name not in known]:
        parser.error(f"unknown table {unknown[0]!r}; known: {', '.join(known)}")
    try:
        if args.write:
            document.read(args.write)
        with cells.built_for(args.processor):
            return _measure({name: known[name] for name in args.tables or known}, args.write)
    except (BadInput, ValueError) as error:
        parser.error(str(error))


def _measure(chosen: Mapping[str, Callable[[], training.Result]], page: Path | None) -> int:
    training.set_up()
    if page:
        document.write(page, "goals", document.markdown(goals.table()))
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    sentences: list[str] = []
    for name, make in chosen.items():
        try:
            result = make()
        except Exception:  # the tables after it are measured, too
            traceback.print_exc()
            sentences.append(f"table failed: {name}")
            continue
        console.print(f"\n{result.title}", _table(result), sep="\n", markup=False)
        sentences += [f"limit missed: {sentence}" for sentence in result.missed]
        if page:
            document.write(page, name, document.markdown(result, document.where()))
    for sentence in sentences:
        print(sentence, file=sys.stderr)
    return int(bool(sentences))


if __name__ == "__main__":
    sys.exit(main())
