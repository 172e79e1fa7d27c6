"""The front door. Each command is a few lines that call one room. Imports nothing heavy before it knows the command."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from rnnbench import __version__
from rnnbench.errors import BadInput
from rnnbench.record import RecordError

if TYPE_CHECKING:
    from rnnbench.store import Store

OK, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130

DESCRIPTION = """\
Trains every recurrent variant on shared tasks and logs the results to tables.

  rnnbench run   cell=lstm peephole=on depth=2 direction=bidirectional dataset=digits seed=0
  rnnbench sweep cell=rnn,lstm,gru depth=1,2 dataset=digits,adding "seed=range(5)"
  rnnbench sweep experiment=quickstart
  rnnbench leaderboard
"""
OVERRIDES = """\
Overrides are Hydra's: key=value. The axes are groups whose choices `rnnbench list` shows:
  cell=gru   depth=2   direction=bidirectional   peephole=on   dataset=adding
  budget=smoke|small|medium|paper   optimizer=adam|adamw|sgd|rmsprop   schedule=constant|cosine|onecycle|step
  tracker=none|wandb|tensorboard   forecast=encoder_forecaster|rollout (for datasets of frames)
and every option of a choice can be set: hidden_size=128  params=70k  optimizer.lr=0.01  dataset.T=100  clip=null
  seed=0  backend=eager  device=cuda  precision=bf16  harness.timeout=600
