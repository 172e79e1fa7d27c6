"""How sweeps stand, on a terminal: printed once, or refreshed in place until all is done."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console, Group
from rich.live import Live as Refreshing
from rich.table import Table
from rich.text import Text

from rnnbench.runs.living import STALE_SECONDS
from rnnbench.store.store import Store
from rnnbench.store.text import json_text
from rnnbench.sweeps.display import clock
from rnnbench.sweeps.status import Live, State, look

EVERY_SECONDS = 2.0
SWEEPS, RUNS, FAILURES = 15, 16, 5  # lines shown of each


def as_json(states: Sequence[State]) -> str:
    """Everything there is to say, for programs."""
    rows = [{**asdict(state), "left": state.left, "eta_seconds": state.eta} for state in states]
    return json_text(json.dumps(rows, indent=1, ensure_ascii=False)) + "\n"


def render(states: Sequence[State], root: str) -> Group:
    """Sweeps, the runs in hand and the last failures."""
    if not states:
        return Group(Text(f"No runs in {root} yet."))
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("sweep")
    for name in ("runs", "ok", "failed", "running", "interrupted", "left", "ETA"):
        table.add_column(name, justify="right")
    table.add_column("")
    # the latest are at the end, and so nearest to the prompt
    for state in states[-SWEEPS:]:
        counts = (state.total, state.ok, state.failed, len(state.running), state.interrupted, state.left)
        table.add_row(state.name, *(f"{n:,}" for n in counts), _eta(state), _notes(state))
    parts: list[Any] = [table]
    if len(states) > SWEEPS:
        parts.append(
            Text(f"... and {len(states) - SWEEPS} earlier sweeps; `rnnbench status NAME` shows one", style="dim")
        )
    live = {run.id: run for state in states for run in state.running}
    if live:
        parts += [Text(""), _running(list(live.values()))]
    failures = {failure.id: failure for state in states for failure in state.failures}
    if failures:
        latest = sorted(failures.values(), key=lambda failure: failure.finished, reverse=True)
        parts += [Text(""), Text(f"last failures ({len(failures):,} in all)", style="bold")]
        parts += [Text(f"{f.status:<9} {f.id}  {f.title}: {f.reason}") for f in latest[:FAILURES]]
    return Group(*parts)


def _running(runs: Sequence[Live]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("running")
    for name in ("update", "", "for"):
        table.add_column(name, justify="right")
    for run in runs[:RUNS]:
        total = "?" if run.updates is None else f"{run.updates:,}"
        update = f"{run.update or 0:,}/{total}"
        value = f"{run.metric} {run.value:.4g}" if isinstance(run.value, (int, float)) else ""
        again = f" (attempt {run.attempt})" if run.attempt > 1 else ""
        title = f"  {run.title}" if run.title != run.id else ""
        table.add_row(f"{run.id}{title}{again}{_where(run)}", update, value, clock(run.seconds))
    if len(runs) > RUNS:
        table.add_row(f"... and {len(runs) - RUNS} more", "", "", "")
    return table


def _where(run: Live) -> str:
    """On which other machine a run is, and whether it may be dead; a sweep that meets it watches it and then knows."""
    if run.host is None:
        return ""
    doubt = run.silent is not None and run.silent > STALE_SECONDS
    return f" (on {run.host}" + f", maybe dead: no sign for {clock(run.silent or 0.0)} by the clock here" * doubt + ")"


def _eta(state: State) -> str:
    if not state.left:
        return "done"
    return clock(state.eta) if state.eta is not None else "unknown" if state.running else "-"


def _notes(state: State) -> str:
    parts = [f"{n} {word}" for n, word in ((state.stale, "stale"), (state.damaged, "damaged")) if n]
    return ", ".join(parts + [f"{state.skipped} skipped cell{'s' * (state.skipped != 1)}"] * bool(state.skipped))


def watch(
    store: Store,
    name: str | None,
    console: Console,
    *,
    every: float = EVERY_SECONDS,
    sleep: Callable[[float], None] = time.sleep,
) -> list[State]:
    """Refresh in place until nothing is left to do, or Ctrl-C; returns what was shown last.

    Without a terminal it is printed once: a file or a pipe has no place to refresh.
    """
    states = look(store, name)
    if not console.is_terminal:
        console.print(render(states, str(store.root)), soft_wrap=True)
        return states
    try:
        with Refreshing(render(states, str(store.root)), console=console, auto_refresh=False) as shown:
            while any(state.left or state.running for state in states):
                sleep(every)
                states = look(store, name)
                shown.update(render(states, str(store.root)), refresh=True)
    except KeyboardInterrupt:  # how one stops watching; the sweep does not notice
        pass
    return states
