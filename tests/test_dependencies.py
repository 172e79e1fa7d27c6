"""What is installed with rnnbench: the bounds in pyproject.toml, and the lock, which pins each file by its sha256."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

TOP = Path(__file__).parents[1]
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
BOUNDS = {each.name: each.specifier for each in map(Requirement, PROJECT["dependencies"])}
DEVELOPMENT = {each.name: each.specifier for each in map(Requirement, PROJECT["optional-dependencies"]["dev"])}
# A pin, with its marker where it has one, and the lines of its hashes.
PIN = re.compile(
    r"^(?P<name>\S+)==(?P<version>[^\s;]+)[^\n]*?(?P<hashes>(?: \\\n    --hash=sha256:[0-9a-f]{64})+)$", re.M
)
LOCK = (TOP / "requirements.lock").read_text()
PINS = {canonicalize_name(pin["name"]): pin["version"] for pin in PIN.finditer(LOCK)}


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("pytorch-lightning", ("2.6.6",), ("2.6.1", "2.6.2", "2.6.3")),  # the last two were malicious
        ("hydra-core", ("1.3.6", "1.3.7", "1.3.8"), ("1.3.5", "1.3.9", "1.4.0")),  # see tests/runs/test_denylist.py
    ],
)
def test_bounds_keep_out_what_is_bad_or_was_not_tried(name, good, bad):
    assert all(BOUNDS[name].contains(version) for version in good)
    assert not any(BOUNDS[name].contains(version, prereleases=True) for version in bad)


def test_every_pin_of_the_lock_has_its_hashes():
    """pip refuses the whole file where one has none; nothing in it is anything but a pin and its hashes."""
    assert PIN.sub("", LOCK).strip() == ""
    assert len(PINS) > 100


def test_the_lock_has_what_the_project_asks_for_within_its_bounds_torch_aside():
    for name, bounds in (BOUNDS | DEVELOPMENT).items():
        if name == "torch":
            assert "torch" not in PINS
        else:
            assert bounds.contains(PINS[canonicalize_name(name)], prereleases=True), name
