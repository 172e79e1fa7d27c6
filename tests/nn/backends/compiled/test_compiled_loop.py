"""Never a wrong number: whatever is done to a compiled layer, its numbers are those of eager or it refuses."""

from __future__ import annotations

import copy
import gc
import io
import math
import pickle
import threading
import warnings
import weakref
from itertools import pairwise

import pytest
import torch
from torch.autograd import forward_ad
from torch.func import functional_call, grad, vmap
from torch.nn.utils import parametrizations, prune
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

from against_eager import Call, apart, drawn_begin, drawn_x, needs_compiler, outcome, own, scaled
from registry import build, weigh
from rnnbench.nn import Layer
from rnnbench.nn.backends.compiled import proof

pytestmark = needs_compiler
TOLERANCE = 5e-6
X = drawn_x(Call(), torch.float32)


def layer(backend="compiled", name="lstm"):
    """The cell that most tests here are about: it has two states, peepholes and two biases."""
    peephole = "on" if name == "lstm" else "off"
    return Layer(scaled(build(name, peephole, 3, 5), "k"), backend=backend)


def numbers(net, x=X):
    """Output, states and gradients of a call, by name."""
    x = x.detach().clone().requires_grad_()
    output, state = net(x)
    found = {"output": output, **{f"state {n}": field for n, field in enumerate(state)}}
    named = {"x": x, **{name: p for name, p in net.named_parameters() if p.requires_grad}}
    gradients = torch.autograd.grad(weigh(output, state), [*named.values()], allow_unused=True)
    given = zip(named, gradients, strict=True)
    return found | {f"d {name}": torch.zeros_like(named[name]) if g is None else g for name, g in given}


def equal(change, name="lstm"):
    """That a layer that was used, then changed, is the eager one that was changed alike."""
    found = []
    for backend in ("compiled", "eager"):
        net = layer(backend, name)
        net(X)
        found.append(numbers(change(net) or net))
    assert apart(*found, TOLERANCE) == {}


# one backward pass


def test_a_second_backward_pass_is_refused():
    loss = layer()(X)[0].sum()
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match=r"backend=compiled: a second backward pass .* Use backend=eager"):
        loss.backward()


