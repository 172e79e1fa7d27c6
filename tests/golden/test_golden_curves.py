"""Loss curves in text files: a change that is meant to keep the numbers keeps them.

Equal to the bit on the machine kind and torch version that wrote a file (its first lines say which), to 1e-5 elsewhere.
After a change that is meant to move the numbers, write the files anew and commit them with the reason::

    RNNBENCH_GOLDEN=write python -m pytest tests/golden
"""

import hashlib
import os
import platform
from pathlib import Path

import pytest
import torch

from rnnbench.runs.plan import prepare
from rnnbench.runs.run import attempt
from rnnbench.store.store import Store

pytestmark = pytest.mark.integration

FOLDER = Path(__file__).parent
COMMON = (
    "dataset=digits budget=smoke budget.val_every=5 backend=eager device=cpu tracker=none harness.diagnostics=false"
)
CURVES = {
    "rnn": "cell=rnn",
    "lstm": "cell=lstm",
    "lstm_peephole": "cell=lstm peephole=on",
    "gru": "cell=gru",
}
COLUMNS = ("step", "train/loss", "val/loss")


def machine():
    """What rounding depends on: system, torch, and what the processor can do."""
    flags, vendor = "", ""
    cpuinfo = Path("/proc/cpuinfo")
    for line in cpuinfo.read_text().splitlines() if cpuinfo.exists() else ():
        key, _, value = line.partition(":")
        if key.strip() in ("flags", "Features") and not flags:
            flags = " ".join(sorted(value.split()))
        if key.strip() == "vendor_id" and not vendor:
            vendor = value.strip()
    return {
        "platform": f"{platform.system()} {platform.machine()}",
        "torch": torch.__version__,
        "cpu": f"{vendor} {torch.backends.cpu.get_cpu_capability()}".strip(),
        "cpu flags": hashlib.sha256(flags.encode()).hexdigest()[:12],
    }


def write(path, overrides, rows):
    """Header lines `# key: value`, then one line a validation; numbers as repr writes them, exact."""
    header = [f"# {key}: {value}" for key, value in {**machine(), "run": " ".join(overrides)}.items()]
    lines = [" ".join(COLUMNS), *(" ".join(repr(v) for v in row) for row in rows)]
    path.write_text("\n".join([*header, *lines]) + "\n")


def read(path):
    """(header, rows) of a file."""
    lines = path.read_text().splitlines()
    header = dict(line[2:].split(": ", 1) for line in lines if line.startswith("#"))
    columns, *rows = [line.split() for line in lines if not line.startswith("#")]
    assert tuple(columns) == COLUMNS
    return header, [(int(step), *map(float, values)) for step, *values in rows]


@pytest.mark.parametrize("name", CURVES)
def test_the_curve_is_the_recorded_one(name, tmp_path):
    overrides = [*CURVES[name].split(), *COMMON.split()]
    job, store = prepare(overrides), Store.open(tmp_path)
    assert attempt(job, store)["status"] == "ok"
    rows = [tuple(row[column] for column in COLUMNS) for row in store.history(job.id)]
    path = FOLDER / f"{name}.txt"
    if os.environ.get("RNNBENCH_GOLDEN") == "write":
        write(path, overrides, rows)
    header, expected = read(path)
    assert header["run"] == " ".join(overrides)
    assert [row[0] for row in rows] == [row[0] for row in expected] == list(range(5, 61, 5))
    if all(header[key] == value for key, value in machine().items()):
        assert rows == expected
    else:
        for row, wanted in zip(rows, expected, strict=True):
            assert row == pytest.approx(wanted, rel=1e-5)


def test_the_files_are_those_of_the_curves():
    assert {path.stem for path in FOLDER.glob("*.txt")} == set(CURVES)


def test_learning_shows_in_every_file():
    for name in CURVES:
        _, rows = read(FOLDER / f"{name}.txt")
        assert rows[-1][1] < 0.85 * rows[0][1]
