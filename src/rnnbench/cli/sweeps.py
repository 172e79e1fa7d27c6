"""Commands of many runs: sweep."""

from __future__ import annotations

import argparse
import sys

from rnnbench.cli.common import EXIT, OVERRIDES, Commands, positive
from rnnbench.cli.stores import add_listing, show_plan


def add(commands: Commands) -> None:
    """sweep."""
    sweep = commands.add(
        "sweep",
        _sweep,
        "Do every run of a grid that is not recorded yet; the same command resumes.",
        epilog='Lists make the grid: cell=rnn,lstm "seed=range(5)".\n' + OVERRIDES + EXIT,
    )
    sweep.add_argument("overrides", nargs="*", metavar="key=value[,value...]")
    sweep.add_argument(
        "--workers", type=positive, metavar="N", help="runs at once, one thread each (default: the cores)"
    )
    sweep.add_argument("--name", help="the sweep's name: W&B group and manifest (default: the experiment's)")
    sweep.add_argument("--retry-failed", action="store_true", help="do failed runs again; old records are set aside")
    sweep.add_argument("--dry-run", action="store_true", help="show what would be run, and run nothing (rnnbench plan)")
    stale = sweep.add_mutually_exclusive_group()
    stale.add_argument(
        "--accept-stale", action="store_const", dest="stale", const="accept",
        help="count records made by other source as done",
    )  # fmt: skip
    stale.add_argument(
        "--rerun-stale", action="store_const", dest="stale", const="rerun",
        help="do their runs again; old records are set aside",
    )  # fmt: skip
    add_listing(sweep)


def _sweep(args: argparse.Namespace) -> int:
    from rnnbench.sweeps.plan import plan

    made = plan(args.overrides, name=args.name)
    if args.dry_run:
        return show_plan(made, args)
    for reason, cells in made.skip_reasons().items():
        print(f"skipped: {cells} cell{'s' * (cells != 1)}: {reason}", file=sys.stderr)
    from rnnbench.sweeps.sweep import Sweep

    sweep = Sweep(made, args.results, workers=args.workers, retry_failed=args.retry_failed, stale=args.stale)
    result = sweep.run()
    for line in result.summary(made):
        print(line, file=sys.stderr)
    return result.exit_code
