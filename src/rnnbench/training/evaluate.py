"""A network's loss and metrics on one split. Validation and test go through these lines alike."""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager

import torch
from torch import nn

from rnnbench.datasets.base import Split, Task

STEPS_AT_ONCE = 100_000  # sequences x steps of one evaluation batch: long pieces of music must fit into memory


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """The block in which forward runs: bf16 autocast, or nothing for float32."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bf16" else contextlib.nullcontext()


@torch.inference_mode()
def evaluate(
    model: nn.Module, task: Task, split: Split, *, precision: str = "32", batch_size: int | None = None
) -> dict[str, float]:
    """Every metric of the task over a whole split, by name ("loss", "accuracy"); the batch size changes nothing.

    batch_size: sequences at once; by default 250, fewer where sequences are long. The model is put into eval mode and
    back.
    """
    batch_size = batch_size or max(1, min(250, STEPS_AT_ONCE // split.x.shape[1]))
    was_training = model.training
    model.eval()
    metrics = task.metrics()
    device = split.x.device
    for index in torch.arange(split.size, device=device).split(batch_size):
        batch = task.batch(split, index)
        with autocast(precision, device):
            prediction = model(batch.x, batch.lengths)
        metrics.update(prediction, batch)
    model.train(was_training)
    return metrics.compute()
