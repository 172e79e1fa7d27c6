"""CONTRIBUTING.md, executed: its files are written and its commands run, word for word, from outside the repository."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import rnnbench
from rnnbench.store.store import Store

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
BLOCKS = {title: body for _, title, body in re.findall(r'^```(\w+) title="([^"]+)"\n(.*?)^```$', TEXT, re.M | re.S)}
FILES = {title: body for title, body in BLOCKS.items() if title.startswith("mylab/")}


def lines(title: str) -> list[list[str]]:
    return [shlex.split(line) for line in BLOCKS[title].splitlines()]


def command(words: list[str], cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """One line of the document, which must go well."""
    assert words[0] == "rnnbench"
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    return done


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with the document's files under mylab/."""
    for title, body in FILES.items():
        path = tmp_path / title
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(body)
    return tmp_path


def test_the_document_has_the_files_it_speaks_of():
    assert sorted(FILES) == [
        "mylab/cell/leaky.yaml", "mylab/dataset/majority.yaml", "mylab/experiment/leaks.yaml", "mylab/leaky.py",
        "mylab/majority.py",
    ]  # fmt: skip
    taken = {path.stem for group in ("cell", "dataset", "experiment") for path in (ROOT / "conf" / group).iterdir()}
    assert {"leaky", "majority", "leaks"}.isdisjoint(taken), "the examples are not in the registry"


def test_paths_that_the_document_names_exist():
    named = set(re.findall(r"`((?:src|conf|tests)/[\w./]+\.(?:py|yaml))`", TEXT))
    assert "src/rnnbench/nn/cells/gru.py" in named
    promised = {"src/rnnbench/nn/cells/leaky.py", "conf/cell/leaky.yaml"}
    assert [path for path in sorted(named - promised) if not (ROOT / path).exists()] == []


def test_the_python_examples_pass_our_own_lint(place):
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--config", ROOT / "pyproject.toml", "--no-cache", place / "mylab"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--check", "--config", ROOT / "pyproject.toml", "--no-cache", place],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_the_cell(place):
    listing, run, sweep, board = lines("use the cell")
    assert (
        "leaky                8,320  Leaky-integrator units (Jaeger et al. 2007).\n" in command(listing, place).stdout
    )
    command(run, place)
    (record,) = Store.open(place / "results").records().values()
    assert record["status"] == "ok"
    assert record["axes"]["label"] == "BiLeaky x2 [cell.leak=0.3]"
    first, second = (2 * (64 * (i + 64) + 2 * 64) for i in (8, 128))  # both directions of each layer
    assert record["params"] == record["live_params"] == first + second + 10 * 128 + 10
    assert record["backend"] == "eager"
    again = command([*shlex.split(record["command"]), "tracker=none", "--config-dir", "mylab"], place)
    assert "already recorded" in again.stderr, "the recorded command is this very run"
    assert command(sweep, place).stderr.endswith("4 runs: 4 ok\n")
    shown = command(board, place).stdout
    assert all(name in shown for name in ("Leaky", "BiLeaky x2", "RNN"))


def test_the_environment_does_the_same_as_the_option(place):
    shown = command(["rnnbench", "list", "cells"], place, RNNBENCH_CONFIG_DIR="mylab").stdout
    assert shown == command(lines("use the cell")[0], place).stdout
    (place / "empty").mkdir()
    other = f"empty{os.pathsep}{place / 'mylab'}"
    assert command(["rnnbench", "list", "cells"], place, RNNBENCH_CONFIG_DIR=other).stdout == shown


def test_a_wrong_option_of_the_cell_is_one_sentence(place):
    words = ["run", "cell=leaky", "cell.leak=2", "budget=smoke", "tracker=none", "--config-dir", "mylab"]
    done = subprocess.run([sys.executable, "-m", "rnnbench", *words], cwd=place, capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "cell=leaky: leak must be above 0 and at most 1, not 2" in done.stderr


def test_the_dataset(place):
    listing, run = lines("use the dataset")
    assert re.search(r"^majority +Were there more ones than zeros\? Generated\.$", command(listing, place).stdout, re.M)
    command(run, place)
    (record,) = (r for r in Store.open(place / "results").records().values() if r["dataset"]["name"] == "majority")
    assert (record["dataset"]["protocol"], record["floors"]) == ("T=15, 2000/500/1000, seed 0", {"chance": 0.5})
    assert 0.3 < record["metrics"]["test/accuracy"] < 1


def test_the_example_dataset_is_what_it_says(place, monkeypatch):
    monkeypatch.syspath_prepend(place / "mylab")
    import majority  # type: ignore[import-not-found]

    from rnnbench.errors import BadInput

    data = majority.Majority().load()
    assert [(tuple(s.x.shape), tuple(s.y.shape)) for s in data] == [((n, 13, 1), (n,)) for n in (2000, 500, 1000)]
    rows = [tuple(row) for split in data for row in split.x[..., 0].tolist()]
    assert len(set(rows)) == 3500
    assert set(sum(rows, ())) == {-1.0, 1.0}
    assert all(y == (row.count(1.0) > 6) for row, y in zip(rows, [y for s in data for y in s.y.tolist()], strict=True))
    with pytest.raises(BadInput, match="different sequences"):
        majority.Majority(T=11)


def test_the_experiment(place):
    dry, run, more = lines("use the experiment")
    assert [line.split()[0] for line in command(dry, place).stdout.splitlines()] == ["new"] * 8
    assert command(run, place).stderr.endswith("8 runs: 8 ok\n")
    said = command(more, place).stderr.splitlines()
    assert said[-1] == "9 runs: 9 ok"
    done = [line for line in said if line.startswith("[")]
    assert len(done) == 5, "only what is new: a third seed of two entries, and three of one"


def test_in_the_repository_it_is_a_file_a_yaml_and_a_reference(tmp_path):
    for name in ("src", "conf", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    cell = FILES["mylab/leaky.py"].replace("from rnnbench.nn import Cell", "from rnnbench.nn.cells.base import Cell")
    (tmp_path / "src/rnnbench/nn/cells/leaky.py").write_text(cell)
    yaml = FILES["mylab/cell/leaky.yaml"].replace("leaky.Leaky", "rnnbench.nn.cells.leaky.Leaky")
    (tmp_path / "conf/cell/leaky.yaml").write_text(yaml)
    with (tmp_path / "tests/reference.py").open("a") as file:
        file.write("\n\n" + BLOCKS["tests/reference.py"])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "tests/properties/test_every_cell.py", "-k", "leaky", "-p", "no:xdist"],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": f"{tmp_path / 'src'}"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) >= 10


def test_the_examples_use_this_checkout():
    assert Path(rnnbench.__file__).is_relative_to(ROOT / "src")
