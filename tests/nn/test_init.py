"""nn.init: the named policies, and a start with a stream of its own for every module."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from registry import CELLS, build, far, on_frames
from rnnbench.nn import (
    GRU,
    LSTM,
    MGU,
    RNN,
    Conv2d,
    OdysseyLSTM,
    Peephole,
    SequenceModel,
    TrajGRU,
    build_stack,
    make_encoder,
    start,
)
from rnnbench.nn.init import POLICIES, identity, policy

X, H = 40, 50


def gates(weight, size=H):
    return weight.detach().split(size)


def spread(tensor):
    return tensor.detach().double().mean().item(), tensor.detach().double().std().item()


def test_torch_policy_is_uniform_for_weights_and_biases():
    torch.manual_seed(0)
    bound = 1 / math.sqrt(H)
    for p in LSTM(X, H).parameters():
        assert 0.95 * bound < p.abs().max() <= bound
        mean, std = spread(p)
        assert abs(mean) < 0.1 * bound
        assert std == pytest.approx(bound / math.sqrt(3), rel=0.1)


def test_torch_policy_is_torchs_own_bound():
    torch.manual_seed(0)
    theirs = torch.nn.LSTM(X, H)
    for p in theirs.parameters():
        assert 0.95 / math.sqrt(H) < p.abs().max() <= 1 / math.sqrt(H)


def test_glorot_policy_is_by_gate():
    cell = LSTM(X, H, init="glorot")
    bound = math.sqrt(6 / (X + H))
    assert len(gates(cell.W.weight)) == 4
    for block in gates(cell.W.weight):
        assert 0.95 * bound < block.abs().max() <= bound
    for block in gates(cell.U.weight):
        assert far(block @ block.T, torch.eye(H)) < 1e-5
    a, b = gates(cell.U.weight)[:2]
    assert (a - b).abs().max() > 0.1, "each gate its own orthogonal matrix"
    assert not cell.W.bias.any()
    assert not cell.U.bias.any()


@pytest.mark.parametrize(("make", "n"), [(RNN, 1), (GRU, 3), (LSTM, 4)])
def test_keras_policy_is_by_the_kernel_of_all_gates(make, n):
    """Keras' glorot_uniform of (I, n H), its orthogonal of (H, n H), zero biases; W W' = 1 there is U' U = 1 here."""
    torch.manual_seed(0)
    cell = make(X, H, init="keras")
    bound = math.sqrt(6 / (X + n * H))
    assert cell.W.weight.shape == (n * H, X)
    for block in gates(cell.W.weight):
        assert 0.95 * bound < block.abs().max() <= bound
        assert spread(block)[1] == pytest.approx(bound / math.sqrt(3), rel=0.05)
    U = cell.U.weight.detach()
    assert U.shape == (n * H, H)
    assert far(U.T @ U, torch.eye(H)) < 1e-5
    assert U.square().mean().item() == pytest.approx(1 / (n * H), rel=1e-5)
    assert not cell.W.bias.any()
    assert not cell.U.bias.any()


def test_keras_policys_gates_are_no_orthogonal_matrices():
    """What tells it from glorot: a gate's block of the fused matrix has singular values below one."""
    torch.manual_seed(0)
    for block in gates(LSTM(X, H, init="keras").U.weight):
        assert torch.linalg.svdvals(block).max() < 0.97
    a, b = RNN(X, H, init="keras"), RNN(X, H, init="glorot")
    for cell in (a, b):
        start(cell, 0)
    assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True)), "one gate: the same"


