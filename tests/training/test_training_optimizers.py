"""The kernel of a whole step: what `fused: null` stands for, the same arithmetic, the same bits again and resumed."""

import itertools

import pytest
import torch
from training_tools import same

from rnnbench.runs.build import make_optimizer
from rnnbench.training.optimizers import KERNELS, settled

OPTIONS = {
    "torch.optim.Adam": [{}, {"weight_decay": 0.1}, {"amsgrad": True}],
    "torch.optim.AdamW": [{}, {"weight_decay": 0.1}],
}
CASES = [(target, options) for target in KERNELS for options in OPTIONS[target]]


def steps(target, options, *, fused, count=50, resumed_at=None):
    """The weights after some steps, by a resume of optimizer and weights in between where asked."""
    make = {name: getattr(torch.optim, name.rpartition(".")[2]) for name in KERNELS}[target]
    params = [torch.nn.Parameter(torch.linspace(-1, 1, n).reshape(shape)) for n, shape in ((39, (3, 13)), (7, (7,)))]
    optimizer = make(params, lr=0.01, fused=fused, **options)
    generator = torch.Generator().manual_seed(0)
    for step in range(count):
        for p in params:
            p.grad = torch.randn(p.shape, generator=generator)
        optimizer.param_groups[0]["lr"] = 0.01 / (1 + step)
        optimizer.step()
        if step == resumed_at:
            state = optimizer.state_dict()
            params = [torch.nn.Parameter(p.detach().clone()) for p in params]
            optimizer = make(params, lr=0.5, fused=fused, **options)
            optimizer.load_state_dict(state)
    return dict(enumerate(p.detach() for p in params))


@pytest.mark.parametrize(("target", "options"), CASES)
def test_the_kernel_computes_what_the_calls_do(target, options):
    fused, plain = (steps(target, options, fused=way) for way in (True, False))
    for n, value in plain.items():
        torch.testing.assert_close(fused[n], value, rtol=2e-6, atol=2e-7)


@pytest.mark.parametrize(("target", "options"), CASES)
def test_the_kernel_gives_the_same_bits_again_and_after_a_resume(target, options):
    once = steps(target, options, fused=True)
    assert same(steps(target, options, fused=True), once)
    for at in (0, 20):
        assert same(steps(target, options, fused=True, resumed_at=at), once)


@pytest.mark.parametrize("target", KERNELS)
def test_null_is_the_kernel_unless_another_way_is_asked_for(target):
    for fused, foreach, differentiable in itertools.product([None, True, False], repeat=3):
        node = {"_target_": target, "lr": 0.1, "fused": fused, "foreach": foreach, "differentiable": differentiable}
        expected = fused if fused is not None else not (foreach or differentiable)
        assert settled(node) == {**node, "fused": expected}
    assert settled({"_target_": target, "fused": None}) == {"_target_": target, "fused": True}


OTHERS = [
    {"_target_": "torch.optim.Adam"}, {"_target_": "mine.Adam", "fused": None},
    {"_target_": "torch.optim.RMSprop", "lr": 0.1}, {"_target_": "torch.optim.SGD", "fused": None},
    {"_target_": "torch.optim.Adagrad", "fused": None},
]  # fmt: skip


@pytest.mark.parametrize("node", OTHERS)
def test_other_optimizers_are_as_they_were(node):
    assert settled(node) == node


COMPLEX = torch.nn.Parameter(torch.ones(3, dtype=torch.complex64))
PART = torch.nn.Parameter(torch.zeros(4, 6)[:, :3])
TURNED = torch.nn.Parameter(torch.zeros(4, 6).t())


@pytest.mark.parametrize("target", KERNELS)
@pytest.mark.parametrize("other", [COMPLEX, PART, TURNED], ids=["complex", "part of a tensor", "transposed"])
def test_parameters_that_the_kernel_cannot_step_are_stepped_as_they_were(target, other):
    node = {"_target_": target, "fused": None}
    plain = torch.nn.Parameter(torch.zeros(4, 6))
    assert settled(node, [plain]) == {"_target_": target, "fused": True}
    assert settled(node, [plain, other]) == node


def test_a_parameter_within_a_larger_tensor_leaves_the_rest_alone():
    around = torch.zeros(4, 6)
    param = torch.nn.Parameter(around[:, :3])
    node = {"name": "adam", "_target_": "torch.optim.Adam", "lr": 0.1, "fused": None}
    optimizer = make_optimizer({"optimizer": node})([param])
    param.sum().backward()
    optimizer.step()
    torch.testing.assert_close(around, torch.tensor([[-0.1] * 3 + [0.0] * 3] * 4))
