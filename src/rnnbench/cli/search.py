"""Commands of searches: tune, search."""

from __future__ import annotations

import argparse
import sys

from rnnbench.cli.common import EXIT, INTERRUPTED, OVERRIDES, Commands, console, positive, show_report, whole
from rnnbench.cli.sweeps import detach, detach_option, elsewhere, engine, engine_options, stale_options

SPACE = """\
A space is written in Hydra's sweep grammar, on the command line or in the experiment's yaml:
  'optimizer.lr=tag(log,interval(1e-4,1e-1))'   'hidden_size=tag(log,int(interval(20,200)))'   depth=1,2
  'optimizer.momentum=tag(log1m,interval(0,0.99))' (log of the distance from 1)   'depth.dropout=range(0,0.5,0.1)'
"""


def add(commands: Commands) -> None:
    """tune and search."""
    tune = commands.add(
        "tune",
        _tune,
        "Search a space of options by validation, then run the winner on fresh seeds; the same command resumes.",
        epilog=SPACE + OVERRIDES + EXIT,
    )
    tune.add_argument("overrides", nargs="*", metavar="key=space")
    tune.add_argument("--trials", type=positive, metavar="N", help="trials of each study (default: 20); more go on")
    tune.add_argument("--sampler", metavar="NAME", help="tpe (default), random, cmaes or grid")
    tune.add_argument(
        "--pruner", metavar="NAME", help="none (default), asha, hyperband or median: ends poor trials early"
    )
    tune.add_argument(
        "--objectives", type=lambda text: text.split(","), metavar="A,B",
        help="what is minimised: metric (the main one on validation; default), train_seconds, params",
    )  # fmt: skip
    tune.add_argument("--final-seeds", type=whole, metavar="N", help="fresh seeds for each winner (default: 0)")
    tune.add_argument("--seed", type=whole, metavar="S", help="of the search itself (default: 0)")
    tune.add_argument("--name", help="the search's name (default: the experiment's)")
    stale_options(tune, "set them aside and search again from the first trial")
    detach_option(tune)
    engine_options(tune)
    shown = commands.add(
        "search",
        _search,
        "What a search found: best trials, differences, importance; files in results/tables/search_NAME/.",
    )
    shown.add_argument("name", metavar="NAME", help="the search or experiment, a published set, or a folder of either")
    shown.add_argument("--output", metavar="DIR", help="where the files go (default: tables/search_NAME/)")
    shown.add_argument("--no-figures", action="store_true", help="tables only")


def _search(args: argparse.Namespace) -> int:
    from rnnbench.reports.search.command import main_search
    from rnnbench.store.store import Store

    store = Store.open(args.results)
    shown, _, remarks = main_search(store, args.name, args.output, figures=not args.no_figures)
    return show_report(store, args.name, shown, remarks)


def _tune(args: argparse.Namespace) -> int:
    from rnnbench.sweeps.search.definition import define

    given = {key: getattr(args, key) for key in ("trials", "sampler", "pruner", "objectives", "final_seeds", "seed")}
    search = define(args.overrides, name=args.name, elsewhere=elsewhere(args), **given)
    from rnnbench.reports.search.command import main_search
    from rnnbench.sweeps.search.tune import Tune

    if args.detach:
        options = engine(args)
        if args.stale != "rerun":  # which sets records aside: for the one that goes on to do
            Tune(search, args.results, stale=args.stale, options=options)  # what is wrong is said here
        return detach(args, search.name)
    tune = Tune(search, args.results, stale=args.stale, options=engine(args))
    code = tune.run()
    for line in tune.summary():
        print(line, file=sys.stderr)
    if code != INTERRUPTED and tune.any_ok:
        shown, _, remarks = main_search(tune.store, search.name)
        for remark in remarks:
            print(remark, file=sys.stderr)
        console().print(shown)
    return code
