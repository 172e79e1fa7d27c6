"""Commands of one run: run, show, list."""

from __future__ import annotations

import argparse
import sys

from rnnbench.cli.common import EXIT, FAILED, INTERRUPTED, OK, OVERRIDES, Commands, console
from rnnbench.errors import BadInput


def add(commands: Commands) -> None:
    """run, show and list."""
    run = commands.add(
        "run", _run, "Train and test one network; its record goes to results/runs/<id>/.", epilog=OVERRIDES + EXIT
    )
    run.add_argument("overrides", nargs="*", metavar="key=value")
    run.add_argument("--retry", action="store_true", help="do a failed or stale run again; its old record is set aside")
    listing = commands.add("list", _list, "List what can be chosen.")
    listing.add_argument("what", metavar="GROUP", help="cells, datasets, axes, experiments, claims, or any group")
    show = commands.add("show", _show, "Everything about one run.")
    show.add_argument("run", metavar="RUN", help="its id, or the beginning of it")


def _run(args: argparse.Namespace) -> int:
    from rnnbench.reports.show import run_summary
    from rnnbench.runs.plan import prepare
    from rnnbench.runs.registry import experiment_asked, read
    from rnnbench.store.store import Store
    from rnnbench.sweeps.stale import record_is_stale
    from rnnbench.tracking.push import Mirrored, answer_agent

    if name := experiment_asked(args.overrides):
        whole, command = ("search", "tune") if "search" in read("experiment", name) else ("sweep", "sweep")
        raise BadInput(f"experiment={name} is a whole {whole}; use `rnnbench {command} experiment={name}`.")
    job, store = prepare(args.overrides), Store.open(args.results)
    record = store.read(job.id)
    old = record is not None and record_is_stale(record)
    if record is not None and (record["status"] != "ok" or old) and args.retry:
        from rnnbench.runs.attempts import forgive

        forgive(store.folder(job.id))
        store.set_aside(job.id, "failed" if record["status"] != "ok" else "stale")
        record = None
    if recorded := record is not None:
        print(f"already recorded ({record['finished']}):", file=sys.stderr)
        if old:
            print("stale: the source of nn/, datasets/ or training/ has changed since", file=sys.stderr)
        if problem := answer_agent(
            Mirrored(record, store.history(job.id)), job.config["tracker"], store.folder(job.id)
        ):
            print(f"rnnbench: {problem}", file=sys.stderr)
    else:
        from rnnbench.runs.run import attempt
        from rnnbench.training import Interrupted

        try:
            record = attempt(job, store)
        except Interrupted as error:
            print(f"rnnbench: interrupted: {error}; the same command resumes.", file=sys.stderr)
            return INTERRUPTED
    console().print(run_summary(record, store.folder(job.id)))
    if recorded and (record["status"] != "ok" or old):
        print("do it again with --retry", file=sys.stderr)
    return OK if record["status"] == "ok" else FAILED


def _list(args: argparse.Namespace) -> int:
    from rnnbench.errors import nearest
    from rnnbench.runs import registry
    from rnnbench.runs.axes import axis_choices

    groups = (*registry.GROUPS, "experiment")
    what = args.what.removesuffix("s") if args.what.removesuffix("s") in groups else args.what
    if what == "axes":
        for group, names in axis_choices().items():
            print(f"{group:<10} {' '.join(names)}")
        return OK
    if what == "claims":
        from rnnbench.cli.claims import read

        for claim in read():
            print(f"{claim.n:>2}  {claim.text}")
        return OK
    if what not in groups:
        raise BadInput(f"unknown group {args.what!r}; {nearest(args.what, ['cells', 'datasets', 'axes', *groups])}")
    for name in registry.choices(what):
        print(f"{name:<18} {registry.about(what, name)}")
    return OK


def _show(args: argparse.Namespace) -> int:
    from rnnbench.reports.show import show_run
    from rnnbench.store.store import Store

    console().print(show_run(Store.open(args.results), args.run))
    return OK
