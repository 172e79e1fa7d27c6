"""Tracing: what a step may use comes out as it is, and what it may not is refused by name, before it is compiled."""

import random

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from against_eager import CALLS, Call, differences, needs_compiler, own
from registry import build
from rnnbench.nn import Layer
from rnnbench.nn.backends.compiled import does_not_compile
from rnnbench.nn.backends.compiled.form import Refused
from rnnbench.nn.backends.compiled.operations import TABLE
from rnnbench.nn.backends.compiled.tracing import RULES, trace

pytestmark = pytest.mark.usefixtures("quickly")

# Each a step of several states, so that one library proves many rules.
STEPS = {
    "methods and functions": (
        "a b c d",
        lambda cell, wx, s: (
            (wx + cell.U(s.a)).tanh() * 0.5,
            torch.sigmoid(wx.contiguous()).mul(s.b).clone(),
            s.c.sub(wx.neg(), alpha=0.5) * 0.3,
            torch.add(wx, torch.subtract(s.d, torch.multiply(s.d, 0.5)), alpha=0.25),
        ),
    ),
    "numbers on either side": (
        "a b c d",
        lambda cell, wx, s: (
            1 - torch.tanh(wx + 0.1 * s.a) / 2,
            0.5 / (2 + torch.sigmoid(s.b * wx)),
            -(2 * torch.tanh(s.c) - wx) * 0.3,
            torch.rsub(s.d, 1) * np.float64(0.5),
        ),
    ),
    "vectors, numbers and buffers of the cell": (
        "a b c d",
        lambda cell, wx, s: (
            cell.v * s.a + torch.tanh(cell.v * cell.n) * wx,
            cell.b * s.b + cell.n * wx,
            torch.exp(-F.softplus(cell.v)) * s.c + torch.sigmoid(cell.n) * wx,
            torch.zeros_like(s.d) + torch.ones_like(s.d) * cell.n + 0.1 * torch.tanh(wx),
        ),
    ),
    "products": (
        "a b c d",
        lambda cell, wx, s: (
            torch.tanh(cell.U(torch.tanh(wx + cell.U(s.a)))),
            torch.tanh(wx @ cell.U.weight) * 0.5 + s.b @ cell.U.weight.T,
            torch.matmul(torch.sigmoid(s.c), cell.U.weight.t()) + F.linear(wx, cell.U.weight, cell.v),
            torch.addmm(cell.v, s.d, cell.U.weight) * 0.5 + torch.mm(s.a, cell.U.weight),
        ),
    ),
    "derivatives cut": (
        "a b c d",
        lambda cell, wx, s: (
            torch.tanh(wx.detach() + s.a) + 0.1 * wx,
            s.b.detach() * 0.5 + wx,
            torch.tanh(cell.U(s.c).detach() + wx),
            torch.tanh(cell.U(s.d.detach()) + wx),
        ),
    ),
    "states that pass": ("a b c d", lambda cell, wx, s: (torch.tanh(wx + s.d), s.a, s.b, cell.U(s.c))),
    "what nothing reads": ("a b c d", lambda cell, wx, s: (wx, s.a * 0 + s.b, s.b * 0.5, s.c + cell.v)),
    "W x in several places": (
        "a b c d",
        lambda cell, wx, s: (
            torch.tanh(wx + cell.U(wx) + cell.U(s.a)),
            torch.tanh(wx + wx + s.b) * wx,
            wx + cell.U(s.c) * 0.5,
            torch.tanh(wx) * cell.U(s.d),
        ),
    ),
}  # fmt: skip


@needs_compiler
@pytest.mark.parametrize("name", STEPS)
def test_a_step_is_what_it_was(name):
    fields, step = STEPS[name]

    def make(i, h):
        return own(step, fields, input_size=i, hidden_size=h)

    for call in (CALLS["begin"], CALLS["holes reverse begin"], Call(batch=3, steps=5), CALLS["loss of the state"]):
        assert differences(make, call, torch.float64, name) == {}, call


