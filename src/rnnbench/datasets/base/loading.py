"""The one door through which data comes: read, then checked, so that nothing is trained on what cannot be meant.

Refused, naming split and place: splits without a sequence or of unequal parts, lengths outside 1..T, shapes other than
the spec's, NaN and infinity outside the padding, classes that there are not, training data of a single class. One pass
over what is stored; what a network is fed is looked at for a few sequences of each split.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from rnnbench.datasets.base import losses
from rnnbench.datasets.base.losses import IGNORED, valid_steps
from rnnbench.datasets.base.named_metrics import is_named
from rnnbench.datasets.base.spec import Batch, Data, Split, TaskSpec
from rnnbench.datasets.base.task import Task
from rnnbench.errors import BadInput

TRIED = 64  # sequences that metrics are tried on
AT_ONCE = 1024  # sequences that are fed together
VALUES_AT_ONCE = 1 << 20  # that are looked at together: bounds the memory, and stays in the processor's cache
INPUT_AXES = {"features": ("step", "channel"), "tokens": ("step",), "frames": ("step", "channel", "row", "column")}
TARGET_AXES = {"sequence": ("output",), "step": ("step", "output"), "frames": ("step", "channel", "row", "column")}
INDICES = (torch.int64, torch.int32)  # that an embedding takes
CLASSES, SHARES = "cross_entropy", "nll_frame"  # losses whose targets are classes, and numbers from 0 to 1


def load(task: Task) -> Data:
    """A task's splits, on the CPU. Raises BadInput where they cannot be what is meant, and whatever reading raises."""
    data = task.load()
    check(task, data)
    return data


def check(task: Task, data: Data) -> None:
    """Raises BadInput, in one sentence with split and place, where a task's splits cannot be what is meant."""
    _check_form(task.spec.name, data)
    for name, split in zip(Data._fields, data, strict=True):
        where = f"dataset {task.spec.name}, {name}"
        _check_sizes(where, split)
        _check_finite(where, task.spec, Batch(*split))
        _check_fed(where, task, split)
        if task.spec.inputs == "tokens":
            _check_tokens(where, task, split)
    for pictures in task.beside():
        check_pictures(task, pictures)
    if type(task).loss is Task.loss:  # else only the task knows what its targets are
        _check_targets(task, data)
    if any(map(is_named, task.spec.metrics)):
        _try_metrics(task, data.val)


def _try_metrics(task: Task, split: Split) -> None:
    """Metrics of torchmetrics' are asked about a few sequences for which a network would give zeros: what torchmetrics
    refuses, it refuses before anything is trained."""
    batch = task.batch(split, torch.arange(min(split.size, TRIED)))
    classes = task.spec.loss == CLASSES
    metrics = task.metrics()
    metrics.update(torch.zeros(*batch.y.shape, task.spec.output_size) if classes else torch.zeros(batch.y.shape), batch)
    metrics.compute()


def check_pictures(task: Task, pictures: Tensor) -> None:
    """Raises BadInput where what a task's clips are drawn from holds NaN or infinity."""
    for start, wrong in _not_finite(pictures, None):
        place = wrong.nonzero()[0].tolist()
        place[0] += start
        value = float(pictures[tuple(place)])
        raise BadInput(
            f"dataset {task.spec.name}: what clips are drawn from holds {value} at {place}; fill or remove it."
        )


def check_batch(task: Task, data: Data, batch_size: int) -> None:
    """Raises BadInput where an update asks for more sequences than there are to train on."""
    if data.train.size < batch_size and not task.exhaustive:
        raise BadInput(
            f"dataset {task.spec.name} has {data.train.size:,} training sequences, fewer than "
            f"budget.batch_size={batch_size}: set budget.batch_size={data.train.size} or less."
        )


def _check_form(dataset: str, data: object) -> None:
    """Three splits of tensors: what every other check asks its questions of."""
    if not isinstance(data, Data):
        raise BadInput(f"dataset {dataset}: load() must return Data(train, val, test), not {type(data).__name__}.")
    for name, split in zip(Data._fields, data, strict=True):
        if not isinstance(split, Split):
            raise BadInput(f"dataset {dataset}, {name}: must be Split(x, y, lengths), not {type(split).__name__}.")
        for what, values in split._asdict().items():
            if not isinstance(values, Tensor) and not (what == "lengths" and values is None):
                kind = type(values).__name__
                raise BadInput(f"dataset {dataset}, {name}: {what} must be a tensor, not {kind}; use torch.as_tensor.")


