"""Nothing is quadratic in T: operations, numbers written and memory kept for backward grow by the same for every step.

Counted, not timed, over one training step, so the test has one outcome on every machine.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from rnnbench.nn import LSTM, STLSTM, CausalLSTM, Conv2d, EncoderForecaster, Rollout, Sampling, TrajGRU, build_stack


def tensors(tree):
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


class Work(TorchDispatchMode):
    """Counts what torch does: calls of its operators, and the numbers that they write (a view writes none)."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = self.numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        given = {t.untyped_storage().data_ptr() for t in tensors((args, kwargs))}
        self.calls += 1
        self.numbers += sum(t.numel() for t in tensors(out) if t.untyped_storage().data_ptr() not in given)
        return out


def work(net, *inputs, **more):
    """Calls, numbers written, and bytes kept between forward and backward, of one training step."""
    kept: dict[int, Tensor] = {}

    def pack(t: Tensor) -> Tensor:
        kept[t.untyped_storage().data_ptr()] = t
        return t

    with Work() as counted:
        with saved_tensors_hooks(pack, lambda t: t):
            out = net(*inputs, **more)
        memory = sum(t.untyped_storage().nbytes() for t in kept.values())
        (out[0] if isinstance(out, tuple) else out).square().mean().backward()
    return counted.calls, counted.numbers, memory


def forecaster(cell, T):
    return EncoderForecaster(cell, (1, 8, 8), [4, 4], steps=T, patch=2)


def rollout(cell, T, mode="scheduled", decouple=0.0):
    sampling = Sampling(mode, stop=10)
    return Rollout(cell, (1, 8, 8), [4, 4, 4], steps=T, patch=2, sampling=sampling, decouple=decouple)


def conv(make, **options):
    return lambda i, h: make(i, h, operator=Conv2d(3), biases=0, **options)


FRAMES = {
    "ConvLSTM encoder-forecaster": lambda T: forecaster(conv(LSTM), T),
    "TrajGRU encoder-forecaster": lambda T: forecaster(conv(TrajGRU), T),
    "ConvLSTM rollout": lambda T: rollout(conv(LSTM), T),
    "PredRNN": lambda T: rollout(conv(STLSTM), T),
    "PredRNN-V2": lambda T: rollout(conv(STLSTM), T, "reverse", 0.1),
    "PredRNN++": lambda T: rollout(conv(CausalLSTM), T),
}


def assert_linear(work_at):
    """work_at: T -> counts. The second difference is nothing."""
    few, more, most = (work_at(T) for T in (4, 8, 16))
    for small, middle, large in zip(few, more, most, strict=True):
        assert small < middle
        assert large - middle == 2 * (middle - small)


@pytest.mark.integration
@pytest.mark.parametrize("make", FRAMES.values(), ids=FRAMES)
def test_a_network_of_frames_is_linear_in_time(make):
    def at(T):
        torch.manual_seed(0)
        return work(make(T), torch.rand(2, T, 1, 8, 8), future=torch.rand(2, T, 1, 8, 8))

    assert_linear(at)


@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_a_stack_is_linear_in_time(direction):
    def at(T):
        stack = build_stack(LSTM, 3, 4, layers=2, direction=direction, backend="eager")
        return work(stack, torch.rand(2, T, 3), lengths=torch.tensor([T, T // 2]))

    assert_linear(at)


def test_what_is_quadratic_is_seen():
    """A step by its index: the gradient of each is as large as the whole."""

    class ByIndex(torch.nn.Linear):
        def forward(self, x):
            y = super().forward(x)
            return sum(y[:, t] for t in range(x.shape[1]))

    with pytest.raises(AssertionError):
        assert_linear(lambda T: work(ByIndex(3, 4), torch.rand(2, T, 3)))