"""
EXIT = "Exit codes: 0 all ok or skipped, 1 some failed, 2 bad input, 130 interrupted (the same command resumes)."


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. What a user can cause ends in one sentence, never in a traceback."""
    args = _parse(argv)
    try:
        from rnnbench.runs import registry
        from rnnbench.runs.host import passive_threads

        passive_threads()
        for folder in args.config_dir or []:
            registry.add_config_dir(folder)
        registry.import_extra_dirs()
        if hasattr(args, "overrides"):
            args.overrides = registry.take_search_path(args.overrides)
        command: Callable[[argparse.Namespace], int] = args.command
        code = command(args)
        sys.stdout.flush()  # here, where a reader that is gone can still be answered
        return code
    except (BadInput, RecordError) as error:
        print(f"rnnbench: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("rnnbench: interrupted; the same command resumes.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # `rnnbench list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except OSError as error:  # a store that is a file, a full disk
        what = f"{error.filename}: " if error.filename else ""
        print(f"rnnbench: {what}{error.strerror or error}.", file=sys.stderr)
        return BAD_INPUT


class _Parser(argparse.ArgumentParser):
    """Says in one sentence what is wrong; the usage is in --help."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"rnnbench: {message}; see `{self.prog} --help`.\n")


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = _parser()
    args, rest = parser.parse_known_args(argv)
    if rest and (not hasattr(args, "overrides") or any(word.startswith("-") for word in rest)):
        parser.error("unrecognized arguments: " + " ".join(rest))
    if rest:  # overrides behind an option: argparse takes only the first row of them
        args.overrides += rest
    return args


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    common = _Parser(add_help=False)
    common.add_argument("--results", metavar="DIR", help="the store (default: RNNBENCH_RESULTS, else results/)")
    common.add_argument(
        "--config-dir", metavar="DIR", action="append", help="your own conf folder: DIR/cell/mine.yaml, DIR/mymodule.py"
    )
    parser = _Parser("rnnbench", description=DESCRIPTION, epilog=EXIT, formatter_class=raw)
    parser.add_argument("--version", action="version", version=f"rnnbench {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def add(name: str, function: Callable[..., int], text: str, **options: Any) -> argparse.ArgumentParser:
        sub = commands.add_parser(
            name, parents=[common], help=text, description=text, formatter_class=raw, epilog=options.pop("epilog", EXIT)
        )
        sub.set_defaults(command=function)
        return sub

    run = add(
        "run", _run, "Train and test one network; its record goes to results/runs/<id>/.", epilog=OVERRIDES + EXIT
    )
    run.add_argument("overrides", nargs="*", metavar="key=value")
    run.add_argument("--retry", action="store_true", help="do a failed run again; its old record is set aside")
    sweep = add(
        "sweep",
        _sweep,
        "Do every run of a grid that is not recorded yet; the same command resumes.",
        epilog='Lists make the grid: cell=rnn,lstm "seed=range(5)".\n' + OVERRIDES + EXIT,
    )
    sweep.add_argument("overrides", nargs="*", metavar="key=value[,value...]")
    sweep.add_argument(
        "--workers", type=_positive, metavar="N", help="runs at once, one thread each (default: the cores)"
    )
    sweep.add_argument("--name", help="the sweep's name: W&B group and manifest (default: the experiment's)")
    sweep.add_argument("--retry-failed", action="store_true", help="do failed runs again; old records are set aside")
    sweep.add_argument("--dry-run", action="store_true", help="show what would be run, and run nothing")
    board = add(
        "leaderboard", _leaderboard, "Rank what is recorded; writes results/tables/leaderboard.{csv,md,parquet}."
    )
    board.add_argument("--dataset", help="this dataset only")
    board.add_argument("--budget", help="this budget only")
    board.add_argument("--format", choices=("rich", "markdown", "csv"), default="rich", help="what is printed")
    board.add_argument("--output", metavar="DIR", help="where the files go (default: tables/ in the store)")
    listing = add("list", _list, "List what can be chosen.")
    listing.add_argument("what", metavar="GROUP", help="cells, datasets, axes, experiments, or any group")
    study = add(
        "ablation", _ablation, "Compare a sweep's variants pairwise by seed: effects, diagnostics, cost, verdicts."
    )
    study.add_argument("name", metavar="NAME", help="the sweep or experiment, or a published set")
    study.add_argument("--output", metavar="DIR", help="where the files go (default: tables/ablation_NAME/)")
    study.add_argument("--no-figures", action="store_true", help="tables only")
    frames = add(
        "frames", _frames, "Draw what networks predict on test clips: DATASET.png and .gif of a sweep or a run."
    )
    frames.add_argument("name", metavar="NAME", help="a sweep, a published set, or a run's id (its beginning will do)")
    frames.add_argument(
        "-o", "--output", metavar="FOLDER",
        help="where the files go (default: tables/frames_NAME/; figures/ of a published set)",
    )  # fmt: skip
    frames.add_argument("--clips", type=_positive, metavar="N", help="how many test clips (default: 2; at most 4)")
    frames.add_argument(
        "--seed", type=_seed, metavar="S", help="which run of each entry (default: the smallest seed that ended ok)"
    )
    publish = add("publish", _publish, "Freeze a finished sweep's records and tables in results/published/NAME/.")
    publish.add_argument("name", metavar="NAME", help="its name; the sweep's own unless --sweep says another")
    publish.add_argument("--sweep", help="the sweep whose runs are frozen: an experiment's name, or its --name")
    publish.add_argument("--partial", action="store_true", help="freeze what is finished, and say what was not run")
    verify = add(
        "verify", _verify, "Rebuild published tables from their records and compare; exit code 1 if not equal."
    )
    verify.add_argument("names", nargs="*", metavar="NAME", help="published sets (default: all)")
    show = add("show", _show, "Everything about one run.")
    show.add_argument("run", metavar="RUN", help="its id, or the beginning of it")
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least 1")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least 0")
    return int(text)


def _run(args: argparse.Namespace) -> int:
    from rnnbench.reports.show import run_summary
    from rnnbench.runs.plan import prepare
    from rnnbench.runs.registry import experiment_asked
    from rnnbench.store import Store

    if name := experiment_asked(args.overrides):
        raise BadInput(f"experiment={name} is a whole sweep; use `rnnbench sweep experiment={name}`.")
    job, store = prepare(args.overrides), Store.open(args.results)
    record = store.read(job.id)
    if record is not None and record["status"] != "ok" and args.retry:
        store.set_aside(job.id)
        record = None
    if recorded := record is not None:
        print(f"already recorded ({record['finished']}):", file=sys.stderr)
    else:
        from rnnbench.runs.run import attempt
        from rnnbench.training import Interrupted

        try:
            record = attempt(job, store)
        except Interrupted as error:
            print(f"rnnbench: interrupted: {error}; the same command resumes.", file=sys.stderr)
            return INTERRUPTED
    _console().print(run_summary(record, store.folder(job.id)))
    if recorded and record["status"] != "ok":
        print("do it again with --retry", file=sys.stderr)
    return OK if record["status"] == "ok" else FAILED


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

    sweep = Sweep(made, args.results, workers=args.workers, retry_failed=args.retry_failed)
    result = sweep.run()
    for line in result.summary(made):
        print(line, file=sys.stderr)
    return result.exit_code


def _leaderboard(args: argparse.Namespace) -> int:
    from rnnbench.reports.coverage import skipped_cells
    from rnnbench.reports.frames import records_frame
    from rnnbench.reports.leaderboard import leaderboard
    from rnnbench.reports.tables import to_markdown, to_rich, write
    from rnnbench.store import Store

    store = Store.open(args.results)
    frame = records_frame(store.iterate())
    for problem in store.problems.values():
        print(f"left out: {problem}", file=sys.stderr)
    if frame.empty:
        raise BadInput(f"no finished runs in {store.root}; `rnnbench sweep experiment=quickstart` makes some.")
    table = leaderboard(frame, dataset=args.dataset, budget=args.budget)
    files = write(table, Path(args.output) if args.output else store.root.parent / "tables")
    if args.format == "rich":
        _console().print(to_rich(table))
    else:
        print(to_markdown(table) if args.format == "markdown" else table.to_csv(index=False), end="")
    for reason, cells in skipped_cells(store.root.parent).items():
        print(f"skipped: {cells} cell{'s' * (cells != 1)}: {reason}", file=sys.stderr)
    print("written: " + ", ".join(str(f) for f in files), file=sys.stderr)
    return OK


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
    if what not in groups:
        raise BadInput(f"unknown group {args.what!r}; {nearest(args.what, ['cells', 'datasets', 'axes', *groups])}")
    for name in registry.choices(what):
        print(f"{name:<18} {registry.about(what, name)}")
    return OK


def _show(args: argparse.Namespace) -> int:
    from rnnbench.reports.show import show_run
    from rnnbench.store import Store

    _console().print(show_run(Store.open(args.results), args.run))
    return OK


def _ablation(args: argparse.Namespace) -> int:
    from rnnbench.reports.ablation_main import main_ablation
    from rnnbench.store import Store

    store = Store.open(args.results)
    shown, _, remarks = main_ablation(store, args.name, args.output, figures=not args.no_figures)
    for remark in remarks:
        print(remark, file=sys.stderr)
    _console().print(shown)
    return OK


def _frames(args: argparse.Namespace) -> int:
    from rnnbench.reports.predictions_main import ask, draw_asked
    from rnnbench.store import Store

    store = Store.open(args.results)
    asked = ask(store, args.name, args.seed)
    files, remarks = draw_asked(
        asked, args.output, clips=args.clips, problems=_make_samples(store, asked.missing)
    )  # fmt: skip
    for remark in remarks:
        print(remark, file=sys.stderr)
    print("written: " + ", ".join(str(f) for f in files))
    return OK


def _make_samples(store: Store, runs: Sequence[str]) -> dict[str, str]:
    """Make the samples of runs from before they were kept; torch is loaded only where there are such runs."""
    if not runs:
        return {}
    from rnnbench.runs.samples import make_missing

    return make_missing(store, runs)


def _publish(args: argparse.Namespace) -> int:
    from rnnbench.reports.predictions_main import to_make
    from rnnbench.reports.publish import publish
    from rnnbench.store import Store

    store = Store.open(args.results)
    problems = _make_samples(store, to_make(store, args.sweep or args.name))
    folder = publish(store, args.name, sweep=args.sweep, partial=args.partial)
    for problem in problems.values():
        print(f"no prediction is shown: {problem}", file=sys.stderr)
    print(f"published: {folder}")
    return OK


def _verify(args: argparse.Namespace) -> int:
    from rnnbench.errors import nearest
    from rnnbench.reports.publish import published, verify
    from rnnbench.store import Store

    known = published(Store.open(args.results).root.parent)
    for name in args.names:
        if name not in known:
            raise BadInput(
                f"nothing is published as {name!r}; {nearest(name, known) if known else 'nothing is at all.'}"
            )
    different = {name: verify(known[name]) for name in args.names or known}
    for name, files in different.items():
        print(f"{name}: {'differs: ' + ', '.join(files) if files else 'equal'}")
    return FAILED if any(different.values()) else OK


def _console() -> Any:
    """A console that wraps nothing away where the output is a file or a pipe."""
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else 120)


if __name__ == "__main__":
    sys.exit(main())
