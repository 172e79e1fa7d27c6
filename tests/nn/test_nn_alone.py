"""rnnbench.nn is a library of its own: it imports torch and nothing else, and starts the same in any process."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import rnnbench
from registry import CELLS, build
from rnnbench.nn import start

pytestmark = pytest.mark.integration
HERE = Path(__file__).parent
SOURCE = Path(rnnbench.__file__).parents[1]
FOREIGN = {"hydra", "omegaconf", "pytorch_lightning", "torchmetrics", "wandb", "pandas", "sklearn"}


def fresh(code):
    """What `code` prints as JSON in a process of its own."""
    paths = os.pathsep.join(map(str, [SOURCE, HERE.parent, HERE]))
    environment = os.environ | {"PYTHONPATH": paths, "PYTHONHASHSEED": "12345"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_importing_the_networks_imports_nothing_foreign():
    loaded = fresh("import sys, json, rnnbench.nn; print(json.dumps(list(sys.modules)))")
    assert "torch" in loaded
    assert {name.split(".")[0] for name in loaded} & FOREIGN == set()
    assert {name.split(".")[1] for name in loaded if name.startswith("rnnbench.")} == {
        "nn", "_version", "errors", "toolchain",
    }  # fmt: skip


def digest():
    """One number for the start of every cell of the registry."""
    values = hashlib.sha256()
    for name in CELLS:
        cell = build(name, "on")
        start(cell, 7)
        for key, parameter in cell.state_dict().items():
            values.update(key.encode() + parameter.numpy().tobytes())
    return values.hexdigest()


def test_a_seed_starts_the_same_in_any_process():
    code = "import json, torch, test_nn_alone; torch.rand(5); print(json.dumps(test_nn_alone.digest()))"
    assert fresh(code) == digest()
