"""The command claims: what tutorials say, judged by the records; --run makes the runs that a claim needs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rnnbench.cli.common import BAD_INPUT, INTERRUPTED, OK, Commands, console, positive
from rnnbench.cli.sweeps import engine, engine_options, stale_options
from rnnbench.errors import BadInput
from rnnbench.face.claiming import content as content
from rnnbench.face.claiming import read as read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rnnbench.reports.claims.wording import Claim


def add(commands: Commands) -> None:
    """claims."""
    claims = commands.add(
        "claims",
        _claims,
        "What tutorials say of recurrent networks, each with its experiment, evidence and verdict by stated rules.",
    )
    claims.add_argument(
        "numbers", nargs="*", type=positive, metavar="N", help="these claims, with every check (default: all)"
    )
    claims.add_argument(
        "--run", action="store_true", help="first make the runs of these claims; the same command resumes"
    )
    claims.add_argument("--budget", help="of the runs that --run makes (default: small)")
    claims.add_argument("--dry-run", action="store_true", help="with --run: show what would be run, and run nothing")
    claims.add_argument(
        "--output", metavar="DIR", help="where claims.md and claims.csv go (default: tables/ in the store)"
    )
    stale_options(claims, "do their runs again; old records are set aside")
    engine_options(claims)


def _claims(args: argparse.Namespace) -> int:
    from rnnbench.reports.claims.command import judge_all
    from rnnbench.reports.claims.table import to_rich, write_claims
    from rnnbench.store.door import refused
    from rnnbench.store.store import Store
    from rnnbench.sweeps.stale import counted, why_record

    if (args.dry_run or args.budget) and not args.run:
        raise BadInput("--dry-run and --budget are for --run, which makes the runs of the claims.")
    claims, store = read(args.numbers), Store.open(args.results)
    code = OK
    if args.run:
        code = _run(claims, args)
        if args.dry_run or code in (INTERRUPTED, BAD_INPUT):
            return code
    judged, used = judge_all(store, claims)
    for line in refused(store.problems):
        print(line, file=sys.stderr)
    files = write_claims(judged, Path(args.output) if args.output else store.results.tables)
    console().print(to_rich(judged, checks=bool(args.numbers)))
    if stale := list(filter(None, map(why_record, used))):
        print(counted(stale, len(used)), file=sys.stderr)
    print("written: " + ", ".join(map(str, files)), file=sys.stderr)
    return code


def _run(claims: Sequence[Claim], args: argparse.Namespace) -> int:
    """Make what the claims' experiments lack, one sweep after the other; the worst exit code."""
    from rnnbench.store.store import Store
    from rnnbench.sweeps.outlook import look_ahead, summary
    from rnnbench.sweeps.plan import plan
    from rnnbench.sweeps.sweep import Sweep, available_cores

    worst, store = OK, Store.open(args.results)
    for name in dict.fromkeys(experiment for claim in claims for experiment in claim.experiments):
        made = plan([f"experiment={name}", *([f"budget={args.budget}"] if args.budget else [])])
        if args.dry_run:
            print("\n".join(summary(look_ahead(made, store, args.workers or available_cores()))))
            print(f"  made by: {made.command}")
            continue
        print(f"{name}: {len(made.jobs)} runs", file=sys.stderr)
        result = Sweep(made, args.results, stale=args.stale, **engine(args)).run()
        for line in result.summary(made):
            print(line, file=sys.stderr)
        worst = max(worst, result.exit_code)
        if result.exit_code == INTERRUPTED:
            return INTERRUPTED
    return worst
