"""Metrics of predicted frames by their full names, summed in float64 clip by clip: no prediction is kept.

Name            what is averaged, and over what (N clips, T coming frames)
mse_sum         squared error summed over C, H, W; mean over N, T. Predictions are not clipped (OpenSTL's MSE)
mse_pixel       mse_sum / (C H W)
mae_sum         absolute error summed over C, H, W; mean over N, T (OpenSTL's MAE)
ssim            Wang et al. 2004: Gaussian window 11x11, sigma 1.5, data range 1, valid windows only; mean over C, N, T
ssim_openstl    the same index as OpenSTL computes it: uniform window 7x7, sample covariance, data range 2 (what an old
                scikit-image assumed of any float image, so every value is flattered); valid windows; mean over C, N, T
psnr_frame      10 log10(1 / mean squared error) of each frame, then the mean over N, T; an exact frame, whose PSNR is
                infinite, counts 100 dB, as does every one with a mean squared error up to 1e-10
bce_sequence    cross-entropy in nats summed over T, C, H, W; mean over N (Shi et al. 2015). From the network's logits
                where the loss is bce_sequence, else from its frames, held inside [1e-6, 1 - 1e-6]
mse_mm          squared error in (mm per frame)^2; mean over pixels, N, T
csi_0.5         of rain of at least 0.5 mm/h, pixels of the whole split pooled: hits / (hits + misses + false alarms)
pod_0.5, far_0.5    hits / (hits + misses), false alarms / (hits + false alarms); NaN where nothing is there to count

ssim, ssim_openstl and psnr_frame clip the prediction to [0, 1] first, as OpenSTL does.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from rnnbench.datasets.base.spec import Batch, TaskSpec

EXACT_FRAME = 1e-10  # the mean squared error that counts as none: 100 dB
SURE = 1e-6  # a frame's value is held this far from 0 and 1 before its cross-entropy is taken
AT_ONCE = 16  # clips whose metrics are computed together: bounds the memory, whatever the batch
GAUSSIAN, UNIFORM = 11, 7  # window sizes of ssim and ssim_openstl
_EVENT = re.compile(r"(csi|pod|far)_(\d+(?:\.\d+)?)")


class Film(Protocol):
    """What the metrics ask of a task on frames (`rnnbench.datasets.film.task.FrameTask`)."""

    spec: TaskSpec
    frames_an_hour: int

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """The training loss, a mean over the batch's clips."""

    def outputs(self, prediction: Tensor) -> Tensor:
        """The part of a network's output that is about the future, B T_out C H W."""

    def frames(self, prediction: Tensor) -> Tensor:
        """A network's output as frames, B T_out C H W."""

    def rain(self, frames: Tensor) -> Tensor:
        """Frames in mm of rain per frame."""


class Scored(NamedTuple):
    """One batch as the metrics see it, float64: frames and logits of the prediction, y, all B T C H W."""

    task: Film
    frames: Tensor
    logits: Tensor
    y: Tensor

    @property
    def error(self) -> Tensor:
        return self.frames - self.y


def _wide(device: torch.device) -> torch.dtype:
    return torch.float32 if device.type == "mps" else torch.float64  # mps has no float64


def band(taps: Tensor, size: int) -> Tensor:
    """A filter over valid positions as a matrix. taps: k; returns size-k+1 x size, each row the taps one step on.

    A product with it is exact in the type of its input on every device, where a convolution may run in TF32, whose
    ten bits are not enough for a variance that is compared with (0.03)^2.
    """
    k = len(taps)
    rows = torch.arange(size - k + 1, device=taps.device)
    matrix = taps.new_zeros(size - k + 1, size)
    for i in range(k):
        matrix[rows, rows + i] = taps[i]
    return matrix


def structural_similarity(x: Tensor, y: Tensor, taps: Tensor, data_range: float, sample: bool) -> Tensor:
    """The mean of SSIM's map over valid windows, of each channel. x, y: ... H W; taps: the separable window, sum 1.

    sample: (co)variances over n - 1 pixels of a window instead of n.
    """
    k = len(taps)
    down, across = band(taps, x.shape[-2]), band(taps, x.shape[-1]).mT
    mx, my, xx, yy, xy = (down @ torch.stack([x, y, x * x, y * y, x * y]) @ across).unbind()
    unbiased = k * k / (k * k - 1) if sample else 1.0
    vx, vy, vxy = (unbiased * (second - first) for second, first in ((xx, mx * mx), (yy, my * my), (xy, mx * my)))
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    similar = (2 * mx * my + c1) * (2 * vxy + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))
    return similar.mean((-2, -1), dtype=_wide(x.device))


def _pair(s: Scored) -> tuple[Tensor, Tensor]:
    """The clipped prediction and y for SSIM: float32 on a CPU, where it is exact to 1e-6 and 3 times faster."""
    dtype = torch.float32 if s.y.device.type == "cpu" else s.y.dtype
    return s.frames.clamp(0, 1).to(dtype), s.y.to(dtype)


def _ssim(s: Scored) -> Tensor:
    x, y = _pair(s)
    offsets = torch.arange(GAUSSIAN, device=x.device, dtype=x.dtype) - GAUSSIAN // 2
    taps = torch.exp(-0.5 * (offsets / 1.5) ** 2)
    return structural_similarity(x, y, taps / taps.sum(), 1.0, sample=False)


def _ssim_openstl(s: Scored) -> Tensor:
    x, y = _pair(s)
    taps = torch.full((UNIFORM,), 1 / UNIFORM, device=x.device, dtype=x.dtype)
    return structural_similarity(x, y, taps, 2.0, sample=True)


