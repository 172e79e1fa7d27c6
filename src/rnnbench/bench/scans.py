"""What the scan gains: a table of `make bench`.

A minGRU over ever more steps, and every other cell that has a scan over a thousand: against the eager loop, the
compiled one where the cell compiles and a compiler is there, and torch's GRU of the same size.

Axes: B batch, T time, I and H features of x and h.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

import torch
from torch import nn

from rnnbench.bench.cells import make_cell
from rnnbench.bench.goals import Size
from rnnbench.bench.harness import Result, interleaved, ratio, training_step
from rnnbench.nn import Layer
from rnnbench.nn.backends.compiled import refuses
from rnnbench.runs import registry

ROUNDS = 5
MINGRU = "cell=mingru"
MIDDLE = Size(1024, 16, 64, 64, calls=1)
SIZES = tuple(MIDDLE._replace(steps=steps) for steps in (128, 512, 1024, 4096, 16_384))
GOAL = 4.0  # times as fast as torch's GRU that a minGRU of MIDDLE must be


def scanning() -> list[str]:
    """The overrides of every cell whose yaml says that it has a scan."""
    return [f"cell={name}" for name in registry.choices("cell") if registry.read("cell", name)["meta"].get("scans")]


def times(overrides: str, size: Size, rounds: int) -> dict[str, list[float]]:
    """CPU milliseconds of forward and backward by way: "scan", "eager", "nn.GRU" and, where it can be, "compiled"."""
    x = torch.randn(size.batch, size.steps, size.inputs)
    ways: dict[str, nn.Module] = {
        name: Layer(make_cell(overrides, size), backend=name) for name in ("scan", "eager")
    }  # fmt: skip
    ways["nn.GRU"] = nn.GRU(size.inputs, size.units, batch_first=True)
    if refuses(cell := make_cell(overrides, size)) is None:
        ways["compiled"] = Layer(cell, backend="compiled")
    steps: dict[str, Callable[[], None]] = {name: training_step(net, x) for name, net in ways.items()}
    return interleaved(steps, rounds)


def scans(rounds: int = ROUNDS, names: Sequence[str] | None = None, sizes: Sequence[Size] = SIZES) -> Result:
    """Forward and backward, one thread. names: at the middle size, of `scanning` where not given."""
    others = [name for name in scanning() if name != MINGRU] if names is None else names
    cases = [(MINGRU, size) for size in sizes] + [(name, sizes[len(sizes) // 2]) for name in others]
    rows, missed = [], []
    for overrides, size in cases:
        found = times(overrides, size, rounds)
        gains = {name: ratio(ms, found["scan"]) for name, ms in found.items() if name != "scan"}
        compiled = str(gains["compiled"]) if "compiled" in gains else "-"
        milliseconds = f"{statistics.median(found['scan']):.1f}"
        rows.append((f"{overrides} {size}", milliseconds, str(gains["eager"]), str(gains["nn.GRU"]), compiled))
        if (overrides, size) == (MINGRU, MIDDLE) and gains["nn.GRU"].high < GOAL:
            missed.append(
                f"{overrides} at {size} is {gains['nn.GRU']} times as fast as nn.GRU by a scan, goal {GOAL:g}"
            )
    title = "Scan: CPU ms of forward and backward, and how many times as long the others take"
    return Result(title, ("case", "scan ms", "eager/scan", "nn.GRU/scan", "compiled/scan"), rows, missed)