@pytest.mark.parametrize(("side", "size"), [(3, 8), (1, 8), (5, 6)])
def test_keras_policy_of_a_convolution(side, size):
    """Keras' ConvLSTM2D: kernel (k, k, I, 4 H) with fans k k I and k k 4 H, recurrent (k k H, 4 H) orthogonal."""
    torch.manual_seed(0)
    cell = LSTM(24, size, operator=Conv2d(side), init="keras", biases=1, forget_bias=1.0)
    bound = math.sqrt(6 / (side**2 * (24 + 4 * size)))
    assert 0.95 * bound < cell.W.weight.abs().max() <= bound
    assert spread(cell.W.weight)[1] == pytest.approx(bound / math.sqrt(3), rel=0.1)
    kernel = cell.U.weight.detach().permute(2, 3, 1, 0).reshape(side**2 * size, 4 * size)
    small = kernel.T @ kernel if side > 1 else kernel @ kernel.T
    assert far(small, torch.eye(len(small))) < 1e-5
    assert cell.W.bias.tolist() == [0.0] * size + [1.0] * size + [0.0] * 2 * size


@pytest.mark.parametrize("make", [RNN, LSTM, MGU])
def test_identity_policy_is_the_irnns(make):
    torch.manual_seed(0)
    cell = make(X, H, init="identity")
    for block in gates(cell.U.weight):
        assert torch.equal(block, torch.eye(H))
    mean, std = spread(cell.W.weight)
    assert abs(mean) < 1e-4
    assert std == pytest.approx(0.001, rel=0.05)
    assert not cell.W.bias.any()
    assert not cell.U.bias.any()


def test_identity_of_a_kernel_is_dirac():
    kernel = torch.empty(2, 2, 3, 3)
    identity(kernel, 2)
    x = torch.randn(1, 2, 5, 5)
    assert torch.equal(nn.functional.conv2d(x, kernel, padding=1), x)


def test_normal_policy_is_the_odysseys():
    torch.manual_seed(0)
    for p in LSTM(X, 200, init="normal").parameters():
        mean, std = spread(p)
        assert abs(mean) < 0.01
        assert std == pytest.approx(0.1, rel=0.1)


@pytest.mark.parametrize("init", POLICIES)
def test_every_policy_starts_the_full_gate_recurrence(init):
    """R is not square, (3 H, 3 H) with a block a gate: each policy must know what to do with it."""
    cell = OdysseyLSTM(3, 4, edit="fgr", init=init)
    assert cell.R.weight.shape == (12, 12)
    assert torch.isfinite(cell.R.weight).all()
    assert cell.R.weight.any()


def test_shi2015_policy_is_by_channels_whatever_the_kernel():
    """U(-1/sqrt(C_in), 1/sqrt(C_in)), biases zero, the forget gate's too."""
    torch.manual_seed(0)
    cell = LSTM(9, 16, operator=Conv2d(5, 3), init="shi2015", biases=2)
    for p, channels in ((cell.W.weight, 9), (cell.U.weight, 16)):
        bound = 1 / math.sqrt(channels)
        assert 0.98 * bound < p.abs().max() <= bound
        assert spread(p)[1] == pytest.approx(bound / math.sqrt(3), rel=0.05)
    assert not cell.W.bias.any()
    assert not cell.U.bias.any()


def test_fan_in_policy_is_torchs_own_convolution():
    torch.manual_seed(0)
    cell = LSTM(9, 16, operator=Conv2d(5, 3), init="fan_in", biases=2)
    for p, ours in ((cell.W.weight, (9, 3)), (cell.U.weight, (16, 5))):
        bound = 1 / math.sqrt(ours[0] * ours[1] ** 2)
        theirs = nn.Conv2d(ours[0], 64, ours[1]).weight
        for weight in (p, theirs):
            assert 0.98 * bound < weight.abs().max() <= bound
            assert spread(weight)[1] == pytest.approx(bound / math.sqrt(3), rel=0.05)
    assert not cell.W.bias.any()
    assert not cell.U.bias.any()
    matrix = LSTM(9, 16, init="fan_in").W.weight
    assert 0.9 / 3 < matrix.abs().max() <= 1 / 3


