"""What networks of frames cost: four tables of `make bench`. ConvLSTM against the form that public code has, bf16
against float32, PredRNN's memory, and what twice as many steps cost.

Axes: B batch, T time, C channels, H W space.
"""

from __future__ import annotations

import statistics
from typing import Any

import torch
from torch import Tensor, nn

from rnnbench.bench.harness import Result, interleaved, ratio, training_step
from rnnbench.bench.memory import NETWORKS, SIDE, clips, memory_of
from rnnbench.nn import LSTM, Column, Conv2d, Layer
from rnnbench.nn.maps import known_zeros
from rnnbench.runs import processor
from rnnbench.training.evaluate import autocast

HOISTED, STEPWISE = 1.05, 1.0  # at least so many times as long takes the common ConvLSTM, inputs known | step by step
BF16 = 1.4  # at least so many times as long takes float32, where the processor multiplies bf16
DOUBLING = 2.3  # at most so many times as much takes a training step of twice as many frames
T = 10  # frames of a clip, and frames to predict
CASES = ((4, 16, 5, 8), (4, 16, 3, 8), (16, 64, 3, 4), (16, 128, 5, 2))  # channels of x and h, kernel, B
BF16_CASES = ((16, 64, 3, 4), (64, 64, 5, 4), (16, 128, 5, 2))


