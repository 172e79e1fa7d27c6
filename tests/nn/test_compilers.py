"""What torch makes of the networks when it follows them: torch.export, ONNX, torch.compile, torch.func.

Every recurrent network of the registry: a sequence model of each dense cell, with depth, direction and peepholes drawn
by a fixed seed, and each network of frames that a convolutional cell can be in.
"""

import random
import shutil
import zlib
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch._inductor import config as inductor_config
from torch.func import functional_call, grad, vmap

from registry import CELLS, SPACE, build, far, on_frames, randomise, seen_gates
from rnnbench.nn import EncoderForecaster, Layer, Rollout, SequenceModel, build_stack, make_encoder
from rnnbench.nn.stacks import DIRECTIONS

EXACT = 1e-12
BATCH, STEPS, SIZE = 3, 2, 4
FRAME = (1, 2 * SPACE[0], 2 * SPACE[1])
ZIGZAG = ("stlstm", "causal_lstm")  # their memory moves between layers: no encoder-forecaster


def drawn(name, choices):
    """One of the choices, the same in every run."""
    return choices[zlib.crc32(name.encode()) % len(choices)]


def sequence_model(cell, *, layers=1, direction="forward", peephole="off", backend="auto"):
    encoder, size = make_encoder("linear", 2, 3)
    stack = build_stack(
        lambda i, h: build(cell, peephole, i, h), size, SIZE, layers=layers, direction=direction, backend=backend
    )
    return SequenceModel(encoder, stack, head="last", output_size=2)


def frame_network(cell, kind, sizes=(SIZE, SIZE)):
    return kind(lambda i, h: build(cell, "off", i, h, biases=1), FRAME, sizes, steps=2, patch=2)


def some_sequence_model(cell):
    peephole = drawn(f"{cell} sees", ["off", "on"]) if seen_gates(cell, "on") else "off"
    return sequence_model(
        cell, layers=drawn(f"{cell} layers", [1, 2]), direction=drawn(cell, DIRECTIONS), peephole=peephole
    )


NETWORKS: dict[str, Callable[[], nn.Module]] = {}
for _cell in CELLS:
    if not on_frames(_cell):
        NETWORKS[_cell] = lambda cell=_cell: some_sequence_model(cell)
        continue
    NETWORKS[f"{_cell}-rollout"] = lambda cell=_cell: frame_network(cell, Rollout)
    if _cell not in ZIGZAG:
        NETWORKS[f"{_cell}-forecaster"] = lambda cell=_cell: frame_network(cell, EncoderForecaster)
ON_FRAMES = {name for name in NETWORKS if "-" in name}


def network(name):
    """The network in evaluation, its every number random, float64."""
    return randomise(NETWORKS[name]().double().eval(), name)


def example(name, batch=BATCH):
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    shape = (batch, 2, *FRAME) if name in ON_FRAMES else (batch, STEPS, 2)
    return torch.rand(shape, generator=generator, dtype=torch.float64)


SAMPLE = ("convlstm-forecaster", "stlstm-rollout")  # of those on frames, where all take long
every_network = pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n in ON_FRAMES and n not in SAMPLE)) for n in NETWORKS]
)


# torch.export


@every_network
def test_an_exported_network_gives_equal_outputs(name):
    net, x = network(name), example(name)
    assert far(torch.export.export(net, (x,)).module()(x), net(x)) < EXACT


@pytest.mark.parametrize("name", ["lstm", "gru_cho", "convlstm-forecaster"])
def test_a_network_is_exported_for_batches_of_any_size(name):
    net = network(name)
    exported = torch.export.export(net, (example(name),), dynamic_shapes=({0: torch.export.Dim("batch")},)).module()
    for batch in (BATCH, 5):
        assert far(exported(example(name, batch)), net(example(name, batch))) < EXACT


@pytest.mark.parametrize("backend", ["eager", "native"])
def test_a_network_is_exported_with_lengths(backend):
    net = randomise(sequence_model("lstm", direction="bidirectional", backend=backend).double())
    x, lengths = example("lengths"), torch.tensor([1, 2, 2])
    exported = torch.export.export(net, (x, lengths)).module()
    for other in (lengths, torch.tensor([2, 2, 1])):
        assert far(exported(x, other), net(x, other)) < EXACT


