"""nn.sizes: counted sizes against published ones and closed forms."""

import pytest
import torch
from torch import nn

from registry import CELLS, build
from rnnbench.nn import (
    GRU,
    LSTM,
    RNN,
    SLSTM,
    Layer,
    OdysseyLSTM,
    Peephole,
    SequenceModel,
    build_stack,
    count_params,
    count_state,
    flops_per_step,
    make_encoder,
    solve_hidden_size,
)
from rnnbench.nn.init import POLICIES


def network(make, inputs, outputs, hidden, *, head="last", encoder="none", **options):
    module, size = make_encoder(encoder, inputs, 6)
    return SequenceModel(module, build_stack(make, size, hidden, **options), head=head, output_size=outputs)


# The sizes that one layer with a linear head buys, for the budgets of the sequence benchmarks.
SOLVED = [
    (70_000, 1, 10, {LSTM: 129, GRU: 149, RNN: 258}),
    (70_000, 2, 1, {LSTM: 130, GRU: 150, RNN: 262}),
    (16_000, 1, 10, {LSTM: 60, GRU: 69, RNN: 120}),
    (300_000, 88, 88, {LSTM: 223, GRU: 262, RNN: 465}),
    (1_000_000, 88, 88, {LSTM: 447, GRU: 520, RNN: 914}),
]


@pytest.mark.parametrize(
    ("budget", "inputs", "outputs", "make", "size"),
    [(*row[:3], make, size) for row in SOLVED for make, size in row[3].items()],
)
def test_solved_hidden_sizes(budget, inputs, outputs, make, size):
    def net(hidden):
        return network(make, inputs, outputs, hidden)

    assert solve_hidden_size(net, budget) == size
    assert count_params(net(size)) <= budget < count_params(net(size + 1))


@pytest.mark.parametrize("size", [1, 2, 3, 16, 17])
def test_a_budget_met_exactly_counts(size):
    exact = count_params(GRU(3, size))
    assert solve_hidden_size(lambda h: GRU(3, h), exact) == size
    assert solve_hidden_size(lambda h: GRU(3, h), count_params(GRU(3, size + 1)) - 1) == size


def test_too_small_a_budget():
    least = count_params(LSTM(3, 1))
    with pytest.raises(ValueError, match=f"params={least - 1} is too few: one hidden unit already takes {least}"):
        solve_hidden_size(lambda h: LSTM(3, h), least - 1)


def test_a_size_is_a_multiple_of_the_heads():
    def make(hidden):
        return SLSTM(3, hidden, heads=4)

    budget = count_params(make(28)) - 1
    assert solve_hidden_size(make, budget, multiple=4) == 24
    with pytest.raises(ValueError, match="params=10 is too few: 4 hidden units already take "):
        solve_hidden_size(make, 10, multiple=4)


@pytest.mark.parametrize("init", POLICIES)
def test_solving_allocates_nothing(init):
    """A network of a trillion parameters is sized on the meta device, with every policy's start."""
    size = solve_hidden_size(lambda h: OdysseyLSTM(1, h, edit="fgr", init=init, peephole=Peephole()), 10**12)
    assert 13 * size**2 < 10**12 < 13 * (size + 2) ** 2


# counts


def test_count_params_counts_what_is_trained_once():
    shared = nn.Linear(2, 3)
    net = nn.ModuleList([shared, shared, nn.Linear(3, 1)])
    assert count_params(net) == 9 + 4
    shared.weight.requires_grad_(False)
    assert count_params(net) == 3 + 4


def is_of_h(name):
    """Whether every field of a cell's state has H features."""
    sizes = build(name).state_sizes(1, (5, 6), torch.zeros(()))
    return all(size == (1, 4, 5, 6) for size in sizes)


@pytest.mark.parametrize("name", [name for name in CELLS if is_of_h(name)])
def test_count_state(name):
    known = {"fgr": 5, "slstm": 4, "stlstm": 3, "causal_lstm": 3, "lem": 2, "cornn": 2, "mogrifier": 2}
    fields = known.get(name, 2 if CELLS[name]["meta"]["peephole_gates"] else 1)
    layers = 1 if build(name).zigzag else 2  # a memory that moves between layers needs a rollout
    net = build_stack(lambda i, h: build(name, "off", i, h), 3, 4, layers=layers, direction="bidirectional")
    more = {"qrnn": 2 * (3 + 2 * 4)}.get(name, 0)  # each direction's input of one step, of both layers
    assert count_state(net) == layers * 2 * 4 * fields + more


# operations


def product(gates, inputs, hidden):
    return 2 * gates * hidden * (inputs + hidden)


@pytest.mark.parametrize(("make", "gates"), [(RNN, 1), (GRU, 3), (LSTM, 4)])
@pytest.mark.parametrize("biases", [0, 2])
def test_flops_are_two_for_every_weight(make, gates, biases):
    net = network(lambda i, h: make(i, h, biases=biases), 3, 5, 7)
    assert flops_per_step(net, torch.zeros(1, 2, 3)) == product(gates, 3, 7)


def test_flops_of_depth_and_direction():
    net = network(GRU, 3, 5, 7, layers=2, direction="bidirectional")
    assert flops_per_step(net, torch.zeros(1, 2, 3)) == 2 * product(3, 3, 7) + 2 * product(3, 14, 7)


def test_flops_of_head_and_encoder():
    """A head counts where it runs at every step, an encoder always."""
    step, x = product(4, 6, 7), torch.zeros(1, 2, 3)
    assert flops_per_step(network(LSTM, 3, 5, 7, encoder="linear"), x) == step + 2 * 3 * 6
    assert flops_per_step(network(LSTM, 3, 5, 7, encoder="linear", head="every"), x) == step + 2 * 3 * 6 + 2 * 7 * 5
    assert flops_per_step(network(LSTM, 3, 5, 7, encoder="linear", head="mean"), x) == step + 2 * 3 * 6
    assert flops_per_step(network(LSTM, 3, 5, 7, encoder="cnn"), x) == step + 2 * 3 * (3 * 6 + 6 * 6)
    tokens = torch.zeros(1, 2, dtype=torch.long)
    assert flops_per_step(network(LSTM, 3, 5, 7, encoder="embedding"), tokens) == step


def test_flops_of_full_gate_recurrence_and_of_peepholes():
    x = torch.zeros(1, 2, 3)
    full = network(lambda i, h: OdysseyLSTM(i, h, edit="fgr", peephole=Peephole()), 3, 5, 7)
    assert flops_per_step(full, x) == product(4, 3, 7) + 2 * 9 * 7 * 7, "an elementwise product counts nothing"


def test_counting_flops_leaves_the_network_as_it_was():
    net = network(LSTM, 3, 5, 7)
    layer = net.stack.layers[0]
    assert isinstance(layer, Layer)
    backend = layer.backend
    flops_per_step(net, torch.zeros(1, 2, 3))
    assert layer.backend == backend
    with pytest.raises(ValueError, match="got"):
        flops_per_step(net, torch.zeros(1, 2, 99))
    assert layer.backend == backend
    assert all(p.grad is None for p in net.parameters())
