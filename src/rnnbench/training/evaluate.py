"""A network's loss and metrics on one split. Validation and test go through these lines alike."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from rnnbench.datasets.base.spec import Batch, Split, TaskSpec
from rnnbench.datasets.base.task import Task
from rnnbench.nn import Rival

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


def carries(model: nn.Module, spec: TaskSpec) -> bool:
    """Whether a network's state goes on from batch to batch: where the task's streams do, and it has one."""
    return spec.carry and not any(isinstance(module, Rival) for module in model.modules())


def advance(model: nn.Module, batch: Batch, state: Any) -> tuple[Tensor, Any]:
    """The network's output for a batch from a state on (None: zeros), and the state after it, which has a graph."""
    output: tuple[Tensor, Any] = model.step(batch.x, state, lengths=batch.lengths)  # type: ignore[operator]
    return output


def carried(state: Any, rows: int | None = None, *, like: Tensor) -> Any:
    """A state to go on from: nested plain tuples of tensors of their own, without a graph, of like's type and device.

    rows: of so many streams, the first ones; None: of all. Plain, so that a checkpoint can hold it; the layers know
    their cells' fields.
    """
    if isinstance(state, Tensor):
        return state.detach()[:rows].to(like, copy=True, memory_format=torch.contiguous_format)
    return tuple(carried(part, rows, like=like) for part in state)


def weight_of(model: nn.Module) -> Tensor:
    """Any weight of a network: its type and device."""
    return next(p for p in model.parameters() if p.is_floating_point())


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

    A task whose streams go on (`spec.carry`) is read in `Task.streams` parts side by side, the state carried from batch
    to batch; a network without a state is given its context instead.
    batch_size: sequences at once; by default 250, fewer where sequences are long. observe: told of every batch, in
    order, so that a split need not be gone through twice. The model is put into eval mode and back.
    """
    was_training = model.training
    model.eval()
    metrics = task.metrics()
    if carries(model, task.spec):
        found = _in_streams(model, task, split, precision)
    else:
        found = _in_batches(model, task, split, precision, batch_size or at_once(task, split))
    for index, batch, prediction in found:
        metrics.update(prediction, batch)
        if observe is not None:
            observe(index, batch, prediction)
    model.train(was_training)
    return metrics.compute()


Predicted = Iterator[tuple[Tensor, Batch, Tensor]]  # index, batch, prediction


def _in_batches(model: nn.Module, task: Task, split: Split, precision: str, batch_size: int) -> Predicted:
    """A split in its order, so many sequences at once."""
    device = split.x.device
    cut = task.in_context if task.spec.carry else task.batch
    for index in torch.arange(split.size, device=device).split(batch_size):
        batch = cut(split, index)
        with autocast(precision, device):
            prediction = predict(model, batch, task.spec)
        yield index, batch, prediction


def _in_streams(model: nn.Module, task: Task, split: Split, precision: str) -> Predicted:
    """A split in streams side by side, each from a state of zeros on. Streams that end first stand last."""
    device, like = split.x.device, weight_of(model)
    state = None
    for index in stream_places(split.size, task.streams(split)):
        index = index.to(device)
        batch = task.batch(split, index)
        if state is not None:
            state = carried(state, len(index), like=like)
        with autocast(precision, device):
            prediction, state = advance(model, batch, state)
        yield index, batch, prediction


def stream_places(size: int, streams: int) -> Iterator[Tensor]:
    """What is read together of `size` sequences in so many streams of neighbours, whose sizes differ by at most one.

    Every sequence is in one of the results, B each, B falling; row b of all of them is stream b in its order.
    """
    streams = min(streams, size)
    each, longer = divmod(size, streams)
    sizes = torch.tensor([each + 1] * longer + [each] * (streams - longer))
    starts = sizes.cumsum(0) - sizes
    for n in range(int(sizes[0])):
        yield (starts + n)[sizes > n]
