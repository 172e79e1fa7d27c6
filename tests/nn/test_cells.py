"""nn.cells: published counts, how the cells relate to each other, and bad input. Their equations: tests/properties."""

import pytest
import torch

from registry import CELLS, PAIRS, SPACE, build, far, kind, on_frames, random_input, random_state, randomise, weigh
from rnnbench.nn import (
    GRU,
    LSTM,
    MGU,
    RNN,
    STLSTM,
    CausalLSTM,
    Cell,
    Conv2d,
    Dense,
    GRUCho,
    GRUUpdate,
    Layer,
    OdysseyLSTM,
    Peephole,
    TrajGRU,
    count_params,
)
from rnnbench.nn.cells.odyssey import EDITS
from rnnbench.nn.cells.trajgru import warp


def eager(cell, key=""):
    return randomise(Layer(cell, backend="eager").double(), key)


# counts


def test_keras_counts():
    assert count_params(RNN(32, 16, biases=1)) == 784
    assert count_params(LSTM(32, 32, biases=1)) == 8320


@pytest.mark.parametrize("biases", [0, 1, 2])
@pytest.mark.parametrize("gru", [GRU, GRUCho])
def test_a_gru_has_three_quarters_of_an_lstm(gru, biases):
    assert 4 * count_params(gru(5, 7, biases=biases)) == 3 * count_params(LSTM(5, 7, biases=biases))


@pytest.mark.parametrize("biases", [0, 1, 2])
def test_full_gate_recurrence_adds_nine_square_maps(biases):
    full, plain = (count_params(OdysseyLSTM(5, 7, edit=edit, biases=biases)) for edit in ("fgr", "none"))
    assert full - plain == 9 * 7 * 7


def test_peepholes_add_one_vector_a_gate():
    assert count_params(LSTM(5, 7, peephole=Peephole())) - count_params(LSTM(5, 7)) == 3 * 7


def test_an_edit_that_removes_a_gate_removes_its_weights():
    vanilla = count_params(OdysseyLSTM(5, 7, peephole=Peephole()))
    gate = 7 * (5 + 7 + 2) + 7
    for edit in EDITS:
        removed = gate if edit in ("nig", "nfg", "nog", "cifg") else -9 * 7 * 7 if edit == "fgr" else 0
        assert count_params(OdysseyLSTM(5, 7, edit=edit, peephole=Peephole())) == vanilla - removed


# relations


@pytest.mark.parametrize("peephole", [Peephole(), Peephole(shape="none"), Peephole(output_sees="previous")], ids=repr)
def test_the_unedited_odyssey_is_the_lstm(peephole):
    """To the bit, gradients too."""
    pair = eager(LSTM(3, 4, peephole=peephole)), eager(OdysseyLSTM(3, 4, peephole=peephole))
    assert list(pair[0].state_dict()) == list(pair[1].state_dict())
    outputs = []
    for layer in pair:
        output, state = layer(random_input(layer.cell), random_state(layer.cell))
        weigh(output, state).backward()
        outputs.append((output, *state))
    assert all(torch.equal(a, b) for a, b in zip(*outputs, strict=True))
    for a, b in zip(*(layer.parameters() for layer in pair), strict=True):
        assert torch.equal(a.grad, b.grad)


def test_full_gate_recurrence_begins_as_vanilla():
    """R sees the gates of the step before, which are zero at first: only from the second step on does it matter."""
    vanilla, full = eager(OdysseyLSTM(3, 4)), eager(OdysseyLSTM(3, 4, edit="fgr"))
    full.load_state_dict(vanilla.state_dict(), strict=False)
    x = random_input(vanilla.cell)
    a, b = vanilla(x)[0], full(x)[0]
    assert torch.equal(a[:, 0], b[:, 0])
    assert far(a[:, 1], b[:, 1]) > 1e-3