@pytest.mark.parametrize("init", POLICIES)
@pytest.mark.parametrize("inputs", [0, 3])
def test_every_policy_starts_frames(init, inputs):
    """Also kernels that are not square in their channels (TrajGRU's), and a layer without input."""
    for make in (LSTM, TrajGRU):
        cell = make(inputs, 4, operator=Conv2d(5, 3), init=init)
        start(cell, 0)
        for key, p in cell.named_parameters():
            assert torch.isfinite(p).all(), key
            assert p.any() or "bias" in key or not p.numel() or key == "flow.weight", key


def test_unknown_policy():
    with pytest.raises(ValueError, match=f"unknown init 'he'; known: {', '.join(POLICIES)}"):
        RNN(3, 4, init="he")
    assert policy("torch") is POLICIES["torch"]


# start


def network(cell=LSTM, layers=2, **options):
    encoder, size = make_encoder("cnn", 2, 3)
    stack = build_stack(lambda i, h: cell(i, h, **options), size, 4, layers=layers, norm="layer")
    return SequenceModel(encoder, stack, head="last", output_size=2)


def values(model):
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def same(a, b):
    return {name for name in a.keys() & b.keys() if torch.equal(a[name], b[name])}


def test_a_seed_is_a_start():
    a, b = network(), network()
    start(a, 5)
    start(b, 5)
    assert same(values(a), values(b)) == values(a).keys()
    start(b, 6)
    random = {n for n in values(a) if "norm" not in n}
    assert not same(values(a), values(b)) & random
    start(b, 5)
    assert same(values(a), values(b)) == values(a).keys(), "whatever was there before"


def test_every_module_has_its_own_stream():
    model = network(RNN)
    start(model, 0)
    cells = [layer.cell for layer in model.stack.layers]
    tensors = [t for c in cells for t in (c.W.weight, c.U.weight)]
    firsts = [t.detach().flatten()[:4].tolist() for t in tensors]
    assert len({tuple(f) for f in firsts}) == len(firsts)


def test_what_is_added_changes_nothing_before_it():
    """A third layer, another head, peepholes: the start of what both have is the same."""
    plain, deep, peeping = network(), network(layers=3), network(peephole=Peephole(start="normal"))
    for model in (plain, deep, peeping):
        start(model, 1)
    for other in (deep, peeping):
        assert same(values(plain), values(other)) == values(plain).keys()
    assert len(values(peeping)) == len(values(plain)) + 6


def test_start_leaves_the_global_stream_alone():
    model = network()
    torch.manual_seed(9)
    wanted = torch.rand(3)
    torch.manual_seed(9)
    start(model, 0)
    assert torch.equal(torch.rand(3), wanted)


def test_start_does_not_seed_the_accelerators(monkeypatch):
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda seed: pytest.fail("the GPU's stream was reset"))
    start(network(), 0)


def test_start_keeps_the_policy_and_the_forget_bias():
    model = build_stack(lambda i, h: LSTM(i, h, init="glorot", forget_bias=1.0), 3, 4)
    start(model, 0)
    cell = model.layers[0].cell
    assert torch.equal(cell.W.bias.detach(), torch.tensor([0.0, 1.0, 0.0, 0.0]).repeat_interleave(4))


def test_start_draws_on_the_cpu_only():
    """A generator of another device would give other numbers, so a model that has moved already is refused."""

    class Moved(nn.Module):
        def parameters(self, recurse=True):
            return iter([SimpleNamespace(device=torch.device("cuda", 0))])

    with pytest.raises(ValueError, match="start a model before it moves to cuda:0"):
        start(Moved(), 0)
    meta = GRU(3, 4).to("meta")
    start(meta, 0)
    assert all(p.is_meta for p in meta.parameters())


@pytest.mark.parametrize("name", CELLS)
def test_the_registrys_starts_are_finite_and_not_all_zero(name):
    cell = build(name)
    start(cell, 0)
    for key, p in cell.named_parameters():
        assert torch.isfinite(p).all(), key
        assert p.any() or "bias" in key or key == "flow.weight", key  # TrajGRU starts without flow


# chrono

LONGEST = 100  # T_max in steps
FORGETS = [name for name in CELLS if CELLS[name].get("chrono", "none") is None]  # whose yaml has the option


