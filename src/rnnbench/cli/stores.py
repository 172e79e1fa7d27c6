"""Commands that look at a store or join stores: plan, status, diff, merge. None of them trains; none imports torch."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection
from typing import TYPE_CHECKING

from rnnbench.cli.common import EXIT, FAILED, OK, OVERRIDES, Commands, console, late, positive
from rnnbench.errors import IDS, BadInput

if TYPE_CHECKING:
    from rnnbench.sweeps.plan import Plan


def add(commands: Commands) -> None:
    """plan, status, diff and merge."""
    plan = commands.add(
        "plan",
        _plan,
        "What a sweep would do, run by run, and what it costs by past records. Runs nothing.",
        epilog='Takes what `rnnbench sweep` takes: cell=rnn,lstm "seed=range(5)", experiment=quickstart.\n'
        "The same seconds for all instead of the same updates: an experiment for your --config-dir is printed by\n"
        "  rnnbench plan experiment=quickstart --equal-time 30s > mylab/experiment/quickstart_30s.yaml\n"
        + OVERRIDES
        + EXIT,
    )
    plan.add_argument("overrides", nargs="*", metavar="key=value[,value...]")
    plan.add_argument("--name", help="the sweep's name (default: the experiment's)")
    plan.add_argument("--workers", type=positive, metavar="N", help="runs at once, for the ETA (default: the cores)")
    add_listing(plan)
    plan.add_argument(
        "--equal-time", type=late("limits", "duration"), metavar="TIME",
        help="print an experiment instead, in which each entry has as many updates as so much training pays: 30s, 10m",
    )  # fmt: skip
    plan.add_argument(
        "--speeds", metavar="PLACE",
        help="with --equal-time: the sweep, published set or folder whose runs say what an update takes "
        "(default: the store)",
    )  # fmt: skip
    status = commands.add("status", _status, "How sweeps stand, from records and heartbeats; also while one runs.")
    status.add_argument("name", nargs="?", metavar="NAME", help="this sweep only, or that of a manifest (default: all)")
    status.add_argument("--watch", action="store_true", help="refresh in place until all is done, or Ctrl-C")
    status.add_argument("--format", choices=("text", "json"), default="text", help="what is printed")
    diff = commands.add(
        "diff",
        _diff,
        "Why two runs have two ids: the config keys that differ, and both results.",
        epilog='Overrides are quoted: rnnbench diff b51af3 "cell=lstm dataset=digits seed=1"\n' + EXIT,
    )
    diff.add_argument("a", metavar="A", help="a run's id, or the beginning of it, or its overrides in quotes")
    diff.add_argument("b", metavar="B", help="the other one")
    merge = commands.add(
        "merge", _merge, "Copy finished runs of other stores or published sets into this one; nothing is overwritten."
    )
    merge.add_argument(
        "sources", nargs="+", metavar="DIR", help="results folders, published sets, manifests of sweeps, runs"
    )
    merge.add_argument("--unfinished", action="store_true", help="unfinished runs, too, with their checkpoints")


def add_listing(parser: argparse.ArgumentParser) -> None:
    """How a plan is shown: --format, --all."""
    parser.add_argument("--format", choices=("text", "json", "csv"), default="text", help="how a plan is printed")
    parser.add_argument("--all", action="store_true", help="list every run of a plan, not a dozen of each state")


def _plan(args: argparse.Namespace) -> int:
    from rnnbench.sweeps.plan import plan

    if args.speeds is not None and args.equal_time is None:
        raise BadInput("--speeds says what --equal-time divides by; give that, too: --equal-time 30s.")
    made = plan(args.overrides, name=args.name)
    return show_plan(made, args) if args.equal_time is None else _print_experiment(made, args)


def _print_experiment(made: Plan, args: argparse.Namespace) -> int:
    """The plan as an experiment whose entries train for the same seconds."""
    from rnnbench.store.gathered import gather
    from rnnbench.store.results import PublishedSet, Runs, Sweep, resolve
    from rnnbench.store.store import Store
    from rnnbench.sweeps.equal_time import as_experiment, shares

    store = Store.open(args.results)
    everything = Runs(store, store.results.root.name, str(store.results.root))
    place = everything if args.speeds is None else resolve(store, args.speeds, (Sweep, PublishedSet, Runs))
    speeds = gather(place)
    for remark in speeds.remarks:
        print(remark, file=sys.stderr)
    sys.stdout.write(as_experiment(shares(made.jobs, speeds.records, args.equal_time), args.equal_time, speeds))
    for reason, cells in made.skip_reasons().items():
        print(f"skipped: {cells} cell{'s' * (cells != 1)}: {reason}", file=sys.stderr)
    return OK


def show_plan(made: Plan, args: argparse.Namespace, again: Collection[str] = ()) -> int:
    """Print how a plan stands in the store: its runs to stdout, counts and cost to stderr. again: see `look_ahead`."""
    from rnnbench.store.store import Store
    from rnnbench.sweeps import outlook
    from rnnbench.sweeps.sweep import available_cores

    found = outlook.look_ahead(made, Store.open(args.results), args.workers or available_cores(), again)
    if args.format == "json":
        sys.stdout.write(outlook.as_json(found))
    elif args.format == "csv":
        sys.stdout.write(outlook.as_csv(found))
    else:
        for line in outlook.text_rows(found, everything=args.all):
            print(line)
        sys.stdout.flush()
        for line in outlook.summary(found):
            print(line, file=sys.stderr)
    return OK


def _status(args: argparse.Namespace) -> int:
    from rnnbench.store.door import refused
    from rnnbench.store.manifests import read_manifests
    from rnnbench.store.store import Store
    from rnnbench.sweeps.status import look
    from rnnbench.sweeps.status_view import as_json, render, watch

    store = Store.open(args.results)
    for sentence in [] if args.name else read_manifests(store.results)[1]:
        print(f"note: {sentence}", file=sys.stderr)
    if args.format == "json":
        sys.stdout.write(as_json(look(store, args.name)))
    elif args.watch:
        watch(store, args.name, console())
    else:
        console().print(render(look(store, args.name), str(store.root)), soft_wrap=True)
    for line in refused(store.problems):
        print(line, file=sys.stderr)
    return OK


def _diff(args: argparse.Namespace) -> int:
    from rnnbench.store.store import Store
    from rnnbench.sweeps.diff import lines, side

    store = Store.open(args.results)
    for line in lines(side(store, args.a), side(store, args.b)):
        print(line)
    return OK


def _merge(args: argparse.Namespace) -> int:
    from rnnbench.store.store import Store
    from rnnbench.sweeps.merge import merge

    found = merge(Store.open(args.results), args.sources, unfinished=args.unfinished)
    for word, said in (("left out", found.problems), ("note", found.notes), ("conflict", found.conflicts)):
        for sentence in said[:IDS]:
            print(f"{word}: {sentence}", file=sys.stderr)
        if len(said) > IDS:
            print(f"{word}: {len(said) - IDS} more of these", file=sys.stderr)
    frozen = f" ({found.frozen} of a published set, without weights)" if found.frozen else ""
    begun = f", {found.unfinished} unfinished " + ("copied" if args.unfinished else "left") if found.unfinished else ""
    print(
        f"{found.copied} copied{frozen}, {found.equal} equal, {len(found.conflicts)} in conflict, "
        f"{len(found.problems)} left out{begun}; {found.manifests} manifests written"
    )
    return FAILED if found.conflicts or found.problems else OK