@pytest.mark.parametrize(
    ("edit", "gate"), [("nig", "i"), ("nfg", "f"), ("nog", "o")], ids=["no input", "no forget", "no output gate"]
)
def test_a_removed_gate_is_an_open_one(edit, gate):
    """An edit equals vanilla with that gate's bias so large that the gate is one."""
    cut, vanilla = eager(OdysseyLSTM(3, 4, edit=edit)), eager(OdysseyLSTM(3, 4))
    kept = [n for n, letter in enumerate("ifgo") if letter != gate]
    with torch.no_grad():
        for name, p in vanilla.named_parameters():
            blocks = dict(cut.named_parameters())[name].split(4)
            for n, block in zip(kept, blocks, strict=True):
                p[4 * n : 4 * n + 4] = block
        row = 4 * "ifgo".index(gate)
        vanilla.cell.W.bias[row : row + 4] = 1e3
    x = random_input(cut.cell)
    assert far(cut(x)[0], vanilla(x)[0]) < 1e-12


def test_coupled_gates_sum_to_one():
    """With the forget gate's weights the negated input gate's, f = 1 - i in vanilla too: s(-a) = 1 - s(a)."""
    cut, vanilla = eager(OdysseyLSTM(3, 4, edit="cifg")), eager(OdysseyLSTM(3, 4))
    with torch.no_grad():
        for name, p in vanilla.named_parameters():
            i, g, o = dict(cut.named_parameters())[name].split(4)
            p.copy_(torch.cat([i, -i, g, o]))
    x = random_input(cut.cell)
    assert far(cut(x)[0], vanilla(x)[0]) < 1e-12


def test_the_gru_dialects_differ_where_the_reset_gate_acts():
    """The same numbers give other outputs; with a reset gate held at one they agree."""
    torchs, cho = eager(GRU(3, 4, biases=1)), eager(GRUCho(3, 4, biases=1))
    with torch.no_grad():
        cho.cell.W.load_state_dict(torchs.cell.W.state_dict())
        cho.cell.U.weight.copy_(torchs.cell.U.weight[:8])
        cho.cell.U_n.weight.copy_(torchs.cell.U.weight[8:])
    x = random_input(cho.cell)
    assert far(torchs(x)[0], cho(x)[0]) > 1e-3
    with torch.no_grad():
        for layer in (torchs, cho):
            layer.cell.W.bias[:4] = 1e3
    assert far(torchs(x)[0], cho(x)[0]) < 1e-12


def test_relu_and_tanh_differ():
    tanh, relu = eager(RNN(3, 4)), eager(RNN(3, 4, nonlinearity="relu"))
    x = random_input(tanh.cell)
    assert relu(x)[0].min() == 0
    assert tanh(x)[0].min() < 0


def test_irnn_keeps_its_state_at_first():
    """U = I and b = 0: without input a positive state stays as it is."""
    layer = Layer(build("irnn"), backend="eager").double()
    begin = random_state(layer.cell)
    output, _ = layer(torch.zeros(3, 5, 3, dtype=torch.float64), begin)
    assert torch.equal(output, begin.h[:, None].expand(-1, 5, -1))


# frames


def twins(name, peephole, key):
    """A dense cell and the same with 1x1 kernels on frames of one pixel, with the same random weights."""
    more = {"space": (1, 1)} if CELLS[name]["meta"]["peephole_gates"] else {}
    dense, conv = build(name, peephole), build(name, peephole, operator=Conv2d(1), **more)
    randomise(dense.double(), key)
    conv.double().load_state_dict({k: v.reshape(conv.state_dict()[k].shape) for k, v in dense.state_dict().items()})
    return dense, conv


