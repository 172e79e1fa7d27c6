"""What the harness costs, and what a backend gains: two tables of `make bench`, and how all of them are measured.

Interleaved in one process, medians, ratios. Absolute times are this machine's and this hour's; compare only what
stands in one output. The command is `bench.tables`: it sets the process up as a run does.
"""

from __future__ import annotations

import math
import resource
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from rnnbench.datasets import Adding, Digits
from rnnbench.datasets.base import loading
from rnnbench.datasets.base.spec import Batch, Data, Split
from rnnbench.datasets.base.task import Task
from rnnbench.nn import GRU, LSTM, RNN, SequenceModel, build_stack
from rnnbench.runs import host
from rnnbench.runs.checkpoint import State
from rnnbench.training.batches import Batches
from rnnbench.training.fit import fit, make_ready, quiet
from rnnbench.training.module import FitOptions

LIMIT = 1.1  # times the CPU time of a bare loop that an update through our set-up may take
BATCH = 50  # sequences of an update


class Result(NamedTuple):
    """One table of `make bench`. missed: the limits that were clearly missed, a sentence each."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    missed: Sequence[str] = ()


class Middle(NamedTuple):
    """A median with its 95 % interval by order statistics, which asks nothing of the noise but to be independent.

    A limit is clearly missed where the whole interval lies beyond it.
    """

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f}..{self.high:.2f})"


def interleaved(
    ways: Mapping[str, Callable[[], None]], rounds: int, before: Callable[[], None] = lambda: None
) -> dict[str, list[float]]:
    """CPU milliseconds of each way, round by round after one that warms up. Every round starts with another way, for
    one leaves its memory and caches to the next. before: called before each, and not counted."""
    names = list(ways)
    times: dict[str, list[float]] = {name: [] for name in names}
    for n in range(rounds + 1):
        first = n % len(names)
        for name in names[first:] + names[:first]:
            before()
            began = time.process_time()
            ways[name]()
            if n:
                times[name].append((time.process_time() - began) * 1e3)
    return times


def middle(values: Iterable[float]) -> Middle:
    """The median of a few measurements, and between which of them it lies."""
    found = sorted(values)
    n = len(found)
    outside = max(0, math.floor((n - 1.96 * math.sqrt(n)) / 2))
    return Middle(statistics.median(found), found[outside], found[n - 1 - outside])


def ratio(above: Sequence[float], below: Sequence[float]) -> Middle:
    """How many times as long `above` took as `below` in the same rounds."""
    return middle(a / b for a, b in zip(above, below, strict=True))


def set_up() -> None:
    """Make this process one as a run's."""
    host.tune_malloc()
    torch.set_num_threads(1)


