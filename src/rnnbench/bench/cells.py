"""What compiling a cell gains and costs: three tables of `make bench`.

Every cell that compiles at five sizes, against torch's own kernel of its family and against the eager loop; what the
compilation takes; and the same gain on the oldest processor that the compiler can build for.

Axes: B batch, T time, I and H features of x and h.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, NamedTuple
from unittest import mock

import torch
from torch import nn

from rnnbench import toolchain
from rnnbench.bench.goals import GOALS, GRUS, LSTMS, RNNS, SEVERAL_MAPS, SIZES, Goal, Goals, Size, above, below
from rnnbench.bench.harness import Result, children_seconds, interleaved, ratio, training_step
from rnnbench.nn import GRU, LSTM, MGU, RNN, Cell, GRUCho, GRUUpdate, Layer, OdysseyLSTM
from rnnbench.runs import build, registry
from rnnbench.runs.plan import prepare

ROUNDS = 5  # of each cell and size: goals are of medians of five
COMPILED = "compiled"
LOWEST = ("cell=lstm peephole=on", "cell=gru")
LOWEST_SIZE = SIZES[1]
TINY = Size(3, 2, 2, 4, calls=1)


class Family(NamedTuple):
    """Cells that are held to one goal and set against one kernel of torch's."""

    goal: str
    kernel: Callable[..., nn.Module]


LSTM_FAMILY, GRU_FAMILY, RNN_FAMILY = Family(LSTMS, nn.LSTM), Family(GRUS, nn.GRU), Family(RNNS, nn.RNN)
FAMILIES: dict[type[Cell], Family] = {
    LSTM: LSTM_FAMILY,
    OdysseyLSTM: LSTM_FAMILY,
    GRU: GRU_FAMILY,
    GRUCho: GRU_FAMILY,
    GRUUpdate: GRU_FAMILY,
    MGU: GRU_FAMILY,
    RNN: RNN_FAMILY,
}


def family_of(cell: Cell) -> Family | None:
    """None for a cell that is none of torch's kind."""
    if isinstance(cell, OdysseyLSTM) and cell.edit == "fgr":
        return Family(SEVERAL_MAPS, nn.LSTM)
    return FAMILIES.get(type(cell))


def torch_kernel(cell: Cell) -> nn.Module | None:
    """torch's own layer of the cell's family and size, batch first as ours."""
    family = family_of(cell)
    if family is None:
        return None
    options: dict[str, Any] = {"nonlinearity": "relu"} if cell.kernel == "rnn_relu" else {}
    return family.kernel(cell.input_size, cell.hidden_size, batch_first=True, **options)


def compiling() -> list[str]:
    """The overrides of every cell whose yaml says that it compiles: without peepholes, and with where it takes them."""
    found = []
    for name in registry.choices("cell"):
        meta = registry.read("cell", name)["meta"]
        if meta.get("compiles"):
            found.append(f"cell={name}")
            if "per_channel" in meta.get("peephole_shapes", ()):
                found.append(f"cell={name} peephole=on")
    return found


def make_cell(overrides: str, size: Size) -> Cell:
    """A cell as a run makes it. overrides: as `compiling` has them."""
    config = prepare([*overrides.split(), "dataset=digits", "backend=eager"]).config
    torch.manual_seed(0)
    return build.cell_factory(config)(size.inputs, size.units)