@pytest.mark.parametrize("of", ["x", "weights"])
def test_a_derivative_of_a_derivative_is_refused(of):
    net, x = layer(), X.clone().requires_grad_()
    asked = [x] if of == "x" else [*net.parameters()]
    found = torch.autograd.grad(net(x)[0].square().sum(), asked, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiate twice"):
        sum(g.square().sum() for g in found).backward()


def test_gradients_of_many_losses_at_once_are_refused():
    net, x = layer(), X.clone().requires_grad_()
    output = net(x)[0]
    with pytest.raises(RuntimeError):
        torch.autograd.grad(output, x, torch.ones(2, *output.shape), is_grads_batched=True)


@pytest.mark.filterwarnings("ignore:`torch.jit.script`:DeprecationWarning")  # of torch, by its forward_ad
def test_a_derivative_taken_forwards_is_eager():
    for frozen in (False, True):
        tangents = []
        for backend in ("compiled", "eager"):
            net = layer(backend).requires_grad_(not frozen)
            with forward_ad.dual_level(), torch.set_grad_enabled(not frozen):
                output, _ = net(forward_ad.make_dual(X, torch.ones_like(X)))
                tangents.append(forward_ad.unpack_dual(output).tangent)
        assert torch.equal(*tangents)


def test_what_was_computed_is_freed_without_a_backward_pass():
    gc.collect()
    gc.disable()
    try:
        output, state = layer()(X.clone().requires_grad_())
        held = [weakref.ref(output), weakref.ref(output._base), *(weakref.ref(field) for field in state)]
        del output, state
        assert [each() for each in held] == [None] * 4
    finally:
        gc.enable()


@pytest.mark.usefixtures("quickly")
def test_no_two_gradients_share_memory():
    """One that is cut or scaled in place would change the other."""
    for name in ("lstm", "gru", "fgr"):
        net = layer(name=name)
        net(X)[0].sum().backward()
        places = sorted((p.grad.data_ptr(), p.grad.numel() * p.grad.element_size()) for p in net.parameters())
        for (begin, size), (following, _) in pairwise(places):
            assert begin + size <= following, name


# in place


CHANGED = ["nothing", "x", "W", "bias of W", "U", "peephole", "output", "h", "c", "begin h", "begin c"]
CHANGED += ["part of the output", "output before the loss", "h before the loss"]


@pytest.mark.parametrize("what", CHANGED)
def test_what_is_changed_between_forward_and_backward(what):
    """The gradients are eager's, or torch refuses."""
    found = []
    for backend in ("compiled", "eager"):
        net, x = layer(backend), X.clone().requires_grad_()
        begin = [field.requires_grad_() for field in drawn_begin(net.cell, 4, torch.float32)]
        own_x, own_begin = x * 1, [field * 1 for field in begin]
        output, state = net(own_x, own_begin)
        places = {
            "x": own_x, "W": net.cell.W.weight, "bias of W": net.cell.W.bias, "U": net.cell.U.weight,
            "peephole": net.cell.peephole.w["f"], "output": output, "h": state[0], "c": state[1],
            "begin h": own_begin[0], "begin c": own_begin[1], "part of the output": output[:, 2],
        }  # fmt: skip
        if what in places:
            with torch.no_grad():
                places[what].mul_(3)
        if what == "output before the loss":
            output = output.mul_(2)
        if what == "h before the loss":
            state = (state[0].mul_(2), state[1])
        named = {"x": x, "h": begin[0], "c": begin[1], **dict(net.named_parameters())}
        try:
            loss = output.square().sum() + state[0].sum() + state[1].exp().sum()
            gradients = torch.autograd.grad(loss, [*named.values()])
        except RuntimeError as error:
            found.append(str(error))
        else:
            found.append(dict(zip(named, gradients, strict=True)))
    refused = [each for each in found if isinstance(each, str)]
    assert all("modified by an inplace operation" in each for each in refused)
    if not refused:
        assert apart(*found, TOLERANCE) == {}
    elif not isinstance(found[0], str):
        assert what == "c", "the loop has a copy of its own of no other thing"


@pytest.mark.parametrize("what", ["h", "c"])
def test_a_final_state_that_is_changed_was_no_part_of_the_gradient(what):
    gradients = []
    for changed in (False, True):
        net, x = layer(), X.clone().requires_grad_()
        output, state = net(x)
        if changed:
            with torch.no_grad():
                getattr(state, what).mul_(3)
        gradients.append(torch.autograd.grad(output.square().sum() + state.h.sum() + 2 * state.c.sum(), x)[0])
    assert torch.equal(*gradients)


# types


def test_autocast_is_refused_or_eager():
    with torch.autocast("cpu", torch.bfloat16):
        with pytest.raises(
            ValueError, match=r"backend=compiled: .* not under autocast to torch.bfloat16; use backend=e"
        ):
            layer()(X)
        auto = layer("auto")
        assert (auto.backend, auto.runs) == ("compiled", "eager")
        assert torch.equal(auto(X)[0], layer("eager")(X)[0])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_narrow_weights_are_refused_or_eager(dtype):
    with pytest.raises(ValueError, match=f"not in {str(dtype)[6:]}; use backend=eager"):
        layer().to(dtype)(X.to(dtype))
    assert torch.equal(layer("auto").to(dtype)(X.to(dtype))[0], layer("eager").to(dtype)(X.to(dtype))[0])


def test_another_device_is_refused_or_eager():
    with pytest.raises(ValueError, match="it computes on the CPU, not on meta; use backend=eager"):
        layer().to("meta")(X.to("meta"))
    assert layer("auto").to("meta")(X.to("meta"))[0].shape == (4, 7, 5)


@pytest.mark.usefixtures("quickly")
def test_in_float64_after_it_was_used():
    net = layer()
    net(X)
    found, wanted = numbers(net.double(), X.double()), numbers(layer("eager").double(), X.double())
    assert apart(found, wanted, 1e-12) == {}
    assert apart(numbers(net.float()), numbers(layer("eager")), TOLERANCE) == {}


# copies


def saved(net):
    file = io.BytesIO()
    torch.save(net, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net)), saved])
def test_a_copy_is_the_layer(copied):
    net = layer()
    before = numbers(net)
    twin = copied(net)
    found = numbers(twin)
    assert all(torch.equal(found[name], before[name]) for name in before)
    with torch.no_grad():
        twin.cell.U.weight.mul_(2)
    assert torch.equal(net(X)[0], before["output"])
    assert not torch.equal(twin(X)[0], before["output"])


