"""Commands of many runs: sweep, retry, stop, clean."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnbench.cli.common import EXIT, FAILED, OK, OVERRIDES, Commands, Parser, console, late, pairs, positive
from rnnbench.cli.stores import add_listing, show_plan
from rnnbench.errors import BadInput

if TYPE_CHECKING:
    from rnnbench.sweeps.outcomes import Result
    from rnnbench.sweeps.plan import Plan

LONGEST_BOARD = 60  # rows that are printed at the end of a sweep
MORE_EXIT = "A sweep that --limit ends with runs left over exits with 130, one that failures or a full disk end with 1."


def add(commands: Commands) -> None:
    """sweep, retry, stop and clean."""
    sweep = commands.add(
        "sweep",
        _sweep,
        "Do every run of a grid that is not recorded yet; the same command resumes.",
        epilog='Lists make the grid: cell=rnn,lstm "seed=range(5)".\n' + OVERRIDES + EXIT + "\n" + MORE_EXIT,
    )
    sweep.add_argument("overrides", nargs="*", metavar="key=value[,value...]")
    sweep.add_argument(
        "--name", help="the sweep's name: W&B group and manifest (default: the experiment's, and the file's)"
    )
    sweep.add_argument("--retry-failed", action="store_true", help="do failed runs again; old records are set aside")
    sweep.add_argument("--dry-run", action="store_true", help="show what would be run, and run nothing (rnnbench plan)")
    stale_options(sweep, "do their runs again; old records are set aside").add_argument(
        "--rerun", action="store_const", dest="stale", const="all",
        help="do every recorded run again, however it ended; old records are set aside",
    )  # fmt: skip
    add_listing(sweep)
    detach_option(sweep)
    engine_options(sweep)
    retry = commands.add(
        "retry", _retry, "Do failed runs again, of a sweep or of the whole store; their old records are set aside."
    )
    retry.add_argument("name", nargs="?", metavar="NAME", help="the sweep or its manifest (default: all of the store)")
    retry.add_argument(
        "--status", metavar="S[,S...]", default=None,
        help="which: oom, timeout, error, killed, diverged, pruned (default: all but the last two)",
    )  # fmt: skip
    detach_option(retry)
    engine_options(retry)
    stop = commands.add(
        "stop", _stop, "Ask a running sweep to stop, as Ctrl-C would: its runs write their checkpoints."
    )
    stop.add_argument(
        "name", metavar="SWEEP", help="its name (of the experiment, or what --name says), or its manifest"
    )
    stop.add_argument("--now", action="store_true", help="as a second Ctrl-C would: end at once")
    clean = commands.add(
        "clean", _clean,
        "Remove unfinished runs that no sweep asks for, checkpoints of finished runs, and what killed writers left.",
    )  # fmt: skip
    clean.add_argument("--yes", action="store_true", help="do not ask")
    clean.add_argument("--dry-run", action="store_true", help="say what would be removed, and remove nothing")


def stale_options(command: Parser, again: str) -> Any:
    """--accept-stale and --rerun-stale, as args.stale; the group of options of which one is given at most."""
    stale = command.add_mutually_exclusive_group()
    stale.add_argument(
        "--accept-stale", action="store_const", dest="stale", const="accept",
        help="count records of other source or data as done",
    )  # fmt: skip
    stale.add_argument("--rerun-stale", action="store_const", dest="stale", const="rerun", help=again)
    return stale


def detach_option(command: Parser) -> None:
    """--detach; `detach` does it."""
    command.add_argument(
        "--detach", action="store_true", help="go on in the background, output in results/sweeps/NAME.log"
    )


def engine_options(command: Parser) -> None:
    """The options of every command that does many runs; `engine` reads them."""
    command.add_argument(
        "--workers", type=positive, metavar="N",
        help="runs at once, one thread each (default: the cores; with GPUs, one a GPU)",
    )  # fmt: skip
    command.add_argument("--gpus", type=late("devices", "read"), metavar="I[,I...]", help="which GPUs (default: all)")
    command.add_argument("--per-gpu", type=positive, metavar="N", help="runs at once on each GPU (default: 1)")
    command.add_argument(
        "--timeout", type=late("limits", "duration"), metavar="TIME",
        help="a run's time limit: 90s, 20m, 4h (default: harness.timeout)",
    )  # fmt: skip
    command.add_argument(
        "--memory", type=late("limits", "memory"), metavar="SIZE",
        help="a run's memory limit, its code included: 4G; beyond it, it is tried once more and then recorded as oom",
    )  # fmt: skip
    command.add_argument(
        "--limit", type=late("limits", "Limit.read"), metavar="TIME|Nruns",
        help="stop after 4h (running runs write their checkpoints) or 200runs (running runs go on to their end)",
    )  # fmt: skip
    command.add_argument("--max-failures", type=positive, metavar="N", help="stop after so many failed runs")
    command.add_argument(
        "--executor",
        choices=("local", "ray", "slurm"),
        default="local",
        help="where the runs are done (default: local); see docs/remote.md",
    )
    command.add_argument(
        "--executor-option", metavar="KEY=VALUE", action="append", default=[],
        help="ray: address, cpus, gpus; slurm: partition, time, mem, cpus, gpus and sbatch's own; may be repeated",
    )  # fmt: skip


def engine(args: argparse.Namespace) -> dict[str, Any]:
    """What `engine_options` said, as keywords of Sweep. Raises BadInput on what does not go together."""
    from rnnbench.sweeps.executors import check_options
    from rnnbench.sweeps.limits import Limits

    options = pairs(args.executor_option, "--executor-option")
    check_options(args.executor, options, args.gpus, args.per_gpu)
    return {
        "workers": args.workers,
        "gpus": args.gpus,
        "per_gpu": args.per_gpu,
        "executor": args.executor,
        "options": options,
        "limits": Limits(args.timeout, args.memory, args.limit, args.max_failures),
    }


def elsewhere(args: argparse.Namespace) -> bool:
    """Whether the runs are done on other machines than this one, as far as the executor's name tells."""
    return bool(args.executor != "local")