def children_seconds() -> float:
    """CPU seconds of the processes that this one started, and they, and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class NoHooks:
    """A run without folder, tracker or progress line."""

    def validated(self, row: dict[str, float]) -> None: ...
    def progress(self, update: int, row: dict[str, float]) -> None: ...
    def save(self, state: State) -> None: ...
    def stop_asked(self) -> str | None:
        return None


def _adam(params: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """What optimizer=adam makes, for every way alike."""
    return torch.optim.Adam(params, 3e-3, fused=True)


class _PlainModule(pl.LightningModule):
    """The LightningModule of a tutorial: automatic optimisation, a DataLoader, self.log."""

    def __init__(self, model: nn.Module, task: Task) -> None:
        super().__init__()
        self.model, self.task = model, task

    def training_step(self, batch: Sequence[torch.Tensor], batch_idx: int) -> torch.Tensor:
        loss = self.task.loss(self.model(batch[0]), Batch(batch[0], batch[1]))
        self.log("train/loss", loss)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return _adam(self.parameters())


def _bare(model: nn.Module, task: Task, data: Data, updates: int) -> None:
    """The same updates in the loop one would write by hand."""
    optimizer = _adam(model.parameters())
    batches = Batches(task, data.train, BATCH, 0)
    for update in range(updates):
        batch = batches.batch(update)
        optimizer.zero_grad(set_to_none=True)
        task.loss(model(batch.x, batch.lengths), batch).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()


def _ours(model: nn.Module, task: Task, data: Data, updates: int) -> None:
    options = FitOptions(updates=updates, batch_size=BATCH, val_every=updates + 1)
    fit(model, task, data, options, _adam, None, NoHooks())


def _plain(model: nn.Module, task: Task, data: Data, updates: int) -> None:
    """What Lightning costs as its documentation uses it, without its own progress bar and checkpoints."""
    x, y = task.batch(data.train, torch.arange(data.train.size))[:2]
    loader = DataLoader(TensorDataset(x, y), BATCH, shuffle=True, drop_last=True)
    off: dict[str, Any] = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    with quiet():
        pl.Trainer(accelerator="cpu", max_steps=updates, gradient_clip_val=1.0, **off).fit(
            _PlainModule(model, task), loader
        )


def harness(rounds: int, updates: int) -> Result:
    """CPU milliseconds an update of a small LSTM on digits and on adding, by way of training.

    Of the updates alone: the Trainer of a fit is made beforehand, as a sweep's fork server does, and a fit's last
    validation is of one batch.
    """
    rows: list[Sequence[str]] = []
    missed = []
    for task in (Digits(), Adding(train=2000, val=BATCH, test=BATCH)):
        times = _ways_of_training(task, rounds, updates)
        bare = times["a bare loop"]
        for name, ms in times.items():
            more = middle((a - b) / updates for a, b in zip(ms, bare, strict=True))
            each = f"{statistics.median(ms) / updates:.3f}"
            rows.append((f"{task.spec.name}: {name}", each, f"{more.median:+.3f}", str(ratio(ms, bare))))
        ours = ratio(times["our Trainer set-up"], bare)
        if ours.low > LIMIT:
            missed.append(f"on {task.spec.name} an update takes {ours} times that of a bare loop, above {LIMIT}")
    return Result("Harness: CPU ms an update", ("way", "ms", "more", "ratio"), rows, missed)


def _ways_of_training(task: Task, rounds: int, updates: int) -> dict[str, list[float]]:
    """CPU milliseconds of some updates by each way, round by round."""
    data = loading.load(task)
    val = Split(data.val.x[:BATCH], data.val.y[:BATCH])
    data = data._replace(val=val)

    def by(way: Callable[[nn.Module, Task, Data, int], None]) -> Callable[[], None]:
        def train() -> None:
            stack = build_stack(LSTM, task.spec.input_size, 64)
            model = SequenceModel(nn.Identity(), stack, head="last", output_size=task.spec.output_size)
            way(model, task, data, updates)

        return train

    ways = {"a bare loop": by(_bare), "our Trainer set-up": by(_ours), "a plain Trainer with self.log": by(_plain)}
    return interleaved(ways, rounds, before=make_ready)


def backends(rounds: int) -> Result:
    """CPU milliseconds of a training step on the eager and on the native backend."""
    rows = []
    for name, cell in (("RNN", RNN), ("LSTM", LSTM), ("GRU", GRU)):
        for size, steps in ((64, 8), (64, 50), (128, 28)):
            x = torch.randn(50, steps, 28)
            ways = {b: training_step(build_stack(cell, 28, size, backend=b), x) for b in ("eager", "native")}
            times = interleaved(ways, rounds)
            ms = [f"{statistics.median(times[b]):.2f}" for b in ways]
            rows.append((f"{name} H={size} T={steps} B=50", *ms, str(ratio(times["eager"], times["native"]))))
    return Result("Backends: CPU ms a training step", ("case", "eager", "native", "eager/native"), rows)


def training_step(net: Callable[..., Any], *inputs: torch.Tensor, **more: Any) -> Callable[[], None]:
    """Forward, a square loss, backward. net: a module, which may give its output beside its state."""

    def step() -> None:
        if isinstance(net, nn.Module):
            net.zero_grad()
        out = net(*inputs, **more)
        (out[0] if isinstance(out, tuple) else out).square().mean().backward()

    return step