def start_of(map_, gate):
    """The start of one gate's bias, of W or U; zero where that has none."""
    if map_ is None or map_.bias is None or gate not in map_.gates._fields:
        return torch.zeros(())
    return map_.split(map_.bias.detach()[None])._asdict()[gate][0]


def kept(cell):
    """The bias of the share of the old state that is kept, over all maps: of the gate that keeps, or of 1 - admits."""
    sign, gate = (1, cell.keeps) if cell.keeps else (-1, cell.admits)
    return sign * sum(start_of(getattr(cell, name, None), gate) for name in ("W", "U"))


@pytest.mark.parametrize("name", CELLS)
def test_the_yaml_offers_chrono_where_a_gate_keeps_or_admits(name):
    cell = build(name)
    assert (name in FORGETS) == bool(cell.keeps or cell.admits)
    if name in FORGETS:
        return
    with pytest.raises(ValueError, match="chrono is for a gate that keeps or admits, and "):
        build(name, chrono=LONGEST)


@pytest.mark.parametrize("name", FORGETS)
def test_chrono_starts_memories_with_a_median_of_half_the_longest(name):
    """1 / (1 - s(b)) = 1 + U, U ~ U(1, T_max - 1): 51 steps at T_max = 100; drawn in W and in U it would be 1,900."""
    wide = not on_frames(name)  # kernels of very many channels take long
    cell = build(name, input_size=1, hidden_size=1000 if wide else 64, chrono=LONGEST)
    start(cell, 0)
    memory = 1 / (1 - torch.sigmoid(kept(cell).double()))
    assert memory.min() >= 2
    assert memory.max() <= LONGEST + 1e-3
    assert memory.median() == pytest.approx(LONGEST / 2 + 1, rel=0.1 if wide else 0.3)
    if cell.keeps and cell.admits:
        assert torch.equal(start_of(cell.W, cell.admits), -start_of(cell.W, cell.keeps)), "one draw for both"
    drawn = {cell.keeps, cell.admits}
    for key, parameter in cell.named_parameters():
        if key == "W.bias":
            assert not any(start_of(cell.W, gate).any() for gate in cell.W.gates._fields if gate not in drawn)
        elif key.endswith("bias"):
            assert not parameter.any(), key


@pytest.mark.parametrize("name", FORGETS)
def test_chrono_moves_no_weight(name):
    plain, other = build(name), build(name, chrono=LONGEST)
    start(plain, 3)
    start(other, 3)
    for (key, a), (_, b) in zip(plain.named_parameters(), other.named_parameters(), strict=True):
        assert torch.equal(a, b) or "bias" in key, key
    assert not torch.equal(plain.W.bias, other.W.bias)


@pytest.mark.parametrize("edit", ["nig", "nog", "cifg", "fgr"])
def test_chrono_of_an_edit_is_of_the_gates_that_it_has(edit):
    cell = OdysseyLSTM(3, 5, edit=edit, chrono=LONGEST)
    assert (cell.keeps, cell.admits) == {"nig": ("f", None), "cifg": (None, "i")}.get(edit, ("f", "i"))


def test_what_chrono_cannot_be():
    for wrong in (2, 1, 0, -5, True, "50", math.inf, math.nan):
        with pytest.raises(ValueError, match="chrono must be a number of steps above 2, or null"):
            LSTM(3, 4, chrono=wrong)
    with pytest.raises(ValueError, match=r"chrono must be at most 1e\+38 steps, not 1e\+39"):
        LSTM(3, 4, chrono=1e39)
    with pytest.raises(ValueError, match="biases=0 leaves none: set biases to 1 or 2"):
        GRU(3, 4, chrono=50, biases=0)
    with pytest.raises(ValueError, match="chrono and forget_bias both say how"):
        LSTM(3, 4, chrono=50, forget_bias=1.0)
    with pytest.raises(ValueError, match="OdysseyLSTM has none here"):
        OdysseyLSTM(3, 4, chrono=50, edit="nfg")
