"""nn.forecast: patches, the encoder-forecaster and the rollout, against literal loops and published sizes."""

import copy
import pickle

import pytest
import torch

from registry import SPACE, build, far, randomise, weigh
from rnnbench.nn import (
    LSTM,
    STLSTM,
    CausalLSTM,
    Conv2d,
    EncoderForecaster,
    Layer,
    Peephole,
    Rollout,
    Sampling,
    count_params,
    tracing,
)
from rnnbench.nn.forecast import Patches

PATCH = 2
FRAME = (1, PATCH * SPACE[0], PATCH * SPACE[1])
GIVEN, STEPS, BATCH = 3, 3, 2


def factory(cell, peephole="on"):
    return lambda i, h: build(cell, peephole, i, h, biases=1)


def frames(count, key=0, batch=BATCH, frame=FRAME):
    return torch.rand(batch, count, *frame, generator=torch.Generator().manual_seed(key), dtype=torch.float64)


def truth():
    """The frames given and those to forecast."""
    return frames(GIVEN), frames(STEPS, key=1)


def forecaster(cell="convlstm", peephole="on", sizes=(4, 3), **options):
    options = {"steps": STEPS, "patch": PATCH} | options
    return randomise(EncoderForecaster(factory(cell, peephole), FRAME, sizes, **options).double(), cell)


def rollout(cell="stlstm", sizes=(4, 4), **options):
    options = {"steps": STEPS, "patch": PATCH} | options
    return randomise(Rollout(factory(cell), FRAME, sizes, **options).double(), cell)


def gradients(y, inputs):
    """A weight without numbers (of a layer without input) takes no part."""
    return torch.autograd.grad(weigh(y), inputs, allow_unused=True, materialize_grads=True)


def assert_same(got, wanted, x, net):
    """In value, and in gradient by the frames and by every parameter."""
    assert far(got, wanted) < 1e-12
    inputs = [x, *(p for p in net.parameters() if p.numel())]
    pairs = list(zip(gradients(got, inputs), gradients(wanted, inputs), strict=True))
    assert max(far(a, b) for a, b in pairs) < 1e-12
    assert all(b.any() for _, b in pairs), "a gradient of zero shows nothing"


# the literal networks: a loop over time outside, the layers inside, nothing hoisted


