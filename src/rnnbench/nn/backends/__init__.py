"""Ways to compute the same layer. Each is proven equal to eager in value and gradient (tests/nn/test_backends.py).

eager    the loop of nn.layers: input product hoisted out of it, gates fused. Every cell, every option.
native   torch's own kernels (ATen, oneDNN, cuDNN), for cells that have one: RNN, LSTM and GRU without peepholes.

`auto` follows this fixed rule and never a timing: native where the cell names a kernel, else eager. Under
torch.compile and torch.export every layer is the loop.
"""

from rnnbench.nn.backends.native import refuses, unroll_native

BACKENDS = ("eager", "native")

__all__ = ["BACKENDS", "refuses", "unroll_native"]
