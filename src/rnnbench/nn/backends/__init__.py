"""Ways to compute the same layer. Each is proven equal to eager in value and gradient (tests/nn/test_backends.py).

eager     the loop of nn.layers: input product hoisted out of it, gates fused. Every cell, every option.
native    torch's own kernels (ATen, oneDNN, cuDNN), for cells that have one: RNN, LSTM and GRU without peepholes.
compiled  the cell's own step as one loop in C, forwards and backwards: dense cells on a CPU, where a C compiler is.
scan      all steps at once but for h = a h' + b itself: cells that are linear in their state, on any device.

`auto` follows a fixed rule and never a timing: compiled where the cell compiles and a compiler is there, else native
where the cell names a kernel, else scan where the cell is linear, else eager. Under torch.compile, torch.export, a
trace and whatever else must see each of torch's operations, every layer is the loop.
"""

from rnnbench.nn.backends import compiled, scan
from rnnbench.nn.backends.native import refuses, unroll_native

BACKENDS = ("eager", "native", "compiled", "scan")

__all__ = ["BACKENDS", "compiled", "refuses", "scan", "unroll_native"]