def assert_twins(dense, conv):
    """Output, final state, and every gradient: of x, of the first state, of every parameter."""
    x, begin = random_input(dense), random_state(dense)
    results = []
    for cell, space in ((dense, ()), (conv, (1, 1))):
        layer = Layer(cell, backend="eager")
        inputs = [t.reshape(*t.shape, *space).requires_grad_() for t in (x.clone(), *(s.clone() for s in begin))]
        output, state = layer(inputs[0], cell.State(*inputs[1:]))
        loss = weigh(output.flatten(2), [s.flatten(1) for s in state])
        read = [t for t, field in zip(inputs, ("input", *begin._fields), strict=True) if field != "y"]
        grads = torch.autograd.grad(loss, [*read, *cell.parameters()])
        results.append([t.flatten() for t in (output, *state, *grads)])
    assert max(far(a, b) for a, b in zip(*results, strict=True)) < 1e-12
    assert far(results[0][0], torch.zeros_like(results[0][0])) > 1e-3


VECTORS_ONLY = ("lru", "lru_layer", "rglru")


@pytest.mark.parametrize("name", VECTORS_ONLY)
def test_some_cells_are_for_vectors(name):
    with pytest.raises(ValueError, match=r"\w+ is for vectors: its operator is Dense"):
        build(name, operator=Conv2d(1))
    with pytest.raises(ValueError, match=r"\w+ takes no norm=layer: its gates have no products of x alone"):
        build(name, norm="layer")


@pytest.mark.parametrize(
    ("name", "peephole"),
    [
        (cell, peephole)
        for cell, peephole in PAIRS
        if not (on_frames(cell) or cell in VECTORS_ONLY or "heads" in CELLS[cell] or cell.startswith("antisymmetric"))
    ],
    ids=str,
)
def test_a_pixel_with_1x1_kernels_is_the_dense_cell(name, peephole):
    """ConvRNN is the RNN, ConvLSTM the LSTM, ConvGRU the GRU, ...: each cell in the same lines for both operators."""
    assert_twins(*twins(name, peephole, f"{name} {peephole}"))


@pytest.mark.parametrize("options", [{"activation": "leaky_relu"}, {"activation": "tanh"}], ids=str)
def test_a_pixel_of_the_leaky_convgru(options):
    dense, conv = (randomise(GRU(3, 4, operator=op, **options).double()) for op in (Dense(), Conv2d(1)))
    conv.load_state_dict({k: v.reshape(conv.state_dict()[k].shape) for k, v in dense.state_dict().items()})
    assert_twins(dense, conv)


@pytest.mark.parametrize("make", [STLSTM, CausalLSTM])
def test_a_pixel_of_the_cells_with_two_memories(make):
    dense, conv = (randomise(make(3, 4, operator=op).double()) for op in (Dense(), Conv2d(1)))
    conv.load_state_dict({k: v.reshape(conv.state_dict()[k].shape) for k, v in dense.state_dict().items()})
    assert_twins(dense, conv)


@pytest.mark.parametrize("options", [{}, {"output_sees": "previous"}, {"gates": ["i", "f"]}], ids=str)
@pytest.mark.parametrize("shape", ["per_channel", "hadamard", "conv1x1", "conv"])
def test_a_pixel_of_every_peephole_is_the_dense_peephole(shape, options):
    """A vector is a diagonal 1x1 kernel."""
    dense = randomise(LSTM(3, 4, peephole=Peephole(**options)).double(), f"{shape} {options}")
    conv = LSTM(3, 4, peephole=Peephole(shape=shape, **options), operator=Conv2d(1), space=(1, 1)).double()
    wanted = dense.state_dict()
    with torch.no_grad():
        for name, p in conv.named_parameters():
            value = torch.diag(wanted[name]) if "conv" in shape and "peephole" in name else wanted[name]
            p.copy_(value.reshape(p.shape))
    x, begin = random_input(dense), random_state(dense)
    output, state = Layer(dense, backend="eager")(x, begin)
    frames, end = Layer(conv, backend="eager")(x[..., None, None], type(begin)(*(s[..., None, None] for s in begin)))
    assert far(frames.flatten(2), output) < 1e-12
    assert far(end.c.flatten(1), state.c) < 1e-12
    weigh(output).backward()
    weigh(frames.flatten(2)).backward()
    for name, p in conv.named_parameters():
        grad = p.grad[:, :, 0, 0].diagonal() if "conv" in shape and "peephole" in name else p.grad
        assert far(grad.flatten(), dense.get_parameter(name).grad.flatten()) < 1e-12, name