def test_a_state_dict_is_the_eager_layers():
    net, other = layer(), Layer(build("lstm", "on", 3, 5), backend="compiled")
    other(X)
    assert list(net.state_dict()) == list(layer("eager").state_dict())
    other.load_state_dict(net.state_dict())
    assert torch.equal(other(X)[0], net(X)[0])


# what is changed between two calls


@pytest.mark.usefixtures("quickly")
def test_an_option_of_the_cell():
    def step(cell, wx, s):
        return ((1 - cell.leak) * s.h + cell.leak * torch.tanh(wx + cell.U(s.h)),)

    found = []
    for backend in ("compiled", "eager"):
        cell = scaled(own(step), "leak")
        cell.leak = 0.5
        net = Layer(cell, backend=backend)
        outputs = []
        for leak in (0.5, 0.9, 0.5, 0.1):
            cell.leak = leak
            outputs.append(numbers(net)["output"])
        found.append({str(n): output for n, output in enumerate(outputs)})
    assert apart(*found, TOLERANCE) == {}


def parameter_replaced(net):
    net.cell.U.weight = torch.nn.Parameter(net.cell.U.weight.detach() * 0.5)


def laid_out_otherwise(net):
    net.cell.U.weight = torch.nn.Parameter(net.cell.U.weight.detach().t().contiguous().t())


def bias_of_W_laid_out_otherwise(net):
    net.cell.W.bias = torch.nn.Parameter(net.cell.W.bias.detach().repeat_interleave(2)[::2])


def shared(net):
    net.cell.U.bias = net.cell.W.bias


def grown_by_data(net):
    net.cell.U.weight.data = net.cell.U.weight.data * 0.5


def without_bias_of_W(net):
    net.cell.W.bias = None


def normed_W(net):
    parametrizations.weight_norm(net.cell.W, "weight")


def hooked_W(net):
    net.cell.W.register_forward_hook(lambda module, given, result: result * 0.5)


@pytest.mark.parametrize(
    "change",
    [
        parameter_replaced,
        laid_out_otherwise,
        bias_of_W_laid_out_otherwise,
        shared,
        grown_by_data,
        without_bias_of_W,
        normed_W,
        hooked_W,
    ],
)
def test_a_weight_that_is_changed_between_two_calls(change):
    equal(change)


def test_each_of_two_layers_with_one_cell_is_itself():
    cell = scaled(build("gru", "off", 3, 5), "shared")
    ahead, back = (Layer(cell, reverse=reverse, backend="compiled") for reverse in (False, True))
    eager = [Layer(cell, reverse=reverse, backend="eager") for reverse in (False, True)]
    for net, wanted in zip((ahead, back), eager, strict=True):
        assert apart(numbers(net), numbers(wanted), TOLERANCE) == {}


# what must see every operation


def test_functional_call_and_its_derivatives():
    found = []
    for backend in ("compiled", "eager"):
        net = layer(backend)
        weights = {name: (2 * p).detach().requires_grad_() for name, p in net.named_parameters()}
        output, _ = functional_call(net, weights, (X,))
        plain = torch.autograd.grad(output.square().sum(), [*weights.values()])
        fixed = {name: p.detach() for name, p in net.named_parameters()}

        def loss(weights, x, net=net):
            return functional_call(net, weights, (x,))[0].square().sum()

        by_grad = grad(loss)(fixed, X)
        by_row = vmap(grad(lambda w, x, loss=loss: loss(w, x[None])), (None, 0))(fixed, X)
        found.append({"output": output, **dict(zip(weights, plain, strict=True))})
        found[-1] |= {f"grad {k}": v for k, v in by_grad.items()} | {f"vmap {k}": v for k, v in by_row.items()}
    assert apart(*found, TOLERANCE) == {}


