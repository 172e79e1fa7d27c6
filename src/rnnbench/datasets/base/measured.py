"""What a prediction that no network made reaches in a task's metrics: a floor in any of them."""

from __future__ import annotations

import torch
from torch import Tensor

from rnnbench.datasets.base.spec import Split
from rnnbench.datasets.base.task import Task

AT_ONCE = 1024  # items


def measured(task: Task, split: Split, prediction: Tensor) -> dict[str, float]:
    """Loss and metrics of a prediction for a whole split, as a network's would be: what a floor reaches in any metric.

    prediction: of as many items as the split has, in its order, as the network would give them (logits, numbers).
    """
    metrics = task.metrics()
    for index in torch.arange(split.size).split(AT_ONCE):
        metrics.update(prediction[index], task.batch(split, index))
    return metrics.compute()