REACH = {  # pixels that one step sees of x and of h': 1 and 2 by the kernels, and 2 more for each map that follows
    "convrnn": (1, 2),
    "convlstm": (1, 2),
    "convgru": (1, 2),
    "convgru_hko7": (1, 2),
    "convgru_cho": (3, 4),
    "stlstm": (3, 4),
    "causal_lstm": (5, 6),
}


@pytest.mark.parametrize("name", REACH)
def test_a_step_sees_as_far_as_its_kernels_reach(name):
    """A poke at one pixel moves the output within its reach, everywhere within it, and nowhere else."""
    cell = randomise(build(name).double(), name)
    random = torch.Generator().manual_seed(0)
    x = torch.rand(1, 3, 13, 14, generator=random, dtype=torch.float64)
    state = cell.State(*torch.rand(len(cell.State._fields), 1, 4, 13, 14, generator=random, dtype=torch.float64))
    poke = torch.zeros(13, 14, dtype=torch.float64)
    poke[6, 7] = 1.0

    def output(x, state):
        return cell.step(cell.hoist(x[None])[0], state)[0]

    still = output(x, state)
    for reach, moved in zip(
        REACH[name], (output(x + poke, state), output(x, state._replace(h=state.h + poke))), strict=True
    ):
        within = torch.zeros(13, 14, dtype=torch.bool)
        within[6 - reach : 7 + reach, 7 - reach : 8 + reach] = True
        assert torch.equal((moved - still)[0].abs().amax(0) > 1e-12, within)


# the warp and the flows of TrajGRU


def test_warp_reads_at_minus_the_flow():
    """Flow (x, y) = (2, -1) brings the pixel from two to the left and one below; outside lies zero."""
    h = torch.arange(1.0, 21.0, dtype=torch.float64).reshape(1, 1, *SPACE)
    flow = torch.zeros(1, 2, *SPACE, dtype=torch.float64)
    flow[:, 0], flow[:, 1] = 2.0, -1.0
    wanted = torch.zeros(*SPACE, dtype=torch.float64)
    for y in range(SPACE[0] - 1):
        for x in range(2, SPACE[1]):
            wanted[y, x] = h[0, 0, y + 1, x - 2]
    assert far(warp(h, flow)[0, 0], wanted) < 1e-12


def test_warp_by_nothing_is_nothing():
    h = random_state(build("trajgru")).h
    assert far(warp(h, torch.zeros(3, 2, *SPACE, dtype=torch.float64)), h) < 1e-12


def test_warp_between_pixels_and_at_the_edge():
    """Half a pixel to the right: the mean of two, and half of the first one at the edge; also on a single pixel."""
    h = torch.tensor([[2.0, 4.0, 8.0]], dtype=torch.float64)[None, None]
    flow = torch.zeros(1, 2, 1, 3, dtype=torch.float64)
    flow[:, 0] = 0.5
    assert far(warp(h, flow).flatten(), torch.tensor([1.0, 3.0, 6.0], dtype=torch.float64)) < 1e-12
    pixel, slide = h[..., :1], flow[..., :1]
    assert far(warp(pixel, slide).flatten(), torch.tensor([1.0], dtype=torch.float64)) < 1e-12
    assert far(warp(pixel, 6 * slide).flatten(), torch.tensor([0.0], dtype=torch.float64)) < 1e-12


