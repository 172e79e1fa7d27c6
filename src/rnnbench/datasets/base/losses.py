"""Training losses by name: f(prediction, batch) -> scalar, in float32 also where the network ran in bfloat16.

B batch, T time steps, K outputs. A loss over steps is the mean over the valid steps of the whole batch (a long sequence
weighs more than a short one): the `frame average` of the music papers. A loss over sequences is the mean over B.

What stands at padded steps is never read, forward or backward. A class of IGNORED is no class: neither a loss nor a
metric, an outcome, a sample, a floor or a count sees it, and what is predicted there is not read either.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from rnnbench.datasets.base.spec import Batch

IGNORED = -100  # torch's ignore_index


def valid_steps(lengths: Tensor, steps: int) -> Tensor:
    """Which steps are data and not padding. lengths: B. Returns a mask, B T."""
    return torch.arange(steps, device=lengths.device) < lengths.unsqueeze(1)


def counted_steps(batch: Batch, steps: int) -> Tensor:
    """Which steps count: neither padding nor context (`Batch.skip`). Returns a mask, B T."""
    at = torch.arange(steps, device=batch.y.device)
    real = at >= batch.skip
    if batch.lengths is None:
        return real.expand(len(batch.y), steps)
    return real & valid_steps(batch.lengths.to(batch.y.device), steps)


def after_context(prediction: Tensor, batch: Batch) -> tuple[Tensor, Batch]:
    """A prediction at every step (B T K) and its batch without the steps that are context (`Batch.skip`)."""
    skip = batch.skip
    if not skip:
        return prediction, batch
    lengths = None if batch.lengths is None else batch.lengths - skip
    return prediction[:, skip:], Batch(batch.x[:, skip:], batch.y[:, skip:], lengths)


def mean_over_steps(values: Tensor, lengths: Tensor | None) -> Tensor:
    """The mean of values (B T) over the valid steps; whatever stands at padded steps does not count."""
    if lengths is None:
        return values.mean()
    mask = valid_steps(lengths, values.shape[1])
    return values.masked_fill(~mask, 0.0).sum() / mask.sum()


def labels(batch: Batch) -> Tensor:
    """The classes of a batch, B or B T, int64, IGNORED at padded steps and in the context (`Batch.skip`)."""
    y = batch.y.long()
    if y.dim() == 2 and (batch.lengths is not None or batch.skip):
        y = y.masked_fill(~counted_steps(batch, y.shape[1]), IGNORED)
    return y


def _unpadded(values: Tensor, lengths: Tensor | None) -> Tensor:
    """values, B T K, zero at padded steps: a NaN there would come back as a gradient of 0 NaN = NaN."""
    return values if lengths is None else values.masked_fill(~valid_steps(lengths, values.shape[1])[..., None], 0)


def _known(prediction: Tensor, y: Tensor) -> Tensor:
    """prediction, B K or B T K, zero where the class is IGNORED: NaN there would come back as NaN of all weights."""
    ignored = y == IGNORED
    if y.device.type == "cpu" and not ignored.any():  # spares a copy; elsewhere to ask is to wait for the device
        return prediction
    return prediction.masked_fill(ignored[..., None], 0)


def _same_shape(prediction: Tensor, y: Tensor) -> None:
    # torch would broadcast (B, 1) against (B,) to B x B and train on nonsense
    if prediction.shape != y.shape:
        raise ValueError(f"prediction {tuple(prediction.shape)} and target {tuple(y.shape)} differ in shape")


def mse(prediction: Tensor, batch: Batch) -> Tensor:
    """Mean squared error over outputs, then sequences (B K) or valid steps (B T K)."""
    _same_shape(prediction, batch.y)
    if prediction.dim() != 3:
        return (prediction.float() - batch.y.float()).square().mean(-1).mean()
    prediction, y = (_unpadded(values, batch.lengths) for values in (prediction, batch.y))
    return mean_over_steps((prediction.float() - y.float()).square().mean(-1), batch.lengths)


def mae(prediction: Tensor, batch: Batch) -> Tensor:
    """Mean absolute error over outputs, then sequences (B K) or valid steps (B T K)."""
    _same_shape(prediction, batch.y)
    if prediction.dim() != 3:
        return (prediction.float() - batch.y.float()).abs().mean(-1).mean()
    prediction, y = (_unpadded(values, batch.lengths) for values in (prediction, batch.y))
    return mean_over_steps((prediction.float() - y.float()).abs().mean(-1), batch.lengths)


def cross_entropy(prediction: Tensor, batch: Batch) -> Tensor:
    """Cross-entropy in nats of logits (B K against y: B; B T K against y: B T), over sequences or valid steps.

    Those that are IGNORED do not count; of a batch with no others it is 0.
    """
    if prediction.shape[:-1] != batch.y.shape:
        raise ValueError(f"logits {tuple(prediction.shape)} do not fit classes {tuple(batch.y.shape)}")
    y = labels(batch)
    nats = F.cross_entropy(
        _known(prediction, y).float().flatten(0, -2), y.flatten(), reduction="none", ignore_index=IGNORED
    )  # 0 where ignored
    return nats.sum() / (y != IGNORED).sum().clamp_min(1)


def nll_frame(prediction: Tensor, batch: Batch) -> Tensor:
    """Negative log-likelihood of a frame in nats: K independent sigmoids, summed; the mean over valid frames.

    prediction: logits, B T K; y: 0 or 1, B T K.
    """
    _same_shape(prediction, batch.y)
    prediction, y = (_unpadded(values, batch.lengths) for values in (prediction, batch.y))
    nats = F.binary_cross_entropy_with_logits(prediction.float(), y.float(), reduction="none").sum(-1)
    return mean_over_steps(nats, batch.lengths)


def future_or_next(prediction: Tensor, batch: Batch) -> Tensor:
    """The frames that a prediction is about: the coming ones, y, or every next frame from the second input frame on.

    prediction: B T_out C H W, or B T_in-1+T_out C H W of a network that predicts the next frame at every step.
    """
    y = batch.y
    if prediction.shape[1] == batch.x.shape[1] - 1 + y.shape[1] > y.shape[1]:
        y = torch.cat([batch.x[:, 1:], y], 1)
    _same_shape(prediction, y)
    return y


def mse_frames(prediction: Tensor, batch: Batch) -> Tensor:
    """Mean squared error over everything predicted: clips, frames, channels and pixels."""
    y = future_or_next(prediction, batch)
    return (prediction.float() - y.float()).square().mean()


def bce_sequence(prediction: Tensor, batch: Batch) -> Tensor:
    """Cross-entropy in nats of logits against frames in [0, 1], summed over a clip's frames and pixels, mean over B."""
    y = future_or_next(prediction, batch)
    return F.binary_cross_entropy_with_logits(prediction.float(), y.float(), reduction="sum") / len(y)


