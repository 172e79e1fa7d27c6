"""The minimal GRU against public code."""

import pytest
import torch

from registry import far, random_input
from rnnbench.nn import Layer, MinGRU


def test_public_code_is_equal_whole_and_in_chunks():
    public = pytest.importorskip("minGRU_pytorch.minGRU").minGRU(4).double()
    layer = Layer(MinGRU(4, 4, biases=0, log=True), backend="eager").double()
    v, z = public.to_hidden_and_gate.weight.detach().chunk(2)
    with torch.no_grad():
        layer.cell.W.weight.copy_(torch.cat([z, v]))
    x = random_input(layer.cell)
    whole, begin = public(x), layer(x[:, :3])[1]
    assert far(layer(x)[0], whole) < 1e-12
    assert far(layer(x[:, 3:], begin)[0], whole[:, 3:]) < 1e-12