def _check_sizes(where: str, split: Split) -> None:
    """At least one sequence, as many targets and lengths as sequences, and every length from 1 to T."""
    N = split.size
    if N < 1:
        raise BadInput(f"{where} holds no sequence: every split takes at least one.")
    if len(split.y) != N:
        raise BadInput(f"{where} holds {N:,} sequences and {len(split.y):,} targets.")
    lengths = split.lengths
    if lengths is None:
        return
    if lengths.shape != (N,) or lengths.is_floating_point():
        held = f"{str(lengths.dtype).removeprefix('torch.')} of shape {tuple(lengths.shape)}"
        raise BadInput(f"{where} holds {N:,} sequences; their lengths must be as many whole numbers, not {held}.")
    longest = split.x.shape[1] if split.x.dim() > 1 else int(lengths.max())
    wrong = (lengths < 1) | (lengths > longest)
    if wrong.any():
        index = int(wrong.int().argmax())
        raise BadInput(
            f"{where}, sequence {index} has the length {int(lengths[index])}; a sequence has 1 to {longest} steps: "
            "leave it out, or correct its length."
        )


def _check_fed(where: str, task: Task, split: Split) -> None:
    """The first, the last and the longest sequence as a network is fed them: their shapes and types, and that they are
    finite."""
    spec = task.spec
    index = [0, split.size - 1] if split.lengths is None else [0, split.size - 1, int(split.lengths.argmax())]
    batch = task.batch(split, torch.tensor(index))
    shape, wanted = tuple(batch.x.shape), _input_shape(spec)
    if len(shape) != len(wanted) or any(w is not None and s != w for s, w in zip(shape[1:], wanted[1:], strict=True)):
        raise BadInput(f"{where}: a batch is {_sides(shape)}, and the spec says {_words(wanted)} ({spec.inputs}).")
    tokens = spec.inputs == "tokens"
    if batch.x.dtype not in (INDICES if tokens else (torch.float32,)):
        kind = "whole numbers (tokens), int64" if tokens else f"floating-point numbers ({spec.inputs}), float32"
        raise BadInput(f"{where}: a batch holds {str(batch.x.dtype).removeprefix('torch.')}; it must be {kind}.")
    if spec.inputs == "frames":
        target = tuple(batch.y.shape)
        assert spec.frame_shape is not None
        if target[1:] != (spec.output_steps, *spec.frame_shape):
            raise BadInput(f"{where}: a batch's coming frames are {_sides(target)}, other than the spec says.")
    _check_finite(f"{where}, as a network is fed it", spec, batch, index)


def _input_shape(spec: TaskSpec) -> tuple[int | None, ...]:
    """What a batch's x must be; None: any size."""
    if spec.inputs == "tokens":
        return None, None
    if spec.inputs == "features":
        return None, None, spec.input_size
    assert spec.frame_shape is not None
    return None, spec.input_steps, *spec.frame_shape


