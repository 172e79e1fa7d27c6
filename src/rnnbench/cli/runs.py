"""Commands of one run: run, show."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from rnnbench.cli.common import EXIT, FAILED, INTERRUPTED, OK, OVERRIDES, Commands, collector_off, console
from rnnbench.cli.kernel import DTYPES, show_kernel
from rnnbench.errors import BadInput
from rnnbench.store.record import Record

if TYPE_CHECKING:
    from rnnbench.runs.plan import Job
    from rnnbench.store.store import Store


def add(commands: Commands) -> None:
    """run and show."""
    run = commands.add(
        "run", _run, "Train and test one network; its record goes to results/runs/<id>/.", epilog=OVERRIDES + EXIT
    )
    run.add_argument("overrides", nargs="*", metavar="key=value")
    again = run.add_mutually_exclusive_group()
    again.add_argument(
        "--retry", action="store_true", help="do a failed or stale run again; its old record is set aside"
    )
    again.add_argument(
        "--rerun", action="store_true", help="do a recorded run again, however it ended; its old record is set aside"
    )
    show = commands.add("show", _show, "Everything about one run; with --kernel, the C that a cell is compiled from.")
    show.add_argument(
        "overrides", nargs="*", metavar="RUN",
        help="its id, or the beginning of it; of the store, else of a published set. With --kernel: key=value",
    )  # fmt: skip
    show.add_argument("--kernel", metavar="CELL", help="print the C of this cell's step (with peephole=on: of that)")
    show.add_argument("--dtype", choices=DTYPES, help="with --kernel: the precision (default: float32)")
    show.add_argument(
        "--whole", action="store_true", help="with --kernel: the source as it is compiled, not the two loops alone"
    )


def _run(args: argparse.Namespace) -> int:
    from rnnbench.reports.show import run_summary
    from rnnbench.runs import readings
    from rnnbench.runs.host import room_for_torch
    from rnnbench.runs.notes import notes
    from rnnbench.runs.plan import prepare
    from rnnbench.runs.registry import refuse_experiment
    from rnnbench.store.store import Store
    from rnnbench.sweeps.changed import changed_in
    from rnnbench.sweeps.stale import recorded

    refuse_experiment(args.overrides, "`rnnbench sweep {}`", "`rnnbench tune {}`")
    room_for_torch()
    job, store = prepare(args.overrides), Store.open(args.results)
    known, stale = recorded(job, store, retry=args.retry, rerun=args.rerun)
    for line in changed_in([job] if known is None else [], store):
        print(line, file=sys.stderr)
    for sentence in notes([job] if known is None else []):
        print(f"note: {sentence}", file=sys.stderr)
    if known is None:
        readings.of(job.config, fetch=True)  # what has to be downloaded is refused before the run is claimed, too
    record = known or _do(job, store)
    if isinstance(record, int):
        return record
    if known is not None:
        _say_recorded(known, job, store, stale=stale)
    console().print(run_summary(record, store.folder(job.id)))
    if known is not None and (known["status"] != "ok" or stale):
        print("do it again with --retry", file=sys.stderr)
    return OK if record["status"] == "ok" else FAILED


def _do(job: Job, store: Store) -> Record | int:
    """Do the run; the exit code where it was interrupted, or is another process's by now, which is said here."""
    with collector_off():
        from rnnbench.runs.attempts import TakenOver
        from rnnbench.runs.run import attempt
        from rnnbench.training import Interrupted

    try:
        return attempt(job, store, told=True)
    except Interrupted as error:
        print(f"rnnbench: interrupted: {error}; the same command resumes.", file=sys.stderr)
        return INTERRUPTED
    except TakenOver as error:
        print(f"rnnbench: {error}; nothing is lost, it goes on there.", file=sys.stderr)
        return OK


def _say_recorded(record: Record, job: Job, store: Store, *, stale: str) -> None:
    """The run was done before: say so, and tell an agent of W&B that waits for its result. stale: what has changed."""
    from rnnbench.tracking.push import Mirrored, answer_agent

    print(f"already recorded ({record['finished']}):", file=sys.stderr)
    if stale:
        print(f"stale: {stale}", file=sys.stderr)
    folder = store.folder(job.id)
    if problem := answer_agent(Mirrored(record, store.history(job.id)), job.config["tracker"], folder):
        print(f"rnnbench: {problem}", file=sys.stderr)


def _show(args: argparse.Namespace) -> int:
    from rnnbench.reports.show import show_run
    from rnnbench.store.store import Store

    if args.kernel is not None:
        return show_kernel(args.kernel, args.overrides, dtype=args.dtype or DTYPES[0], whole=args.whole)
    if args.whole or args.dtype:
        raise BadInput("--whole and --dtype belong to --kernel CELL.")
    if len(args.overrides) != 1:
        raise BadInput("show takes one RUN, its id or the beginning of it, or --kernel CELL.")
    console().print(show_run(Store.open(args.results), args.overrides[0]))
    return OK
