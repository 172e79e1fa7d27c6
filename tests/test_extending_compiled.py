"""The cell of CONTRIBUTING.md compiles as it stands there, when it is asked to."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from against_eager import CALLS, differences
from rnnbench import toolchain
from rnnbench.store.store import Store
from test_extending import command, lines, place

__all__ = ["place"]  # a fixture
pytestmark = [
    pytest.mark.compiler,
    pytest.mark.integration,
    pytest.mark.skipif(toolchain.find() is None, reason="there is no C compiler"),
]


@pytest.mark.parametrize("leak", [0.3, 1.0])
def test_its_step_is_the_eager_one(leak, place, monkeypatch):
    monkeypatch.syspath_prepend(place / "mylab")
    import leaky  # type: ignore[import-not-found]

    for name in ("whole", "holes reverse begin", "H=17"):
        assert differences(partial(leaky.Leaky, leak=leak), CALLS[name], torch.float32, f"{leak} {name}") == {}


def test_the_command_of_the_page_runs_it_compiled(place):
    run = lines("use the cell")[1]
    command([*run, "backend=compiled"], place)
    (record,) = Store.open(place / "results").records().values()
    assert (record["status"], record["backend"]) == ("ok", "compiled")
    assert record["host"]["compiler"] == toolchain.find().compiler
