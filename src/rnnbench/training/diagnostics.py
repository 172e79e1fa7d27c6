"""What the gradients do: their norm by parameter, and dLoss/dh_t for each t, the vanishing-gradient curve."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from rnnbench.datasets.base import Batch, Task
from rnnbench.nn import tracing


def gradient_diagnostics(model: nn.Module, task: Task, batch: Batch) -> dict[str, Any]:
    """Gradients of the task's loss on one batch, computed on the eager loop in float32, weights and .grad untouched.

    Returns {"loss", "grad_norm": {parameter: norm}, "h_grad_norm": {layer: [norm at t = 1..T]}}, where the norm at t is
    the mean over sequences that reach t of |dLoss/dh_t| (total derivative, through every later step), times the number
    of sequences B, because the loss is a mean over them. Steps that no sequence reaches are left out.
    """
    was_training = model.training
    kept = [p.grad for p in model.parameters()]
    model.eval()
    model.zero_grad(set_to_none=True)
    with torch.enable_grad(), tracing(model) as traces:
        loss = task.loss(model(batch.x, batch.lengths), batch)
        loss.backward()
    norms = {name: float(p.grad.norm()) for name, p in model.named_parameters() if p.grad is not None}
    curves = {}
    size, steps = batch.x.shape[0], batch.x.shape[1] if batch.lengths is None else int(batch.lengths.max())
    for layer, hidden in traces.items():
        curve = []
        for t, h in enumerate(hidden[:steps]):
            grad = h.grad if h.grad is not None else torch.zeros_like(h)
            per_row = grad.flatten(1).norm(dim=1)
            if batch.lengths is not None:
                per_row = per_row[batch.lengths > t]
            curve.append(float(per_row.mean()) * size)
        curves[layer] = curve
    for p, before in zip(model.parameters(), kept, strict=True):
        p.grad = before
    model.train(was_training)
    return {"loss": loss.item(), "grad_norm": norms, "h_grad_norm": curves}
