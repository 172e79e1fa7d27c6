"""The wheel: built, installed without the checkout, and used from another folder."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[1]


def quiet(*words: object, cwd: Path, **environment: str) -> str:
    """The stdout of `python WORDS`, which must go well."""
    done = subprocess.run(
        [sys.executable, *map(str, words)], cwd=cwd, env=os.environ | environment, capture_output=True, text=True,
        timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    quiet("-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the installed wheel and nothing else of ours."""
    folder = tmp_path_factory.mktemp("site")
    quiet("-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", folder, wheel, cwd=folder)
    return folder


def test_the_wheel_holds_the_code_the_registry_the_published_sets_and_the_licence(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    parts = {"src/rnnbench": "rnnbench", "conf": "rnnbench/conf", "results/published": "rnnbench/published"}
    kinds = (".py", ".yaml", ".html", ".css", ".js", ".jsonl", ".json", ".csv", ".md", ".npz")
    for folder, inside in parts.items():
        files = [p for p in (ROOT / folder).rglob("*") if p.suffix in kinds]
        assert len(files) > 20
        assert {f"{inside}/{path.relative_to(ROOT / folder).as_posix()}" for path in files} <= names
    assert all(any(name.endswith(f"licenses/{file}") for name in names) for file in ("LICENSE", "NOTICE"))
    assert [n for n in names if not n.startswith(("rnnbench/", "rnnbench-"))] == []
    assert [n for n in names if "__pycache__" in n or "results/" in n or n.endswith((".png", ".gif"))] == []
    assert wheel.stat().st_size < 9e6


def test_it_works_from_any_folder_and_writes_the_store_only(site, tmp_path):
    (tmp_path / "work").mkdir()
    here = {"PYTHONPATH": str(site), "RNNBENCH_RESULTS": str(tmp_path / "store"), "RNNBENCH_CONFIG_DIR": ""}

    def command(*words: str) -> str:
        return quiet("-m", "rnnbench", *words, cwd=tmp_path / "work", **here)

    code = "import rnnbench, rnnbench.runs.registry as r; print(rnnbench.__file__, r.config_dir(), sep='\\n')"
    file, conf = quiet("-c", code, cwd=tmp_path / "work", **here).splitlines()
    assert Path(file) == site / "rnnbench" / "__init__.py", "not the checkout"
    assert Path(conf) == site / "rnnbench" / "conf"

    listed = {line.split()[0] for line in command("list", "cells").splitlines() if line}
    assert listed >= {path.stem for path in (ROOT / "conf" / "cell").glob("*.yaml")}
    small = ("budget=smoke", "budget.updates=8", "hidden_size=8")
    assert "ok  GRU h=8 · digits" in command("run", "cell=gru", *small, "tracker=none")
    command("sweep", "cell=gru,rnn", *small)
    assert "GRU h=8" in command("leaderboard")
    records = [json.loads(path.read_text()) for path in (tmp_path / "store" / "runs").glob("*/record.json")]
    assert [record["status"] for record in records] == ["ok", "ok"]
    assert [record["git"] for record in records] == [{"commit": None, "dirty": None}] * 2
    assert list((tmp_path / "work").iterdir()) == [], "no outputs/, no logs, no caches"
    assert sorted(path.name for path in (tmp_path / "store").iterdir()) == ["runs", "sweeps", "tables"]


# The commands of README and docs that read what is published.
READING = [
    "leaderboard quickstart", "leaderboard tcn_jsb mnist_rows", "tables quickstart cell=lstm,gru", "claims",
    "report quickstart", "ablation convlstm_peephole --no-figures", "frames baseline",
    "verify quickstart convlstm_peephole spatiotemporal_small", "show b51af3",
    'diff b51af3 "cell=lstm dataset=digits seed=1"', "compare quickstart quickstart", "merge quickstart",
]  # fmt: skip


def test_commands_of_the_docs_read_the_published_sets_in_an_empty_folder(site, tmp_path):
    """Nothing was ever run here: the sets came in the wheel, and what is made of them goes into the user's results."""
    here = {"PYTHONPATH": str(site), "RNNBENCH_RESULTS": "", "RNNBENCH_CONFIG_DIR": ""}
    before = {path: path.stat().st_mtime_ns for path in (site / "rnnbench" / "published").rglob("*")}
    said = {words: quiet("-m", "rnnbench", *shlex.split(words), cwd=tmp_path, **here) for words in READING}
    assert "BiLSTM" in said["leaderboard quickstart"]
    assert "are missing" not in said["claims"]
    assert said["claims"].count("not enough evidence") < 20
    assert (
        said[next(words for words in READING if words.startswith("verify"))]
        == "quickstart: equal\nconvlstm_peephole: equal\nspatiotemporal_small: equal\n"
    )
    assert said["merge quickstart"].startswith("48 copied (48 of a published set, without weights)")
    made = {path.relative_to(tmp_path / "results").as_posix() for path in (tmp_path / "results" / "tables").rglob("*")}
    expected = {"report_quickstart.html", "claims.md", "ablation_convlstm_peephole/ablation.md",
                "frames_baseline/moving_digits.png"}  # fmt: skip
    assert {f"tables/{name}" for name in expected} <= made
    assert {path: path.stat().st_mtime_ns for path in (site / "rnnbench" / "published").rglob("*")} == before