def times(overrides: str, size: Size, rounds: int, backend: str) -> dict[str, list[float]]:
    """CPU milliseconds of forward and backward by way, "kernel" (where there is one), "eager" and the backend's."""
    x = torch.randn(size.batch, size.steps, size.inputs)
    cell = make_cell(overrides, size)
    ways: dict[str, nn.Module] = {
        backend: Layer(cell, backend=backend),
        "eager": Layer(make_cell(overrides, size), backend="eager"),
    }
    if (kernel := torch_kernel(cell)) is not None:
        ways["kernel"] = kernel
    calls = dict.fromkeys(ways, size.calls) | {"eager": max(1, size.calls // 4)}
    steps = {name: _repeated(training_step(net, x), calls[name]) for name, net in ways.items()}
    return {name: [ms / calls[name] for ms in found] for name, found in interleaved(steps, rounds).items()}


def _repeated(step: Callable[[], None], calls: int) -> Callable[[], None]:
    def steps() -> None:
        for _ in range(calls):
            step()

    return steps


class Gain(NamedTuple):
    """How many times as fast as torch's own kernel of the family, where it has one, and as the eager loop."""

    kernel: float | None
    eager: float

    def misses(self, goal: Goal | None) -> list[str]:
        """What lies clearly below its goal, a phrase each."""
        if goal is None:
            return []
        pairs = (("torch's kernel", self.kernel, goal.kernel), ("eager", self.eager, goal.eager))
        return [
            f"{gain:.2f} times as fast as {other}, goal {least:g}"
            for other, gain, least in pairs
            if gain is not None and least is not None and below(gain, least)
        ]


def gain_of(found: Mapping[str, Sequence[float]], backend: str) -> Gain:
    """Medians over rounds of the ratios within a round."""
    kernel = ratio(found["kernel"], found[backend]).median if "kernel" in found else None
    return Gain(kernel, ratio(found["eager"], found[backend]).median)


def cells(
    rounds: int = ROUNDS,
    names: Sequence[str] | None = None,
    sizes: Sequence[Size] = SIZES,
    backend: str = COMPILED,
) -> Result:
    """Forward and backward of every cell at every size, one thread. names: of `compiling` where not given.

    Judged by GOALS where they have this kind of processor. Another backend than `compiled` is measured alike.
    """
    title = f"Cells, {backend}: times as fast as torch's own kernel of the family / as eager, forward and backward"
    if reason := why_not(backend):
        return Result(f"{title}: left out, for {reason}", (), ())
    rows, missed = [], []
    for overrides in compiling() if names is None else names:
        shown = []
        for size in sizes:
            try:
                gain = gain_of(times(overrides, size, rounds, backend), backend)
            except ValueError as error:
                shown.append("refused")
                missed.append(f"{overrides} at {size}: {error}")
                continue
            misses = gain.misses(goal_of(overrides, size))
            kernel = "-" if gain.kernel is None else f"{gain.kernel:.2f}"
            shown.append(f"{kernel} / {gain.eager:.2f}{'*' if misses else ''}")
            missed += [f"{overrides} at {size}: {phrase}" for phrase in misses]
        rows.append((overrides, *shown))
    star = "; * over 15 % below its goal" if missed else ""
    return Result(f"{title}{star}", ("cell", *map(str, sizes)), rows, missed)


def why_not(backend: str) -> str:
    """Why a backend cannot be measured here; empty where it can."""
    return toolchain.why_none() if backend == COMPILED and toolchain.find() is None else ""


def goal_of(overrides: str, size: Size) -> Goal | None:
    """What a cell is held to at a size on this processor, if anything."""
    goals, family = goals_here(), family_of(make_cell(overrides, TINY))
    if goals is None or family is None or size not in SIZES:
        return None
    return goals.families[family.goal][SIZES.index(size)]


class Compilation(NamedTuple):
    """CPU seconds until a cell's layer has done its first update: of this process, and of the compiler."""

    ours: float
    compiler: float


def compilations(names: Sequence[str], backend: str) -> list[Compilation]:
    """Of the first cell in float64, which pays what a process pays once, and of each cell; with the cache as it is."""
    return [compilation(names[0], backend, torch.float64), *(compilation(name, backend) for name in names)]


def compilation(overrides: str, backend: str, dtype: torch.dtype = torch.float32) -> Compilation:
    """Make a layer and do its first update, in this process."""
    cell = make_cell(overrides, TINY).to(dtype)
    x = torch.randn(TINY.batch, TINY.steps, TINY.inputs, dtype=dtype)
    began, children = time.process_time(), children_seconds()
    training_step(Layer(cell, backend=backend), x)()
    return Compilation(time.process_time() - began, children_seconds() - children)


def compile_times(names: Sequence[str] | None = None, backend: str = COMPILED) -> Result:
    """What compiling costs: of every cell with an empty cache, and again from it, each time in one process for all."""
    title = "Compiling a cell: CPU seconds until its first update is done"
    if reason := why_not(backend):
        return Result(f"{title}: left out, for {reason}", (), ())
    listed = compiling() if names is None else list(names)
    call = f"compilations({listed!r}, {backend!r})"
    with tempfile.TemporaryDirectory() as cache:
        empty = {"XDG_CACHE_HOME": cache, "HOME": cache}  # where a user's cache is
        cold, again = ([Compilation(*pair) for pair in in_a_child(call, empty)] for _ in range(2))
    goals = goals_here()
    rows, missed = [], []
    labels = [f"{listed[0]} in float64, first of the process", *listed]
    for label, first, second in zip(labels, cold, again, strict=True):
        seconds = [sum(first), first.compiler, sum(second), second.compiler]
        rows.append((label, *(f"{each:.2f}" for each in seconds)))
        if goals is None or label not in listed:
            continue
        if above(sum(first), goals.compile_seconds):
            missed.append(f"{label} is compiled in {sum(first):.2f} s, goal {goals.compile_seconds:g} s")
        if second.compiler > 0:
            missed.append(f"{label} is compiled again, though the cache has it")
    return Result(title, ("cell", "empty cache", "the compiler's", "from the cache", "the compiler's"), rows, missed)


def lowest(rounds: int = ROUNDS, names: Sequence[str] = LOWEST, backend: str = COMPILED) -> Result:
    """Against eager, built for the oldest kind of processor that the compiler can build for here."""
    title = f"The same, built for the oldest processor: times as fast as eager at {LOWEST_SIZE}"
    if reason := why_not(backend):
        return Result(f"{title}: left out, for {reason}", (), ())
    kind = toolchain.lesser_kinds(toolchain.processor_kind())[0]
    goals = goals_here()
    goal = None if goals is None else goals.lowest
    rows, missed = [], []
    for overrides in names:
        # A process of its own, which has loaded no other build of the cell.
        found = in_a_child(f"times_built_for({kind!r}, {overrides!r}, {rounds}, {backend!r})")
        gain = ratio(found["eager"], found[backend])
        rows.append((overrides, kind, str(gain), "" if goal is None else f">= {goal:g}"))
        if below(gain.median, goal):
            missed.append(f"{overrides} built for {kind} is {gain} times as fast as eager, goal {goal:g}")
    return Result(title, ("cell", "built for", f"eager/{backend}", "goal"), rows, missed)


def times_built_for(kind: str, overrides: str, rounds: int, backend: str) -> dict[str, list[float]]:
    """`times` at LOWEST_SIZE, built for a kind of processor."""
    with built_for(kind):
        return times(overrides, LOWEST_SIZE, rounds, backend)


@contextmanager
def built_for(kind: str | None) -> Iterator[None]:
    """Within the block cells are compiled for a lesser kind of this processor; for its own where it is None.

    Raises ValueError of a kind that this machine is not.
    """
    found = toolchain.find()
    if kind is None or found is None:
        yield
    else:
        with mock.patch.object(toolchain, "find", return_value=found.at(kind)):
            yield


def goals_here() -> Goals | None:
    """What this machine is held to, if anything: torch's kernels use all of it, whatever a cell is built for."""
    return GOALS.get(toolchain.processor_kind())


def in_a_child(call: str, more: Mapping[str, str] = MappingProxyType({})) -> Any:
    """What a call of this module gives in a process that is set up as a run's. more: of its environment."""
    code = f"import json; from rnnbench.bench import cells, harness; harness.set_up(); print(json.dumps(cells.{call}))"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True, env=os.environ | dict(more))
    return json.loads(done.stdout)
