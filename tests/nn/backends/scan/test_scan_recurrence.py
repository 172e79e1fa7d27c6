"""The recurrence h_t = a_t h_{t-1} + b_t: its value against a plain loop, its gradients against numerical ones."""

from __future__ import annotations

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

from registry import generator
from rnnbench.nn.backends.scan import recurrence
from rnnbench.nn.backends.scan.recurrence import LARGEST, SHORTEST, run_in_chunks, run_in_turn

directions = pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
kinds = pytest.mark.parametrize("dtype", [torch.float64, torch.complex128], ids=["real", "complex"])


def drawn(*shape, dtype=torch.float64, key=""):
    return torch.randn(shape, generator=generator(f"recurrence {key}"), dtype=dtype)


def terms(steps, batch=2, size=3, dtype=torch.float64):
    """a of any sign and below 1 nearly everywhere, b and a start that is not zero."""
    sizes = (steps, batch, size)
    return (
        0.6 * drawn(*sizes, dtype=dtype, key="a"),
        drawn(*sizes, dtype=dtype, key="b"),
        drawn(batch, size, dtype=dtype, key="start"),
    )


def loop(a, b, start, reverse=False):
    """The definition."""
    a, h, found = a.expand(b.shape), start, []
    order = range(b.shape[0])
    for t in reversed(order) if reverse else order:
        h = a[t] * h + b[t]
        found.append(h)
    return torch.stack(found[::-1] if reverse else found)


def off(found, wanted):
    return ((found - wanted).abs().max() / wanted.abs().max()).item()


# value


@directions
@kinds
@pytest.mark.parametrize("steps", [1, 2, 7, SHORTEST - 1, SHORTEST, 300])
def test_it_is_the_loop(steps, dtype, reverse):
    given = terms(steps, dtype=dtype)
    assert off(recurrence(*given, reverse=reverse), loop(*given, reverse=reverse)) < 1e-14


@directions
@pytest.mark.parametrize(("steps", "length"), [(12, 1), (12, 3), (12, 4), (12, 12), (13, 4), (15, 4), (5, 4)])
def test_chunks_are_the_loop_at_every_border(steps, length, reverse):
    """Whole chunks, and one to three steps left over."""
    a, b, start = terms(steps)
    found, wanted = torch.full_like(b, torch.nan), torch.full_like(b, torch.nan)
    run_in_chunks(a, b, start, found, reverse, length)
    run_in_turn(a, b, start, wanted, reverse)
    assert off(wanted, loop(a, b, start, reverse)) < 1e-15
    assert off(found, wanted) < 1e-15


@directions
@pytest.mark.parametrize("steps", [20, 400])
def test_exact_zeros_forget_to_the_bit(steps, reverse):
    a, b, start = terms(steps)
    a[::5] = 0
    found = recurrence(a, b, start, reverse=reverse)
    assert torch.equal(found[::5], b[::5])
    assert torch.equal(recurrence(torch.zeros_like(a), b, start, reverse=reverse), b)


def test_ones_and_zeros_hold_the_state_to_the_bit():
    """As a masked step has them."""
    _, b, start = terms(300)
    found = recurrence(torch.ones_like(b), torch.zeros_like(b), start)
    assert torch.equal(found, start.expand_as(found))


@pytest.mark.parametrize("shape", [(), (3,), (1, 3), (1, 1, 3), (2, 3), (2, 1), (300, 1, 1), (300, 2, 1)], ids=str)
def test_a_broadcasts_in_value_and_gradient(shape):
    _, b, start = terms(300)
    a = drawn(*shape, key="broadcast").div(3).requires_grad_()
    weights = drawn(*b.shape, key="weights")
    found, wanted = recurrence(a, b, start), loop(a, b, start)
    assert off(found, wanted) < 1e-14
    by_scan, by_loop = (torch.autograd.grad((h * weights).sum(), a)[0] for h in (found, wanted))
    assert by_scan.shape == shape
    assert off(by_scan, by_loop) < 1e-12


@pytest.mark.parametrize("steps", [16, 200])
def test_frames(steps):
    a, b, start = 0.5 * drawn(steps, 2, 3, 4, 5, key="a"), drawn(steps, 2, 3, 4, 5, key="b"), drawn(2, 3, 4, 5)
    assert off(recurrence(a, b, start), loop(a, b, start)) < 1e-14


