"""What is known of a task before its data is read, and what its data is: TaskSpec, splits, batches, the data hash."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class TaskSpec:
    """Everything about a task that is known before its data is read.

    name: the dataset. protocol: generator dialect, split and metric definition in one string; two numbers meet in one
    table only under one protocol. inputs: `features` (x is B T F, float), `tokens` (x is B T, int64; input_size is
    the vocabulary) or `frames` (x is B T C H W, float). outputs: `sequence` (one prediction a sequence, B K), `step`
    (one a time step, B T K) or `frames` (the coming frames, B T_out C H W; see FrameTask).
    metric: the main metric, without its split; goal: whether more or less of it is better. target: what normalised
    score 1 means, with its source; None where no oracle exists and no published value was read. causal: predicts its
    own next input, so a network that sees the future is refused.
    solved: the main metric's value from which on a run counts as having solved the task, itself included; None where a
    task has no such notion. A comment at each dataset's says where it comes from.
    reference: a predictor among the dataset's floors that is fitted and not trivial (a linear model): told beside them,
    never score 0. labels: what the classes are called, in the order of their numbers. carry: batches go on where the
    streams of the one before ended, so a network's state is carried from update to update, detached.
    """

    name: str
    protocol: str
    inputs: Literal["features", "tokens", "frames"]
    input_size: int
    outputs: Literal["sequence", "step", "frames"]
    output_size: int
    loss: str
    metric: str
    metrics: tuple[str, ...]
    goal: Literal["max", "min"]
    floor: str  # which of the dataset's floors is normalised score 0
    target: float | None
    target_source: str
    causal: bool = False
    max_length: int | None = None  # the longest sequence, where it is known before the data is read
    frame_shape: tuple[int, int, int] | None = None  # C, H, W of a frame; input_size and output_size are C
    input_steps: int | None = None  # frames that are seen
    output_steps: int | None = None  # frames that are to be predicted
    reference: str | None = None
    labels: tuple[str, ...] = ()
    carry: bool = False
    solved: float | None = None
    recall_steps: int = 10  # the last so many steps are those that `recall_accuracy` is about

    def __post_init__(self) -> None:
        """Raises ValueError on a `solved` that is no number, or that not even the target reaches."""
        if self.solved is None:
            return
        if isinstance(self.solved, bool) or not math.isfinite(self.solved):
            raise ValueError(f"{self.name}: solved must be a finite number or None, not {self.solved!r}")
        if self.target is not None and not self.solves(self.target):
            raise ValueError(
                f"{self.name}: the target {self.target:g} does not reach solved={self.solved:g} (goal {self.goal}): "
                "solved must lie between the floor and the target"
            )

    def solves(self, value: float) -> bool:
        """Whether a value of the main metric counts as having solved the task; never where `solved` is None."""
        if self.solved is None:
            return False
        return value >= self.solved if self.goal == "max" else value <= self.solved

    def solved_above(self, floor: float | None) -> float | None:
        """`solved`, if it says anything on the data at hand: None where the floor there solves the task already (a
        test split of a few sequences can be so even), or is no number."""
        if floor is not None and (self.solves(floor) or math.isnan(floor)):
            return None
        return self.solved


# Accuracy at which a task with right and wrong counts as solved: where the code of two papers ends its training, on
# validation: word problems (Merrill, Petty & Sabharwal 2024) and multi-query associative recall (Arora et al. 2023).
SOLVED_ACCURACY = 0.99


class Split(NamedTuple):
    """One split in memory. x: N T F or N T; y: N, N K or N T [K]; lengths: N, or None where all are of length T.

    A class of -100 in y is unknown, and ignored by every loss, metric, floor and count. Values may be stored compactly
    (uint8 pixels, keys, symbols), so only `Task.batch` says what a network is fed.
    """

    x: Tensor
    y: Tensor
    lengths: Tensor | None = None

    @property
    def size(self) -> int:
        """The number of sequences, N."""
        return int(self.x.shape[0])


class Data(NamedTuple):
    """The three splits, disjoint; test is touched once, at the end of a run."""

    train: Split
    val: Split
    test: Split


class Batch(NamedTuple):
    """What one update sees. x: B T F or B T; y as in Split; lengths: B or None.

    skip: so many first steps are context, which a network sees and no loss or metric counts.
    """

    x: Tensor
    y: Tensor
    lengths: Tensor | None = None
    skip: int = 0


class Metrics(Protocol):
    """Accumulates a split's metrics, batch by batch (torchmetrics underneath)."""

    def update(self, prediction: Tensor, batch: Batch) -> None: ...
    def compute(self) -> dict[str, float]: ...
    def reset(self) -> None: ...


def data_hash(data: Data) -> str:
    """sha256 (16 hex digits) over the three splits' values, types and shapes: two runs saw the same data or not."""
    digest = hashlib.sha256()
    for split in data:
        for tensor in split:
            if tensor is None:
                digest.update(b"none")
                continue
            digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
            for rows in tensor.split(1024):  # a large split is never copied whole
                digest.update(rows.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
