"""docs/python.md: its code runs as it stands, and its thirty lines do so as a script and as a notebook would."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import rnnbench

TEXT = (Path(__file__).parents[2] / "docs" / "python.md").read_text()
SCRIPT = dict(re.findall(r'^```python title="([^"]+)"\n(.*?)^```$', TEXT, re.M | re.S))["notebook.py"]
BLOCKS = re.findall(r"^```python\n(.*?)^```$", TEXT, re.M | re.S)
# A process whose main module has no file, as a notebook's kernel: the code comes as text.
KERNEL = """
import json, sys
names = {"__name__": "__main__"}
exec(sys.stdin.read(), names)
shapes = {key: list(names[key].shape) for key in ("ranked", "by_seed", "history", "learning", "change")}
print(json.dumps({"shapes": shapes, "file": hasattr(sys.modules["__main__"], "__file__")}))
"""


def python(*words: str, cwd: Path, stdin: str = "") -> str:
    """The output of a Python process, which must end well and say nothing on its error stream."""
    hidden = ("RNNBENCH_RESULTS", "RNNBENCH_CONFIG_DIR")
    environment = {key: value for key, value in os.environ.items() if key not in hidden}
    done = subprocess.run(
        [sys.executable, *words], cwd=cwd, env=environment, input=stdin, capture_output=True, text=True, timeout=240
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout


def test_the_page_names_what_the_package_has():
    rows = re.findall(r"^\| `(\w+)", TEXT, re.M)
    assert set(rnnbench.__all__) == {*rows, "AxisRefused", "MissingData"}
    assert all(f"`{name}" in TEXT for name in rnnbench.__all__)


def test_the_notebook_is_thirty_lines_without_a_guard():
    assert len(SCRIPT.splitlines()) <= 30
    assert "__main__" not in SCRIPT


@pytest.mark.integration
def test_it_runs_as_a_plain_script(tmp_path):
    (tmp_path / "notebook.py").write_text(SCRIPT)
    said = python("notebook.py", cwd=tmp_path)
    assert said.startswith("{'new': 4} on ")
    assert said.count("{'new': 4}") == 1, "no worker runs the script again"
    assert len(list((tmp_path / "results" / "runs").glob("*/record.json"))) == 4


@pytest.mark.integration
def test_it_runs_in_a_process_without_a_main_file(tmp_path):
    said = json.loads(python("-c", KERNEL, cwd=tmp_path, stdin=SCRIPT).splitlines()[-1])
    assert said["file"] is False
    shapes = said["shapes"]
    assert (shapes["ranked"], shapes["by_seed"], shapes["change"]) == ([2, 7], [2, 2], [1, 6])
    assert shapes["learning"][1] == 2
    assert shapes["history"][0] == 4 * shapes["learning"][0] > 4


@pytest.mark.integration
def test_the_other_blocks_run_one_after_the_other(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RNNBENCH_RESULTS", raising=False)
    monkeypatch.delenv("RNNBENCH_CONFIG_DIR", raising=False)
    names: dict[str, object] = {}
    for block in BLOCKS:
        exec(block, names)
    said = capsys.readouterr().out
    assert said.startswith("ok 0.")
    assert "is called 'no/such/folder'" in said
    assert "{'ok': 3} {" in said
    assert isinstance(names["runs"], pd.DataFrame)
    assert len(BLOCKS) >= 5
