"""backend=scan computes the layer: every cell of the registry that has a scan, called in every way, set against the
eager loop in value and in gradient."""

from __future__ import annotations

import itertools
from functools import partial

import pytest
import torch

from against_eager import CALLS, TOLERANCE, differences
from registry import CELLS, build, on_frames, some_of
from rnnbench.nn.backends import scan

SCANNED = [name for name in CELLS if not on_frames(name) and scan.refuses(build(name)) is None]


@pytest.mark.parametrize("name", CELLS)
def test_every_yaml_says_whether_its_cell_has_a_scan(name):
    assert CELLS[name]["meta"].get("scans", False) == (name in SCANNED)


@pytest.mark.parametrize(
    ("name", "dtype"), some_of(itertools.product(SCANNED, TOLERANCE), lambda name, _: name, lambda _, dtype: dtype)
)
def test_a_cell_is_the_eager_one_however_it_is_called(name, dtype):
    make = partial(build, name, "off")
    wrong = {call: differences(make, CALLS[call], dtype, f"{name} {call}", backend="scan") for call in CALLS}
    assert {call: each for call, each in wrong.items() if each} == {}


@pytest.mark.parametrize("name", SCANNED)
def test_a_number_of_biases_and_a_norm(name):
    for options in ({"biases": 0}, {"norm": "layer"}):
        try:
            build(name, **options)
        except ValueError:  # not every cell takes it
            continue
        make = partial(build, name, "off", **options)
        for call in ("whole", "holes reverse begin"):
            assert differences(make, CALLS[call], torch.float64, f"{name} {call}", backend="scan") == {}, options