def test_torch_compile_and_trace_and_export_give_the_layer():
    net = layer().eval()
    wanted = net(2 * X)[0]
    torch.compiler.reset()
    assert apart({"y": torch.compile(net, backend="eager", fullgraph=True)(2 * X)[0]}, {"y": wanted}, TOLERANCE) == {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(net, (X,), check_trace=False)
    assert apart({"y": traced(2 * X)[0]}, {"y": wanted}, TOLERANCE) == {}
    assert apart({"y": torch.export.export(net, (X,)).module()(2 * X)[0]}, {"y": wanted}, TOLERANCE) == {}


def test_the_flop_counter_counts_the_same():
    counts = []
    for backend in ("compiled", "eager"):
        with FlopCounterMode(display=False) as mode:
            layer(backend)(X.clone().requires_grad_())[0].sum().backward()
        counts.append(mode.get_total_flops())
    assert counts[0] == counts[1] > 0


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpointed_and_its_tensors_kept_elsewhere(reentrant):
    gradients = []
    for backend in ("compiled", "eager"):
        net, x = layer(backend), X.clone().requires_grad_()
        with torch.autograd.graph.save_on_cpu():
            output = checkpoint(lambda x, net=net: net(x)[0], x, use_reentrant=reentrant)
        output.square().sum().backward()
        gradients.append({"x": x.grad, **{name: p.grad for name, p in net.named_parameters()}})
    assert apart(*gradients, TOLERANCE) == {}


def test_a_subclass_of_tensor_sees_every_operation():
    class Other(torch.Tensor):
        pass

    output, _ = layer()(X.as_subclass(Other))
    assert type(output) is Other
    assert apart({"y": output.as_subclass(torch.Tensor)}, {"y": layer()(X)[0]}, TOLERANCE) == {}


# first uses


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad, torch.enable_grad])
def test_the_first_use_may_be_in_any_mode(mode, monkeypatch):
    monkeypatch.setattr(proof, "PROVEN", set())
    wanted = layer("eager")(X)[0].detach()
    with mode():
        found = layer()(X)[0]
    assert apart({"y": found.detach()}, {"y": wanted}, TOLERANCE) == {}


def test_the_first_use_leaves_no_trace(monkeypatch):
    monkeypatch.setattr(proof, "PROVEN", set())
    net = layer()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    state = torch.get_rng_state()
    net(X)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in net.parameters())


# several at once


def test_two_threads_with_one_layer():
    net = layer()
    wanted = numbers(net)
    wrong = []

    def work():
        for _ in range(30):
            found = numbers(net)
            wrong.extend(name for name in wanted if not torch.equal(found[name], wanted[name]))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_the_number_of_threads_changes_no_bit():
    net, before = layer(), torch.get_num_threads()
    wanted = numbers(net)
    try:
        torch.set_num_threads(4)
        found = numbers(net)
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_layers_whose_passes_cross():
    """Two forward passes of one layer, then their backward passes the other way round."""
    gradients = []
    for backend in ("compiled", "eager"):
        net = layer(backend)
        xs = [(X * scale).requires_grad_() for scale in (1, 2)]
        losses = [net(x)[0].square().sum() for x in xs]
        gradients.append({str(n): torch.autograd.grad(losses[n], xs[n])[0] for n in (1, 0)})
    assert apart(*gradients, TOLERANCE) == {}


# what is no number


BAD = [math.nan, math.inf, -math.inf]