@pytest.mark.slow
@pytest.mark.parametrize("name", random.Random(1).sample(sorted(NETWORKS), 6))
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")  # of torch, by its exporter
def test_onnx_gives_equal_outputs(name):
    pytest.importorskip("onnxscript")
    net, x = network(name).float(), example(name).float()
    program = torch.onnx.export(net, (x,), dynamo=True, verbose=False)
    reference = pytest.importorskip("onnx.reference").ReferenceEvaluator(program.model_proto)
    (found,) = reference.run(None, {reference.input_names[0]: x.numpy()})
    assert far(torch.from_numpy(found), net(x)) < 1e-5


# torch.compile

COMPILED = {
    "native LSTM": (lambda: sequence_model("lstm"), "lstm"),
    "eager LSTM with peepholes": (lambda: sequence_model("lstm", peephole="on"), "lstm"),
    "GRU of two layers": (lambda: sequence_model("gru", layers=2), "gru"),
    "ConvLSTM of frames": (lambda: frame_network("convlstm", EncoderForecaster, (SIZE,)), "convlstm-forecaster"),
}


def agrees(net, x, backend):
    """Values and the gradient of every parameter, as the network itself gives them."""
    torch.compiler.reset()
    compiled = torch.compile(net, backend=backend, fullgraph=True)
    weights = [p for p in net.parameters() if p.numel()]
    found = []
    for call in (net, compiled):
        y = call(x)
        found.append([y, *torch.autograd.grad(y.square().sum(), weights)])
    assert max(far(a, b) for a, b in zip(*found, strict=True)) < EXACT


@pytest.mark.integration
@pytest.mark.parametrize("case", COMPILED)
def test_a_compiled_network_is_the_network_forward_and_backward(case):
    make, name = COMPILED[case]
    agrees(randomise(make().double(), case), example(name), "aot_eager")


@pytest.mark.slow
@pytest.mark.parametrize("name", random.Random(0).sample(sorted(NETWORKS), 8))
def test_every_network_compiles_as_one_graph(name):
    agrees(network(name), example(name), "aot_eager")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("c++") is None, reason="inductor needs a C++ compiler")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch, by what inductor imports
@pytest.mark.parametrize("case", ["native LSTM", "ConvLSTM of frames"])
def test_inductor_compiles_the_network_forward_and_backward(case, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    make, name = COMPILED[case]
    with inductor_config.patch(compile_threads=1):  # in this process
        agrees(randomise(make().double(), case), example(name), "inductor")


def test_lengths_and_padding_compile():
    net = randomise(sequence_model("lstm").double())
    compiled = torch.compile(net, backend="eager", fullgraph=True)
    x, lengths = example("padded"), torch.tensor([1, 2, 2])
    assert far(compiled(x, lengths), net(x, lengths)) < EXACT


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("backend", ["eager", "native"])
def test_a_network_in_evaluation_is_traced(backend):
    net = randomise(sequence_model("lstm", layers=2, backend=backend).double().eval())
    x = example("traced")
    assert far(torch.jit.trace(net, (x,))(2 * x), net(2 * x)) < EXACT


# torch.func


@every_network
def test_the_gradient_of_each_sequence_by_vmap(name):
    net, x = network(name), example(name, batch=2)
    weights = {key: p.detach() for key, p in net.named_parameters() if p.numel()}

    def loss(weights, x):
        return functional_call(net, weights, (x[None],)).square().sum()

    by_vmap = vmap(grad(loss), (None, 0))(weights, x)
    for row in range(2):
        wanted = torch.autograd.grad(net(x[row, None]).square().sum(), [net.get_parameter(key) for key in weights])
        assert max(far(by_vmap[key][row], one) for key, one in zip(weights, wanted, strict=True)) < EXACT


def test_many_networks_at_once_by_vmap():
    """An ensemble, on the eager backend: vmap has no rule for torch's kernels with weights of their own."""
    nets = [randomise(Layer(build("lstm", "on"), backend="eager").double(), str(n)) for n in range(3)]
    x = torch.rand(BATCH, STEPS, 3, dtype=torch.float64)
    weights, buffers = torch.func.stack_module_state(nets)
    found = vmap(lambda w, b: functional_call(nets[0], (w, b), (x,))[0])(weights, buffers)
    assert far(found, torch.stack([net(x)[0] for net in nets])) < EXACT
