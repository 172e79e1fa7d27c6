"""Every cell computes on a GPU what it computes here, in value and gradient: by steps, and by its scan."""

from __future__ import annotations

import copy

import pytest
import torch

from registry import CELLS, build, far, random_input, random_state, randomise, weigh
from rnnbench.nn import Layer

WAYS = [(name, "eager") for name in CELLS] + [
    (name, "scan") for name, node in CELLS.items() if node["meta"].get("scans")
]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(("name", "backend"), WAYS)
def test_on_a_gpu(name, backend):
    layer = randomise(Layer(build(name), backend=backend).double(), name)
    found = []
    for device in ("cpu", "cuda"):
        here = copy.deepcopy(layer).to(device)
        x, begin = random_input(here.cell, steps=20).to(device), random_state(here.cell)
        output, state = here(x, begin._make(field.to(device) for field in begin))
        gradients = torch.autograd.grad(weigh(output, state), [*here.parameters()])
        found.append([each.cpu() for each in (output, *state, *gradients)])
    assert all(far(a, b) < 1e-12 for a, b in zip(*found, strict=True))
