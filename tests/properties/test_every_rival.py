"""What every network without recurrence must do, over the registry: each entry, causal and (where it may) not.

Float64 throughout. Axes: B batch, T time, F features, H hidden.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from registry import RIVALS, build_rival, far, generator, randomise, weigh
from rnnbench.nn import SequenceModel, count_params, count_state, flops_per_step, solve_hidden_size, start

EXACT = 1e-12


class Case(NamedTuple):
    name: str
    layers: int
    causal: bool

    def __str__(self) -> str:
        return f"{self.name}-{self.layers}-{'causal' if self.causal else 'both ways'}"

    def build(self, input_size: int = 3, hidden_size: int = 4, **options):
        options = {"layers": self.layers, "causal": self.causal} | options
        return build_rival(self.name, input_size, hidden_size, **options)

    def net(self, **options):
        """A float64 network of random weights, wide enough that not all of its relus are off."""
        return randomise(self.build(hidden_size=12, **options).double(), str(self)).eval()


CASES = [
    Case(name, layers, way == "forward")
    for name, layers in itertools.product(RIVALS, (1, 3))
    for way in RIVALS[name]["meta"]["directions"]
]
every_case = pytest.mark.parametrize("case", CASES, ids=str)


def random_x(batch: int = 3, steps: int = 7, size: int = 3, key: str = "") -> Tensor:
    return torch.randn(batch, steps, size, generator=generator(f"x {key}"), dtype=torch.float64)


def closed_form(case: Case, i: int, h: int) -> int:
    """The numbers of a network, by its docstring's formula and the small options of these tests."""
    if case.name == "mlp":
        return 4 * i * h + h + (case.layers - 1) * (h * h + h)
    if case.name == "tcn":
        return (i + h) * h * 3 + 4 * h + (case.layers - 1) * (2 * h * h * 3 + 4 * h) + (i * h + h) * (i != h)
    w, m = 2 * max(1, h // 2), 3 * h
    return i * h + h + case.layers * (3 * (h * w + w) + w * h + h + 2 * h * m + m + h + 4 * h) + 2 * h


def test_the_registry_has_the_three_and_says_what_they_are():
    assert {"mlp", "tcn", "transformer"} <= set(RIVALS)
    for name, node in RIVALS.items():
        meta = node["meta"]
        assert meta["name"] == name
        assert (meta["operator"], meta["kernel"], meta["peephole_gates"]) == ("dense", None, [])
        assert meta["no_peephole"]
        assert meta["no_direction"]
        for way in ("forward", "bidirectional"):
            case = Case(name, 1, way == "forward")
            if way in meta["directions"]:
                assert case.build().causal == (way == "forward")
            else:
                with pytest.raises(ValueError, match=r"causal|window"):
                    case.build()


@every_case
def test_shapes(case):
    net, x = case.net(), random_x()
    output, state = net(x)
    assert output.shape == (3, 7, 12)
    assert output.dtype == torch.float64
    assert torch.equal(net.final(state), output[:, -1])
    assert net.output_size == 12


@every_case
def test_a_change_of_a_later_input_never_changes_an_earlier_output(case):
    net, x = case.net(), random_x()
    output = net(x)[0]
    for t in range(7):
        other = x.clone()
        other[:, t] += 5.0
        moved = (net(other)[0] - output).abs().amax((0, 2)) > 1e-9
        assert moved[t], "a step sees itself"
        if case.causal:
            assert not moved[:t].any()
        elif t:
            assert moved[:t].any(), "both ways means that the future is seen"


def test_a_receptive_field_is_what_the_docstring_says():
    for name, layers, field in (("mlp", 2, 4), ("tcn", 1, 5), ("tcn", 3, 29)):
        net = Case(name, layers, True).net()
        assert getattr(net, "receptive_field", None) in (None, field)
        x = random_x(1, 40).requires_grad_()
        # random weights leave relus off: any of several starts that shows the first step will do
        seen = set()
        for key in range(8):
            randomise(net, f"field {key}")
            (grad,) = torch.autograd.grad(net(x)[0][:, -1].sum(), x)
            seen |= set(grad.abs().sum(2).nonzero()[:, 1].tolist())
        assert min(seen) == 40 - field


@every_case
def test_rows_of_a_batch_are_independent(case):
    net, x = case.net(), random_x()
    other = x.clone()
    other[1] = random_x(key="other")[1]
    assert far(net(x)[0][[0, 2]], net(other)[0][[0, 2]]) < EXACT
    assert far(net(x)[0][1], net(other)[0][1]) > 1e-3


@every_case
def test_padding_changes_nothing(case):
    net, x = case.net(), random_x()
    lengths = torch.tensor([2, 7, 1])
    real = torch.arange(7) < lengths[:, None]
    noisy = x.clone()
    noisy[~real] = 100 * random_x(key="noise")[~real]
    noisy.requires_grad_()
    output, state = net(x, lengths=lengths)
    other, other_state = net(noisy, lengths=lengths)
    assert far(output, other) < EXACT
    assert not output[~real].any(), "outputs at padding are zero"
    for b, length in enumerate(lengths):
        alone, alone_state = net(x[b : b + 1, :length])
        assert far(output[b : b + 1, :length], alone) < EXACT
        assert far(net.final(state)[b : b + 1], net.final(alone_state)) < EXACT
    (grad,) = torch.autograd.grad(weigh(other, other_state), noisy)
    assert not grad[~real].any(), "nothing flows into padding"
    assert grad[real].any()


@every_case
def test_the_last_step_alone_is_the_last_of_all(case):
    net, short, x = case.net(), case.net(last_only=True), random_x()
    for lengths in (None, torch.tensor([2, 7, 5])):
        assert far(short.final(short(x, lengths=lengths)[1]), net.final(net(x, lengths=lengths)[1])) < EXACT


@every_case
def test_closed_form_parameter_count(case):
    for i, h in ((5, 7), (4, 4), (1, 8)):
        assert count_params(case.build(i, h)) == closed_form(case, i, h)
    assert count_state(case.build()) == 0


@every_case
def test_a_budget_buys_the_largest_network_within_it(case):
    size = solve_hidden_size(lambda h: case.build(5, h), 20_000)
    assert closed_form(case, 5, size) <= 20_000 < closed_form(case, 5, size + 1)


@every_case
def test_every_parameter_learns_from_its_own_start_and_the_start_is_the_seed_s(case):
    first, again = case.build(), case.build()
    for net in (first, again):
        start(net, 3)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    weigh(first(random_x(32).float())[0]).backward()
    assert all(p.grad is not None and p.grad.any() for p in first.parameters())


@pytest.mark.integration
@every_case
def test_gradients_are_the_numerical_ones(case):
    net, x = randomise(case.build().double(), str(case)).eval(), random_x(2, 4).requires_grad_()
    names, parameters = zip(*net.named_parameters(), strict=True)

    def loss(x, *values):
        found = torch.func.functional_call(net, dict(zip(names, values, strict=True)), (x,))
        return weigh(found[0], found[1])

    assert torch.autograd.gradcheck(loss, (x, *parameters))


@every_case
def test_a_state_and_a_mask_are_refused(case):
    net, x = case.net(), random_x()
    with pytest.raises(ValueError, match="carries no state"):
        net(x, net(x)[1])
    with pytest.raises(ValueError, match="takes lengths, not a mask"):
        net(x, mask=torch.ones(3, 7, dtype=torch.bool))


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("mlp", {"window": 0}, "window must be at least 1"),
        ("mlp", {"window": None}, "give the window"),
        ("tcn", {"kernel_size": 1}, "kernel_size must be at least 2"),
        ("transformer", {"heads": 0}, "heads and feedforward must be at least 1"),
        ("transformer", {"layers": 0}, "must be at least 1"),
    ],
)
def test_what_cannot_be_built_is_one_sentence(name, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        Case(name, 1, True).build(**options)


def test_operations_are_the_products_of_the_formulas():
    f, h, t, k = 3, 8, 16, 2
    x = torch.zeros(1, t, f)

    def counted(name, **options):
        net = Case(name, 1, True).build(f, h, **options)
        return flops_per_step(SequenceModel(torch.nn.Identity(), net, head="last", output_size=k), x) * t

    head = 2 * h * k
    assert counted("mlp", window=t, last_only=True) == (2 * t * f * h + head) // t * t
    assert counted("mlp", window=4) == (2 * t * 4 * f * h + head) // t * t
    assert counted("tcn") == (2 * t * (3 * f * h + 3 * h * h + f * h) + head) // t * t
    attention = 4 * t * t * h
    assert counted("transformer") == (2 * t * (f * h + 4 * h * h + 6 * h * h) + attention + head) // t * t


def test_a_tcn_drops_whole_channels():
    """Spatial dropout, as the paper has it: a channel is zero at every step or at none."""
    block = randomise(Case("tcn", 1, True).build(hidden_size=12, dropout=0.5).double().blocks[0])
    dropped = block.dropout(torch.ones(4, 12, 7, dtype=torch.float64))
    by_channel = dropped.bool()
    assert torch.equal(by_channel.any(2), by_channel.all(2))
    assert 0 < by_channel.any(2).double().mean() < 1
