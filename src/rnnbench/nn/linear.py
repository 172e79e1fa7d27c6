"""W x for narrow x, with a gradient of W that the processor's matrix library computes fast.

The gradient of W is D^T X, where X (R, K) are the rows of x and D (R, N) those of the gradient of W x. BLAS libraries
cut a product by its columns, and with few of them (K of 2, 8, 28) MKL takes 1.5 to 50 times as long for D^T X as for
the same numbers by (X^T D)^T, of which N is the number of columns.

Axes: R rows (batch times steps), K inputs, N outputs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnnbench.nn.checks import is_autocast

WIDE = 32  # from so many inputs on both ways take as long
WORTH = 2048  # at least so many times K must R N be, or the copy that turns the result costs more than is gained
CALLS = 4096  # the same of `linear`, which makes more calls than F.linear, and where K counts as 8 at least


def turns(rows: int, inputs: int, outputs: int) -> bool:
    """Whether the gradient of W is computed as (X^T D)^T. By sizes alone: the same run has the same bits anywhere."""
    narrow = 1 < inputs < min(WIDE, outputs)  # of one input both are a product with a vector
    return narrow and rows * outputs >= WORTH * inputs


def weight_gradient(rows: Tensor, grads: Tensor) -> Tensor:
    """D^T X, contiguous: rows X (R, K), grads D (R, N) -> (N, K), in the layout that suits the sizes."""
    if turns(rows.shape[0], rows.shape[1], grads.shape[1]):
        return (rows.t() @ grads).t().contiguous()
    return grads.t() @ rows


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """F.linear: x (..., K), weight (N, K), bias (N) or none -> (..., N); its gradient of weight as `weight_gradient`.

    By torch's own rule a matrix product gives a factor's gradient in the layout of that factor: of W^T (K, N) as it
    lies in memory that is X^T D. Where there is no such gradient to compute, and on whatever is not a CPU's float32 or
    float64, this is F.linear itself; so it is in a graph (torch.compile, torch.export, torch.jit.trace), whose numbers
    of rows may be unknown.
    """
    if not _pays(x, weight):
        return F.linear(x, weight, bias)
    rows, turned = x.flatten(0, -2), weight.t().contiguous()
    fused = rows @ turned if bias is None else torch.addmm(bias, rows, turned)
    return fused.view(*x.shape[:-1], weight.shape[0])


def _pays(x: Tensor, weight: Tensor) -> bool:
    if torch.compiler.is_compiling() or torch.jit.is_tracing():  # type: ignore[attr-defined,no-untyped-call]
        return False
    outputs, inputs = weight.shape
    if inputs >= WIDE or x.dim() < 2 or x.shape[-1] != inputs:
        return False
    rows = x.shape[:-1].numel()
    if rows * outputs < CALLS * max(inputs, 8) or not turns(rows, inputs, outputs):
        return False
    if not (weight.requires_grad and torch.is_grad_enabled()):
        return False
    return x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64) and not is_autocast(x)


class Linear(nn.Linear):
    """nn.Linear by `linear`."""

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight, self.bias)