def reached(value, bad):
    """Where a number that is none has come. An infinite one may end as infinite here and as none there: its gate is
    1e-38 in one and 0 in the other."""
    return value.isnan() if math.isnan(bad) else ~value.isfinite()


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("name", ["lstm", "gru_cho", "rnn_relu"])
@pytest.mark.parametrize("begins", [False, True])
def test_what_is_no_number_in_x_is_none_where_it_is_none_in_eager(bad, name, begins):
    x = X.clone()
    x[2, 3, 1] = bad
    found = []
    for backend in ("compiled", "eager"):
        net, given = layer(backend, name), x.clone().requires_grad_()
        begin = drawn_begin(net.cell, 4, torch.float32) if begins else None
        output, state = net(given, begin)
        named = {"x": given, **dict(net.named_parameters())}
        gradients = torch.autograd.grad(weigh(output, state), [*named.values()])
        found.append({"output": output, **dict(zip(state._fields, state, strict=True))})
        found[-1] |= dict(zip([f"d {key}" for key in named], gradients, strict=True))
    for key in found[1]:
        assert torch.equal(reached(found[0][key], bad), reached(found[1][key], bad)), key


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("name", ["lstm", "gru_cho"])
@pytest.mark.parametrize("begins", [False, True])
def test_what_is_no_number_in_a_weight_reaches_all_that_it_reaches_in_eager(bad, name, begins):
    for weight in dict(layer(name=name).named_parameters()):
        found = []
        for backend in ("compiled", "eager"):
            net = layer(backend, name)
            with torch.no_grad():
                net.get_parameter(weight).view(-1)[3] = bad
            begin = drawn_begin(net.cell, 4, torch.float32) if begins else None
            output, state = net(X, begin)
            found.append({"output": output, **dict(zip(state._fields, state, strict=True))})
        for key in found[1]:
            assert torch.equal(reached(found[0][key], bad), reached(found[1][key], bad)), (weight, key)
        if bad != bad:
            assert found[0]["output"].isnan().any(), weight


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("step", [0, 3, 6])
def test_what_is_no_number_in_the_outputs_gradient_reaches_every_gradient_that_it_reaches_in_eager(bad, step):
    found = []
    for backend in ("compiled", "eager"):
        net, x = layer(backend), X.clone().requires_grad_()
        begin = [field.requires_grad_() for field in drawn_begin(net.cell, 4, torch.float32)]
        output, _ = net(x, begin)
        gradient = torch.ones_like(output)
        gradient[1, step, 2] = bad
        named = {"x": x, "h": begin[0], "c": begin[1], **dict(net.named_parameters())}
        found.append(dict(zip(named, torch.autograd.grad(output, [*named.values()], gradient), strict=True)))
    for key in found[1]:
        assert torch.equal(reached(found[0][key], bad), reached(found[1][key], bad)), key


@pytest.mark.parametrize("bad", BAD)
def test_what_is_no_number_at_padding_is_never_read(bad):
    real = torch.ones(4, 7, dtype=torch.bool)
    real[1, 2:4] = False
    real[3] = False
    x = X.clone()
    net = layer()
    wanted = net(x, mask=real)
    x[~real] = bad
    found = net(x, mask=real)
    assert torch.equal(found[0], wanted[0])
    assert all(torch.equal(a, b) for a, b in zip(found[1], wanted[1], strict=True))
    assert all(g.isfinite().all() for g in torch.autograd.grad(weigh(*found), [*net.parameters()]))


@pytest.mark.usefixtures("quickly")
def test_numbers_below_the_smallest_normal_one_are_kept():
    """No library that was loaded has switched them off for the process."""
    layer()(X)
    tiny = torch.tensor([1e-39], dtype=torch.float32)
    assert (tiny * 1.0).item() != 0
    assert 5e-324 * 1.0 != 0
    cell = own(lambda cell, wx, s: (s.h * 0.5,))
    _, state = Layer(cell, backend="compiled")(X[:, :1], [torch.full((4, 5), 1e-39)])
    assert (state.h > 0).all()


# cells that are changed after their layer was made

CHANGES = {
    "a parametrization": lambda cell: parametrizations.weight_norm(cell.U, "weight"),
    "one of W": lambda cell: parametrizations.weight_norm(cell.W, "weight"),
    "pruned": lambda cell: prune.l1_unstructured(cell.U, "weight", 0.3),
    "a bias taken away": lambda cell: cell.U.register_parameter("bias", None),
    "an option without a hash": lambda cell: setattr(cell, "gates_seen", (["i"],)),
}


@pytest.mark.parametrize("called", [False, True], ids=["before the first call", "after it"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_cell_that_is_changed_computes_what_it_is_now(change, called):
    made = build("lstm", "on", 3, 5)
    results = []
    for backend in ("auto", "eager"):
        layer = scaled(Layer(copy.deepcopy(made), backend=backend), change)
        if called:
            layer(drawn_x(Call(), torch.float32))
        CHANGES[change](layer.cell)
        results.append(outcome(layer, Call(begin=True), torch.float32, change))
    assert apart(*results, TOLERANCE) == {}


def test_a_changed_cell_that_has_no_rule_is_refused_where_compiled_was_asked_for():
    layer = Layer(build("lstm", "on", 3, 5), backend="compiled")
    parametrizations.weight_norm(layer.cell.U, "weight")
    with pytest.raises(ValueError, match="torch's `_weight_norm`, which has no rule"):
        layer(drawn_x(Call(), torch.float32))