def _sides(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _words(shape: tuple[int | None, ...]) -> str:
    names = ("B", "T", "F")
    return " x ".join(names[axis] if size is None else str(size) for axis, size in enumerate(shape))


def _check_finite(where: str, spec: TaskSpec, batch: Batch, index: list[int] | None = None) -> None:
    """No NaN and no infinity but at padded steps. index: which sequences these are; None: all of them, in order."""
    for what, names, values, stepwise in (
        ("the input", INPUT_AXES[spec.inputs], batch.x, True),
        ("the target", TARGET_AXES[spec.outputs], batch.y, spec.outputs == "step"),
    ):
        for start, wrong in _not_finite(values, batch.lengths if stepwise else None):
            place = wrong.nonzero()[0].tolist()
            place[0] += start
            value = float(values[tuple(place)])
            sequence = place[0] if index is None else index[place[0]]
            raise BadInput(f"{where}, {_place(sequence, place[1:], names)}: {what} is {value}; fill or remove it.")


def _not_finite(values: Tensor, lengths: Tensor | None) -> Iterator[tuple[int, Tensor]]:
    """Where values (N ...) are NaN or infinite, but not at padded steps: a mask of each part that holds any."""
    if not values.is_floating_point():
        return
    for start, part in _parts(values):
        wrong = ~torch.isfinite(part)
        if lengths is not None and part.dim() > 1:
            padded = ~valid_steps(lengths[start : start + len(part)], part.shape[1])
            wrong &= ~padded.view(*padded.shape, *[1] * (part.dim() - 2))
        if wrong.any():
            yield start, wrong


def _parts(values: Tensor) -> Iterator[tuple[int, Tensor]]:
    """The rows of a tensor, a number of them at once, with the first one's index."""
    rows = max(1, VALUES_AT_ONCE * len(values) // max(1, values.numel()))
    for start in range(0, len(values), rows):
        yield start, values[start : start + rows]


def _place(sequence: int, rest: list[int], names: tuple[str, ...]) -> str:
    """`sequence 17, step 3, channel 2`; `sequence 17, value [3, 2, 9]` of what is stored in another form."""
    if len(rest) == len(names):
        return ", ".join([f"sequence {sequence}", *(f"{name} {at}" for name, at in zip(names, rest, strict=True))])
    return f"sequence {sequence}, value {rest}"


def _check_targets(task: Task, data: Data) -> None:
    """Targets of the shape and values that the spec's loss takes."""
    spec = task.spec
    if spec.outputs == "frames" or spec.loss not in losses.LOSSES:
        return
    for name, split in zip(Data._fields, data, strict=True):
        where = f"dataset {spec.name}, {name}"
        seen = torch.zeros(spec.output_size, dtype=torch.bool)
        for start, batch in _fed_targets(task, split):
            _check_target_shape(where, spec, batch)
            if spec.loss == CLASSES:
                seen |= _classes(where, spec, start, batch)
            elif spec.loss == SHARES:
                _check_range(where, spec, start, batch)
        if spec.loss == CLASSES and not seen.any():
            raise BadInput(f"{where} holds no class: all are {IGNORED}, which stands for an unknown one.")
        if spec.loss == CLASSES and name == "train" and int(seen.sum()) == 1:
            raise BadInput(f"{where} holds one class only, {int(seen.int().argmax())}: there is nothing to learn.")


def _fed_targets(task: Task, split: Split) -> Iterator[tuple[int, Batch]]:
    """Every sequence's target as a network is scored on it, with the index of the first of each part.

    As it is stored, where the ends of the split show that it is fed so; else batch by batch, and of numbers, of which
    any will do, the ends alone: there may be a million windows of one series.
    """
    ends = torch.tensor([0, split.size - 1])
    stored, fed = Task.batch(task, split, ends), task.batch(split, ends)
    if fed.y.shape == stored.y.shape and bool((fed.y == stored.y).all()):
        for start, y in _parts(split.y):
            yield start, Batch(y, y, None if split.lengths is None else split.lengths[start : start + len(y)])
    elif task.spec.loss in (CLASSES, SHARES):
        for index in torch.arange(split.size).split(AT_ONCE):
            yield int(index[0]), task.batch(split, index)
    else:
        yield 0, fed


def _check_target_shape(where: str, spec: TaskSpec, batch: Batch) -> None:
    """B or B T for classes, B K or B T K for numbers."""
    wanted = ["N", "T"] if spec.outputs == "step" else ["N"]
    if spec.loss != CLASSES:
        wanted.append(str(spec.output_size))
    shape = tuple(batch.y.shape)
    if len(shape) != len(wanted) or (spec.loss != CLASSES and shape[-1] != spec.output_size):
        raise BadInput(f"{where}: the targets are {_sides(shape)}, and {spec.loss} takes {' x '.join(wanted)}.")


def _classes(where: str, spec: TaskSpec, start: int, batch: Batch) -> Tensor:
    """Which classes there are, K. Raises BadInput on one that is neither 0..K-1 nor IGNORED."""
    y, K = batch.y if batch.y.is_floating_point() else batch.y.long(), spec.output_size
    known = y != IGNORED
    if batch.lengths is not None and spec.outputs == "step":
        known &= valid_steps(batch.lengths, y.shape[1])
    wrong = known & ~((y >= 0) & (y < K) & (y == y.trunc() if y.is_floating_point() else True))
    if wrong.any():
        place = wrong.nonzero()[0].tolist()
        raise BadInput(
            f"{where}, {_place(start + place[0], place[1:], ('step',) * (y.dim() - 1))}: the class is "
            f"{y[tuple(place)].item()}; there are 0 to {K - 1}, and {IGNORED} for an unknown one."
        )
    return torch.bincount(y[known].long(), minlength=K) > 0


def _check_range(where: str, spec: TaskSpec, start: int, batch: Batch) -> None:
    """Targets of independent sigmoids lie from 0 to 1."""
    if batch.y.min() >= 0 and batch.y.max() <= 1:
        return
    wrong = (batch.y < 0) | (batch.y > 1)
    if batch.lengths is not None and spec.outputs == "step":
        wrong &= valid_steps(batch.lengths, batch.y.shape[1])[..., None]
    if wrong.any():
        place = wrong.nonzero()[0].tolist()
        at = _place(start + place[0], place[1:], TARGET_AXES[spec.outputs])
        raise BadInput(f"{where}, {at}: the target is {batch.y[tuple(place)].item()}, which is not 0 to 1.")


def _check_tokens(where: str, task: Task, split: Split) -> None:
    """Tokens are 0 to V-1, in as many steps as a sequence has."""
    V = task.spec.input_size
    for index in torch.arange(split.size).split(AT_ONCE):
        batch = task.batch(split, index)
        wrong = (batch.x < 0) | (batch.x >= V)
        if batch.lengths is not None:
            wrong &= valid_steps(batch.lengths, batch.x.shape[1])
        if wrong.any():
            place = wrong.nonzero()[0].tolist()
            at = _place(int(index[place[0]]), place[1:], ("step",))
            raise BadInput(f"{where}, {at}: the token is {int(batch.x[tuple(place)])}; there are 0 to {V - 1}.")