def _psnr_frame(s: Scored) -> Tensor:
    error = (s.frames.clamp(0, 1) - s.y).square().mean((-3, -2, -1))
    return -10 * error.clamp_min(EXACT_FRAME).log10()


def _bce_sequence(s: Scored) -> Tensor:
    return F.binary_cross_entropy_with_logits(s.logits, s.y, reduction="none").sum((1, 2, 3, 4))


def _mse_mm(s: Scored) -> Tensor:
    return (s.task.rain(s.frames) - s.task.rain(s.y)).square().mean((-3, -2, -1))


FRAME_METRICS: dict[str, Callable[[Scored], Tensor]] = {
    "mse_sum": lambda s: s.error.square().sum((-3, -2, -1)),
    "mse_pixel": lambda s: s.error.square().mean((-3, -2, -1)),
    "mae_sum": lambda s: s.error.abs().sum((-3, -2, -1)),
    "ssim": _ssim,
    "ssim_openstl": _ssim_openstl,
    "psnr_frame": _psnr_frame,
    "bce_sequence": _bce_sequence,
    "mse_mm": _mse_mm,
}


def known(name: str) -> bool:
    """Whether a metric of frames has this name."""
    return name in FRAME_METRICS or _EVENT.fullmatch(name) is not None


def picture_metrics(height: int, width: int, loss: str = "mse_frames") -> tuple[str, ...]:
    """The metrics of any film with values in [0, 1], the main one under this loss first; without those whose window is
    larger than a frame."""
    names = ["mse_sum", "mse_pixel", "mae_sum", "psnr_frame", "bce_sequence"]
    if min(height, width) >= UNIFORM:
        names.insert(3, "ssim_openstl")
    if min(height, width) >= GAUSSIAN:
        names.insert(4, "ssim")
    main = "bce_sequence" if loss == "bce_sequence" else "mse_sum"
    return (main, *(name for name in names if name != main))


class FrameMetrics:
    """Accumulates `loss` and the metrics of a task on frames over one split.

    update(prediction, batch): the network's output. update_frames(frames, batch): frames instead (the floors), which
    have no loss. compute() -> {"loss": ..., "mse_sum": ...}; RuntimeError before any update.
    """

    def __init__(self, task: Film, names: tuple[str, ...] | None = None) -> None:
        self.task = task
        self.names = task.spec.metrics if names is None else names
        unknown = [name for name in self.names if not known(name)]
        if unknown:
            raise ValueError(f"{task.spec.name} asks for unknown metrics {unknown} of frames")
        events = [match for name in self.names if (match := _EVENT.fullmatch(name))]
        self._thresholds = sorted({match[2] for match in events}, key=float)
        self.reset()

    def reset(self) -> None:
        """Forget everything seen."""
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    @torch.no_grad()
    def update(self, prediction: Tensor, batch: Batch) -> None:
        """Add one batch. prediction: as the network gave it, any float type."""
        loss = self.task.loss(prediction, batch).to(_wide(prediction.device))
        self._add("loss", loss * len(batch.y), len(batch.y))
        for some, y in zip(self.task.outputs(prediction).split(AT_ONCE), batch.y.split(AT_ONCE), strict=True):
            wide = some.to(_wide(some.device))
            self._score(self.task.frames(wide), wide if self.task.spec.loss == "bce_sequence" else None, y)

    @torch.no_grad()
    def update_frames(self, frames: Tensor, batch: Batch) -> None:
        """Add one batch of frames, B T_out C H W, that no network predicted."""
        for some, y in zip(frames.split(AT_ONCE), batch.y.split(AT_ONCE), strict=True):
            self._score(some.to(_wide(some.device)), None, y)

    def compute(self) -> dict[str, float]:
        """The loss (where there was one) and the metrics over all that was seen since the last reset."""
        if not self._counts:
            raise RuntimeError("no batch was seen, so there is nothing to compute")
        values = {name: float(self._sums[name]) / count for name, count in self._counts.items()}
        for text in self._thresholds:
            values |= self._events(text)
        return {name: values[name] for name in ("loss", *self.names) if name in values}

    def _score(self, frames: Tensor, logits: Tensor | None, y: Tensor) -> None:
        y = y.to(frames.dtype)
        if frames.shape != y.shape:
            raise ValueError(f"frames {tuple(frames.shape)} and target {tuple(y.shape)} differ in shape")
        if logits is None:
            logits = torch.logit(frames, SURE) if "bce_sequence" in self.names else frames
        scored = Scored(self.task, frames, logits, y)
        for name in self.names:
            if name in FRAME_METRICS:
                values = FRAME_METRICS[name](scored)
                self._add(name, values.sum(), values.numel())
        if self._thresholds:
            self._count_events(scored)

    def _count_events(self, scored: Scored) -> None:
        rate, truth = (self.task.rain(f) * self.task.frames_an_hour for f in (scored.frames, scored.y))
        for text in self._thresholds:
            said, was = rate >= float(text), truth >= float(text)
            for kind, pixels in (("hits", said & was), ("misses", ~said & was), ("false", said & ~was)):
                self._add(f"{kind} {text}", pixels.sum(), 1)

    def _events(self, text: str) -> dict[str, float]:
        hits, misses, false = (int(self._sums[f"{kind} {text}"]) for kind in ("hits", "misses", "false"))
        shares = {"csi": hits + misses + false, "pod": hits + misses, "far": hits + false}
        part = {"csi": hits, "pod": hits, "far": false}
        return {f"{name}_{text}": part[name] / n if n else float("nan") for name, n in shares.items()}

    def _add(self, name: str, total: Tensor, count: int) -> None:
        self._sums[name] = self._sums[name] + total if name in self._sums else total
        self._counts[name] = self._counts.get(name, 0) + count
