"""The quasi-recurrent network: poolings and windows, the inputs it carries, and its gradient through them."""

import pytest
import torch

from registry import far, random_input, random_state, randomise, weigh
from rnnbench.nn import QRNN, Layer, count_params

OPTIONS = [{"window": window, "pooling": pooling} for window in (1, 2, 4) for pooling in ("f", "fo", "ifo")]
every_option = pytest.mark.parametrize("options", OPTIONS, ids=str)


def layer_of(reverse=False, **options):
    return randomise(Layer(QRNN(3, 4, **options), backend="eager", reverse=reverse).double(), str(options))


def literal(cell, x, pooling):
    """The paper's: a convolution over time by torch, zeros in front, then the pooling."""
    k = cell.window

    def convolved(weight, bias):
        kernel = weight.unflatten(1, (k, 3)).transpose(1, 2)  # (out, I, k), the oldest tap first
        padded = torch.nn.functional.pad(x.transpose(1, 2), (k - 1, 0))
        return torch.nn.functional.conv1d(padded, kernel, bias).transpose(1, 2)

    parts = zip(cell.W.weight.split(4), cell.W.bias.split(4), strict=True)
    z, f, *rest = (convolved(*part) for part in parts)
    z, f = torch.tanh(z), torch.sigmoid(f)
    i = torch.sigmoid(rest[0]) if pooling == "ifo" else 1 - f
    o = torch.ones_like(f) if pooling == "f" else torch.sigmoid(convolved(cell.W_o.weight, cell.W_o.bias))
    c, outputs = torch.zeros_like(f[:, 0]), []
    for t in range(x.shape[1]):
        c = f[:, t] * c + i[:, t] * z[:, t]
        outputs.append(o[:, t] * c)
    return torch.stack(outputs, 1)


@every_option
def test_is_a_convolution_over_time_and_a_pooling(options):
    layer = layer_of(**options)
    x = random_input(layer.cell, steps=7)
    assert far(layer(x)[0], literal(layer.cell, x, options["pooling"])) < 1e-12
    gates = {"f": 2, "fo": 3, "ifo": 4}[options["pooling"]]
    assert count_params(layer) == gates * (options["window"] * 4 * 3 + 4)


@every_option
def test_chunks_carry_the_window_and_its_gradient(options):
    """Also chunks shorter than the window; x of the first chunk has the whole sequence's gradient."""
    layer = layer_of(**options)
    x, begin = random_input(layer.cell, steps=7), random_state(layer.cell)
    whole_x, chunked_x = x.clone().requires_grad_(), x.clone().requires_grad_()
    whole, end = layer(whole_x, begin)
    state, parts = begin, []
    for chunk in chunked_x.split([1, 1, 2, 3], 1):
        part, state = layer(chunk, state)
        parts.append(part)
    assert far(torch.cat(parts, 1), whole) < 1e-13
    assert all(far(a, b) < 1e-13 for a, b in zip(state, end, strict=True))
    weigh(whole, end).backward()
    weigh(torch.cat(parts, 1), state).backward()
    assert far(chunked_x.grad, whole_x.grad) < 1e-13


@every_option
@pytest.mark.parametrize("reverse", [False, True])
def test_steps_left_out_by_a_mask_are_in_no_window(options, reverse):
    layer = layer_of(reverse, **options)
    x = random_input(layer.cell, steps=6)
    kept = [0, 1, 3, 5]
    mask = torch.zeros(3, 6, dtype=torch.bool)
    mask[:, kept] = True
    output, state = layer(x, mask=mask)
    alone, alone_state = layer(x[:, kept])
    assert far(output[:, kept], alone) < 1e-13
    assert all(far(a, b) < 1e-13 for a, b in zip(state, alone_state, strict=True))


def test_bad_options():
    with pytest.raises(ValueError, match="window must be at least 1 step, the present one, not 0"):
        QRNN(3, 4, window=0)
    with pytest.raises(ValueError, match=r"window must be at least 1 step, the present one, not 1\.5"):
        QRNN(3, 4, window=1.5)
    with pytest.raises(ValueError, match="unknown pooling 'o'; known: f, fo, ifo"):
        QRNN(3, 4, pooling="o")
