"""What values are called in C: different things differently, the cell's words where they fit, valid C in any case."""

from __future__ import annotations

import re
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from registry import CELLS, build, seen_gates
from rnnbench.nn import Cell
from rnnbench.nn.backends.compiled.emit import loops
from rnnbench.nn.backends.compiled.library import program_of
from rnnbench.nn.backends.compiled.naming import Names

DENSE = [(c, p) for c in CELLS if CELLS[c]["meta"]["compiles"] for p in ("off", "on") if p == "off" or seen_gates(c, p)]
ODD = "a b t x TILE v1 int h"


@pytest.mark.parametrize(("cell", "peephole"), DENSE)
def test_every_gate_and_state_has_its_name_and_no_two_values_one(cell, peephole):
    made = build(cell, peephole)
    program = program_of(made, "float32")
    names = Names(program.layout)
    values = {value for stage in program.layout.forward for value in stage.passes.computed}
    called = [names.of(value) for value in values]
    assert len(set(called)) == len(called)
    blocks = made.hoisted_size // made.hidden_size
    letters = made.W.gates._fields if type(made).hoist is Cell.hoist else tuple("0123456789"[:blocks])
    assert names.gates == letters  # numbers where a hoist of its own gives more than W's gates
    text = loops(program.layout)
    assert all(f"const R {field} = " in text for field in made.State._fields)
    assert all(f"const R d_a_{gate} = " in text for gate in names.gates)


class OddState(NamedTuple):
    h: Tensor
    x: Tensor


class Odd(Cell):
    """Gates, states and weights that are called like what the C has of its own."""

    State = OddState

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.W, self.U = self.input_map(ODD), self.hidden_map(ODD)
        self.a_b, self.a = nn.Parameter(torch.ones(hidden_size)), nn.Module()
        self.a.b = nn.Parameter(torch.ones(hidden_size))

    def step(self, wx: Tensor, state: OddState) -> tuple[Tensor, OddState]:
        sums = (wx + self.U(state.h)).chunk(len(ODD.split()), 1)
        gates = [torch.sigmoid(each) for each in sums]
        h = gates[0] * gates[1] - gates[2] * gates[3] + self.a_b * gates[4] - self.a.b * gates[5] * gates[6]
        x = torch.tanh(h) * gates[7] + state.x
        return h, OddState(h, x)


def test_names_that_c_has_of_its_own_are_left_to_it():
    text = loops(program_of(Odd(3, 4), "float32").layout)
    declared = set(re.findall(r"const R (\w+) = ", text))
    assert declared.isdisjoint({*ODD.split()} - {"h"})
    arrays = re.findall(r"const R \*restrict (w_\w+) = a->weight", text.split("void backward_steps")[0])
    assert len(set(arrays)) == len(arrays)


def test_what_is_named_oddly_computes_the_step():
    from rnnbench import toolchain
    from rnnbench.nn import Layer

    if toolchain.find() is None:
        pytest.skip(toolchain.why_none())
    torch.manual_seed(0)
    x = torch.randn(2, 5, 3, dtype=torch.float64)
    layer = Layer(Odd(3, 4), backend="compiled").double()
    eager = Layer(Odd(3, 4), backend="eager").double()
    eager.load_state_dict(layer.state_dict())
    assert torch.allclose(layer(x)[0], eager(x)[0], rtol=1e-12, atol=1e-12)


def test_what_no_declaration_reads_is_not_declared():
    text = loops(program_of(build("rnn"), "float32").layout)
    assert "(void)" not in text
    for name in re.findall(r"R \*?(?:const )?(?:restrict )?(\w+) = ", text):
        assert len(re.findall(rf"\b{name}\b", text)) > 1, name
