"""What a dataset is to the rest of the house: a TaskSpec before any data is read, then splits, batches, loss, metrics.

A dataset does not know models. Shapes: B batch, T time steps, F features, K outputs.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
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


class Split(NamedTuple):
    """One split in memory. x: N T F or N T; y: N, N K or N T [K]; lengths: N, or None where all are of length T.

    Values may be stored compactly (uint8 pixels, keys, symbols), so only `Task.batch` says what a network is fed.
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
    """What one update sees. x: B T F or B T; y as in Split; lengths: B or None."""

    x: Tensor
    y: Tensor
    lengths: Tensor | None = None


class Metrics(Protocol):
    """Accumulates a split's metrics, batch by batch (torchmetrics underneath)."""

    def update(self, prediction: Tensor, batch: Batch) -> None: ...
    def compute(self) -> dict[str, float]: ...
    def reset(self) -> None: ...


class Task(ABC):
    """A dataset with its protocol. One file a dataset; options are constructor arguments, set in conf/dataset/."""

    spec: TaskSpec

    @abstractmethod
    def load(self) -> Data:
        """Read or generate the three splits (on the CPU). Raises MissingData with the file and the fix."""

    @abstractmethod
    def floors(self, data: Data) -> Mapping[str, float]:
        """Trivial predictors by name, in the main metric on test; always holds `spec.floor`."""

    def batch(self, split: Split, index: Tensor) -> Batch:
        """The sequences at index (B), trimmed to the longest of them, as the network takes them."""
        lengths = None if split.lengths is None else split.lengths[index]
        x, y = split.x, split.y
        if lengths is not None:  # trimmed before it is gathered: padding is never copied
            longest = int(lengths.max())
            x = x[:, :longest]
            if self.spec.outputs == "step":
                y = y[:, :longest]
        return Batch(x[index], y[index], lengths)

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """The training loss, a scalar: the mean over the batch's sequences or valid steps."""
        from rnnbench.datasets.losses import LOSSES

        return LOSSES[self.spec.loss](prediction, batch)

    def metrics(self) -> Metrics:
        """A fresh accumulator of `loss` and every metric of the spec."""
        from rnnbench.datasets.metrics import TaskMetrics

        return TaskMetrics(self)


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