def test_trajgru_starts_without_flow_and_learns_it_first():
    """At its own start nothing moves: L copies of h'. Only the flow convolution has a gradient, not what feeds it."""
    layer = Layer(build("trajgru"), backend="eager").double()
    x, begin = random_input(layer.cell), random_state(layer.cell)
    output, _ = layer(x, begin)
    cell = layer.cell
    wx = cell.W.split(cell.hoist(x[:, 0][None])[0][:, :12])
    u = cell.U.split(cell.U(torch.cat([begin.h] * cell.links, 1)))
    r, z = torch.sigmoid(wx.r + u.r), torch.sigmoid(wx.z + u.z)
    n = torch.nn.functional.leaky_relu(wx.n + r * u.n, 0.2)
    assert far(output[:, 0], z * begin.h + (1 - z) * n) < 1e-12
    weigh(output).backward()
    for name, p in layer.cell.named_parameters():
        assert p.grad.any() == (not name.startswith("F_")), name


def test_trajgru_has_the_published_growth():
    """HKO-7's Moving MNIST networks by their code: 3-4 million parameters; what a link adds, and what a kernel adds.

    Six cells of 64, 96, 96 channels, i.e. three in the encoder and three in the forecaster.
    """

    def six(make):
        sizes = [(16, 64), (96, 96), (96, 96), (0, 96), (96, 96), (96, 64)]
        with torch.device("meta"):
            return sum(count_params(make(i, h)) for i, h in sizes)

    links = {n: six(lambda i, h, n=n: TrajGRU(i, h, links=n, operator=Conv2d(5, 3))) for n in (5, 9, 13, 17)}
    published = {5: 2_842_157, 9: 3_421_277, 13: 4_000_397, 17: 4_579_517}
    assert {n: links[n] - links[5] for n in links} == {n: published[n] - published[5] for n in links}
    kernels = {k: six(lambda i, h, k=k: GRU(i, h, operator=Conv2d(k, 3))) for k in (3, 5, 7)}
    published = {3: 2_604_817, 5: 4_767_505, 7: 8_011_537}
    assert {k: kernels[k] - kernels[3] for k in kernels} == {k: published[k] - published[3] for k in kernels}


# input


@pytest.mark.parametrize(
    ("name", "biases"), [(name, biases) for name in CELLS for biases in range(kind(name).most_biases + 1)]
)
def test_without_input_the_gates_see_their_bias(name, biases):
    """A forecaster's first layer: an input of no channels, and weights of no numbers."""
    cell = randomise(build(name, input_size=0, biases=biases).double(), f"alone {name}")
    if cell.W.bias is not None:
        cell.W.bias.data.abs_()  # no relu unit is off for good
    space = SPACE if on_frames(name) else ()
    hoisted = cell.hoist(torch.zeros(3, 2, 0, *space, dtype=torch.float64))
    assert hoisted.shape[:2] == (3, 2)
    assert hoisted.shape[3:] == space
    owners = [cell.W, cell.F_x] if name == "trajgru" else [cell.W] if type(cell).hoist is Cell.hoist else []
    if biases and owners:
        bias = torch.cat([m.bias for m in owners])
        assert torch.equal(hoisted, bias.reshape(-1, *(1,) * len(space)).expand(hoisted.shape))
    elif owners:
        assert not hoisted.any()
    x = torch.zeros(32, 3, 0, *space, dtype=torch.float64)
    output, _ = Layer(cell, backend="eager")(x, random_state(cell, 32))
    weigh(output).backward()
    behind_a_map = not biases and name in VECTORS_ONLY  # what sees nothing but a map of nothing
    for key, p in cell.named_parameters():
        assert p.numel() == 0 or behind_a_map or (p.grad is not None and p.grad.any()), key


@pytest.mark.parametrize("make", [RNN, LSTM, GRU, GRUCho, GRUUpdate, MGU, OdysseyLSTM])
def test_bad_sizes_and_biases(make):
    with pytest.raises(ValueError, match=r"biases must be 0 \(none\), 1 \(in W\) or 2 \(in W and U\), not 3"):
        make(3, 4, biases=3)
    for sizes in ((-1, 4), (3, 0)):
        with pytest.raises(ValueError, match=f"at least no input and one unit, not {sizes[0]} and {sizes[1]}"):
            make(*sizes)