def _sweep(args: argparse.Namespace) -> int:
    from rnnbench.store.manifests import skipped_lines
    from rnnbench.sweeps.plan import plan

    made, rerun = plan(args.overrides, name=args.name, elsewhere=elsewhere(args)), args.stale == "all"
    if rerun and args.retry_failed:
        raise BadInput("--rerun does every recorded run again, failed ones as well; leave --retry-failed out.")
    if args.dry_run:
        again = {"failed": args.retry_failed or rerun, "stale": args.stale == "rerun" or rerun, "done": rerun}
        return show_plan(made, args, [state for state, asked in again.items() if asked])
    for line in skipped_lines(made.skip_reasons()):
        print(line, file=sys.stderr)
    for sentence in [*made.readings(fetch=not elsewhere(args)), *(f"note: {note}" for note in made.notes())]:
        print(sentence, file=sys.stderr)
    if args.detach:
        _check(made, args, args.stale)
        return detach(args, made.key)
    again = {"retry_failed": args.retry_failed, "stale": None if rerun else args.stale, "rerun": rerun}
    return _run(made, args, board=True, **again)


def _check(made: Plan, args: argparse.Namespace, choice: str | None) -> None:
    """Raise here what would else be the only line of a log: BadInput on GPUs, options and stale records."""
    from rnnbench.store.store import Store
    from rnnbench.sweeps import stale
    from rnnbench.sweeps.sweep import Sweep

    Sweep(made, args.results, **engine(args))
    if choice is None:
        stale.settle(Store.open(args.results), [job.id for job in made.jobs])


def _run(made: Plan, args: argparse.Namespace, *, board: bool = False, **more: Any) -> int:
    """Do a plan. board: print the leaderboard of its runs behind."""
    from rnnbench.sweeps.sweep import Sweep

    result = Sweep(made, args.results, **engine(args), **more).run()
    for line in result.summary(made):
        print(line, file=sys.stderr)
    if board and not result.interrupted:
        _print_board(made, result)
    return result.exit_code


def _print_board(made: Plan, result: Result) -> None:
    """The leaderboard of a sweep that has ended, where it has results; of a long one the command that prints it."""
    from rnnbench.reports.boards.leaderboard import leaderboard
    from rnnbench.reports.boards.leaderboard_table import leaderboard_table
    from rnnbench.reports.selection.frame import records_frame
    from rnnbench.reports.tables.terminal import to_rich

    if not any(record["status"] == "ok" for record in result.records.values()):
        return
    made_board = leaderboard(records_frame(result.records.values()))
    if len(made_board) > LONGEST_BOARD:
        print(f"rnnbench leaderboard {made.key} ranks its {len(made_board)} entries", file=sys.stderr)
    else:
        console().print(to_rich(leaderboard_table(made_board)))


