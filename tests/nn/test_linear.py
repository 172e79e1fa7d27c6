"""nn.linear: F.linear in value, with the gradient of a narrow W by the layout that is fast."""

import pytest
import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from rnnbench.nn.linear import Linear, linear, turns, weight_gradient

NARROW = (4096, 8, 32)  # R, K, N of a product whose gradient is turned
TURNED = [NARROW, (4096, 2, 16), (4096, 28, 64)]
SIZES = [*TURNED, (4096, 32, 64), (4096, 1, 64), (4096, 8, 8), (64, 8, 32), (1024, 8, 16)]


class Products(TorchDispatchMode):
    """Within the block, the sizes of the matrix products that the library is asked for."""

    def __enter__(self):
        self.sizes = []
        return super().__enter__()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten.mm.default:
            self.sizes.append((*args[0].shape, args[1].shape[1]))
        return func(*args, **(kwargs or {}))


def given(rows, inputs, outputs, dtype=torch.float64):
    """x, weight and bias that all need a gradient."""
    torch.manual_seed(0)
    sizes = ((rows, inputs), (outputs, inputs), (outputs,))
    return [torch.randn(size, dtype=dtype, requires_grad=True) for size in sizes]


def test_the_rule_is_of_sizes():
    assert turns(1600, 8, 128)
    assert turns(2500, 2, 256)
    assert turns(3584, 28, 1024)
    assert not turns(1600, 32, 128)  # wide: both ways take as long
    assert not turns(1600, 1, 128)  # a product with a vector
    assert not turns(1600, 8, 8)  # turned it would be as narrow
    assert not turns(32, 8, 128)  # the copy costs more


@pytest.mark.parametrize(("rows", "inputs", "outputs"), SIZES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
def test_weight_gradient_is_the_product(rows, inputs, outputs, dtype, tolerance):
    x, d = torch.randn(rows, inputs, dtype=dtype), torch.randn(rows, outputs, dtype=dtype)
    found, expected = weight_gradient(x, d), d.double().t() @ x.double()
    assert found.shape == (outputs, inputs)
    assert found.is_contiguous()
    assert (found - expected).abs().max() <= tolerance * (d.double().abs().t() @ x.double().abs()).max()


@pytest.mark.parametrize(("rows", "inputs", "outputs"), SIZES)
@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("layout", ["rows", "time first", "batch first"])
def test_linear_is_torchs(rows, inputs, outputs, biased, layout):
    x, weight, bias = given(rows, inputs, outputs)
    shaped = {"rows": x, "time first": x.view(4, -1, inputs), "batch first": x.view(-1, 4, inputs).transpose(0, 1)}
    inputs_of = [x, weight, *([bias] if biased else [])]
    found, expected = (f(shaped[layout], *inputs_of[1:]) for f in (linear, F.linear))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    for a, b in zip(*(torch.autograd.grad(y.sin().sum(), inputs_of) for y in (found, expected)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-11)


def test_only_a_narrow_product_is_turned():
    for sizes in SIZES:
        rows, inputs, outputs = sizes
        x, weight, bias = given(*sizes)
        y = linear(x.detach(), weight, bias)
        with Products() as products:
            y.sum().backward()
        turned = (inputs, rows, outputs) if sizes in TURNED else (outputs, rows, inputs)
        assert products.sizes == [turned], sizes
        assert weight.grad.is_contiguous()


def test_backward_twice():
    torch.manual_seed(0)
    x, weight, bias = given(*NARROW)
    grads = []
    for f in (linear, F.linear):
        (once,) = torch.autograd.grad(f(x, weight, bias).pow(3).sum(), weight, create_graph=True)
        grads.append(torch.autograd.grad(once.pow(2).sum(), [x, weight, bias]))
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-8)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch, by its own forward mode
def test_torch_func():
    x, weight, bias = (each.detach() for each in given(*NARROW))
    many = torch.stack([x, 2 * x])

    def loss(f):
        return lambda w: f(x, w, bias).sin().sum()

    def each(f):
        return torch.func.vmap(torch.func.grad(lambda w, x: f(x, w, bias).sin().sum()), (None, 0))(weight, many)

    torch.testing.assert_close(torch.func.grad(loss(linear))(weight), torch.func.grad(loss(F.linear))(weight))
    torch.testing.assert_close(each(linear), each(F.linear))
    tangent = torch.randn_like(weight)
    for f in (linear, F.linear):
        _, slope = torch.func.jvp(loss(f), (weight,), (tangent,))
        torch.testing.assert_close(slope, (torch.func.grad(loss(F.linear))(weight) * tangent).sum())


def test_elsewhere_it_is_torchs_own():
    x, weight, bias = given(*NARROW, torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        assert linear(x, weight, bias).dtype == torch.bfloat16
    with torch.no_grad():
        assert torch.equal(linear(x, weight, bias), F.linear(x, weight, bias))
    meta = [each.to("meta") for each in (x, weight, bias)]
    assert linear(*meta).shape == (NARROW[0], NARROW[2])
    frozen = weight.detach()
    y = linear(x, frozen, bias)
    with Products() as products:
        y.sum().backward()
    assert products.sizes == [(NARROW[0], NARROW[2], NARROW[1])]  # of x only


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch, that it traces at all
def test_a_graph_has_any_number_of_rows():
    net = Linear(NARROW[1], NARROW[2])
    x = torch.randn(4, 1024, NARROW[1])
    rows = torch.export.Dim("rows", min=2, max=1 << 20)
    exported = torch.export.export(net, (x,), dynamic_shapes=({1: rows},)).module()
    traced = torch.jit.trace(net, x)
    for n in (3, 2048):
        x = torch.randn(4, n, NARROW[1])
        torch.testing.assert_close(exported(x), net(x))
        torch.testing.assert_close(traced(x), net(x))


def test_wrong_sizes_are_torchs_error():
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        linear(torch.randn(4096, 7), torch.randn(32, 8, requires_grad=True))
