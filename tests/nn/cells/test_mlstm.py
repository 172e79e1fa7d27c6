"""mLSTM against the paper's equations without a stabiliser, its parallel form, and itself in chunks."""

import math

import pytest
import torch
from torch import Tensor

from registry import far, random_input, random_state, randomise, weigh
from rnnbench.nn import MLSTM, Bidirectional, Layer, count_params
from rnnbench.nn.cells.mlstm import CHUNK
from rnnbench.nn.maps import Conv2d

CONVS = [None, 2, 4]
every_conv = pytest.mark.parametrize("conv", CONVS)
LONG = 2 * CHUNK + 5  # steps of two chunks and a part of one


def layer_of(conv: int | None = None, backend: str = "eager", heads: int = 2, **options) -> Layer:
    cell = MLSTM(3, 8, heads=heads, conv=conv)
    return randomise(Layer(cell, backend=backend, **options).double(), f"{conv} {heads}")


def gates_of(cell: MLSTM, x: Tensor):
    """The parts of all steps of x (B, T, I), of a cell without a convolution."""
    return cell.cut(cell.hoist(x.transpose(0, 1)).transpose(0, 1))


# equations


def test_it_is_the_form_without_a_stabiliser():
    """Eqs. 19 to 27: C and n themselves, of gates that do not overflow."""
    layer = layer_of()
    x = random_input(layer.cell, steps=30)
    a = gates_of(layer.cell, x)
    output, state = layer(x)
    C, n = torch.zeros(3, 2, 4, 4, dtype=torch.float64), torch.zeros(3, 2, 4, dtype=torch.float64)
    for t in range(30):
        i, f = torch.exp(a.i[:, t])[..., None], torch.sigmoid(a.f[:, t])[..., None]
        C = f[..., None] * C + torch.einsum("bki,bkj->bkij", i * a.v[:, t], a.k[:, t])
        n = f * n + i * a.k[:, t]
        below = (n * a.q[:, t]).sum(-1).abs().clamp(min=1)
        h = torch.sigmoid(a.o[:, t]) * (torch.einsum("bkij,bkj->bki", C, a.q[:, t]) / below[..., None]).flatten(1)
        assert far(output[:, t], h) < 1e-13
    assert far(torch.exp(state.m)[..., None, None] * state.c, C) < 1e-13
    assert far(torch.exp(state.m)[..., None] * state.n, n) < 1e-13


@pytest.mark.parametrize("backend", ["eager", "scan"])
def test_it_is_the_parallel_form(backend):
    """The paper's appendix A.3, literally: one matrix of all steps by all, one sequence and head after the other."""
    layer = layer_of(backend=backend)
    x = random_input(layer.cell, batch=2, steps=LONG)
    a = gates_of(layer.cell, x)
    heads = []
    for head in range(2):
        rows = []
        for b in range(2):
            q, k, v, i = a.q[b, :, head], a.k[b, :, head], a.v[b, :, head], a.i[b, :, head]
            kept = torch.log(torch.sigmoid(a.f[b, :, head]))
            D = torch.full((LONG, LONG), -torch.inf, dtype=torch.float64)
            for t in range(LONG):
                for s in range(t + 1):
                    D[t, s] = kept[s + 1 : t + 1].sum() + i[s]
            m = D.amax(1, keepdim=True)
            C = (q @ k.T) * torch.exp(D - m)
            rows.append(C @ v / torch.maximum(C.sum(1, keepdim=True).abs(), torch.exp(-m)))
        heads.append(torch.stack(rows))
    assert far(layer(x)[0], torch.sigmoid(a.o) * torch.cat(heads, 2)) < 1e-12


def test_keys_are_scaled_with_their_bias():
    cell = layer_of().cell
    x = random_input(cell)
    k = (x @ cell.W_k.weight[8:].T + cell.W_k.bias[8:]).unflatten(2, (2, 4)) / math.sqrt(4)
    assert far(gates_of(cell, x).k, k) < 1e-14


@pytest.mark.parametrize("backend", ["eager", "scan"])
def test_the_first_stabiliser_is_of_no_matter(backend):
    layer = layer_of(backend=backend)
    x = random_input(layer.cell, steps=CHUNK + 3)
    wanted, _ = layer(x)
    zero = layer.cell.zero_state(3, (), x)
    for m in (-50.0, -1.0, 3.0, 30.0):
        assert far(layer(x, zero._replace(m=torch.full_like(zero.m, m)))[0], wanted) < 1e-12


@pytest.mark.parametrize("backend", ["eager", "scan"])
def test_a_state_and_its_stabiliser_are_one(backend):
    layer = layer_of(backend=backend)
    x = random_input(layer.cell, steps=12)
    _, state = layer(x[:, :6])
    for k in (-2, 2):
        moved = state._replace(c=state.c / math.exp(k), n=state.n / math.exp(k), m=state.m + k)
        assert far(layer(x[:, 6:], moved)[0], layer(x[:, 6:], state)[0]) < 1e-13


