"""Commands that read records: leaderboard, ablation, predictions, publish, verify."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rnnbench.cli.common import FAILED, OK, Commands, positive, show_report, whole
from rnnbench.cli.selecting import EPILOG, PRINTED, add_selection, asked, print_tables
from rnnbench.errors import BadInput
from rnnbench.face.selecting import mark_stale

if TYPE_CHECKING:
    from rnnbench.store.store import Store


def add(commands: Commands) -> None:
    """leaderboard, ablation, predictions, frames, publish and verify."""
    board = commands.add(
        "leaderboard",
        _leaderboard,
        "Rank what is recorded; writes results/tables/leaderboard.{csv,md,parquet}, "
        "of a selection leaderboard_SELECTION.{csv,md,parquet}.",
        epilog=EPILOG,
    )
    add_selection(board, short=True)
    board.add_argument("--format", choices=("rich", *PRINTED), default="rich", help="what is printed")
    board.add_argument(
        "--output", metavar="DIR",
        help="where the files go, as leaderboard.{csv,md,parquet} of whatever is selected (default: tables/ in the "
        "store, where those of a part have its name, so that they are not taken for all)",
    )  # fmt: skip
    study = commands.add(
        "ablation", _ablation, "Compare a sweep's variants pairwise by seed: effects, diagnostics, cost, verdicts."
    )
    study.add_argument("name", metavar="NAME", help="the sweep or experiment, a published set, or a folder of either")
    study.add_argument("--output", metavar="DIR", help="where the files go (default: tables/ablation_NAME/)")
    study.add_argument("--no-figures", action="store_true", help="tables only")
    _add_predictions(
        commands, "predictions", _predictions,
        "Draw what networks predict on test: forecasts, confusion matrices, points, texts, clips; DATASET.png and more "
        "of a sweep or a run.",
        "clips, forecasts or other items a picture shows",
    )  # fmt: skip
    _add_predictions(
        commands, "frames", _frames,
        "As predictions, of networks that predict frames only: DATASET.png and .gif of a sweep or a run.",
        "test clips (default: 2; at most 4)",
    )  # fmt: skip
    publish = commands.add(
        "publish", _publish, "Freeze a finished sweep's records and tables in results/published/NAME/."
    )
    publish.add_argument("name", metavar="NAME", help="its name; the sweep's own unless --sweep says another")
    publish.add_argument("--sweep", help="the sweep whose runs are frozen: an experiment's name, or its --name")
    publish.add_argument("--partial", action="store_true", help="freeze what is finished, and say what was not run")
    verify = commands.add(
        "verify", _verify, "Rebuild published tables from their records and compare; exit code 1 if not equal."
    )
    verify.add_argument(
        "names", nargs="*", metavar="NAME", help="published sets or their folders (default: all of your own)"
    )


def _add_predictions(
    commands: Commands, name: str, run: Callable[[argparse.Namespace], int], what: str, counted: str
) -> None:
    parser = commands.add(name, run, what)
    parser.add_argument("name", metavar="NAME", help="a sweep, published set or folder, or the beginning of a run's id")
    parser.add_argument(
        "-o", "--output", metavar="FOLDER",
        help=f"where the files go (default: tables/{name}_NAME/; figures/ of a published set)",
    )  # fmt: skip
    parser.add_argument("--clips", type=positive, metavar="N", help=f"how many {counted}")
    parser.add_argument(
        "--seed", type=whole, metavar="S", help="which run of each entry (default: the smallest seed that ended ok)"
    )


def _leaderboard(args: argparse.Namespace) -> int:
    from rnnbench.reports.boards.leaderboard import leaderboard
    from rnnbench.reports.boards.leaderboard_table import FORMATS, leaderboard_table
    from rnnbench.reports.selection.select import select
    from rnnbench.reports.tables.write import write_table
    from rnnbench.store.door import refused
    from rnnbench.store.manifests import skipped_lines
    from rnnbench.store.store import Store
    from rnnbench.sweeps.stale import counted

    store = Store.open(args.results)
    words = asked(args)
    found = select(store, words)
    stale = mark_stale(found)
    for line in refused(found.problems):
        print(line, file=sys.stderr)
    for remark in found.remarks:
        print(f"note: {remark}", file=sys.stderr)
    named = "leaderboard" if args.output or not words else f"leaderboard_{found.tag}"
    table = leaderboard_table(leaderboard(found.frame), named)
    files = write_table(table, Path(args.output) if args.output else store.results.tables, FORMATS)
    print_tables([table], args.format)
    for line in skipped_lines(found.skipped):
        print(line, file=sys.stderr)
    if stale:
        print(f"{counted(stale, len(found.frame))} (see notes)", file=sys.stderr)
    print("written: " + ", ".join(str(f) for f in files), file=sys.stderr)
    return OK


def _ablation(args: argparse.Namespace) -> int:
    from rnnbench.reports.ablation.command import main_ablation
    from rnnbench.store.store import Store

    store = Store.open(args.results)
    shown, _, remarks = main_ablation(store, args.name, args.output, figures=not args.no_figures)
    return show_report(store, args.name, shown, remarks)


def _predictions(args: argparse.Namespace) -> int:
    return _draw(args, frames_only=False)


def _frames(args: argparse.Namespace) -> int:
    return _draw(args, frames_only=True)


def _draw(args: argparse.Namespace, *, frames_only: bool) -> int:
    from rnnbench.reports.predictions.command import ask, draw_asked
    from rnnbench.store.store import Store

    store = Store.open(args.results)
    asked = ask(store, args.name, args.seed, frames_only=frames_only)
    files, remarks = draw_asked(
        asked, args.output, clips=args.clips, problems=_make_samples(asked.store, asked.missing)
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
    from rnnbench.reports.predictions.command import to_make
    from rnnbench.reports.publish.freeze import publish
    from rnnbench.store.door import refused
    from rnnbench.store.published import own_published
    from rnnbench.store.store import Store

    store = Store.open(args.results)
    before = _frozen_runs(own_published(store.results).get(args.name))
    if args.name == "claims" and not args.sweep and not store.results.manifest("claims").exists():
        from rnnbench.cli.claims import content
        from rnnbench.reports.publish.claims import publish_claims

        folder = publish_claims(store, content(), partial=args.partial)
    else:
        problems = _make_samples(store, to_make(store, args.sweep or args.name))
        folder = publish(store, args.name, sweep=args.sweep, partial=args.partial)
        for line in refused(store.problems):
            print(line, file=sys.stderr)
        for problem in problems.values():
            print(f"no prediction is shown: {problem}", file=sys.stderr)
    print(f"published: {folder}")
    if before:
        after = _frozen_runs(folder)
        same = sum(after.get(run) == record for run, record in before.items())
        print(f"replaced: a set of {len(before)} runs; {same} of them are in the new one of {len(after)}, unchanged")
    return OK


def _frozen_runs(folder: Path | None) -> dict[str, object]:
    """The records of a published set by id; empty where there is none, or it cannot be read."""
    from rnnbench.store.published import read_published
    from rnnbench.store.record import RecordError

    try:
        return {str(record["id"]): record for record in read_published(folder)} if folder else {}
    except (RecordError, OSError):
        return {}


def _verify(args: argparse.Namespace) -> int:
    from rnnbench.store.published import own_published, shipped_names
    from rnnbench.store.results import resolve_published
    from rnnbench.store.store import Store

    store = Store.open(args.results)
    if args.names:
        sets = {name: resolve_published(store, name).folder for name in args.names}
    elif not (sets := own_published(store.results)):  # a mistyped folder in CI must not be green
        known = shipped_names()
        theirs = f"; of those that come with rnnbench name some: {', '.join(known)}" * bool(known)
        raise BadInput(
            f"nothing is published in {store.results.published}; `rnnbench publish NAME` freezes a sweep{theirs}."
        )
    different = [name for name, folder in sets.items() if not _is_equal(name, folder, named=bool(args.names))]
    return FAILED if different else OK


def _is_equal(name: str, folder: Path, *, named: bool) -> bool:
    """Print whether a set is what its records give, and return it. A set that cannot be read is not; if it was named,
    that raises BadInput or RecordError."""
    from rnnbench.reports.publish.derive import verify
    from rnnbench.store.record import RecordError

    try:
        files = verify(folder)
    except (BadInput, RecordError) as error:
        if named:
            raise
        print(f"{name}: {error}")
        return False
    print(f"{name}: " + ("differs from what its records give: " + ", ".join(files) if files else "equal"))
    return not files
