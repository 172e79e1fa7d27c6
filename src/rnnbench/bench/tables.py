"""`make bench`: every table of harness.py and frames.py, in a process that is set up as a run's.

Its memory allocator is tuned as a run's is, which moves these ratios by a fifth.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

import torch
from rich.console import Console
from rich.table import Table

from rnnbench.bench import frames
from rnnbench.bench import harness as training
from rnnbench.runs import host


def tables(rounds: int, updates: int) -> dict[str, Callable[[], training.Result]]:
    """Every table by name, not yet measured. The narrower a limit, the more rounds."""
    return {
        "harness": lambda: training.harness(rounds, updates),
        "backends": lambda: training.backends(rounds),
        "convlstm": lambda: frames.common_form(2 * rounds),
        "bf16": lambda: frames.bf16(rounds),
        "memory": frames.memory,
        "doubling": lambda: frames.doubling(rounds),
    }


def _table(result: training.Result) -> Table:
    table = Table(box=None, pad_edge=False)
    for n, column in enumerate(result.columns):
        table.add_column(column, justify="right" if n else "left")
    for row in result.rows:
        table.add_row(*row)
    return table


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables as they are measured; 1 where a limit was clearly missed."""
    parser = argparse.ArgumentParser("python -m rnnbench.bench.tables", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="at least 10 tell a missed limit from noise")
    parser.add_argument("--updates", type=int, default=200, help="of a round of the harness")
    parser.add_argument("tables", nargs="*", default=[], help=f"only these of {', '.join(tables(1, 1))}")
    args = parser.parse_args(argv)
    known = tables(args.rounds, args.updates)
    if unknown := [name for name in args.tables if name not in known]:
        parser.error(f"unknown table {unknown[0]!r}; known: {', '.join(known)}")
    host.tune_malloc()
    torch.set_num_threads(1)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    missed: list[str] = []
    for name in args.tables or known:
        result = known[name]()
        console.print(f"\n{result.title}", _table(result), sep="\n", markup=False)
        missed += result.missed
    for sentence in missed:
        print(f"limit missed: {sentence}", file=sys.stderr)
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
