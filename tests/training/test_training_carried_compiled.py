"""A state carried through compiled layers: what the eager loop computes, and resumed to the bit."""

import pytest
import torch
from test_training_carried import data, language_model, task, train
from training_tools import Hooks, same, weights

from rnnbench import toolchain
from rnnbench.nn import GRU
from rnnbench.training import Interrupted
from rnnbench.training.evaluate import evaluate

pytestmark = [
    pytest.mark.compiler,
    pytest.mark.slow,
    pytest.mark.skipif(toolchain.find() is None, reason="there is no C compiler"),
]
__all__ = ["data", "task"]  # fixtures


def test_compiled_is_eager_and_resumes_to_the_bit(task, data):
    def go(backend, hooks, resume=None):
        return train(task, data, language_model(task, GRU, backend), hooks, resume)

    hooks = {backend: Hooks() for backend in ("eager", "compiled", "native")}
    modules = {backend: go(backend, each) for backend, each in hooks.items()}
    assert [layer.runs for layer in modules["compiled"].model.stack.layers] == ["compiled"] * 2
    for backend in ("compiled", "native"):
        for found, expected in zip(hooks[backend].rows, hooks["eager"].rows, strict=True):
            assert found == pytest.approx(expected, rel=1e-4)
        for found, expected in zip(modules[backend].carried, modules["eager"].carried, strict=True):
            for field, wanted in zip(found, expected, strict=True):
                torch.testing.assert_close(field, wanted, rtol=1e-4, atol=1e-5)
        assert evaluate(modules[backend].model, task, data.test)["loss"] == pytest.approx(
            evaluate(modules["eager"].model, task, data.test)["loss"], rel=1e-4
        )

    first, second = Hooks(stop_at=11), Hooks()
    with pytest.raises(Interrupted):
        go("compiled", first)
    resumed = go("compiled", second, first.last_state())
    assert same(weights(resumed.model), weights(modules["compiled"].model))
    assert first.rows + second.rows == hooks["compiled"].rows