LOSSES: dict[str, Callable[[Tensor, Batch], Tensor]] = {
    "mse": mse,
    "mae": mae,
    "cross_entropy": cross_entropy,
    "nll_frame": nll_frame,
    "mse_frames": mse_frames,
    "bce_sequence": bce_sequence,
}


class ItemLosses(NamedTuple):
    """The loss of each item of a batch. totals: B, summed over what the item counts; counts: B, how much that is: its
    valid steps where a task predicts every step, else 1; 0 where every class of it is IGNORED.

    Over a whole split the sum of the totals by the sum of the counts is the split's loss.
    """

    totals: Tensor
    counts: Tensor


def _summed(values: Tensor, batch: Batch) -> ItemLosses:
    """values: B of sequences, or B T of steps, of which those that count are summed."""
    if values.dim() == 1:
        return ItemLosses(values, torch.ones_like(values))
    mask = counted_steps(batch, values.shape[1])
    return ItemLosses(values.masked_fill(~mask, 0.0).sum(1), mask.sum(1))


def _mse_items(prediction: Tensor, batch: Batch) -> ItemLosses:
    _same_shape(prediction, batch.y)
    return _summed((prediction.float() - batch.y.float()).square().mean(-1), batch)


def _mae_items(prediction: Tensor, batch: Batch) -> ItemLosses:
    _same_shape(prediction, batch.y)
    return _summed((prediction.float() - batch.y.float()).abs().mean(-1), batch)


def _cross_entropy_items(prediction: Tensor, batch: Batch) -> ItemLosses:
    y = labels(batch)
    nats = F.cross_entropy(
        _known(prediction, y).float().flatten(0, -2), y.flatten(), reduction="none", ignore_index=IGNORED
    )  # 0 where ignored
    nats, known = nats.view(y.shape), y != IGNORED
    return ItemLosses(nats, known) if y.dim() == 1 else ItemLosses(nats.sum(1), known.sum(1))


def _nll_frame_items(prediction: Tensor, batch: Batch) -> ItemLosses:
    _same_shape(prediction, batch.y)
    nats = F.binary_cross_entropy_with_logits(prediction.float(), batch.y.float(), reduction="none")
    return _summed(nats.sum(-1), batch)


def _mse_frames_items(prediction: Tensor, batch: Batch) -> ItemLosses:
    y = future_or_next(prediction, batch)
    return _summed((prediction.float() - y.float()).square().flatten(1).mean(1), batch)


def _bce_sequence_items(prediction: Tensor, batch: Batch) -> ItemLosses:
    y = future_or_next(prediction, batch)
    nats = F.binary_cross_entropy_with_logits(prediction.float(), y.float(), reduction="none")
    return _summed(nats.flatten(1).sum(1), batch)


ITEM_LOSSES: dict[str, Callable[[Tensor, Batch], ItemLosses]] = {
    "mse": _mse_items,
    "mae": _mae_items,
    "cross_entropy": _cross_entropy_items,
    "nll_frame": _nll_frame_items,
    "mse_frames": _mse_frames_items,
    "bce_sequence": _bce_sequence_items,
}
