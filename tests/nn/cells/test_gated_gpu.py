"""The cells that are loops over time compute on a GPU what they compute here, in value and gradient."""

from __future__ import annotations

import copy

import pytest
import torch

from registry import build, far, random_input, random_state, randomise, weigh
from rnnbench.nn import Layer

NAMES = ["lem", "cornn", "janet", "ligru", "mut1", "mut2", "mut3", "antisymmetric", "antisymmetric_gated"]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", NAMES)
def test_on_a_gpu(name):
    layer = randomise(Layer(build(name), backend="eager").double(), name)
    found = []
    for device in ("cpu", "cuda"):
        here = copy.deepcopy(layer).to(device)
        x, begin = random_input(here.cell, steps=20).to(device), random_state(here.cell)
        output, state = here(x, begin._make(field.to(device) for field in begin))
        gradients = torch.autograd.grad(weigh(output, state), [*here.parameters()])
        found.append([each.cpu() for each in (output, *state, *gradients)])
    assert all(far(a, b) < 1e-12 for a, b in zip(*found, strict=True))
