"""The registry as the tests see it: every cell of conf/cell with every peephole choice of conf/peephole that it takes.

Read from the yaml files, so a new file there is a new row in every test that runs over CASES. Convolutional cells run
here on small frames that are not square, with another kernel for x than for h.

Axes: B batch, T time, C channels, space none or H W.
"""

from __future__ import annotations

import importlib
import random
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
import yaml
from torch import Tensor

from rnnbench.nn import Cell, Conv2d, Layer, Peephole

CONF = Path(__file__).parents[1] / "conf"


def read(group: str) -> dict[str, dict[str, Any]]:
    """The files of one group by their name."""
    return {path.stem: yaml.safe_load(path.read_text()) for path in sorted((CONF / group).glob("*.yaml"))}


ENTRIES = read("cell")
CELLS = {name: node for name, node in ENTRIES.items() if node["meta"].get("recurrent", True)}
RIVALS = {name: node for name, node in ENTRIES.items() if name not in CELLS}  # tests/properties/test_every_rival.py
PEEPHOLES = read("peephole")
SPACE = (4, 5)  # H, W of the frames
KERNELS = {"kernel_size": 5, "input_kernel_size": 3}
LINKS = 2  # TrajGRU's flow fields
HEADS = 2  # of cells that have some, where they divide the hidden size
SMALL = {"mlp": {"window": 4}, "tcn": {"kernel_size": 3}, "transformer": {"heads": 2, "feedforward": 3}}


def seen_gates(cell: str, peephole: str) -> list[str]:
    """The gates of a cell that see c under a peephole choice, by the two yaml files."""
    choice, meta = PEEPHOLES[peephole], CELLS[cell]["meta"]
    return [g for g in meta["peephole_gates"] if choice["shape"] in meta["peephole_shapes"] and g in choice["gates"]]


def on_frames(cell: str) -> bool:
    return CELLS[cell]["meta"]["operator"] == "conv2d"


def takes(cell: str, peephole: str) -> bool:
    return PEEPHOLES[peephole]["shape"] == "none" or bool(seen_gates(cell, peephole))


def kind(cell: str) -> type[Cell]:
    """The class of a cell."""
    module, name = CELLS[cell]["_target_"].rsplit(".", 1)
    found: type[Cell] = getattr(importlib.import_module(module), name)
    return found


def instantiate(node: Any, **more: Any) -> Any:
    """A config node as objects: `_target_` is called with the rest."""
    if not isinstance(node, dict):
        return node
    options = {k: instantiate(v) for k, v in node.items() if k not in ("_target_", "meta")} | more
    if "_target_" not in node:
        return options
    module, name = node["_target_"].rsplit(".", 1)
    return getattr(importlib.import_module(module), name)(**options)


def build(
    cell: str, peephole: str | Peephole = "off", input_size: int = 3, hidden_size: int = 4, **options: Any
) -> Cell:
    """One cell of the registry. options: instead of its yaml's, and of the small kernels of the tests."""
    if CELLS[cell]["meta"]["peephole_gates"]:
        options["peephole"] = peephole if isinstance(peephole, Peephole) else Peephole(**PEEPHOLES[peephole])
        if on_frames(cell):
            options = {"space": SPACE} | options
    if on_frames(cell):
        options = {"operator": Conv2d(**KERNELS)} | options
    if "links" in CELLS[cell]:
        options = {"links": LINKS} | options
    if "heads" in CELLS[cell]:
        options = {"heads": 1 if hidden_size % HEADS else HEADS} | options
    return instantiate(CELLS[cell], input_size=input_size, hidden_size=hidden_size, **options)


def build_rival(name: str, input_size: int = 3, hidden_size: int = 4, **options: Any) -> Any:
    """One network without recurrence, small. options: instead of its yaml's and of SMALL."""
    return instantiate(RIVALS[name], input_size=input_size, hidden_size=hidden_size, **SMALL[name] | options)


class Case(NamedTuple):
    """A row of the tests: cell, peephole choice, number of biases a gate, normalisation."""

    cell: str
    peephole: str
    biases: int
    norm: str | None = None

    def __str__(self) -> str:
        return f"{self.cell}-{self.peephole}-{self.biases}" + (f"-{self.norm}" if self.norm else "")

    @property
    def is_full(self) -> bool:
        """Whether it has all the biases that its cell can have, and no normalisation."""
        return self.biases == kind(self.cell).most_biases and self.norm is None

    def build(self, input_size: int = 3, hidden_size: int = 4, **options: Any) -> Cell:
        return build(
            self.cell, self.peephole, input_size, hidden_size, **{"biases": self.biases, "norm": self.norm} | options
        )

    def layer(self, *, reverse: bool = False, **options: Any) -> Layer:
        """An eager float64 layer whose every weight, bias and peephole is random."""
        return randomise(Layer(self.build(**options), reverse=reverse, backend="eager").double(), str(self))


