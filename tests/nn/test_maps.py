"""nn.maps: one fused product, named gates."""

import pickle

import pytest
import torch

from registry import far, random_input, randomise
from rnnbench.nn import GRU, LSTM, Dense, GRUCho
from rnnbench.nn.init import glorot, uniform, zeros
from rnnbench.nn.maps import Map


def dense(gates="i f g o", *, bias=True, in_size=3, out_size=4, **options):
    return (
        Dense()
        .map(in_size, out_size, gates, role="x", bias=bias, weight_fill=uniform, bias_fill=zeros, **options)
        .double()
    )


def test_split_names_the_gates_in_order():
    fused = torch.arange(12.0).reshape(1, 12)
    gates = dense("r z n").split(fused)
    assert gates._fields == ("r", "z", "n")
    assert gates.r.tolist() == [[0, 1, 2, 3]]
    assert gates.z.tolist() == [[4, 5, 6, 7]]
    assert gates.n.tolist() == [[8, 9, 10, 11]]


def test_split_keeps_space():
    gates = dense("f n").split(torch.arange(32.0).reshape(2, 8, 2, 1))
    assert gates.n.shape == (2, 4, 2, 1)
    assert gates.f[0].flatten().tolist() == [0, 1, 2, 3, 4, 5, 6, 7]


def test_fused_product_is_the_product_of_each_gate():
    fused = randomise(dense())
    x = random_input(GRU(3, 4))[:, 0]
    gates = fused.split(fused(x))
    for n, gate in enumerate(gates):
        rows = slice(4 * n, 4 * n + 4)
        assert far(gate, x @ fused.weight[rows].T + fused.bias[rows]) < 1e-12


def test_sequence_is_every_step():
    fused = randomise(dense(bias=False))
    x = random_input(GRU(3, 4)).transpose(0, 1)
    assert far(fused.sequence(x), torch.stack([fused(step) for step in x])) < 1e-12


def test_no_bias():
    fused = dense(bias=False)
    assert fused.bias is None
    assert [name for name, _ in fused.named_parameters()] == ["weight"]


def test_bias_offset_reaches_its_gate_only():
    fused = dense(bias_offset={"f": 1.5, "o": -1.0})
    i, f, g, o = fused.bias.chunk(4)
    assert torch.equal(f, torch.full_like(f, 1.5))
    assert torch.equal(o, torch.full_like(o, -1.0))
    assert not i.any()
    assert not g.any()


def test_forget_bias_is_added_to_the_random_start():
    torch.manual_seed(0)
    plain = LSTM(3, 4).W.bias
    torch.manual_seed(0)
    offset = LSTM(3, 4, forget_bias=1.0).W.bias
    assert far(offset - plain, torch.tensor([0.0, 1.0, 0.0, 0.0]).repeat_interleave(4)) < 1e-6


def test_an_offset_needs_a_bias():
    with pytest.raises(ValueError, match="an offset for the bias of f needs a bias: set biases to 1 or 2"):
        LSTM(3, 4, forget_bias=1.0, biases=0)
    assert LSTM(3, 4, forget_bias=0.0, biases=0).W.bias is None


def test_every_gate_starts_on_its_own():
    """Glorot's bound is that of one gate's matrix, not of the fused one."""
    fused = Dense().map(30, 50, "i f g o", role="x", bias=False, weight_fill=glorot, bias_fill=zeros)
    bound = (6 / (30 + 50)) ** 0.5
    for block in fused.weight.split(50):
        assert 0.98 * bound < block.abs().max() <= bound
    assert not torch.equal(*fused.weight.split(50)[:2])


def test_repr_and_pickle():
    fused = dense("r z")
    assert repr(fused) == "DenseMap(3 -> r z of 4, bias=True)"
    twin = pickle.loads(pickle.dumps(fused))
    assert twin.gates._fields == ("r", "z")
    assert torch.equal(twin.weight, fused.weight)
    assert repr(Dense()) == "Dense()"


def test_a_map_must_say_how_it_runs_over_time():
    abstract = Map(3, 4, "h", weight_shape=(3,), bias=False, weight_fill=uniform, bias_fill=zeros)
    with pytest.raises(NotImplementedError):
        abstract.sequence(torch.zeros(2, 1, 3))


def test_hidden_maps_have_their_gates():
    cell = GRUCho(3, 4)
    assert cell.W.gates._fields == ("r", "z", "n")
    assert cell.U.gates._fields == ("r", "z")
    assert cell.U_n.gates._fields == ("n",)