def test_what_is_stored_is_recalled():
    """One pair of key and value, then the key as a query: the value, whatever else was not let in."""
    cell = MLSTM(2, 4, heads=1, biases=0)
    v = torch.tensor([0.3, -0.7, 0.2, 0.9])
    state = cell.zero_state(1, (), v)
    key = torch.tensor([1.0, 0, 0, 0])
    for i, value, k in ((9.0, v, key), (-99.0, -v, key.flip(0))):
        fused = torch.cat([value, torch.full((4,), 99.0), 2 * key, 2 * k, torch.tensor([i, 99.0])])
        output, state = cell.step(fused[None], state)
    assert far(output[0], v) < 1e-5


# the convolution


@pytest.mark.parametrize("conv", [2, 4])
def test_the_convolution_is_torchs(conv):
    """Causal, one kernel a channel; q, k, i and f see it, v and o see x."""
    cell = layer_of(conv).cell
    x = random_input(cell, steps=9)
    padded = torch.nn.functional.pad(x.transpose(1, 2), (conv - 1, 0))
    ahead = torch.nn.functional.conv1d(padded, cell.ahead.weight[:, None], cell.ahead.bias, groups=3).transpose(1, 2)
    ahead = ahead * torch.sigmoid(ahead)
    state = cell.zero_state(3, (), x)
    for t in range(9):
        fused = torch.cat([cell.W(x[:, t]), cell.W_k(ahead[:, t]), cell.w(ahead[:, t])], 1)
        plain = MLSTM.State(*(field for name, field in state._asdict().items() if name != "x"))
        wanted, _ = without_convolution(cell).step(fused, plain)
        output, state = cell.step(x[:, t], state)
        assert far(output, wanted) < 1e-14


def without_convolution(cell: MLSTM) -> MLSTM:
    return MLSTM(3, cell.hidden_size, heads=cell.heads).double()


# a whole sequence in chunks


def outcome(layer, x, begin=None, **options):
    x = x.clone().requires_grad_()
    leaves = [] if begin is None else [field.clone().requires_grad_() for field in begin]
    output, state = layer(x, None if begin is None else layer.cell.State(*leaves), **options)
    read = [leaf for name, leaf in zip(layer.cell.State._fields, leaves, strict=False) if name != "y"]
    gradients = torch.autograd.grad(weigh(output, state), [x, *read, *layer.parameters()])
    return [output, *state, *gradients]


