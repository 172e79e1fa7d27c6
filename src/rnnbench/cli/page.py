"""Commands of the report page: report, serve."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rnnbench.cli.common import OK, Commands, whole
from rnnbench.errors import BadInput

if TYPE_CHECKING:
    from rnnbench.store import Store


def add(commands: Commands) -> None:
    """report and serve."""
    report = commands.add(
        "report",
        _report,
        "Write one HTML file with everything: leaderboard, runs, curves, searches, ablations, failures.",
    )
    _selection(report)
    report.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="the file (default: tables/report.html, or report_NAME.html, in the store)",
    )
    serve = commands.add(
        "serve", _serve, "Show the same page in a browser, made anew as records appear; Ctrl-C ends it."
    )
    _selection(serve)
    serve.add_argument("--host", default="127.0.0.1", help="where it listens (default: 127.0.0.1, this machine alone)")
    serve.add_argument("--port", type=whole, default=8765, metavar="N", help="default: 8765; 0 takes a free one")


def _selection(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", metavar="NAME", help="a sweep or a published set (default: the whole store)")
    parser.add_argument("--dataset", help="this dataset only")
    parser.add_argument("--budget", help="this budget only")


def _report(args: argparse.Namespace) -> int:
    from rnnbench.reports.page import write_page
    from rnnbench.reports.page_source import open_source
    from rnnbench.store import Store
    from rnnbench.sweeps.stale import is_stale

    store = Store.open(args.results)
    source = open_source(store, args.name, dataset=args.dataset, budget=args.budget)
    for problem in source.problems.values():
        print(f"left out: {problem}", file=sys.stderr)
    name = f"report_{args.name}.html" if args.name else "report.html"
    path = Path(args.output) if args.output else store.root.parent / "tables" / name
    if path.is_dir():
        raise BadInput(f"{path} is a folder; -o takes the file that is written.")
    print(f"written: {write_page(source, path, stale=is_stale)}")
    return OK


def _known(store: Store, name: str | None) -> None:
    """Raises BadInput where there is no sweep and no published set of that name: it would be waited for in vain."""
    from rnnbench.errors import nearest
    from rnnbench.reports.publish import published

    results = store.root.parent
    known = {*published(results), *(path.stem for path in (results / "sweeps").glob("*.json"))}
    if name is not None and name not in known:
        hint = nearest(name, known) if known else f"`rnnbench sweep experiment={name}` makes one."
        raise BadInput(f"no sweep and no published set {name!r} in {results}; {hint}")


def _serve(args: argparse.Namespace) -> int:
    from rnnbench.reports.page import page_data, render
    from rnnbench.reports.page_serve import LOOPBACK, Page, server
    from rnnbench.reports.page_source import open_source
    from rnnbench.store import Store
    from rnnbench.sweeps.stale import is_stale

    store = Store.open(args.results)

    def make(state: str) -> str:
        source = open_source(store, args.name, dataset=args.dataset, budget=args.budget)
        return render(page_data(source, stale=is_stale), live=state)

    _known(store, args.name)
    with server(Page(store.root.parent, make), args.host, args.port) as made:
        if args.host not in LOOPBACK:
            print(f"Everybody who can reach {args.host} can read these records.", file=sys.stderr)
        print(f"serving http://{args.host}:{made.server_address[1]}/  (Ctrl-C ends it)", flush=True)
        try:
            made.serve_forever()
        except KeyboardInterrupt:
            print()
    return OK
