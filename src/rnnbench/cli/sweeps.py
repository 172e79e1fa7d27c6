"""Commands of many runs: sweep."""

from __future__ import annotations

import argparse
import sys

from rnnbench.cli.common import EXIT, OK, OVERRIDES, Commands, pairs, positive
from rnnbench.record import RecordError


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
    sweep.add_argument(
        "--executor", default="local", metavar="local|ray|slurm", help="where the runs are done (see docs/remote.md)"
    )
    sweep.add_argument(
        "--executor-option", metavar="KEY=VALUE", action="append", default=[],
        help="ray: address gpus cpus; slurm: partition time mem cpus gpus and any of sbatch's; may be repeated",
    )  # fmt: skip
    sweep.add_argument("--dry-run", action="store_true", help="show what would be run, and run nothing")


def _sweep(args: argparse.Namespace) -> int:
    from rnnbench.sweeps.plan import plan

    made = plan(args.overrides, name=args.name)
    for reason, cells in made.skip_reasons().items():
        print(f"skipped: {cells} cell{'s' * (cells != 1)}: {reason}", file=sys.stderr)
    if args.dry_run:
        from rnnbench.store import Store

        store = Store.open(args.results)
        for job in made.jobs:
            try:
                done = (store.read(job.id) or {}).get("status", "new")
            except RecordError:
                done = "damaged"
            print(f"{done:<9} {job.id}  {job.title}")
        return OK
    from rnnbench.sweeps.sweep import Sweep

    sweep = Sweep(
        made, args.results, workers=args.workers, retry_failed=args.retry_failed,
        executor=args.executor, options=pairs(args.executor_option, "--executor-option"),
    )  # fmt: skip
    result = sweep.run()
    for line in result.summary(made):
        print(line, file=sys.stderr)
    return result.exit_code
