"""A few test clips as a trained network continues them, kept beside its weights; made again from them where missing."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from rnnbench.datasets.base import loading
from rnnbench.datasets.base.spec import Data, Split, data_hash
from rnnbench.datasets.base.task import Task
from rnnbench.datasets.film.task import FrameTask
from rnnbench.datasets.radar import BRIGHTEST
from rnnbench.errors import BadInput
from rnnbench.runs import load
from rnnbench.store.record import Record, canonical, config_of
from rnnbench.store.samples import FILE, Samples, Scale, dumps
from rnnbench.store.store import Store, write_atomic
from rnnbench.training.evaluate import autocast, predict

CLIPS = 4
MOST_VALUES = 8_000_000  # bytes of a file before it is packed: of large frames fewer clips are kept


@torch.inference_mode()
def take(model: nn.Module, task: FrameTask, test: Split, *, run: str, precision: str = "32") -> Samples:
    """CLIPS clips spread evenly over test, with the network's prediction; fewer of a small test or of large frames.

    Spread, because neighbours in a film's split show almost the same frames. Nothing is drawn at random, and the model
    is left as it was. It must be on the split's device.
    """
    spec = task.spec
    assert spec.frame_shape is not None
    frames = task.steps + (spec.output_steps or 0)
    clips = min(CLIPS, test.size, max(1, MOST_VALUES // (math.prod(spec.frame_shape) * frames)))
    index = torch.arange(clips) * test.size // clips
    batch = task.batch(test, index.to(test.x.device))
    was_training = model.training
    model.eval()
    with autocast(precision, test.x.device):
        prediction = predict(model, batch, spec)
    model.train(was_training)
    scale = scale_of(task, torch.cat([batch.x, batch.y], 1))
    shown = (_bytes(task, scale, part) for part in (batch.x, batch.y, task.frames(prediction.float())))
    return Samples(run, scale, index.numpy(), *(part.numpy() for part in shown))


def scale_of(task: FrameTask, truth: Tensor) -> Scale:
    """On which scale a task's frames are shown. truth: all true frames of the clips.

    White is 1, or the brightest true value where that is more: MovingMNIST++ reaches 1/0.6.
    """
    if type(task).rain is not FrameTask.rain:
        return Scale("rain", BRIGHTEST, 60 / task.frames_an_hour)
    return Scale("plain", max(1.0, float(truth.max())))


def _bytes(task: FrameTask, scale: Scale, frames: Tensor) -> Tensor:
    """Frames, on the task's own scale, as bytes of the display scale, on the CPU."""
    frames = frames.nan_to_num()
    if scale.kind == "rain":
        shown = torch.log1p(task.rain(frames) * task.frames_an_hour) / math.log1p(scale.top)
    else:
        shown = frames / scale.top
    return (shown.clamp(0, 1) * 255).round().to(torch.uint8).cpu()


def keep(samples: Samples, folder: Path) -> Path:
    """Write samples into their run's folder, whole or not at all."""
    path = folder / FILE
    write_atomic(path, dumps(samples))
    return path


def make(store: Store, run_id: str) -> Path:
    """The samples of a finished run, made again from its best weights, on the CPU; returns the file.

    For runs recorded before samples were kept. Raises BadInput where the run has no weights, predicts no frames, or
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
    if not isinstance(task, FrameTask):
        raise BadInput(f"run {run} predicts no frames: it has no samples to show.")
    model = load.restored(store, record, task)  # before the data: what is missing is said at once
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