class CommonConvLSTM(nn.Module):
    """The ConvLSTM as public code writes it: one convolution of [x, h] a step. x: B T C H W -> B T hidden H W."""

    def __init__(self, input_size: int, hidden_size: int, kernel_size: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.conv = nn.Conv2d(input_size + hidden_size, 4 * hidden_size, kernel_size, padding=kernel_size // 2)

    def begin(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The state before the first step, h and c."""
        h = x.new_zeros(x.shape[0], self.hidden_size, *x.shape[3:])
        return h, torch.zeros_like(h)

    def step(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        h, c = state
        i, f, o, g = torch.split(self.conv(torch.cat([x, h], 1)), self.hidden_size, 1)
        i, f, o, g = torch.sigmoid(i), torch.sigmoid(f), torch.sigmoid(o), torch.tanh(g)
        c = f * c + i * g
        h = o * torch.tanh(c)
        return h, (h, c)

    def forward(self, x: Tensor) -> Tensor:
        state, outputs = self.begin(x), []
        for t in range(x.shape[1]):
            output, state = self.step(x[:, t], state)
            outputs.append(output)
        return torch.stack(outputs, 1)


class FedBack(nn.Module):
    """A ConvLSTM whose next input is its own prediction, by a 1x1 convolution: nothing of it is known beforehand.

    net: the common form, or ours as a rollout has it, a column of one layer. sizes: channels of x and h.
    """

    def __init__(self, net: CommonConvLSTM | Column, sizes: tuple[int, int]) -> None:
        super().__init__()
        self.net, self.head = net, nn.Conv2d(sizes[1], sizes[0], 1)

    def forward(self, x: Tensor) -> Tensor:
        frame, outputs = x[:, 0], []
        states: Any = self.net.begin(x) if isinstance(self.net, CommonConvLSTM) else self.net.start(frame)
        with known_zeros(self.net, () if isinstance(self.net, CommonConvLSTM) else states[0]):
            for _ in range(x.shape[1]):
                if isinstance(self.net, CommonConvLSTM):
                    output, states = self.net.step(frame, states)
                else:
                    (output,), states = self.net.advance(frame, states)
                frame = self.head(output)
                outputs.append(output)
        return torch.stack(outputs, 1)


def conv_lstm(input_size: int, hidden_size: int, kernel_size: int) -> Layer:
    """Ours, with as many parameters as the common form."""
    cell = LSTM(input_size, hidden_size, operator=Conv2d(kernel_size), biases=1, init="fan_in")
    return Layer(cell, backend="eager")


def common_form(rounds: int) -> Result:
    """A ConvLSTM's training step: ours against the common form, with the inputs known and with them fed back."""
    rows, missed = [], []
    for i, h, k, B in CASES:
        x = torch.randn(B, T, i, SIDE, SIDE)
        ours, common = conv_lstm(i, h, k), CommonConvLSTM(i, h, k)
        nets: dict[str, nn.Module] = {
            "ours": ours,
            "common": common,
            "ours fed back": FedBack(Column([ours]), (i, h)),
            "common fed back": FedBack(common, (i, h)),
        }
        times = interleaved({name: training_step(net, x) for name, net in nets.items()}, rounds)
        for way, limit in (("", HOISTED), (" fed back", STEPWISE)):
            found = ratio(times[f"common{way}"], times[f"ours{way}"])
            case = f"{i}->{h} k{k} {SIDE}x{SIDE} B={B} T={T}{way}"
            ms = [f"{statistics.median(times[name + way]):.1f}" for name in ("ours", "common")]
            rows.append((case, *ms, str(found), f">= {limit:.2f}"))
            if found.high < limit:
                missed.append(f"ConvLSTM {case}: the common form takes {found} times as long, less than {limit:.2f}")
    title = "ConvLSTM: CPU ms a training step, against one convolution of [x, h] a step"
    return Result(title, ("case", "ours", "common", "common/ours", "limit"), rows, missed)


class Cast(nn.Module):
    """A network at a precision, as a run computes it."""

    def __init__(self, net: nn.Module, precision: str) -> None:
        super().__init__()
        self.net, self.precision = net, precision

    def forward(self, x: Tensor) -> Any:
        with autocast(self.precision, x.device):
            return self.net(x)


def bf16(rounds: int) -> Result:
    """A ConvLSTM's training step in float32 against precision=bf16; nothing is measured where it is emulated."""
    rows, missed = [], []
    title = "bf16: CPU ms a ConvLSTM's training step"
    if not processor.multiplies_bf16():
        why = f"this processor is not known to multiply bf16, and emulation takes {processor.SLOWER} times as long"
        return Result(f"{title}: left out, for {why}", (), ())
    for i, h, k, B in BF16_CASES:
        x, net = torch.randn(B, T, i, SIDE, SIDE), conv_lstm(i, h, k)
        times = interleaved({p: training_step(Cast(net, p), x) for p in ("32", "bf16")}, rounds)
        found = ratio(times["32"], times["bf16"])
        case = f"{i}->{h} k{k} {SIDE}x{SIDE} B={B} T={T}"
        ms = [f"{statistics.median(times[p]):.1f}" for p in times]
        rows.append((case, *ms, str(found), f">= {BF16}"))
        if found.high < BF16:
            missed.append(f"ConvLSTM {case}: float32 takes {found} times as long as bf16, less than {BF16}")
    return Result(title, ("case", "32", "bf16", "32/bf16", "limit"), rows, missed)


def memory() -> Result:
    """What training PredRNN holds: 3 layers of 64 channels on 16x16."""
    rows = []
    for B in (1, 4):
        start, peak = memory_of("PredRNN", T, 64, 3, 5, B)
        rows.append((f"B={B}, {T} frames in, {T} out", f"{peak:.0f}", f"{start:.0f}", f"{peak - start:.0f}"))
    title = f"PredRNN, 3 layers of 64 channels on {SIDE}x{SIDE}, kernel 5: MB of resident set in two updates with Adam"
    return Result(title, ("case", "peak", "before them", "more"), rows)


def doubling(rounds: int) -> Result:
    """CPU time and memory of a training step with T, 2T and 4T frames seen and as many to come."""
    size, B, steps = (16, 2, 3), 8, (T, 2 * T, 4 * T)
    rows, missed = [], []
    for name, make in NETWORKS.items():
        ways = {}
        for n in steps:
            x, y = clips(B, n)
            ways[str(n)] = training_step(make(n, *size), x, future=y)
        times = interleaved(ways, rounds)
        more = {n: peak - start for n in steps for start, peak in [memory_of(name, n, *size, B)]}
        for n in steps[:-1]:
            case = f"{name}, T={n} to {2 * n}"
            found, grown = ratio(times[str(2 * n)], times[str(n)]), more[2 * n] / more[n]
            ms = [f"{statistics.median(times[str(2 * n)]):.0f}", str(found)]
            rows.append((case, *ms, f"{more[2 * n]:.0f}", f"{grown:.2f}", f"<= {DOUBLING}"))
            for what, least in (("CPU time", found.low), ("memory", grown)):
                if least > DOUBLING:
                    missed.append(f"{case}: {what} grows {least:.2f} times or more, above {DOUBLING}")
    title = "Twice as many frames: CPU ms and MB of a training step, 2 layers of 16 channels on 16x16, B=8"
    return Result(title, ("case", "ms", "ratio", "MB", "ratio", "limit"), rows, missed)