PAIRS = [(cell, peephole) for cell in CELLS for peephole in PEEPHOLES if takes(cell, peephole)]
CASES = [Case(cell, peephole, kind(cell).most_biases) for cell, peephole in PAIRS]
CASES += [
    Case(cell, peephole, biases)
    for cell, peephole in PAIRS
    if peephole in ("off", "on")
    for biases in range(kind(cell).most_biases)
]
CASES += [
    Case(cell, peephole, 1, norm)
    for cell, peephole in PAIRS
    if peephole in ("off", "on") and "norm" in CELLS[cell]
    for norm in kind(cell).norms
]


def some_of(rows: Iterable[tuple[Any, ...]], *of: Callable[..., Any]) -> list[Any]:
    """All rows as parameters of a test, where the whole product is too much for the fast tests: most of them are slow.

    of: each names what a row is of (its cell, its peephole choice). For every such name one row, drawn by it, is fast.
    """
    rows = list(rows)
    fast = set()
    for number, name_of in enumerate(of):
        groups: dict[Any, list[tuple[Any, ...]]] = {}
        for row in rows:
            groups.setdefault(name_of(*row), []).append(row)
        fast |= {random.Random(f"{number} {name}").choice(members) for name, members in groups.items()}
    marks = {True: (), False: pytest.mark.slow}
    return [pytest.param(*row, id="-".join(map(str, row)), marks=marks[row in fast]) for row in rows]


def generator(key: str) -> torch.Generator:
    return torch.Generator().manual_seed(zlib.crc32(key.encode()))


def randomise(module: Any, key: str = "") -> Any:
    """Every parameter uniform in (-0.8, 0.8): nothing at zero that would hide its neighbours.

    A kernel's bound shrinks with what it sums over, so that gates stay open and flows of a TrajGRU within the frame.
    """
    random = generator(f"weights {key}")
    with torch.no_grad():
        for parameter in module.parameters():
            bound = 1.6 / parameter[0].numel() ** 0.5 if parameter.dim() == 4 and parameter.numel() else 0.8
            parameter.copy_(bound * (2 * torch.rand(parameter.shape, generator=random, dtype=torch.float64) - 1))
    return module


def random_input(cell: Cell, batch: int = 3, steps: int = 6, key: str = "") -> Tensor:
    """x (B, T, C, *space), float64 standard normal."""
    space = SPACE[: cell.operator.space_dims]
    return torch.randn(batch, steps, cell.input_size, *space, generator=generator(f"x {key}"), dtype=torch.float64)


def random_state(cell: Cell, batch: int = 3, key: str = "") -> Any:
    """A state with every number uniform in (0.1, 0.9): possible for gates too (FGR carries them)."""
    space, random = SPACE[: cell.operator.space_dims], generator(f"state {key}")
    like = torch.empty((), dtype=torch.float64)
    sizes = cell.state_sizes(batch, space, like)
    if len(set(sizes)) == 1:  # drawn at once
        return cell.State(*(0.1 + 0.8 * torch.rand((len(sizes), *sizes[0]), generator=random, dtype=like.dtype)))
    return cell.State(*(0.1 + 0.8 * torch.rand(size, generator=random, dtype=like.dtype) for size in sizes))


def weigh(output: Tensor, state: Any = (), key: str = "") -> Tensor:
    """A loss that no symmetry hides from: random weights on every number of the output and of the final state."""
    random = generator(f"loss {key}")
    parts = [output, *state]
    return sum((p * torch.randn(p.shape, generator=random, dtype=torch.float64).to(p)).sum() for p in parts)


def far(a: Tensor, b: Tensor) -> float:
    """The largest difference, relative to the scale of b where that is above one. Not a number counts as infinite."""
    assert a.shape == b.shape, f"{tuple(a.shape)} is not {tuple(b.shape)}"
    if not a.numel():
        return 0.0
    difference = ((a - b).abs().max() / b.abs().max().clamp(min=1)).item()
    return difference if difference == difference else float("inf")
