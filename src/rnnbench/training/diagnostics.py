"""What the gradients do: their norm by parameter, and dLoss/dh_t for each t, the vanishing-gradient curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rnnbench.datasets.base.spec import Batch
from rnnbench.datasets.base.task import Task
from rnnbench.nn import Layer, tracing
from rnnbench.nn.peephole import NoPeep
from rnnbench.nn.probe import probing
from rnnbench.store.record import GradNorm
from rnnbench.training.evaluate import predict


def gradient_diagnostics(model: nn.Module, task: Task, batch: Batch) -> dict[str, Any]:
    """Gradients of the task's loss on one batch, computed on the eager loop in float32, weights and .grad untouched.

    Returns {"loss", "grad_norm": {parameter: norm}, "h_grad_norm": {layer: [norm at t = 1..T]}, "cell_state_max":
    {layer: [max |c_t|]}, "saturation": {layer: {gate: {"low": share below .01, "high": share above .99}}},
    "peephole_abs": {layer: {gate: mean |w|}}}, where the norm at t is
    the mean over sequences that reach t of |dLoss/dh_t| (total derivative, through every later step), times the number
    of sequences B, because the loss is a mean over them. Steps that no sequence reaches are left out.

    The network is in evaluation: there is no dropout, and a rollout (nn.Rollout) is fed its own predictions after the
    frames given, whatever `sampling` feeds it in training; the loss is of its forecasts alone.
    """
    was_training = model.training
    kept = [p.grad for p in model.parameters()]
    model.eval()
    model.zero_grad(set_to_none=True)
    with torch.enable_grad(), tracing(model) as traces, probing(model) as inside:
        loss = task.loss(predict(model, batch, task.spec), batch)
        loss.backward()
    norms = {name: float(p.grad.norm()) for name, p in model.named_parameters() if p.grad is not None}
    curves = {layer: _curve(hidden, batch) for layer, hidden in traces.items()}
    for p, before in zip(model.parameters(), kept, strict=True):
        p.grad = before
    model.train(was_training)
    return {
        "loss": loss.item(),
        "grad_norm": norms,
        "h_grad_norm": curves,
        "cell_state_max": {name: layer.cell_state_max for name, layer in inside.items() if layer.cell_state_max},
        "saturation": {name: layer.saturation for name, layer in inside.items() if layer.low},
        "peephole_abs": _peepholes(model),
    }


def _curve(hidden: Sequence[Tensor], batch: Batch) -> list[float]:
    """The norm of dLoss/dh_t for each t that a sequence reaches, see `gradient_diagnostics`. hidden: T of (B, ...)."""
    size, lengths = batch.x.shape[0], batch.lengths
    steps = None if lengths is None else int(lengths.max())
    curve = []
    for t, h in enumerate(hidden[:steps]):
        grad = h.grad if h.grad is not None else torch.zeros_like(h)
        per_row = grad.flatten(1).norm(dim=1)
        if lengths is not None:
            per_row = per_row[lengths > t]
        curve.append(float(per_row.mean()) * size)
    return curve


def _peepholes(model: nn.Module) -> dict[str, dict[str, float]]:
    """Mean |w| of each layer's peepholes by gate; only layers that have any."""
    found = {}
    for name, module in model.named_modules():
        peep = getattr(module.cell, "peephole", None) if isinstance(module, Layer) else None
        if peep is not None and not isinstance(peep, NoPeep):
            found[name] = {gate: w.detach().abs().mean().item() for gate, w in peep.w.items()}
    return found


def norm_statistics(norms: Sequence[float], first_non_finite: int | None = None) -> GradNorm:
    """The gradient's norm over training: median, 99th percentile, max, the share above ten times the median."""
    if not norms:
        return {"first_non_finite": first_non_finite}
    values = torch.tensor(norms, dtype=torch.float64)
    median = values.quantile(0.5).item()
    return {
        "median": median,
        "p99": values.quantile(0.99).item(),
        "max": values.max().item(),
        "share_above_10x_median": (values > 10 * median).double().mean().item(),
        "first_non_finite": first_non_finite,
    }


CURVE_POINTS = 100  # of a curve over time in a record; the run's folder has all of them


def summary(found: Mapping[str, Any]) -> dict[str, Any]:
    """What of `gradient_diagnostics` a record keeps: all by layer, to four digits; long curves only in the file."""

    def short(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {k: s for k, v in value.items() if (s := short(v)) is not None}
        if isinstance(value, list):
            return [short(v) for v in value] if len(value) <= CURVE_POINTS else None
        return float(f"{value:.4g}")

    keys = ("h_grad_norm", "cell_state_max", "saturation", "peephole_abs")
    return {key: shortened for key in keys if (shortened := short(found[key]))}
