"""nn.maps: one fused product, named gates."""

import pickle

import pytest
import torch

from registry import SPACE, far, random_input, randomise
from rnnbench.nn import GRU, LSTM, Conv2d, Dense, GRUCho, Layer
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


# convolutions


def conv(gates="i f", *, role="h", bias=True, in_size=3, out_size=2, **options):
    options |= {"weight_fill": uniform, "bias_fill": zeros}
    return randomise(Conv2d(5, 3).map(in_size, out_size, gates, role=role, bias=bias, **options).double())


FRAMES = random_input(LSTM(3, 4, operator=Conv2d(3)))[:, 0]


@pytest.mark.parametrize(("role", "side"), [("x", 3), ("h", 5)])
def test_a_convolution_by_loops(role, side):
    """The kernel is not flipped, its middle lies on the pixel, and beyond the frame lies zero."""
    fused = conv(role=role)
    assert fused.weight.shape == (4, 3, side, side)
    x = random_input(LSTM(3, 4, operator=Conv2d(3)), batch=2, steps=1)[:, 0]
    height, width = SPACE
    wanted = torch.zeros(2, 4, height, width, dtype=torch.float64)
    for b in range(2):
        for out in range(4):
            for y in range(height):
                for z in range(width):
                    total = fused.bias[out].item()
                    for v in range(max(y - side // 2, 0), min(y + side // 2, height - 1) + 1):
                        for u in range(max(z - side // 2, 0), min(z + side // 2, width - 1) + 1):
                            taps = fused.weight[out, :, v - y + side // 2, u - z + side // 2]
                            total += (taps * x[b, :, v, u]).sum().item()
                    wanted[b, out, y, z] = total
    assert far(fused(x), wanted) < 1e-12
    assert far(torch.cat([*fused.split(fused(x))], 1), wanted) < 1e-12


def test_a_convolution_over_a_sequence_is_every_step():
    for bias in (False, True):
        fused = conv(bias=bias)
        x = random_input(LSTM(3, 4, operator=Conv2d(3))).transpose(0, 1)
        assert fused.sequence(x).shape == (6, 3, 4, *SPACE)
        assert far(fused.sequence(x), torch.stack([fused(step) for step in x])) < 1e-12


def test_a_convolution_of_nothing_is_its_bias():
    fused = conv(in_size=0)
    assert fused.weight.shape == (4, 0, 5, 5)
    got = fused.sequence(torch.zeros(2, 3, 0, *SPACE, dtype=torch.float64))
    assert torch.equal(got, fused.bias[:, None, None].expand(2, 3, 4, *SPACE))
    assert not conv(in_size=0, bias=False)(torch.zeros(3, 0, *SPACE, dtype=torch.float64)).any()


def test_kernels_of_x_and_h():
    assert (Conv2d(5, 9).kernel_size, Conv2d(5, 9).input_kernel_size) == (5, 9)
    assert (Conv2d(3).kernel_size, Conv2d(3).input_kernel_size) == (3, 3)
    assert repr(Conv2d(5, 9)) == "Conv2d(5, 9)"
    assert repr(conv("r")) == "ConvMap(3 -> r of 2, bias=True)"
    cell = LSTM(3, 4, operator=Conv2d(5, 9))
    assert cell.W.weight.shape == (16, 3, 9, 9)
    assert cell.U.weight.shape == (16, 4, 5, 5)


@pytest.mark.parametrize("sides", [(4, 3), (3, 2), (0, 1), (3, 0), (-1, 3)])
def test_a_kernel_must_be_odd(sides):
    wrong = next(side for side in reversed(sides) if side < 1 or side % 2 == 0)
    with pytest.raises(ValueError, match=f"kernel_size must be odd, so that frames keep their size, not {wrong}"):
        LSTM(3, 4, operator=Conv2d(*sides))


def test_frames_keep_their_size_whatever_the_kernel():
    for sides in ((1, 9), (9, 1), (7, 3)):
        layer = Layer(LSTM(3, 4, operator=Conv2d(*sides)).double())
        assert layer(random_input(layer.cell))[0].shape == (3, 6, 4, *SPACE)


def test_hidden_maps_have_their_gates():
    cell = GRUCho(3, 4)
    assert cell.W.gates._fields == ("r", "z", "n")
    assert cell.U.gates._fields == ("r", "z")
    assert cell.U_n.gates._fields == ("n",)


# layer norm


def test_a_normalised_map_is_normal_gate_by_gate():
    """Mean 0, variance 1 over the channels of a gate (and its pixels); x is too large for the epsilon to matter."""
    for fused, x in ((dense(norm=True), random_input(GRU(3, 4))[:, 0]), (conv(norm=True), FRAMES)):
        with torch.no_grad():
            fused.gain.fill_(1.0)
            fused.bias.zero_()
        for gate in fused.split(fused(1e4 * x)):
            assert far(gate.flatten(1).mean(1), torch.zeros(len(x), dtype=torch.float64)) < 1e-12
            assert far(gate.flatten(1).var(1, correction=0), torch.ones(len(x), dtype=torch.float64)) < 1e-9
        plain = fused(x)
        with torch.no_grad():
            fused.gain.fill_(2.0)
            fused.bias.fill_(0.5)
        assert far(fused(x), 2 * plain + 0.5) < 1e-12


def test_a_normalised_sequence_is_every_step():
    """No statistic is shared between time steps."""
    for fused, cell in ((dense(norm=True), GRU(3, 4)), (conv(norm=True), LSTM(3, 4, operator=Conv2d(3)))):
        x = random_input(cell).transpose(0, 1)
        assert far(randomise(fused).sequence(x), torch.stack([fused(step) for step in x])) < 1e-12


def test_the_forget_bias_stays_outside_of_the_norm():
    cell = LSTM(3, 4, forget_bias=1.0, biases=1, init="glorot", norm="layer").double()
    gates = cell.W.split(cell.W(random_input(cell)[:, 0]))
    assert far(gates.f.mean(1), torch.ones(3, dtype=torch.float64)) < 1e-7
    assert far(gates.i.mean(1), torch.zeros(3, dtype=torch.float64)) < 1e-7


def test_a_layer_without_input_has_nothing_to_normalise():
    fused = conv(in_size=0, norm=True)
    assert fused.gain is None
    assert fused(FRAMES[:, :0]).shape == (3, 4, *SPACE)


def test_normalised_repr_and_bad_norm():
    assert repr(dense("r z", norm=True)) == "DenseMap(3 -> r z of 4, bias=True, norm=layer)"
    with pytest.raises(ValueError, match="unknown norm 'batch'; known: layer, layer_4h, layer_4h_carry, or null"):
        LSTM(3, 4, norm="batch")
    with pytest.raises(ValueError, match="backend=native: torch's LSTM has no normalisation; use backend=eager"):
        Layer(LSTM(3, 4, norm="layer"), backend="native")
