"""The gradients' norm and clipping are torch's own, to the bit."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from training_tools import same

from rnnbench.training.gradients import clip_to, total_norm

SHAPES = [(256, 64), (256,), (1,), (10, 64), (3, 5, 7), ()]


def parameters(seed, scale, dtype=torch.float32):
    """Parameters with gradients of a total norm near scale."""
    generator = torch.Generator().manual_seed(seed)
    made = [nn.Parameter(torch.zeros(shape, dtype=dtype)) for shape in SHAPES]
    values = [torch.randn(p.shape, generator=generator, dtype=dtype) for p in made]
    norm = sum(v.double().square().sum() for v in values).sqrt()
    for p, value in zip(made, values, strict=True):
        p.grad = (value * (scale / norm)).to(dtype)
    return made


def grads(params):
    return [p.grad for p in params]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@given(seed=st.integers(0, 999), scale=st.floats(1e-12, 1e12))
def test_the_norm_is_torchs_to_the_bit(dtype, seed, scale):
    found = grads(parameters(seed, scale, dtype))
    assert torch.equal(total_norm(found), nn.utils.get_total_norm(found))


def test_without_gradients_the_norm_is_zero():
    assert total_norm([]).item() == 0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 3e38])
def test_a_norm_that_is_not_finite_is_not(value):
    found = grads(parameters(0, 1.0))
    found[1].fill_(value)
    assert not total_norm(found).isfinite()


@given(
    seed=st.integers(0, 999),
    limit=st.sampled_from([1e-9, 1e-6, 1e-3, 0.5, 1.0, 1e6]),
    share=st.one_of(st.floats(1e-3, 1e3), st.floats(0.98, 1.02), st.floats(1 - 1e-6, 1 + 1e-6)),
)
def test_clipping_is_torchs_to_the_bit(seed, limit, share):
    """Far below and above the limit, about where we leave it out, and about the limit itself."""
    ours, torchs = parameters(seed, limit * share), parameters(seed, limit * share)
    total = total_norm(grads(ours))
    clip_to(limit, grads(ours), total, total.item())
    nn.utils.clip_grad_norm_(torchs, limit)
    assert same(dict(enumerate(grads(ours))), dict(enumerate(grads(torchs))))


def test_well_below_the_limit_nothing_is_written():
    found = grads(parameters(0, 0.5))
    versions = [g._version for g in found]
    total = total_norm(found)
    clip_to(1.0, found, total, total.item())
    assert [g._version for g in found] == versions
    clip_to(0.4, found, total, total.item())
    assert [g._version for g in found] == [v + 1 for v in versions]
