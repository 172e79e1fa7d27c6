"""The first use of a library: one that computes something else is found out, whatever is wrong with it."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from against_eager import needs_compiler, own
from registry import build
from rnnbench import toolchain
from rnnbench.nn import Layer
from rnnbench.nn.backends.compiled import library, loop, proof
from rnnbench.nn.backends.compiled.operations import TABLE

pytestmark = [needs_compiler, pytest.mark.usefixtures("quickly")]
X = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def nothing_proven(monkeypatch):
    monkeypatch.setattr(proof, "PROVEN", set())


def tampered(monkeypatch, change):
    """Every program made from here on has its C text changed."""
    made = library.program_of

    def program_of(cell, dtype):
        program = made(cell, dtype)
        source = change(program.source)
        assert source != program.source
        return dataclasses.replace(program, source=source)

    monkeypatch.setattr(loop, "program_of", program_of)


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("1.0f / (1.0f + power(clamped(-x)))", "1.0f / (1.001f + power(clamped(-x)))", "output"),
        ("p = p * r + 1.6666665459e-1f;", "p = p * r + 2.6666665459e-1f;", "output"),
        ("long t = a->T - 1; t >= 0; t--", "long t = a->T - 1; t > 0; t--", "gradient of x"),
    ],
)
def test_a_library_that_computes_something_else_is_found_out(monkeypatch, old, new, what):
    tampered(monkeypatch, lambda source: source.replace(old, new))
    net = Layer(build("lstm", "on"), backend="compiled")
    with pytest.raises(
        proof.Wrong, match=rf"backend=compiled: the {what} of LSTM differs from its own step's by .*eager"
    ):
        net(X)


@pytest.mark.parametrize("op", ["sigmoid", "tanh", "mul"])
def test_a_derivative_that_is_wrong_is_found_out(monkeypatch, op):
    rule = TABLE[op].gradient

    def wrong(form, y, g):
        return tuple(None if each is None else form.make("mul", each, 1.01) for each in rule(form, y, g))

    monkeypatch.setitem(TABLE, op, dataclasses.replace(TABLE[op], gradient=wrong))
    with pytest.raises(proof.Wrong, match="the gradient of "):
        Layer(build("gru_update"), backend="compiled")(X)


def test_it_is_found_out_at_every_use_not_at_the_first_alone(monkeypatch):
    tampered(monkeypatch, lambda source: source.replace("1.0f / (1.0f + power", "1.0f / (1.1f + power"))
    net = Layer(build("gru_update"), backend="compiled")
    for _ in range(2):
        with pytest.raises(proof.Wrong):
            net(X)


def test_auto_does_not_go_on_without_a_word(monkeypatch):
    """The backend is in the id of a run."""
    tampered(monkeypatch, lambda source: source.replace("1.0f / (1.0f + power", "1.0f / (1.1f + power"))
    with pytest.raises(proof.Wrong):
        Layer(build("gru_update"))(X)


def test_a_compiler_that_fails_says_so(monkeypatch):
    tampered(monkeypatch, lambda source: source + "\nthis is no C;\n")
    with pytest.raises(toolchain.CompilerFailed, match="error"):
        Layer(build("gru_update"), backend="compiled")(X)


@pytest.mark.parametrize(
    "step",
    [
        lambda cell, wx, s: (torch.tanh(wx + s.h) / wx.shape[0],),
        lambda cell, wx, s: (torch.tanh(wx + s.h) if wx.shape[0] == 2 else torch.tanh(wx - s.h),),
        lambda cell, wx, s: (torch.tanh(wx + cell.U(s.h)) * counted(cell),),
    ],
    ids=["divided by the rows", "by the number of rows", "counted"],
)
def test_what_tracing_cannot_see_is_found_out(step):
    cell = own(step)
    cell.count = 1
    with pytest.raises(proof.Wrong):
        Layer(cell, backend="compiled")(X)


def counted(cell):
    cell.count += 1
    return cell.count


def test_a_step_that_is_no_number_for_some_is_proven_for_the_others(monkeypatch):
    cell = own(lambda cell, wx, s: (torch.sqrt(wx) + 0 * s.h.detach(),))
    output = Layer(cell, backend="compiled")(X)[0]
    assert torch.equal(output.isnan(), Layer(cell, backend="eager")(X)[0].isnan())
    tampered(monkeypatch, lambda source: source.replace("sqrtf(x)", "1.1f * sqrtf(x)"))
    with pytest.raises(proof.Wrong, match="the output of Own differs"):
        Layer(cell, backend="compiled")(X)


def test_it_is_proven_once_for_a_size_and_type(monkeypatch):
    calls = []
    both = proof._both
    monkeypatch.setattr(proof, "_both", lambda *args: calls.append(args[2]) or both(*args))
    net = Layer(build("gru_update"), backend="compiled")
    for _ in range(3):
        net(X)
    Layer(build("gru_update"), backend="compiled")(X)
    assert calls == [torch.float32]
    net.double()(X.double())
    Layer(build("gru_update", hidden_size=5), backend="compiled")(X)
    assert calls == [torch.float32, torch.float64, torch.float32]