def to_patches(frame, side=PATCH, *, flat=False):
    """(B, C, H, W) -> (B, C P P, H/P, W/P): a patch's pixels become channels, row by row."""
    batch, channels, height, width = frame.shape
    out = frame.new_zeros(batch, channels * side * side, height // side, width // side)
    for c in range(channels):
        for down in range(side):
            for right in range(side):
                out[:, (c * side + down) * side + right] = frame[:, c, down::side, right::side]
    return out.flatten(1) if flat else out


def from_patches(patches, side=PATCH):
    """(B, C P P, H, W), or the same flat -> (B, C, H P, W P)."""
    patches = patches.reshape(len(patches), -1, FRAME[1] // side, FRAME[2] // side)
    batch, channels, height, width = patches.shape
    out = patches.new_zeros(batch, channels // side**2, height * side, width * side)
    for n in range(channels):
        out[:, n // side**2, n % side**2 // side :: side, n % side :: side] = patches[:, n]
    return out


def output_map(net, seen):
    """W seen + b at every pixel."""
    weight, bias = net.output.map.weight, net.output.map.bias
    weight = weight.reshape(*weight.shape[:2])
    out = torch.einsum("oc,bc...->bo...", weight, seen)
    return out if bias is None else out + bias.reshape(-1, *(1,) * (out.dim() - 2))


def zeros(cell, x):
    return cell.State(*(x.new_zeros(len(x), cell.hidden_size, *x.shape[2:]) for _ in cell.State._fields))


def step(layer, x, state, hidden):
    output, state = layer.cell.step(layer.cell.hoist(x[None])[0], state)
    assert output is state.h
    output.retain_grad()
    hidden.append(output)
    return output, state


def literal_forecaster(net, x, *, flat=False):
    """-> (B, T_out, C, H, W), and h_t of every layer and step by the layer's name."""
    hidden = {f"{part}.{n}": [] for part in ("encoder", "forecaster") for n in range(len(net.encoder))}
    first = to_patches(x[:, 0], flat=flat)
    states = [zeros(layer.cell, first) for layer in net.encoder]
    for t in range(x.shape[1]):
        inner = to_patches(x[:, t], flat=flat)
        for n, layer in enumerate(net.encoder):
            inner, states[n] = step(layer, inner, states[n], hidden[f"encoder.{n}"])
    made = []
    for _ in range(net.steps):
        inner, seen = first[:, :0], []
        for n, layer in enumerate(net.forecaster):
            inner, states[n] = step(layer, inner, states[n], hidden[f"forecaster.{n}"])
            seen.append(inner)
        made.append(from_patches(output_map(net, torch.cat(seen, 1) if net.reads == "all" else inner)))
    return torch.stack(made, 1), hidden


def literal_rollout(net, x, future=None, use=None, *, flat=False, zigzag=()):
    """use[t][b]: whether sequence b is fed the truth at step t; without future, the truth for the frames of x only.
    zigzag: the layers through which a memory rises.

    -> the predictions, and h_t of every layer and step by the layer's name.
    """
    layers = net.column.layers
    real = x if future is None else torch.cat([x, future], 1)
    total = x.shape[1] + net.steps
    hidden = {f"column.layers.{n}": [] for n in range(len(layers))}
    made = []
    states = [zeros(layer.cell, to_patches(x[:, 0], flat=flat)) for layer in layers]
    memory = states[-1].m if zigzag else None
    for t in range(total - 1):
        rows = []
        for b in range(len(x)):
            from_truth = t < x.shape[1] if future is None else use[t][b]
            rows.append(real[b, t] if from_truth else made[-1][b])
        inner = to_patches(torch.stack(rows), flat=flat)
        for n, layer in enumerate(layers):
            if n in zigzag:
                states[n] = states[n]._replace(m=memory)
            inner, states[n] = step(layer, inner, states[n], hidden[f"column.layers.{n}"])
            if n in zigzag:
                memory = states[n].m
        made.append(from_patches(output_map(net, inner)))
    return torch.stack(made if future is not None else made[x.shape[1] - 1 :], 1), hidden


# patches


def test_a_patch_of_several_channels_is_ordered_by_channel():
    """OpenSTL's reshape_patch has a pixel's channels side by side: a permutation, none of frames of one channel."""
    for channels in (1, 3):
        x = frames(2, frame=(channels, 4, 6))
        b, t, _, h, w = x.shape
        theirs = x.movedim(2, -1).reshape(b, t, h // 2, 2, w // 2, 2, channels).transpose(3, 4).flatten(4)
        ours = Patches((channels, 4, 6), 2, flat=False)(x)
        order = torch.arange(4 * channels).view(4, channels).T.flatten()
        assert torch.equal(ours, theirs.movedim(-1, 2)[:, :, order])
        assert torch.equal(ours, theirs.movedim(-1, 2)) == (channels == 1)


@pytest.mark.parametrize("side", [1, 2, 4])
@pytest.mark.parametrize("flat", [False, True])
def test_patches_and_back(side, flat):
    """Every number keeps its place, to the bit; patch rows and columns become channels in this order."""
    frame = (3, 8, 12)
    patches = Patches(frame, side, flat=flat)
    x = frames(5, frame=frame)
    shape = (3 * side * side, 8 // side, 12 // side)
    assert patches.shape == shape
    assert patches.channels == (3 * 8 * 12 if flat else shape[0])
    cut = patches(x)
    assert cut.shape == (BATCH, 5, *((3 * 8 * 12,) if flat else shape))
    wanted = to_patches(x.flatten(0, 1), side, flat=flat).unflatten(0, (BATCH, 5))
    assert torch.equal(cut, wanted)
    assert torch.equal(patches.back(cut), x)


@pytest.mark.parametrize("side", [0, 3, 16])
def test_a_patch_must_divide_the_frame(side):
    with pytest.raises(ValueError, match=f"patch={side} does not divide a frame of 8x12"):
        Patches((1, 8, 12), side, flat=False)


# published sizes (Shi et al. 2015, table 1; OpenSTL)

PUBLISHED = [
    # hidden sizes, kernels of h and x, parameters without, with per-channel and with hadamard peepholes
    ([256], (5, 5), 13_522_960, 13_524_496, 13_916_176),
    ([128, 128], (5, 5), 10_041_360, 10_042_896, 10_434_576),
    ([128, 64, 64], (5, 5), 7_583_760, 7_585_296, 7_976_976),
    ([128, 128], (1, 9), 11_548_688, 11_550_224, 11_941_904),
    ([128, 64, 64], (1, 9), 8_828_944, 8_830_480, 9_222_160),
]


@pytest.mark.parametrize(("sizes", "kernels", "none", "per_channel", "hadamard"), PUBLISHED)
def test_published_sizes_of_the_convlstm(sizes, kernels, none, per_channel, hadamard):
    for shape, wanted in (("none", none), ("per_channel", per_channel), ("hadamard", hadamard)):
        with torch.device("meta"):
            net = EncoderForecaster(
                lambda i, h, shape=shape: LSTM(
                    i, h, biases=1, operator=Conv2d(*kernels), peephole=Peephole(shape=shape), space=(16, 16)
                ),
                (1, 64, 64), sizes, steps=10, patch=4,
            )  # fmt: skip
        assert count_params(net) == wanted


@pytest.mark.parametrize(("peephole", "wanted"), [("none", 142_643_200), ("per_channel", 142_667_776)])
def test_published_size_of_the_fc_lstm(peephole, wanted):
    with torch.device("meta"):
        net = EncoderForecaster(
            lambda i, h: LSTM(i, h, biases=1, peephole=Peephole(shape=peephole)),
            (1, 64, 64), [2048, 2048], steps=10, patch=4, flat=True, reads="top",
        )  # fmt: skip
    assert count_params(net) == wanted


# OpenSTL's PredRNN++ has 38,584,320 parameters, of which 4 x 25 x 256 x 128 are maps that its forward never uses.
ROLLOUTS = {
    "PredRNN": (STLSTM, 23_838_720),
    "PredRNN++": (CausalLSTM, 38_584_320 - 4 * 25 * 256 * 128),
    "ConvLSTM-S": (LSTM, 11_675_648),
}


@pytest.mark.parametrize(("make", "wanted"), ROLLOUTS.values(), ids=ROLLOUTS)
def test_published_sizes_of_the_rollouts(make, wanted):
    with torch.device("meta"):
        net = Rollout(
            lambda i, h: make(i, h, biases=0, operator=Conv2d(5)), (1, 64, 64), [128] * 4, steps=10, patch=4, bias=False
        )
    assert count_params(net) == wanted


# the encoder-forecaster


@pytest.mark.parametrize("reads", ["all", "top"])
@pytest.mark.parametrize(
    ("cell", "peephole"),
    [("convlstm", "on"), ("convlstm", "hadamard"), ("convlstm", "conv"), ("convgru_cho", "off"), ("trajgru", "off")],
)
def test_the_encoder_forecaster_is_its_literal_loop(cell, peephole, reads):
    net, x = forecaster(cell, peephole, reads=reads), frames(GIVEN).requires_grad_()
    assert net(x).shape == (BATCH, STEPS, *FRAME)
    assert_same(net(x), literal_forecaster(net, x)[0], x, net)


@pytest.mark.parametrize("reads", ["all", "top"])
@pytest.mark.parametrize("bias", [True, False])
def test_the_fc_lstm_is_its_literal_loop(reads, bias):
    net, x = forecaster("lstm", flat=True, reads=reads, bias=bias), frames(GIVEN).requires_grad_()
    assert (net.output.map.bias is not None) == bias
    assert_same(net(x), literal_forecaster(net, x, flat=True)[0], x, net)


def test_the_forecasters_first_layer_has_no_input():
    net = forecaster(sizes=(4, 3))
    assert [layer.cell.input_size for layer in net.encoder] == [PATCH * PATCH, 4]
    assert [layer.cell.input_size for layer in net.forecaster] == [0, 4]
    assert net.forecaster[0].cell.W.weight.numel() == 0
    assert net.output.map.weight.shape == (PATCH * PATCH, 4 + 3, 1, 1)
    assert forecaster(sizes=(4, 3), reads="top").output.map.weight.shape == (PATCH * PATCH, 3, 1, 1)


def test_a_forecast_does_not_depend_on_how_far_it_goes():
    short, long, x = forecaster(steps=1), forecaster(steps=4), frames(GIVEN)
    assert far(long(x)[:, :1], short(x)) < 1e-12
    assert long(x).shape[1] == 4
    assert not torch.equal(long(x)[:, 3], long(x)[:, 2])


def test_the_encoder_forecaster_sees_no_future_frame():
    net, (x, future) = forecaster(), truth()
    for mode in (net.train(), net.eval()):
        assert torch.equal(mode(x, future=torch.full_like(future, float("nan"))), net(x))
        assert torch.equal(mode(x, torch.tensor([GIVEN] * BATCH)), net(x))


def test_every_given_frame_and_every_parameter_counts():
    net, x = forecaster(), frames(GIVEN).requires_grad_()
    weigh(net(x)).backward()
    assert (x.grad != 0).all()
    assert {name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()} == {
        "forecaster.0.cell.W.weight"
    }


# the rollout: evaluation


NETWORKS = {
    "stlstm": {"zigzag": (0, 1)},
    "causal_lstm": {"zigzag": (0, 2)},  # the highway lies between
    "convlstm": {},
    "convgru_hko7": {},
    "lstm": {"flat": True},
}
networks = pytest.mark.parametrize("cell", NETWORKS)


def network(cell, **options):
    return rollout(cell, **({"flat": True} if NETWORKS[cell].get("flat") else {}), **options)


@networks
def test_evaluation_is_the_literal_loop(cell):
    """Fed the truth for the frames given, then its own prediction; the forecasts are the last T_out."""
    net, x = network(cell).eval(), frames(GIVEN).requires_grad_()
    assert net(x).shape == (BATCH, STEPS, *FRAME)
    assert_same(net(x), literal_rollout(net, x, **NETWORKS[cell])[0], x, net)


@networks
def test_evaluation_uses_nothing_of_the_future(cell):
    net, (x, future) = network(cell, sampling=Sampling("teacher")), truth()
    wanted = net.eval()(x)
    assert torch.equal(net(x, future=future), wanted)
    assert torch.equal(net(x, future=torch.full_like(future, float("nan"))), wanted)
    assert torch.equal(net.train()(x), wanted), "nor is there a truth to sample in training when no future is given"
    assert int(net.sampling.seen) == 0


def test_one_frame_given():
    net, x = rollout(steps=2).eval(), frames(1).requires_grad_()
    assert_same(net(x), literal_rollout(net, x, zigzag=(0, 1))[0], x, net)
    assert net(x).shape == (BATCH, 2, *FRAME)
    short = rollout(steps=1).eval()
    assert far(short(x), literal_rollout(short, x, zigzag=(0, 1))[0]) < 1e-12
    assert far(short(x), net(x)[:, :1]) < 1e-12


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("bias", [True, False])
def test_depth_and_output_bias(layers, bias):
    net, x = rollout(sizes=[4] * layers, bias=bias).eval(), frames(2).requires_grad_()
    assert_same(net(x), literal_rollout(net, x, zigzag=range(layers))[0], x, net)


def test_the_highway_of_predrnn_plus_plus():
    """Z = S * P + (1 - S) * Z' between the first and the second layer, P = tanh and S = s of convolutions of H1 and Z'.

    The memory passes it by; one layer has none, nor has a network that is told so.
    """
    net = rollout("causal_lstm", sizes=(4, 4, 4))
    column = net.column
    kinds = [type(layer.cell).__name__ for layer in column.layers]
    assert kinds == ["CausalLSTM", "GRUUpdate", "CausalLSTM", "CausalLSTM"]
    assert len(rollout("causal_lstm", sizes=(4,)).column.layers) == 1
    plain = Rollout(lambda i, h: build("causal_lstm", "off", i, h, highway=False), FRAME, (4, 4), steps=1)
    assert len(plain.column.layers) == 2

    x = to_patches(frames(1)[:, 0])
    _, states = column.step(x, column.start(x))
    outputs, new = column.step(x, states)
    ghu = column.layers[1].cell
    u, g = (ghu.W(outputs[0]) + ghu.U(states[1].h)).chunk(2, 1)
    wanted = torch.sigmoid(u) * torch.tanh(g) + (1 - torch.sigmoid(u)) * states[1].h
    assert far(outputs[1], wanted) < 1e-12
    above = column.layers[2]
    wanted, _ = above.step(outputs[1], states[2]._replace(m=new[0].m))
    assert far(outputs[2], wanted) < 1e-12


# the rollout: training


class Recorded(Sampling):
    """Keeps the last masks."""

    def forward(self, *sizes):
        self.masks = super().forward(*sizes)
        return self.masks


@networks
@pytest.mark.parametrize("mode", ["own", "teacher", "scheduled", "reverse"])
def test_training_is_the_literal_loop_with_the_same_masks(cell, mode):
    """All T_in + T_out - 1 one-step predictions."""
    sampling = Recorded(mode, stop=100)
    sampling.seen.fill_(40)
    net, (x, future) = network(cell, sampling=sampling).train(), truth()
    x.requires_grad_()
    torch.manual_seed(7)
    got = net(x, future=future)
    assert got.shape == (BATCH, GIVEN + STEPS - 1, *FRAME)
    use = {
        "own": [[t < GIVEN] * BATCH for t in range(GIVEN + STEPS)],
        "teacher": [[True] * BATCH] * (GIVEN + STEPS),
    }.get(mode, sampling.masks.tolist())
    if mode in ("scheduled", "reverse"):
        fed = [row for t, row in enumerate(use[:-1]) if t >= (GIVEN if mode == "scheduled" else 1)]
        assert {True, False} <= {u for row in fed for u in row}, "both, or the test shows nothing"
        assert any(len(set(row)) > 1 for row in fed), "sequences of one batch differ"
        assert mode == "reverse" or all(all(row) for row in use[:GIVEN])
    assert_same(got, literal_rollout(net, x, future, use, **NETWORKS[cell])[0], x, net)
    assert int(sampling.seen) == 41


def test_the_known_frames_are_hoisted(monkeypatch):
    """What is fed whatever is predicted goes through the first layer's input map at once; by reverse only one frame."""
    for mode, together in (("own", GIVEN), ("scheduled", GIVEN), ("reverse", 1)):
        net, (x, future) = rollout(sampling=Sampling(mode)).train(), truth()
        cell, calls = net.column.layers[0].cell, []
        hoist = cell.hoist
        monkeypatch.setattr(cell, "hoist", lambda x, hoist=hoist, calls=calls: calls.append(len(x)) or hoist(x))
        net(x, future=future)
        assert calls == [together] + [1] * (GIVEN + STEPS - 1 - together)


@pytest.mark.parametrize("mode", ["own", "teacher", "scheduled", "reverse"])
def test_no_prediction_sees_a_later_frame(mode):
    """Prediction k is of frame k + 1 and may know frames 0 .. k only, those that its masks let it see."""
    sampling = Recorded(mode)
    net, (x, future) = rollout(sampling=sampling).train(), truth()
    real = torch.cat([x, future], 1)

    def predict(real):
        torch.manual_seed(3)
        sampling.seen.fill_(25_000)
        return net(real[:, :GIVEN], future=real[:, GIVEN:])

    still = predict(real)
    use = sampling.masks
    for t in range(GIVEN + STEPS):
        other = real.clone()
        other[:, t] += 1.0
        moved = (predict(other) - still).abs().flatten(2).amax(2) > 0  # (B, T)
        assert not moved[:, :t].any()
        if t < GIVEN + STEPS - 1:
            assert torch.equal(moved[:, t], use[t])
            assert torch.equal(moved.any(1), use[t])


def test_the_counter_of_the_rollout_is_in_its_checkpoint():
    net, (x, future) = rollout(sampling=Sampling("scheduled")).train(), truth()
    for _ in range(3):
        net(x, future=future)
    net.eval()(x, future=future)
    assert int(net.state_dict()["sampling.seen"]) == 3
    fresh = rollout(sampling=Sampling("scheduled"))
    fresh.load_state_dict(net.state_dict())
    assert int(fresh.sampling.seen) == 3
    assert int(rollout().sampling.seen) == 0
    assert rollout().sampling.mode == "own"


# PredRNN-V2's decoupling


def literal_coupling(net, x, future):
    """Mean over steps, layers, sequences and channels of |cos(D (i g), D (i' g'))|, D the shared 1x1 map."""
    cells = [layer.cell for layer in net.column.layers]
    real = torch.cat([x, future], 1)
    states = [zeros(cell, to_patches(x[:, 0])) for cell in cells]
    memory, terms = states[-1].m, []
    adapter = net.adapter.weight[:, :, 0, 0]
    for t in range(GIVEN + STEPS - 1):
        inner = to_patches(real[:, t])
        for n, cell in enumerate(cells):
            state = states[n]._replace(m=memory)
            w = cell.W.split(cell.W(inner))
            u, v = cell.U.split(cell.U(state.h)), cell.U_m.split(cell.U_m(state.m))
            more_c = torch.sigmoid(w.i + u.i) * torch.tanh(w.g + u.g)
            more_m = torch.sigmoid(w.im + v.i) * torch.tanh(w.gm + v.g)
            for b in range(BATCH):
                for channel in range(4):
                    p = sum(adapter[channel, k] * more_c[b, k] for k in range(4)).flatten()
                    q = sum(adapter[channel, k] * more_m[b, k] for k in range(4)).flatten()
                    terms.append((p @ q / (p @ p).sqrt() / (q @ q).sqrt()).abs())
            inner, states[n] = cell.step(cell.hoist(inner[None])[0], state)
            memory = states[n].m
    return torch.stack(terms).mean()


def test_the_decoupling_loss_is_its_formula():
    net, (x, future) = rollout(sampling=Sampling("teacher"), decouple=0.1).train(), truth()
    net(x, future=future)
    wanted = 0.1 * literal_coupling(net, x, future)
    assert far(net.auxiliary, wanted) < 1e-12
    assert 0.001 < net.auxiliary.item() < 0.1
    names, parameters = zip(*net.named_parameters(), strict=True)
    by_net, by_letter = (
        dict(zip(names, torch.autograd.grad(y, parameters, allow_unused=True, materialize_grads=True), strict=True))
        for y in (net.auxiliary, wanted)
    )
    assert max(far(by_net[name], by_letter[name]) for name in names) < 1e-12
    assert by_net["adapter.weight"].any()
    assert {name for name in names if not by_net[name].any()} == {
        "output.map.weight", "output.map.bias"  # the frames fed are the truth
    }  # fmt: skip


def test_decoupling_adds_a_map_and_changes_no_prediction():
    plain, net = rollout(), rollout(decouple=0.1)
    assert count_params(net) == count_params(plain) + 4 * 4
    plain.load_state_dict({k: v for k, v in net.state_dict().items() if "adapter" not in k})
    x, future = truth()
    assert torch.equal(net.train()(x, future=future), plain.train()(x, future=future))
    assert plain.auxiliary is None
    assert net.auxiliary is not None
    net.eval()(x)
    assert net.auxiliary is None, "an evaluation has no auxiliary loss"


def test_a_network_is_copied_after_it_has_run():
    """The last forward's graph stays behind: neither the auxiliary loss nor a cell's increments travel."""
    net, (x, future) = rollout(decouple=0.1).train(), truth()
    net(x, future=future)
    assert net.auxiliary is not None
    assert all(layer.cell.increments is None for layer in net.column.layers)
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert twin.auxiliary is None
        assert torch.equal(twin.eval()(x), net.eval()(x))
        net.train()(x, future=future)


@pytest.mark.integration
def test_increments_are_let_go_after_an_error():
    net = rollout(decouple=0.1).train()
    net.output = torch.nn.Linear(1, 1)  # fails after the first step
    with pytest.raises(RuntimeError):
        net(frames(GIVEN), future=frames(STEPS))
    assert all(layer.cell.increments is None for layer in net.column.layers)


# traces


def by_literal(hidden, loss):
    """dLoss/dh of every step of a literal loop, by the layer's name."""
    loss.backward()
    return {name: [h.grad for h in steps] for name, steps in hidden.items()}


def assert_traces(net, run, literal):
    """The layers' names, the number of steps, h itself, and the loss' total derivative by each."""
    with tracing(net) as traces:
        weigh(run()).backward()
    output, hidden = literal()
    wanted = by_literal(hidden, weigh(output))
    assert traces.keys() == wanted.keys()
    for name, steps in traces.items():
        assert len(steps) == len(wanted[name])
        for h, same, grad in zip(steps, hidden[name], wanted[name], strict=True):
            assert far(h, same) < 1e-12
            assert far(h.grad, grad) < 1e-12
            assert h.grad.any()
    assert all(layer.trace is None for layer in net.modules() if isinstance(layer, Layer))


@pytest.mark.parametrize("cell", ["convlstm", "convgru", "trajgru"])
def test_traces_of_the_encoder_forecaster(cell):
    net, x = forecaster(cell), frames(GIVEN)
    assert_traces(net, lambda: net(x), lambda: literal_forecaster(net, x))
    with tracing(net) as traces:
        net(x)
    assert {name: len(steps) for name, steps in traces.items()} == {
        "encoder.0": GIVEN, "encoder.1": GIVEN, "forecaster.0": STEPS, "forecaster.1": STEPS
    }  # fmt: skip


@networks
@pytest.mark.parametrize("mode", ["teacher", "reverse", "evaluation"])
def test_traces_of_the_rollout(cell, mode):
    if mode == "evaluation":
        net, x = network(cell).eval(), frames(GIVEN)
        return assert_traces(net, lambda: net(x), lambda: literal_rollout(net, x, **NETWORKS[cell]))
    sampling = Recorded(mode)
    net, (x, future) = network(cell, sampling=sampling).train(), truth()
    torch.manual_seed(0)
    return assert_traces(
        net,
        lambda: net(x, future=future),
        lambda: literal_rollout(net, x, future, sampling.masks.tolist(), **NETWORKS[cell]),
    )


# bad input


def test_bad_options():
    with pytest.raises(ValueError, match="unknown reads 'bottom'; known: all, top"):
        forecaster(reads="bottom")
    with pytest.raises(ValueError, match="patch=3 does not divide a frame of 8x10"):
        forecaster(patch=3)
    with pytest.raises(ValueError, match="patch=4 does not divide a frame of 8x10"):
        rollout(patch=4)
    with pytest.raises(ValueError, match="STLSTM's memory moves between layers at every step: use the rollout network"):
        forecaster("stlstm")
    with pytest.raises(ValueError, match="CausalLSTM's memory moves between layers at every step"):
        forecaster("causal_lstm")
    with pytest.raises(ValueError, match="a memory that moves between layers needs layers of one size"):
        rollout("stlstm", sizes=(4, 3))
    with pytest.raises(ValueError, match="the decoupling loss is between ST-LSTM's two memories; this is another cell"):
        rollout("convlstm", decouple=0.1)


def test_bad_cells():
    def make(**options):
        return EncoderForecaster(lambda i, h: LSTM(i, h, **options), FRAME, [4], steps=2)

    with pytest.raises(ValueError, match="kernel_size must be odd"):
        make(operator=Conv2d(4))
    with pytest.raises(ValueError, match=r"peephole\.shape=hadamard has one weight a pixel: the cell needs space="):
        make(operator=Conv2d(3), peephole=Peephole(shape="hadamard"))
    with pytest.raises(ValueError, match=r"peephole\.shape=conv is for frames; on vectors use per_channel"):
        make(peephole=Peephole(shape="conv"))


def test_layers_of_different_sizes_need_no_zigzag():
    net, x = rollout("convlstm", sizes=(4, 3)).eval(), frames(GIVEN)
    assert far(net(x), literal_rollout(net, x)[0]) < 1e-12


@pytest.mark.integration
def test_float32_stays_float32():
    x, future = (t.float() for t in truth())
    for net in (forecaster().float(), rollout(decouple=0.1).float().train()):
        assert net(x, future=future).dtype == torch.float32


@pytest.mark.parametrize("kind", [EncoderForecaster, Rollout])
def test_peepholes_a_pixel_are_those_of_the_patched_frames(kind):
    """One number for all pixels would be broadcast, and nothing said."""
    for space in ((1, 1), (8, 10)):
        with pytest.raises(ValueError, match=r"expected frames \(.*\) for LSTM, got \(4, 5\)"):
            kind(lambda i, h, s=space: build("convlstm", "hadamard", i, h, space=s), (1, 8, 10), [4], steps=2, patch=2)
