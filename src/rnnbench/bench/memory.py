"""What training a network of frames holds, in a fresh process that imports nothing but the networks."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import psutil
import torch
from torch import Tensor, nn

from rnnbench.nn import LSTM, STLSTM, Conv2d, EncoderForecaster, Rollout, Sampling
from rnnbench.runs import host

SIDE = 16  # H and W of what a cell sees: 64x64 in patches of 4
FRAME = (1, 4 * SIDE, 4 * SIDE)


def encoder_forecaster(steps: int, channels: int, layers: int, kernel_size: int) -> nn.Module:
    """Shi's network of ConvLSTMs, for `steps` frames to come."""
    cell = partial(LSTM, operator=Conv2d(kernel_size), biases=1, init="fan_in")
    return EncoderForecaster(cell, FRAME, [channels] * layers, steps=steps, patch=4)


def predrnn(steps: int, channels: int, layers: int, kernel_size: int) -> nn.Module:
    """PredRNN, for `steps` frames to come; in training it predicts all but the first of those seen, too."""
    cell = partial(STLSTM, operator=Conv2d(kernel_size), biases=0, init="fan_in")
    sampling = Sampling("scheduled")
    return Rollout(cell, FRAME, [channels] * layers, steps=steps, patch=4, bias=False, sampling=sampling)


NETWORKS = {"ConvLSTM encoder-forecaster": encoder_forecaster, "PredRNN": predrnn}


def clips(B: int, steps: int) -> tuple[Tensor, Tensor]:
    """As many frames seen as are to come, B steps 1 64 64 each."""
    x = torch.rand(2, B, steps, *FRAME)
    return x[0], x[1]


def held(name: str, steps: int, channels: int, layers: int, kernel_size: int, B: int) -> tuple[float, float]:
    """MB of this process' resident set: before the first update, and the most until after two updates with Adam."""
    host.tune_malloc()
    torch.set_num_threads(1)
    net = NETWORKS[name](steps, channels, layers, kernel_size)
    optimizer = torch.optim.Adam(net.parameters())
    x, y = clips(B, steps)
    start = psutil.Process().memory_info().rss / 2**20
    for _ in range(2):
        optimizer.zero_grad()
        net(x, future=y).square().mean().backward()
        optimizer.step()
    return start, peak()


def peak() -> float:
    """The most MB that were resident so far. Not getrusage's, which begins with what the starting process held."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) / 2**10 for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        return host.peak_memory_mb("cpu")


def memory_of(name: str, steps: int, channels: int, layers: int, kernel_size: int, B: int) -> tuple[float, float]:
    """`held` in a fresh process."""
    size = (steps, channels, layers, kernel_size, B)
    code = f"import json; from rnnbench.bench.memory import held; print(json.dumps(held({name!r}, *{size})))"
    start, most = json.loads(subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True).stdout)
    return start, most
