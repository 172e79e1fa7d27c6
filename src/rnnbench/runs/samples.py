"""What a trained network predicts on test, kept beside its weights; made again from them where missing."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rnnbench.datasets.base import loading
from rnnbench.datasets.base.shown import Shown
from rnnbench.datasets.base.spec import Batch, Data, Split, TaskSpec, data_hash
from rnnbench.datasets.base.task import Task
from rnnbench.errors import BadInput
from rnnbench.runs import load, own_files
from rnnbench.store.record import Record, canonical, config_of
from rnnbench.store.samples import FILE, Samples, dumps
from rnnbench.store.store import Store, write_atomic
from rnnbench.training.evaluate import autocast, evaluate, predict


class Tested:
    """A tested network as its task may ask it (`datasets.base.shown.Network`)."""

    def __init__(self, model: nn.Module, spec: TaskSpec, precision: str, device: torch.device) -> None:
        self.model, self.spec, self.precision, self.device = model, spec, precision, device

    def __call__(self, batch: Batch) -> Tensor:
        """Its output for a batch."""
        with self._asked():
            return predict(self.model, batch, self.spec)

    def step(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Its output for the next steps, and the state to go on from. Raises ValueError where it carries none."""
        with self._asked():
            output, state = self.model.step(x, state)  # type: ignore[operator]
        return output, state

    @contextlib.contextmanager
    def _asked(self) -> Iterator[None]:
        was_training = self.model.training
        self.model.eval()
        try:
            with torch.inference_mode(), autocast(self.precision, self.device):
                yield
        finally:
            self.model.train(was_training)


class Watch:
    """Told of the batches of a test pass for what a task shows of it. What goes wrong in it never ends the pass."""

    def __init__(self, task: Task, test: Split) -> None:
        self.shown: Shown | None = None
        self.error: Exception | None = None
        try:
            self.shown = task.shown(test)
        except Exception as error:
            self.error = error

    def see(self, index: Tensor, batch: Batch, prediction: Tensor) -> None:
        """Told of a batch."""
        if self.shown is None or not self.shown.whole or self.error is not None:
            return
        try:
            self.shown.see(index, batch, prediction)
        except Exception as error:
            self.error = error

    @torch.inference_mode()
    def samples(self, run: str, network: Tested) -> Samples | None:
        """What was seen; None where there is nothing to show. Raises what went wrong."""
        if self.error is not None:
            raise self.error
        found = None if self.shown is None else self.shown.samples(run, network)
        if found is not None:
            found.check()
        return found


def take(model: nn.Module, task: Task, test: Split, *, run: str, precision: str = "32") -> Samples | None:
    """What a task shows of a network on test, which is gone through where that needs it; None: nothing.

    The model is left as it was. It must be on the split's device.
    """
    watch = Watch(task, test)
    if watch.error is None and watch.shown is not None and watch.shown.whole:
        evaluate(model, task, test, precision=precision, observe=watch.see)
    return watch.samples(run, Tested(model, task.spec, precision, test.x.device))


def keep(samples: Samples, folder: Path) -> Path:
    """Write samples into their run's folder, whole or not at all."""
    path = folder / FILE
    write_atomic(path, dumps(samples))
    return path


def make(store: Store, run_id: str) -> Path:
    """The samples of a finished run, made again from its best weights, on the CPU; returns the file.

    For runs recorded before samples were kept. Raises BadInput where the run has no weights or nothing to show, or
    the data is no longer what it was tested on.
    """
    return _make(store, load.finished(store, run_id), {})


def make_missing(store: Store, runs: Iterable[str]) -> dict[str, str]:
    """Make the samples of those runs that have none; by run, one sentence on why that could not be done.

    Each dataset is read once.
    """
    problems: dict[str, str] = {}
    read: dict[str, tuple[Task, Data]] = {}
    for run in runs:
        if (store.folder(run) / FILE).exists():
            continue
        try:
            _make(store, load.finished(store, run), read)
        except (BadInput, OSError) as error:
            problems[run] = str(error)
        except Exception as error:  # of an old version's run: weights or options that no longer fit
            text = " ".join(str(error).split())[:300]
            problems[run] = f"run {run} cannot be loaded by this version of rnnbench ({type(error).__name__}: {text})."
    return problems


def _make(store: Store, record: Record, read: dict[str, tuple[Task, Data]]) -> Path:
    """read: tasks with their data, by dataset options; what had to be read is added."""
    config, run = config_of(record), str(record["id"])
    key = json.dumps(canonical(config["dataset"]), sort_keys=True)
    task, data = read.get(key) or (load.make_task(record), None)
    try:
        model = load.restored(store, record, task)  # before the data: what is missing is said at once
    except BadInput:
        own_files.check(config)  # a user's file with other columns makes another network: that is what to say
        raise
    if data is None:
        data = loading.load(task)
        read[key] = (task, data)
    if (found := data_hash(data)) != record["dataset"].get("data_hash"):
        raise BadInput(
            f"run {run} was tested on other data than there is now (data hash {record['dataset'].get('data_hash')}, "
            f"now {found}): make the run again: {record.get('command')}"
        )
    with _threads(int(config["harness"]["threads"])):
        samples = take(model, task, data.test, run=run, precision=config["precision"])
    if samples is None:
        raise BadInput(f"run {run} has no samples to show: its dataset {task.spec.name} keeps none.")
    return keep(samples, store.folder(run))


@contextlib.contextmanager
def _threads(count: int) -> Iterator[None]:
    """Within the block torch uses the run's own number of threads, which its sums depend on."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
