"""A network's loss and metrics on one split. Validation and test go through these lines alike."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from rnnbench.datasets.base.spec import Batch, Split, TaskSpec
from rnnbench.datasets.base.task import Task

STEPS_AT_ONCE = 100_000  # sequences x steps of one evaluation batch: long pieces of music must fit into memory

PIXELS_AT_ONCE = 1_500_000  # clips x frames x pixels

Observer = Callable[[Tensor, Batch, Tensor], None]  # what is told of every batch: its index, the batch, the prediction


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """The block in which forward runs: bf16 autocast, or nothing for float32."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bf16" else contextlib.nullcontext()


def predict(model: nn.Module, batch: Batch, spec: TaskSpec) -> Tensor:
    """The network's output for a batch. One that predicts frames gets the frames to come while it trains, as its
    teacher; in evaluation it never does."""
    if spec.inputs == "frames":
        output: Tensor = model(batch.x, future=batch.y if model.training else None)
        return output
    output = model(batch.x, batch.lengths)
    return output


def at_once(task: Task, split: Split) -> int:
    """How many items of a split fit into memory at once."""
    spec = task.spec
    if spec.frame_shape is not None:
        pixels = spec.frame_shape[0] * spec.frame_shape[1] * spec.frame_shape[2]
        steps = (spec.input_steps or 1) + (spec.output_steps or 1)
        return max(1, min(50, PIXELS_AT_ONCE // (pixels * steps)))
    return max(1, min(250, STEPS_AT_ONCE // task.item_steps(split)))


@torch.inference_mode()
def evaluate(
    model: nn.Module,
    task: Task,
    split: Split,
    *,
    precision: str = "32",
    batch_size: int | None = None,
    observe: Observer | None = None,
) -> dict[str, float]:
    """Every metric of the task over a whole split, by name ("loss", "accuracy"); the batch size changes nothing.

    batch_size: sequences at once; by default 250, fewer where sequences are long. observe: told of every batch, in
    order, so that a split need not be gone through twice. The model is put into eval mode and back.
    """
    batch_size = batch_size or at_once(task, split)
    was_training = model.training
    model.eval()
    metrics = task.metrics()
    device = split.x.device
    for index in torch.arange(split.size, device=device).split(batch_size):
        batch = task.batch(split, index)
        with autocast(precision, device):
            prediction = predict(model, batch, task.spec)
        metrics.update(prediction, batch)
        if observe is not None:
            observe(index, batch, prediction)
    model.train(was_training)
    return metrics.compute()
