"""Commands of the report page: report, serve."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rnnbench.cli.common import OK, Commands, whole
from rnnbench.cli.selecting import EPILOG, add_selection, asked
from rnnbench.errors import BadInput


def add(commands: Commands) -> None:
    """report and serve."""
    report = commands.add(
        "report",
        _report,
        "Write one HTML file with everything: leaderboard, runs, curves, searches, ablations, failures.",
        epilog=EPILOG,
    )
    add_selection(report, short=True)
    report.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="the file (default: tables/report.html in the store, of a selection report_SELECTION.html)",
    )
    serve = commands.add(
        "serve", _serve, "Show the same page in a browser, made anew as records appear; Ctrl-C ends it.", epilog=EPILOG
    )
    add_selection(serve, short=True)
    serve.add_argument("--host", default="127.0.0.1", help="where it listens (default: 127.0.0.1, this machine alone)")
    serve.add_argument("--port", type=whole, default=8765, metavar="N", help="default: 8765; 0 takes a free one")


def _report(args: argparse.Namespace) -> int:
    from rnnbench.reports.page.render import write_page
    from rnnbench.reports.page.source import open_source
    from rnnbench.store.door import refused
    from rnnbench.store.store import Store
    from rnnbench.sweeps.stale import stale_rows

    store = Store.open(args.results)
    source = open_source(store, asked(args))
    for line in refused(source.problems):
        print(line, file=sys.stderr)
    for remark in source.remarks:
        print(f"note: {remark}", file=sys.stderr)
    name = f"report_{source.tag}.html" if source.tag else "report.html"
    path = Path(args.output) if args.output else store.results.tables / name
    if path.is_dir():
        raise BadInput(f"{path} is a folder; -o takes the file that is written.")
    print(f"written: {write_page(source, path, stale=stale_rows)}")
    return OK


def _serve(args: argparse.Namespace) -> int:
    from rnnbench.reports.page.render import page_data, render
    from rnnbench.reports.page.serve import LOOPBACK, Page, server
    from rnnbench.reports.page.source import open_source
    from rnnbench.reports.selection.select import check
    from rnnbench.store.store import Store
    from rnnbench.sweeps.stale import stale_rows

    store = Store.open(args.results)
    words = asked(args)

    def make(state: str) -> str:
        return render(page_data(open_source(store, words), stale=stale_rows), live=state)

    page = Page(store.results, make, check(store, words))
    with server(page, args.host, args.port) as made:
        if args.host not in LOOPBACK:
            print(f"Everybody who can reach {args.host} can read these records.", file=sys.stderr)
        print(f"serving http://{args.host}:{made.server_address[1]}/  (Ctrl-C ends it)", flush=True)
        try:
            made.serve_forever()
        except KeyboardInterrupt:
            print()
    return OK
