"""`make bench`: what the harness costs, and what a backend gains. Interleaved in one process, medians, ratios.

Absolute times are this machine's and this hour's; compare only what stands in one output.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from rnnbench.datasets import Digits
from rnnbench.datasets.base import Data, Task
from rnnbench.nn import GRU, LSTM, RNN, SequenceModel, build_stack
from rnnbench.training.batches import Batches
from rnnbench.training.fit import fit, quiet
from rnnbench.training.module import FitOptions

LIMIT_MS = 0.5  # what a training step through our set-up may cost more than a bare loop, in CPU time


class _NoHooks:
    """A run without folder, tracker or progress line."""

    def validated(self, row: dict[str, float]) -> None: ...
    def progress(self, update: int, row: dict[str, float]) -> None: ...
    def save(self, state: dict[str, Any]) -> None: ...
    def stop_asked(self) -> str | None:
        return None


class _PlainModule(pl.LightningModule):
    """The LightningModule of a tutorial: automatic optimisation, a DataLoader, self.log."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def training_step(self, batch: Sequence[torch.Tensor], batch_idx: int) -> torch.Tensor:
        loss = nn.functional.cross_entropy(self.model(batch[0]), batch[1])
        self.log("train/loss", loss)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), 3e-3)


def _bare(model: nn.Module, task: Task, data: Data, updates: int) -> None:
    """The same updates in the loop one would write by hand."""
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    batches = Batches(task, data.train, 32, 0)
    for update in range(updates):
        batch = batches.batch(update)
        optimizer.zero_grad(set_to_none=True)
        task.loss(model(batch.x, batch.lengths), batch).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()


def _ours(model: nn.Module, task: Task, data: Data, updates: int) -> None:
    options = FitOptions(updates=updates, batch_size=32, val_every=updates + 1)
    fit(model, task, data, options, lambda params: torch.optim.Adam(params, 3e-3), None, _NoHooks())


def _plain(model: nn.Module, task: Task, data: Data, updates: int) -> None:
    """What Lightning costs as its documentation uses it, without its own progress bar and checkpoints."""
    x, y = task.batch(data.train, torch.arange(data.train.size))[:2]
    loader = DataLoader(TensorDataset(x, y), 32, shuffle=True, drop_last=True)
    off: dict[str, Any] = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    with quiet():
        pl.Trainer(accelerator="cpu", max_steps=updates, gradient_clip_val=1.0, **off).fit(_PlainModule(model), loader)


def harness_cost(rounds: int, updates: int) -> dict[str, float]:
    """CPU milliseconds an update of a small LSTM on digits, median over rounds, by way of training."""
    task = Digits()
    data = task.load()
    ways: dict[str, Callable[[nn.Module, Task, Data, int], None]] = {"bare": _bare, "ours": _ours, "plain": _plain}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for n in range(rounds + 1):
        for name, way in ways.items():
            stack = build_stack(LSTM, 8, 64)
            model = SequenceModel(nn.Identity(), stack, head="last", output_size=10)
            began = time.process_time()
            way(model, task, data, updates)
            if n:  # the first round warms up
                times[name].append((time.process_time() - began) / updates * 1e3)
    return {name: statistics.median(values) for name, values in times.items()}


def backend_gain(rounds: int) -> list[tuple[str, float, float]]:
    """(case, eager ms, native ms) of a training step, median over interleaved rounds."""
    found = []
    for name, cell in (("RNN", RNN), ("LSTM", LSTM), ("GRU", GRU)):
        for size, steps in ((64, 8), (64, 50), (128, 28)):
            x = torch.randn(50, steps, 28)
            nets = {b: build_stack(cell, 28, size, backend=b) for b in ("eager", "native")}
            times: dict[str, list[float]] = {b: [] for b in nets}
            for n in range(rounds + 2):
                for backend, net in nets.items():
                    began = time.process_time()
                    net.zero_grad()
                    net(x)[0].square().mean().backward()
                    if n > 1:
                        times[backend].append((time.process_time() - began) * 1e3)
            eager, native = (statistics.median(times[b]) for b in ("eager", "native"))
            found.append((f"{name} H={size} T={steps} B=50", eager, native))
    return found


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for n, column in enumerate(columns):
        table.add_column(column, justify="right" if n else "left")
    for row in rows:
        table.add_row(*row)
    return table


def main() -> None:
    """Print both tables; exit code 1 where the harness costs more than it may."""
    parser = argparse.ArgumentParser("python -m rnnbench.training.bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--updates", type=int, default=200)
    args = parser.parse_args()
    torch.set_num_threads(1)
    cost = harness_cost(args.rounds, args.updates)
    bare = cost["bare"]
    ways = {"bare": "a bare loop", "ours": "our Trainer set-up", "plain": "a plain Trainer with self.log"}
    rows = [(ways[k], f"{v:.3f}", f"{v - bare:+.3f}", f"{v / bare:.2f}") for k, v in cost.items()]
    console = Console(highlight=False)
    title = "Harness: CPU ms an update"
    console.print(_table(title, ("way", "ms", "more", "ratio"), rows))
    gains = backend_gain(args.rounds)
    lines = [(case, f"{eager:.2f}", f"{native:.2f}", f"{eager / native:.2f}") for case, eager, native in gains]
    console.print(_table("\nBackends: CPU ms a training step", ("case", "eager", "native", "eager/native"), lines))
    if cost["ours"] - bare > LIMIT_MS:
        raise SystemExit(f"our set-up costs {cost['ours'] - bare:.3f} ms an update, more than {LIMIT_MS}")


if __name__ == "__main__":
    main()
