"""Commands of the mirror: wandb push, wandb tables; and what `wandb agent` says to `run`."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rnnbench.cli.common import EXIT, FAILED, OK, Commands
from rnnbench.errors import BadInput

if TYPE_CHECKING:
    from rnnbench.store.folder import Results
    from rnnbench.store.results import Found
    from rnnbench.store.store import Store
    from rnnbench.tracking.push import Mirrored

SELECTION = """\
SELECTION: names of sweeps (results/sweeps/), of published sets, folders of either, or ids of runs (their beginnings
will do); without one every record of the store. A W&B run has its record's id; what was pushed is noted in
results/wandb_pushed.jsonl and not pushed again unless it has changed. Offline, the default, makes folders in
results/wandb/, which `wandb sync results/wandb/offline-run-*` uploads; online needs `wandb login` once.
`wandb tables` makes one W&B run with the leaderboard and all tables of a selection (as `rnnbench tables` takes it).
"""


def add(commands: Commands) -> None:
    """wandb push and wandb tables."""
    wandb = commands.add(
        "wandb", _wandb, "Mirror records, or tables of them, into Weights & Biases: rnnbench wandb push.",
        epilog=SELECTION + EXIT,
    )  # fmt: skip
    wandb.add_argument("action", choices=("push", "tables"), help="push: records as runs; tables: tables of them")
    wandb.add_argument("selection", nargs="*", metavar="SELECTION", help="sweeps, published sets, runs (default: all)")
    wandb.add_argument("--mode", choices=("offline", "online"), help="default: WANDB_MODE, else offline")
    wandb.add_argument("--project", default="rnnbench", help="the W&B project (default: rnnbench)")
    wandb.add_argument("--entity", help="the W&B team or account (default: the account's own)")


def _wandb(args: argparse.Namespace) -> int:
    return _push(args) if args.action == "push" else _push_tables(args)


def _push_tables(args: argparse.Namespace) -> int:
    from rnnbench.cli.selecting import selected
    from rnnbench.reports.boards.all_tables import all_tables
    from rnnbench.reports.boards.leaderboard import leaderboard
    from rnnbench.store.store import Store
    from rnnbench.tracking.push import push_tables

    store = Store.open(args.results)
    found = selected(store, args.selection)
    frames = {"leaderboard": leaderboard(found.frame)}
    frames |= {name: table.frame for name, table in all_tables(found.frame).items() if len(table.frame)}
    plain = {name: json.loads(frame.to_json(orient="split", date_format="iso")) for name, frame in frames.items()}
    tables = {name: (table["columns"], table["data"]) for name, table in plain.items()}
    title = found.words or "all runs"
    done = push_tables(tables, title, store.results.root, project=args.project, entity=args.entity, mode=args.mode)
    if done.error is not None:
        print(f"rnnbench: W&B did not take the tables ({done.error}); the same command tries again.", file=sys.stderr)
        return FAILED
    print(
        f"{', '.join(tables)}: {'pushed' if done.pushed else 'there already' if done.unchanged else 'left (disabled)'}"
    )
    return OK


def _push(args: argparse.Namespace) -> int:
    from rnnbench.store.store import Store
    from rnnbench.tracking.push import push

    store = Store.open(args.results)
    chosen = {one.record["id"]: one for one in _chosen(store, args.selection)}
    if not chosen:
        raise BadInput(f"there is no record in {store.root}; `rnnbench run` makes a first one.")
    done = push(chosen.values(), store.results.root, project=args.project, entity=args.entity, mode=args.mode)
    print(f"{done.pushed} pushed, {done.unchanged} were there already" + f", {done.left} left" * bool(done.left))
    if done.error is not None:
        print(f"rnnbench: W&B did not take the next run ({done.error}); the same command goes on.", file=sys.stderr)
        return FAILED
    if done.pushed and any(store.results.wandb.glob("offline-run-*")):
        print(f"upload what is offline with: wandb sync {store.results.wandb}/offline-run-*")
    return OK


def _chosen(store: Store, selection: Sequence[str]) -> Iterator[Mirrored]:
    """The records that a selection names, each with its curves and its sweep; what else must be said is on stderr."""
    from rnnbench.store.results import Runs, resolve

    for found in [resolve(store, name) for name in selection] or [Runs(store, "", "all runs")]:
        yield from _mirrored(store, found)


def _mirrored(store: Store, found: Found) -> Iterator[Mirrored]:
    """The records of one place. store: the user's own, which may have the curves of a published set's runs."""
    from rnnbench.store.door import refused
    from rnnbench.store.gathered import gather
    from rnnbench.store.results import Runs, Sweep
    from rnnbench.store.store import Store
    from rnnbench.tracking.push import Mirrored

    gathered = gather(found)
    for line in refused(gathered.problems):
        print(line, file=sys.stderr)
    histories = gathered.curves()
    runs = [str(record["id"]) for record in gathered.records]
    if isinstance(found, Sweep):
        groups = dict.fromkeys(runs, found.name)
    elif isinstance(gathered.where, Store):
        groups = _groups(gathered.where.results, mention=isinstance(found, Runs))
    else:
        groups = dict.fromkeys(runs, gathered.where.resolve().name)
    for run, record in zip(runs, gathered.records, strict=True):
        yield Mirrored(record, histories.get(run) or _own_curve(store, run), groups.get(run))


def _own_curve(store: Store, run: str) -> Sequence[Mapping[str, float]]:
    """What the user's own store has of a published run's history."""
    from rnnbench.store.curves import read_curves

    return read_curves(store, [run]).get(run, ())


def _groups(results: Results, *, mention: bool) -> dict[str, str]:
    """The sweep of each run: the first by name where there are several, and one with a name before one without.

    A manifest that is damaged is no reason to mirror nothing. mention: it is said to be so.
    """
    from rnnbench.store.manifests import read_manifests

    found: dict[str, str] = {}
    manifests, damaged = read_manifests(results)
    for sentence in damaged if mention else ():
        print(f"note: {sentence}", file=sys.stderr)
    for name in sorted(manifests, key=lambda name: (bool(re.fullmatch(r"[0-9a-f]{12}", name)), name)):
        for run in manifests[name]["runs"]:
            found.setdefault(run, name)
    return found


def agent_words(words: Sequence[str], options: Sequence[str]) -> list[str]:
    """A command's words with ``wandb agent``'s ``--optimizer.lr=0.01`` as overrides. options: the command's own.

    None is null, and a group's True and False are the on and off that a YAML file took for booleans; without hyphens
    (${args_no_hyphens}) as well: nobody else writes None, for what Hydra has is null.
    """
    from rnnbench.runs.registry import GROUPS

    found = []
    for word in words:
        match = re.fullmatch(r"(--)?([\w.@/]+)=(.*)", word, re.DOTALL)
        if match is None or (match[1] and f"--{match[2]}" in options):
            found.append(word)
            continue
        key, value = match[2], match[3]
        if value in ("True", "False") and key in GROUPS:
            value = {"True": "on", "False": "off"}[value]
        found.append(f"{key}={'null' if value == 'None' else value}")
    return found