@needs_compiler
def test_several_gates_of_one_map():
    def step(cell, wx, s):
        i, f, g = wx.chunk(3, 1)
        size = wx.shape[1] // 3
        again = torch.cat([wx[:, size : 2 * size], wx[:, 2 * size :]], 1)
        a, b = again.split(size, dim=1)
        one, two = torch.split(again, [size, size], -1)
        return torch.sigmoid(i) * s.h + torch.tanh(f + a + two) * g + b * one

    def make(i, h):
        return own(lambda *a: (step(*a),), maps="i f g", input_size=i, hidden_size=h)

    assert differences(make, CALLS["holes begin"], torch.float64, "gates") == {}


REFUSED = {
    "an operation without a rule": (lambda cell, wx, s: torch.softmax(wx, 1), "torch's `softmax`, which has no rule"),
    "a function made of others": (lambda cell, wx, s: F.silu(wx), "torch's `silu`, which has no rule"),
    "clamp": (lambda cell, wx, s: wx.clamp(-1, 1), "torch's `clamp`, which has no rule"),
    "dropout": (lambda cell, wx, s: F.dropout(wx, 0.5), "torch's `dropout`, which has no rule"),
    "random numbers": (lambda cell, wx, s: torch.randn_like(wx), "torch's `randn_like`, which has no rule"),
    "a reduction": (lambda cell, wx, s: wx - wx.mean(1, keepdim=True), "torch's `mean`, which has no rule"),
    "another type": (lambda cell, wx, s: wx.double(), "torch's `double`, which has no rule"),
    "a norm": (lambda cell, wx, s: F.layer_norm(wx, (5,)), "a normalisation, a reduction over a row's features"),
    "a tensor made in the step": (
        lambda cell, wx, s: wx * torch.ones(5),
        "`mul` of a tensor that is neither computed by the step nor a weight",
    ),
    "the same, torch's function": (
        lambda cell, wx, s: torch.maximum(wx, torch.zeros(5)),
        "`maximum` of a tensor that is neither computed by the step nor a weight",
    ),
    "numpy's array": (lambda cell, wx, s: wx * np.ones(5), "`mul` of ndarray"),
    "a decision by value": (lambda cell, wx, s: wx if wx else s.h, "a decision by the value of a tensor"),
    "a comparison": (lambda cell, wx, s: wx if wx > 0 else s.h, "a comparison"),
    "an equality, which Python would answer": (lambda cell, wx, s: (wx == s.h) * wx, "a comparison"),
    "what a tensor is": (lambda cell, wx, s: wx if wx.requires_grad else s.h, "a tensor's `requires_grad`, which has"),
    "how many axes it has": (lambda cell, wx, s: wx if wx.ndim == 3 else s.h, "a tensor's `ndim`, which has no rule"),
    "a value as a number": (lambda cell, wx, s: cell.n.item() * wx, "torch's `item`, which has no rule"),
    "elements": (lambda cell, wx, s: next(iter(wx)), "going through a tensor's elements"),
    "in place, a method": (lambda cell, wx, s: torch.tanh(wx).add_(s.h), "an operation in place"),
    "in place, a function": (lambda cell, wx, s: torch.relu_(wx), "an operation in place"),
    "in place, an argument": (lambda cell, wx, s: F.leaky_relu(wx, 0.1, True), "an operation in place"),
    "in place, out": (lambda cell, wx, s: torch.add(wx, s.h, out=s.h), "an operation in place"),
    "in place, +=": (lambda cell, wx, s: added_to(wx, s.h), "an operation in place"),
    "in place, an index": (lambda cell, wx, s: written_to(wx), "an operation in place"),
    "rows": (lambda cell, wx, s: wx[0:1], r"indexing by anything but \[:, a:b\]"),
    "part of the units": (lambda cell, wx, s: wx[:, :2], "indexing of features that are no multiples of 5"),
    "split of the batch": (lambda cell, wx, s: wx.split(1)[0], "`split` along the batch"),
    "cat of the batch": (lambda cell, wx, s: torch.cat([wx, wx]), "`cat` along the batch"),
    "uneven chunks": (lambda cell, wx, s: wx.chunk(2, 1)[0], "`chunk` of 1 blocks of features into 2"),
    "another power": (lambda cell, wx, s: wx**3, "a power of 3; 2 and 0.5 have a rule"),
    "two computed factors": (lambda cell, wx, s: wx @ s.h.t(), "the transpose of rows"),
    "a matrix by itself": (lambda cell, wx, s: wx + cell.U.weight, "a weight that is a matrix"),
    "a product with ones": (lambda cell, wx, s: cell.U(torch.ones_like(wx)), "a product with a constant"),
    "an unknown argument": (
        lambda cell, wx, s: torch.div(wx, 2, rounding_mode="floor"),
        "torch's `div` with arguments that have no rule",
    ),
    "softplus of its own": (lambda cell, wx, s: F.softplus(wx, beta=2), "`softplus` with a beta or threshold"),
    "an output of another size": (lambda cell, wx, s: torch.cat([wx, wx], 1), "which is no tensor of H features"),
    "an output that is a vector": (lambda cell, wx, s: cell.v, "the output, which is no tensor of H features"),
    "its own mistake": (lambda cell, wx, s: cell.missing, "AttributeError: .*missing"),
}  # fmt: skip