def masks(batch: int, steps: int) -> dict[str, dict]:
    generator = torch.Generator().manual_seed(1)
    holes = torch.rand(batch, steps, generator=generator) > 0.4
    holes[1] = False
    return {
        "all": {},
        "lengths": {"lengths": [steps, 1, steps // 2]},
        "holes": {"mask": holes},
    }


@every_conv
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("given", ["all", "lengths", "holes"])
@pytest.mark.parametrize("begun", [False, True])
def test_in_chunks_is_step_by_step(conv, reverse, given, begun):
    """In value and gradient, of the output and of the state, from any state, with steps left out."""
    eager, scan = (layer_of(conv, backend, reverse=reverse) for backend in ("eager", "scan"))
    assert scan.runs == "scan"
    x = random_input(eager.cell, steps=LONG)
    begin = random_state(eager.cell) if begun else None
    found, wanted = (outcome(layer, x, begin, **masks(3, LONG)[given]) for layer in (scan, eager))
    assert max(far(a, b) for a, b in zip(found, wanted, strict=True)) < 1e-11


@pytest.mark.parametrize("steps", [1, CHUNK - 1, CHUNK, CHUNK + 1])
def test_of_any_length(steps):
    eager, scan = (layer_of(4, backend) for backend in ("eager", "scan"))
    x = random_input(eager.cell, steps=steps)
    assert max(far(a, b) for a, b in zip(outcome(scan, x), outcome(eager, x), strict=True)) < 1e-12


def test_a_state_without_a_step_is_what_was_given():
    """Also one whose stabiliser is none that a step would leave."""
    scan = layer_of(4, "scan")
    x, begin = random_input(scan.cell, steps=4), random_state(scan.cell)
    begin = begin._replace(m=begin.m - 7)
    _, state = scan(x, begin, mask=torch.tensor([[False] * 4, [True] * 4, [False] * 4]))
    for name, field in state._asdict().items():
        assert torch.equal(field[[0, 2]], getattr(begin, name)[[0, 2]])


@every_conv
@pytest.mark.parametrize("backend", ["eager", "scan"])
def test_pieces_are_the_whole(conv, backend):
    """The window of the convolution is carried, too, over pieces that are shorter than it."""
    layer = layer_of(conv, backend)
    x = random_input(layer.cell, steps=LONG)
    whole, end = layer(x)
    parts, state = [], None
    for piece in x.split([1, 2, 1, CHUNK, LONG - CHUNK - 4], 1):
        part, state = layer(piece, state)
        parts.append(part)
    assert far(torch.cat(parts, 1), whole) < 1e-12
    assert all(far(a, b) < 1e-12 for a, b in zip(state, end, strict=True))


def test_in_float32_chunks_are_as_near():
    eager, scan = (layer_of(None, backend).float() for backend in ("eager", "scan"))
    x = random_input(eager.cell, steps=8 * CHUNK)
    exact = layer_of()(x)[0].float()
    ours, theirs = (far(layer(x.float())[0], exact) for layer in (scan, eager))
    assert ours < max(2 * theirs, 1e-6)


@pytest.mark.parametrize("backend", ["eager", "scan"])
@pytest.mark.parametrize("i", [-120.0, 120.0])
@pytest.mark.parametrize("f", [-120.0, 120.0])
def test_extreme_gates_are_finite_in_float32(backend, i, f):
    """In value and in gradient: for as long as they last, in turns, and where a query is zero."""
    layer = randomise(Layer(MLSTM(36, 8, heads=2), backend=backend))
    cell = layer.cell
    with torch.no_grad():
        for module, rows in ((cell.W, slice(0, 16)), (cell.W_k, slice(16, 32)), (cell.w, slice(32, 36))):
            module.weight.copy_(torch.eye(36)[rows])
            module.bias.zero_()
    x = torch.randn(3, 40, 36, generator=torch.Generator().manual_seed(0))
    x[:, :, 32:34], x[:, :, 34:] = i, f
    x[:, 20:, 32:] *= torch.tensor([1.0, -1.0]).repeat(10)[:, None]
    x[0, ::3, 16:24] = 0
    x.requires_grad_()
    output, state = layer(x)
    gradients = torch.autograd.grad(weigh(output, state), [x, *layer.parameters()])
    assert all(value.isfinite().all() for value in (output, *state, *gradients))
    assert not output[0, ::3].any()
    assert output[1].any() or i < 0


def test_both_directions_in_chunks():
    eager, scan = (
        Bidirectional(layer_of(4, backend), layer_of(4, backend, reverse=True)) for backend in ("eager", "scan")
    )
    x = random_input(eager.ahead.cell, steps=LONG)
    found, wanted = (layer(x, lengths=[LONG, 3, 40])[0] for layer in (scan, eager))
    assert far(found, wanted) < 1e-12


def test_memory_is_linear_in_time():
    """What autograd keeps of twice the steps is twice as much."""
    layer = randomise(Layer(MLSTM(3, 8, heads=2), backend="scan"))

    def kept(steps: int) -> int:
        seen = {}

        def note(saved: Tensor) -> Tensor:
            seen[saved.untyped_storage().data_ptr()] = saved.untyped_storage().nbytes()
            return saved

        x = torch.randn(2, steps, 3)
        with torch.autograd.graph.saved_tensors_hooks(note, lambda saved: saved):
            alive = layer(x)
        assert alive[0].shape == (2, steps, 8)
        return sum(seen.values())

    assert kept(32 * CHUNK) < 2.1 * kept(16 * CHUNK)


# sizes


@every_conv
@pytest.mark.parametrize("heads", [1, 2, 4])
@pytest.mark.parametrize("biases", [0, 1])
def test_parameters(conv, heads, biases):
    wanted = 4 * 8 * (3 + biases) + 2 * heads * (3 + biases) + (3 * (conv + biases) if conv else 0)
    assert count_params(MLSTM(3, 8, heads=heads, conv=conv, biases=biases)) == wanted


def test_what_cannot_be_is_said():
    with pytest.raises(ValueError, match=r"heads must divide hidden_size: 6 features cannot be cut into 4"):
        MLSTM(3, 6)
    with pytest.raises(ValueError, match="an mLSTM is for vectors: its operator is Dense"):
        MLSTM(3, 8, operator=Conv2d(3))
    with pytest.raises(ValueError, match="conv must be at least 2 steps, or null for none, not 1"):
        MLSTM(3, 8, conv=1)
    with pytest.raises(ValueError, match=r"conv must be at least 2 steps, or null for none, not 2\.5"):
        MLSTM(3, 8, conv=2.5)
    with pytest.raises(ValueError, match=r"8 features cannot be cut into 2\.0"):
        MLSTM(3, 8, heads=2.0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("backend", ["eager", "scan"])
def test_on_a_gpu(backend):
    layer = layer_of(4, backend)
    x = random_input(layer.cell, steps=LONG)
    wanted, state = layer(x)
    output, found = layer.cuda()(x.cuda())
    assert far(output.cpu(), wanted) < 1e-12
    assert all(far(a.cpu(), b) < 1e-12 for a, b in zip(found, state, strict=True))
