"""Commands that set results beside each other: tables, compare."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rnnbench.cli.common import OK, Commands, console
from rnnbench.cli.selecting import EPILOG, add_selection, selected

if TYPE_CHECKING:
    from rnnbench.reports.export import Table

TABLES = ("across", "tasks", "axes", "cost", "coverage", "published")
PRINTED = {"csv": "csv", "markdown": "md", "latex": "tex", "json": "json"}


def add(commands: Commands) -> None:
    """tables."""
    tables = commands.add(
        "tables",
        _tables,
        "Set entries beside each other across datasets; writes every table as csv, md, tex, parquet and json.",
        epilog=EPILOG,
    )
    add_selection(tables)
    tables.add_argument(
        "--show", choices=(*TABLES, "all"), metavar="TABLE",
        help="which is printed: across (default), tasks, axes, cost, coverage, published or all",
    )  # fmt: skip
    tables.add_argument("--format", choices=("rich", *PRINTED), default="rich", help="how it is printed")
    tables.add_argument("--output", metavar="DIR", help="where the files go (default: tables/ in the store)")


def _tables(args: argparse.Namespace) -> int:
    from rnnbench.reports.coverage import skipped_cells
    from rnnbench.reports.export import write_table
    from rnnbench.reports.tables_main import all_tables
    from rnnbench.store import Store

    store = Store.open(args.results)
    found = selected(store, args.selection)
    skipped = {} if args.selection else skipped_cells(store.root.parent)
    made = all_tables(found.frame, skipped)
    folder = Path(args.output) if args.output else store.root.parent / "tables"
    for table in made.values():
        write_table(table, folder)
    show = args.show or ("across" if len(made["across"].frame) else "tasks")
    for name in TABLES if show == "all" else (show,):
        _print(made[name], args.format)
    print(f"written: {folder}/{{{','.join(made)}}}.{{csv,md,tex,parquet,json}}", file=sys.stderr)
    return OK


def _print(table: Table, form: str) -> None:
    from rnnbench.reports.export import WRITERS, to_rich

    if form == "rich":
        console().print(to_rich(table))
    else:
        sys.stdout.write(str(WRITERS[PRINTED[form]](table)))