def test_unknown_names():
    with pytest.raises(ValueError, match="unknown activation 'elu'; known: tanh, leaky_relu"):
        GRU(3, 4, activation="elu")
    with pytest.raises(ValueError, match="unknown nonlinearity 'elu'; known: tanh, relu"):
        RNN(3, 4, nonlinearity="elu")
    with pytest.raises(ValueError, match="unknown edit 'np'; known: none, nig, nfg, nog, niaf, noaf, cifg, fgr"):
        OdysseyLSTM(3, 4, edit="np")


def test_trajgru_is_for_frames():
    with pytest.raises(ValueError, match="TrajGRU warps frames: its operator is Conv2d"):
        TrajGRU(3, 4)


@pytest.mark.parametrize("name", [name for name in CELLS if build(name).starts_at_zero])
def test_state_begins_with_h_and_names_its_fields(name):
    cell = build(name)
    assert isinstance(cell, Cell)
    zero = cell.zero_state(2, (5, 6), torch.zeros(1, dtype=torch.float64))
    assert zero._fields[0] == "h" or "y" in zero._fields, "the output, or what is carried where that is another"
    assert [s.shape for s in zero] == cell.state_sizes(2, (5, 6), zero[0])
    assert all(s.dtype == torch.float64 and not s.any() for s in zero)


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("rnn", "h"),
        ("gru", "h"),
        ("mgu", "h"),
        ("lstm", "hc"),
        ("nig", "hc"),
        ("fgr", "hcifo"),
        ("convlstm", "hc"),
        ("convgru", "h"),
        ("trajgru", "h"),
        ("stlstm", "hcm"),
        ("causal_lstm", "hcm"),
    ],
)
def test_states(name, fields):
    assert "".join(build(name).State._fields) == fields


# dialects: where another definition of the same name is the same function, and where it is not


def split_weights(cell):
    """W, U and b of each gate by its letter, as matrices."""
    weights = (*(m.weight.detach() for m in (cell.W, cell.U)), cell.W.bias.detach())
    return [dict(zip(cell.W.gates._fields, w.split(cell.hidden_size), strict=True)) for w in weights]


def test_ugrnns_update_gate_is_one_minus_collins():
    """Collins et al. 2016 and TensorFlow's UGRNNCell: h = g * h' + (1 - g) * c. With the gate's sign turned, ours."""
    cell = randomise(build("gru_update", biases=1).double())
    x, state = random_input(cell)[:, 0], random_state(cell)
    W, U, b = split_weights(cell)
    c = torch.tanh(x @ W["g"].T + state.h @ U["g"].T + b["g"])
    g = torch.sigmoid(-(x @ W["u"].T + state.h @ U["u"].T + b["u"]))
    assert far(Layer(cell).step(x, state)[0], g * state.h + (1 - g) * c) < 1e-12


def test_mgu_resets_before_the_product_as_zhou_and_not_as_flax():
    """flax.linen.MGUCell: n = tanh(W x + f * (U h')), h = (1 - f) n + f h'."""
    cell = randomise(build("mgu", biases=1).double())
    x, state = random_input(cell)[:, 0], random_state(cell)
    f_, n_ = cell.W.split(cell.W(x))
    f = torch.sigmoid(f_ + cell.U(state.h))
    got = Layer(cell).step(x, state)[0]
    assert far(got, (1 - f) * state.h + f * torch.tanh(n_ + cell.U_n(f * state.h))) < 1e-12
    after = torch.tanh(n_ + f * cell.U_n(state.h))
    assert min(far(got, (1 - f) * state.h + f * after), far(got, f * state.h + (1 - f) * after)) > 1e-3