def added_to(a, b):
    a += b
    return a


def written_to(a):
    a[:, :5] = 0
    return a


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_rule_is_refused_by_name(name):
    step, words = REFUSED[name]
    cell = own(lambda *args: (step(*args),))
    with pytest.raises(Refused, match=words):
        trace(cell)
    if (reason := does_not_compile(cell)) is None:
        pytest.fail("does_not_compile says that it does")
    assert reason.startswith("the step of Own uses ")


@needs_compiler
def test_a_layer_of_a_refused_cell_says_why_or_is_eager():
    cell = own(lambda cell, wx, s: (torch.softmax(wx, 1),))
    with pytest.raises(
        ValueError, match=r"backend=compiled: the step of Own uses torch's `softmax`, which has no rule; use backend=e"
    ):
        Layer(cell, backend="compiled")
    assert Layer(cell).backend == "eager"


def test_a_weight_of_another_size_is_refused_where_it_is_used():
    cell = own(lambda cell, wx, s: (wx * cell.odd,))
    cell.odd = torch.nn.Parameter(torch.zeros(7))
    assert "odd of shape (7,), whose sizes are no multiples of 5" in does_not_compile(cell)
    cell = own(lambda cell, wx, s: (wx,))
    cell.odd = torch.nn.Parameter(torch.zeros(7))
    assert does_not_compile(cell) is None


def test_states_that_are_no_rows_of_h_features_are_refused():
    cell = own(lambda cell, wx, s: (wx,))
    type(cell).zero_state = lambda self, batch, space, like: self.State(like.new_zeros(batch, 9))
    assert does_not_compile(cell) == "Own has a state that is not H features a row"


def test_tracing_changes_nothing_of_the_cell():
    cell = build("lstm", "on")
    before = {name: value.clone() for name, value in cell.state_dict().items()}
    names = set(cell.__dict__)
    state = torch.get_rng_state()
    trace(cell)
    assert set(cell.__dict__) == names
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in cell.state_dict().items())


def test_a_step_that_counts_leaves_the_cell_as_it_was():
    def step(cell, wx, s):
        cell.leak = cell.leak / 2
        return (wx * cell.leak,)

    cell = own(step)
    cell.leak = 0.5
    trace(cell)
    assert cell.leak == 0.5


def test_every_operation_has_a_rule_that_makes_it():
    """No line of the table that nothing can reach."""
    made = set()
    for fields, step in STEPS.values():
        made |= ops(trace(own(step, fields)))
    from test_compiled_operations import BINARY, UNARY, cell_of  # beside this file

    made |= ops(trace(cell_of([*UNARY, *BINARY])))
    derivatives = {"relu_gradient", "leaky_gradient", "abs_gradient", "softplus_gradient", "share"}
    assert set(TABLE) - derivatives - {"joined"} <= made


def ops(step):
    return {value.op for value in step.form._known.values()}


def test_the_rules_names_are_torchs():
    places = (torch, torch.Tensor, F, torch._C._nn)
    special = [name for name in RULES if hasattr(torch._C._special, name)]  # torch.special's carry its name in front
    assert special == ["special_expit"]
    assert [n for n in RULES if n not in special and not any(hasattr(place, n) for place in places)] == []


def test_a_forms_numbers_do_not_depend_on_the_size():
    draw = random.Random(0)
    for name in ("lstm", "gru", "fgr"):
        sizes = draw.sample(range(1, 60), 3)
        forms = [[(v.op, v.number) for v in trace(build(name, hidden_size=h)).form._known.values()] for h in sizes]
        assert forms[0] == forms[1] == forms[2]
