"""What a sweep shows while it runs: one live display on a terminal, one line a finished run elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from rnnbench.store.text import printable
from rnnbench.sweeps.executors.base import Running


def clock(seconds: float) -> str:
    """1:05, 2:03:00."""
    minutes, s = divmod(round(seconds), 60)
    hours, m = divmod(minutes, 60)
    return f"{hours}:{m:02d}:{s:02d}" if hours else f"{m}:{s:02d}"


class Display:
    """Counts and shows. total: runs of the sweep as far as known; recorded: how many were in the store already."""

    def __init__(self, total: int, workers: int, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        self.total, self.workers = total, workers
        self.recorded = self.ok = self.failed = 0
        self.took: list[float] = []
        self.began = time.monotonic()
        self.live = (
            Live(console=self.console, refresh_per_second=4, transient=True) if self.console.is_terminal else None
        )

    def __enter__(self) -> Display:
        if self.live:
            self.live.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self.live:
            self.live.stop()

    @property
    def done(self) -> int:
        return self.recorded + self.ok + self.failed

    @property
    def left(self) -> int:
        return self.total - self.done

    def eta(self, running: Sequence[Running] = ()) -> str:
        """From the runs of this sweep so far; empty before the first."""
        if not self.took:
            return ""
        mean = sum(self.took) / len(self.took)
        spent = sum(min(r.seconds, mean) for r in running)
        return clock(max(0.0, mean * self.left - spent) / min(self.workers, max(self.left, 1)))

    def line(self, text: str, style: str = "") -> None:
        """A line that stays."""
        (self.live.console if self.live else self.console).print(
            Text(printable(text), style=style), highlight=False, soft_wrap=True
        )

    def finished(self, title: str, status: str, detail: str, seconds: float | None) -> None:
        """Count a run that is over and say how it went. seconds: None where another sweep has done it."""
        if status == "ok":
            self.ok += 1
        else:
            self.failed += 1
        if seconds is not None:
            self.took.append(seconds)
        took = "by another sweep" if seconds is None else f"{seconds:.1f} s"
        eta = self.eta()
        tail = f"  {eta} left" if eta and self.left else ""
        self.line(
            f"[{self.done}/{self.total}] {status:<8} {title}  {detail}  {took}{tail}",
            "" if status == "ok" else "red",
        )

    def update(self, running: Sequence[Running]) -> None:
        if not self.live:
            return
        bar = Table.grid(padding=(0, 1))
        spent = clock(time.monotonic() - self.began)
        counts = f"{self.done}/{self.total} done · {self.failed} failed · {self.left} left · {spent}"
        eta = self.eta(running)
        bar.add_row(
            ProgressBar(total=max(self.total, 1), completed=self.done, width=30),
            Text(counts + (f" · ETA {eta}" if eta else "")),
        )
        rows = [Text(f"  {printable(r.job.title)}  {r.seconds:.0f} s", style="dim") for r in running]
        self.live.update(Group(bar, *rows))
