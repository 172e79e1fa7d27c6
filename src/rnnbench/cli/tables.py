"""Commands that set results beside each other: tables, compare."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rnnbench.cli.common import FAILED, OK, Commands
from rnnbench.cli.selecting import EPILOG, PRINTED, add_selection, print_tables, selected
from rnnbench.errors import BadInput
from rnnbench.face.words import side_of

TABLES = ("across", "tasks", "axes", "cost", "coverage", "published")
COMPARED = """\
Each is a selection in quotes: rnnbench compare quickstart "other/results cell=lstm,gru" --gate

better and worse are results: sign flips of 8 pairs and more, p <= .05 after Holm. perhaps is Student's t or Welch's
test where there are fewer, or 5 pairs and more that all differ by the same. --gate stops, with a line each, on worse,
perhaps worse (a gate must notice, with five seeds too), lost, fails more, and on what is missing: entries of A that B
does not have, entries of which B has too few seeds for a test and A enough, records of either that cannot be read.
Words that B alone has excuse what they leave out: cell=gru, an option and so on entries, seed= seeds; none excuses a
record that cannot be read. Excused, too, are the runs to be compiled that B's sweep skipped for want of a C compiler.

"""


def add(commands: Commands) -> None:
    """tables and compare."""
    tables = commands.add(
        "tables",
        _tables,
        "Set entries beside each other across datasets; writes every table as csv, md, tex, parquet and json.",
        epilog=EPILOG,
    )
    add_selection(tables)
    tables.add_argument(
        "--show", choices=(*TABLES, "all"), metavar="TABLE",
        help="which is printed: across (default), tasks, axes, cost, coverage, published or all (not as csv)",
    )  # fmt: skip
    tables.add_argument("--format", choices=("rich", *PRINTED), default="rich", help="how it is printed")
    tables.add_argument("--output", metavar="DIR", help="where the files go (default: tables/ in the store)")
    compare = commands.add(
        "compare",
        _compare,
        "Set two selections of runs against each other: what changed, by how much against the noise, and the speed.",
        epilog=COMPARED + EPILOG,
    )
    compare.add_argument("a", metavar="A", help="before: a selection, a store, a published set")
    compare.add_argument("b", metavar="B", help="after")
    compare.add_argument(
        "--gate", action="store_true",
        help="exit code 1 where quality is lost, entries or records are missing, or bits moved with --exact (never for"
        " speed)",
    )  # fmt: skip
    compare.add_argument(
        "--exact", action="store_true",
        help="also a loss: runs of one seed, processor, torch and compiler whose metrics are not equal to the bit",
    )  # fmt: skip
    compare.add_argument("--format", choices=("rich", *PRINTED), default="rich", help="how it is printed")
    compare.add_argument("--output", metavar="DIR", help="also write compare.{csv,md,tex,parquet,json} there")


def _tables(args: argparse.Namespace) -> int:
    from rnnbench.reports.boards.all_tables import all_tables
    from rnnbench.reports.tables.write import write_table
    from rnnbench.store.store import Store

    if args.show == "all" and args.format == "csv":
        raise BadInput("--format csv prints one table: name it with --show, or take the files of all (--output DIR).")
    store = Store.open(args.results)
    found = selected(store, args.selection)
    made = all_tables(found.frame, found.skipped)
    folder = Path(args.output) if args.output else store.results.tables
    for table in made.values():
        write_table(table, folder)
    show = args.show or ("across" if len(made["across"].frame) else "tasks")
    print_tables([made[name] for name in TABLES] if show == "all" else [made[show]], args.format)
    print(f"written: {folder}/{{{','.join(made)}}}.{{csv,md,tex,parquet,json}}", file=sys.stderr)
    return OK


def _compare(args: argparse.Namespace) -> int:
    from rnnbench.reports.compare.compare import compare
    from rnnbench.reports.compare.table import compare_table
    from rnnbench.reports.tables.write import write_table
    from rnnbench.store.store import Store

    store = Store.open(args.results)
    found = compare(*(selected(store, side_of(side)) for side in (args.a, args.b)), exact=args.exact)
    table = compare_table(found)
    files = write_table(table, Path(args.output)) if args.output else []  # what cannot be written ends it here
    print_tables([table], args.format)
    if files:
        print("written: " + ", ".join(str(file) for file in files), file=sys.stderr)
    losses = [f"{row['dataset']} · {row['label']}: {row['verdict']}" for _, row in found.losses.iterrows()]
    losses += found.missing if args.gate else []  # who only looks may well set a part against the whole
    for line in losses:
        print(f"loss: {line}", file=sys.stderr)
    return FAILED if args.gate and losses else OK
