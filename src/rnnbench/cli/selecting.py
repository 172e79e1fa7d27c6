"""What commands over a selection share: its words, what its reader is told, and the formats it is printed in."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rnnbench.cli.common import EXIT, console
from rnnbench.face.selecting import marked

if TYPE_CHECKING:
    from rnnbench.reports.selection.select import Selected
    from rnnbench.reports.tables.table import Table
    from rnnbench.store.store import Store

HELP = """\
A selection is names of sweeps, of published sets, of folders with results or of runs, and key=value[,value]:
  dataset budget protocol metric device precision backend status commit (its beginning)
  cell operator peephole direction depth hidden_size seed, and any option that was set: optimizer.lr=0.01
  since=2026-11-01 until=2026-11-30 (when a run finished, UTC, both days in)
Words of different keys all hold; values of one key, and several names, are alternatives. No words: all of the store.
"""
EPILOG = HELP + EXIT
PRINTED = {"csv": "csv", "markdown": "md", "latex": "tex", "json": "json"}  # --format, by the ending of the file
SHORT = ("dataset", "budget")  # keys that some commands take as options as well


def add_selection(parser: argparse.ArgumentParser, *, short: bool = False) -> None:
    """The words of a selection, as `args.selection`. short: --dataset and --budget, too; see `asked`."""
    parser.add_argument(
        "selection", nargs="*", metavar="SELECTION",
        help="a sweep, published set, folder or run, and key=value (default: all)",
    )  # fmt: skip
    if short:
        for key in SHORT:
            parser.add_argument(f"--{key}", help=f"the same as {key}={key.upper()}")


def asked(args: argparse.Namespace) -> list[str]:
    """The words of a selection, those that were given as options among them."""
    options = {key: getattr(args, key) for key in SHORT}
    return [*args.selection, *(f"{key}={value}" for key, value in options.items() if value is not None)]


def selected(store: Store, words: list[str]) -> Selected:
    """The runs that were asked for; what is left out, unfinished or stale is said on stderr."""
    from rnnbench.reports.selection.select import select

    found = select(store, words)
    for line in marked(found):
        print(line, file=sys.stderr)
    return found


def print_tables(tables: Sequence[Table], form: str) -> None:
    """Tables on the terminal: `rich`, as wide as it is, or as the text of a file of `PRINTED`."""
    from rnnbench.reports.tables.terminal import to_rich
    from rnnbench.reports.tables.write import WRITERS, all_to_json

    if form == "rich":
        terminal = console()
        for table in tables:
            terminal.print(to_rich(table))
    elif form == "json" and len(tables) > 1:
        sys.stdout.write(all_to_json(tables))
    else:
        sys.stdout.write("\n".join(str(WRITERS[PRINTED[form]](table)) for table in tables))
