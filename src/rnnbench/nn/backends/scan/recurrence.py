"""h_t = a_t h_{t-1} + b_t over all steps, with a backward pass of its own: no node of autograd per step.

Nothing goes through logarithms, so a may have any sign and exact zeros, and h is as exact as the loop's. Backwards it
is the same recurrence, the other way round (^* is the complex conjugate, g_t the gradient of h_t from outside):

    d_t = g_t + a_{t+1}^* d_{t+1}     da_t = d_t h_{t-1}^*     db_t = d_t     dh_0 = a_1^* d_1

Kept for it are a and h alone: memory is linear in T. It is made of differentiable operations where it is to be
differentiated itself, so second derivatives are there, too.

Axes: T time, B batch, N features of h, space none or H W.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import Tensor

SHORTEST = 128  # steps from which on chunks are used: below, one call a step is as good
LARGEST = 2048  # numbers of h in one step up to which chunks gain on a CPU: above, a call is arithmetic, not overhead
EXACT = {torch.float16: torch.float32, torch.bfloat16: torch.float32, torch.complex32: torch.complex64}


def recurrence(a: Tensor, b: Tensor, start: Tensor, *, reverse: bool = False) -> Tensor:
    """h of every step: h_t = a_t h_{t-1} + b_t, h_0 = start; reverse: h_t = a_t h_{t+1} + b_t from the last step on.

    b: (T, B, N, *space); a: of the same sizes, or of such that broadcast to them; start: (B, N, *space). All real or
    complex. -> (T, B, N, *space) of their common type. Of half precision each step is computed in single precision.
    """
    kind = torch.promote_types(torch.promote_types(a.dtype, b.dtype), start.dtype)
    exact = EXACT.get(kind, kind)
    a = a.expand(b.shape).to(exact)
    h = cast(Tensor, _Recurrence.apply(a, b.to(exact), start.to(exact), reverse))  # type: ignore[no-untyped-call]
    return h.to(kind)


class _Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, start: Tensor, reverse: bool) -> Tensor:
        h = torch.empty_like(b, memory_format=torch.contiguous_format)
        run(a, b, start, h, reverse)
        ctx.save_for_backward(a, h, start)
        ctx.reverse = reverse
        return h

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        a, h, start = ctx.saved_tensors
        find = _differentiable if torch.is_grad_enabled() else _lean
        d, before = find(a, h, g, start, ctx.reverse)
        first = -1 if ctx.reverse else 0
        needs_a, _, needs_start, _ = ctx.needs_input_grad
        a_gradient = d * before.conj() if needs_a else None
        start_gradient = a[first].conj() * d[first] if needs_start else None
        return a_gradient, d, start_gradient, None


def _lean(a: Tensor, h: Tensor, g: Tensor, start: Tensor, reverse: bool) -> tuple[Tensor, Tensor]:
    """d of the recurrence above, and the state before each step."""
    d = torch.empty_like(h)
    before = torch.empty_like(h)
    later, sooner = (slice(None, -1), slice(1, None)) if reverse else (slice(1, None), slice(None, -1))
    first, last = (-1, 0) if reverse else (0, -1)
    d[last] = g[last]
    run(a[later].conj().resolve_conj(), g[sooner], g[last], d[sooner], not reverse)
    before[first] = start
    before[later] = h[sooner]
    return d, before


def _differentiable(a: Tensor, h: Tensor, g: Tensor, start: Tensor, reverse: bool) -> tuple[Tensor, Tensor]:
    """As _lean, of operations that autograd follows."""
    if reverse:
        d = recurrence(a[:-1].conj(), g[1:], g[0])
        return torch.cat([g[:1], d]), torch.cat([h[1:], start[None]])
    d = recurrence(a[1:].conj(), g[:-1], g[-1], reverse=True)
    return torch.cat([d, g[-1:]]), torch.cat([start[None], h[:-1]])


def run(a: Tensor, b: Tensor, start: Tensor, h: Tensor, reverse: bool = False) -> None:
    """Write the recurrence into h, outside autograd. Which way: a fixed rule of sizes, never a timing."""
    steps = b.shape[0]
    if steps < SHORTEST or (start.numel() > LARGEST and b.device.type == "cpu"):
        run_in_turn(a, b, start, h, reverse)
    else:
        run_in_chunks(a, b, start, h, reverse, length=math.isqrt(steps // 2))


def run_in_turn(a: Tensor, b: Tensor, start: Tensor, h: Tensor, reverse: bool = False) -> None:
    """One call a step."""
    now = start
    for t in _order(b.shape[0], reverse):
        now = torch.addcmul(b[t], a[t], now, out=h[t])


def run_in_chunks(a: Tensor, b: Tensor, start: Tensor, h: Tensor, reverse: bool, length: int) -> None:
    """One call for the same step of all chunks: three calls for each of `length` steps, and two a chunk.

    A chunk from zero and the product of its a's give the state after each; from the state before it, each chunk is
    then run as the loop would, so that nothing but that state is computed in another order.
    """
    count = b.shape[0] // length
    whole = count * length
    rest = slice(whole, None)
    if reverse and whole < b.shape[0]:  # what is left over comes first
        run_in_turn(a[rest], b[rest], start, h[rest], reverse)
        start = h[whole]
    chunks_a, chunks_b, chunks_h = (each[:whole].unflatten(0, (count, length)) for each in (a, b, h))

    total = torch.zeros_like(chunks_b[:, 0], memory_format=torch.contiguous_format)
    factor = torch.ones_like(total)
    for k in _order(length, reverse):
        torch.addcmul(chunks_b[:, k], chunks_a[:, k], total, out=total)
        factor.mul_(chunks_a[:, k])
    before = torch.empty_like(total)
    now = start
    for n in _order(count, reverse):
        before[n] = now
        now = torch.addcmul(total[n], factor[n], now)

    states = before
    for k in _order(length, reverse):
        states = torch.addcmul(chunks_b[:, k], chunks_a[:, k], states, out=chunks_h[:, k])
    if not reverse and whole < b.shape[0]:
        run_in_turn(a[rest], b[rest], h[whole - 1], h[rest])


def _order(count: int, reverse: bool) -> Iterator[int]:
    return iter(range(count - 1, -1, -1) if reverse else range(count))