def detach(args: argparse.Namespace, name: str) -> int:
    """Start this very command again without --detach, in the background, and say how to watch and to stop it.

    Where it has ended by then, its output and its exit code are this command's.
    """
    from rnnbench.store.store import Store
    from rnnbench.sweeps import control

    results = Store.open(args.results).results.root
    # also as `--de`, which argparse takes for it: with it left in, each would start the next, without end
    words = [word for word in args.words if not (len(word) > len("--") and "--detach".startswith(word))]
    started = control.detach(words, results, name)
    if started.code is not None:
        print(started.said, end="", file=sys.stderr)
        print(f"it has ended already; output in {started.log}", file=sys.stderr)
        return started.code if started.code >= 0 else FAILED
    where = f" --results {args.results}" if args.results else ""
    print(f"detached: sweep {name}, process {started.pid}, output in {started.log}")
    print(f"watch it: rnnbench status --watch{where}   (or tail -f {started.log})")
    print(f"stop it:  rnnbench stop {name}{where}")
    return OK


def _retry(args: argparse.Namespace) -> int:
    from rnnbench.store.door import refused
    from rnnbench.store.store import Store
    from rnnbench.sweeps import retry

    wanted = retry.statuses(args.status) if args.status is not None else frozenset(retry.USUAL)
    store = Store.open(args.results)
    made, lost = retry.failed_runs(store, args.name, wanted, elsewhere=elsewhere(args))
    for line in refused(store.problems):
        print(line, file=sys.stderr)
    for run_id, reason in lost.items():
        print(f"left as it is: {run_id}: {reason}", file=sys.stderr)
    if not made.jobs:
        print(f"no failed run to do again ({', '.join(sorted(wanted))})", file=sys.stderr)
        return FAILED if lost else OK
    if args.detach:
        _check(made, args, "accept")
        return detach(args, made.key)
    return _run(made, args, retry=wanted, manifest=False, stale="accept")


def _stop(args: argparse.Namespace) -> int:
    from rnnbench.sweeps import control

    results, name = _running(args)
    said = control.stop(results, name, now=args.now)
    for line in said:
        print(line)
    return FAILED if any("still stopping" in line for line in said) else OK


def _running(args: argparse.Namespace) -> tuple[Path, str]:
    """The results folder and the name of the sweep to stop.

    One that runs is stopped whatever its manifest says. Raises BadInput on a name that is no sweep's, or whose manifest
    is damaged; `control.stop` does on one that does not run.
    """
    from rnnbench.store.manifests import read_manifest
    from rnnbench.store.results import meaning, resolve_sweep
    from rnnbench.store.store import Store
    from rnnbench.sweeps import control

    store = Store.open(args.results)
    if any(seen.name == args.name for seen in control.running(store.results.root)):
        return store.results.root, args.name
    if meaning(store, args.name) is None:
        return store.results.root, args.name
    found = resolve_sweep(store, args.name)
    read_manifest(found.store.results, found.name)
    return found.store.results.root, found.name


def _clean(args: argparse.Namespace) -> int:
    from rnnbench.store.store import Store
    from rnnbench.sweeps import clean

    store = Store.open(args.results)
    found = clean.find(store)
    for line in clean.compiled():
        print(line)
    if not found:
        print(f"nothing to clean in {store.results.root}")
        return OK
    for line in clean.text(found):
        print(line)
    total = clean.in_words(sum(each.bytes for each in found))
    if args.dry_run:
        print(f"{total} in all; nothing was removed (--dry-run)")
        return OK
    if not args.yes and not _agreed(f"remove {total}? [y/N] "):
        print("nothing was removed")
        return OK
    left = [each for each in found if not clean.remove(each)]
    print(f"removed {clean.in_words(sum(each.bytes for each in found if each not in left))}")
    for each in left:
        print(f"in use by now, and left: {each.path}")
    return OK


def _agreed(question: str) -> bool:
    if not sys.stdin.isatty():
        raise BadInput("nobody can be asked here; --yes removes it, --dry-run only looks.")
    return input(question).strip().lower() in ("y", "yes")