@pytest.mark.parametrize("signed", [False, True])
def test_float32_is_exact_over_16384_steps(signed):
    """Gates s(N(0, 1)), inputs of either sign: below a millionth of the largest number, where logarithms lose 1e-3."""
    a, b = torch.sigmoid(drawn(16_384, 2, 4, key="gates")), drawn(16_384, 2, 4, key="inputs")
    b = b if signed else b.abs()
    start = torch.zeros(2, 4, dtype=torch.float64)
    found = recurrence(a.float(), b.float(), start.float()).double()
    wanted = loop(a.float().double(), b.float().double(), start)
    assert off(found, wanted) < 1e-6
    if not signed:  # nothing cancels, so that each number is as exact
        assert ((found - wanted).abs() / wanted).max() < 1e-6


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_half_precision_is_summed_in_single(kind):
    """A thousand steps of 1/256 are 4 in float32; in bfloat16 the sum would stand still at 1/2."""
    b = torch.full((1024, 1, 1), 1 / 256, dtype=kind)
    found = recurrence(torch.ones_like(b), b, torch.zeros(1, 1, dtype=kind))
    assert found.dtype == kind
    assert found[-1].item() == 4


def test_types_are_promoted_as_in_the_loop():
    a, b, start = terms(4)
    assert recurrence(a.bfloat16(), b.bfloat16(), start.float()).dtype == torch.float32
    assert recurrence(a + 0j, b, start).dtype == torch.complex128


# gradient


@directions
@kinds
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_gradients_are_the_numerical_ones(steps, dtype, reverse):
    leaves = [each.requires_grad_() for each in terms(steps, dtype=dtype)]
    assert torch.autograd.gradcheck(lambda *given: recurrence(*given, reverse=reverse), leaves)


@directions
@kinds
def test_gradients_are_the_loops_in_chunks(dtype, reverse):
    leaves = [each.requires_grad_() for each in terms(300, dtype=dtype)]
    with torch.no_grad():
        leaves[0][::7] = 0
    weights = drawn(300, 2, 3, dtype=dtype, key="weights")
    found, wanted = (
        torch.autograd.grad((h * weights).sum().abs(), leaves)
        for h in (recurrence(*leaves, reverse=reverse), loop(*leaves, reverse=reverse))
    )
    assert max(off(ours, theirs) for ours, theirs in zip(found, wanted, strict=True)) < 1e-12


@directions
@kinds
def test_second_derivatives(dtype, reverse):
    leaves = [each.requires_grad_() for each in terms(3, dtype=dtype)]
    assert torch.autograd.gradgradcheck(lambda *given: recurrence(*given, reverse=reverse), leaves)


@pytest.mark.parametrize("needing", [0, 1, 2])
def test_gradients_one_by_one(needing):
    leaves = [*terms(150)]
    leaves[needing].requires_grad_()
    found, wanted = (
        torch.autograd.grad(h.sin().sum(), leaves[needing])[0] for h in (recurrence(*leaves), loop(*leaves))
    )
    assert off(found, wanted) < 1e-12


def test_what_was_changed_in_place_before_the_backward_pass_is_refused():
    a, b, start = (each.requires_grad_() for each in terms(4))
    held = a * 1
    h = recurrence(held, b, start)
    held.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        h.sum().backward()


def test_what_is_kept_is_linear_in_time_and_no_more_than_a_and_h():
    def kept(steps):
        found = {}

        def pack(tensor):
            found[tensor.untyped_storage().data_ptr()] = tensor
            return tensor

        leaves = [each.requires_grad_() for each in terms(steps, batch=4, size=8)]
        with saved_tensors_hooks(pack, lambda tensor: tensor):
            h = recurrence(*leaves)
        assert h.requires_grad
        return sum(tensor.untyped_storage().nbytes() for tensor in found.values())

    start = 4 * 8 * 8  # bytes
    for steps in (50, 500, 5000):
        assert kept(steps) == (2 * steps + 1) * start


@pytest.mark.gpu
@directions
@pytest.mark.parametrize("size", [3, LARGEST])
def test_on_a_gpu_it_is_the_loop(size, reverse):
    leaves = [each.cuda().requires_grad_() for each in terms(300, size=size)]
    found, wanted = recurrence(*leaves, reverse=reverse), loop(*leaves, reverse=reverse)
    assert off(found, wanted) < 1e-13
    ours, theirs = (torch.autograd.grad(h.sin().sum(), leaves) for h in (found, wanted))
    assert max(off(a, b) for a, b in zip(ours, theirs, strict=True)) < 1e-11
