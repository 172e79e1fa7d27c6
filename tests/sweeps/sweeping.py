"""Helpers of the sweep tests: tiny sweeps in this process or as the command, and what of a record must be equal."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import psutil
from rich.console import Console

from rnnbench.store.store import Store
from rnnbench.sweeps.display import Display
from rnnbench.sweeps.plan import plan
from rnnbench.sweeps.sweep import Result, Sweep

LAB = Path(__file__).parent / "lab"
TINY = ["dataset=digits", "budget=smoke", "budget.updates=8", "budget.val_every=4", "hidden_size=8"]

# What of a record is about the machine, the moment or the checkout, and may differ between two runs of one config.
OF_THE_MOMENT = {
    "train_seconds", "wall_seconds", "steps_per_second", "peak_memory_mb", "host", "git", "source_hash", "packages",
    "attempts", "started", "finished", "command",
}  # fmt: skip


def sweep(*overrides: str, results: Path, workers: int = 2, said: io.StringIO | None = None, **more: Any) -> Result:
    """One sweep from this process, its display written to `said`."""
    made = plan(overrides)
    display = Display(len(made.jobs), workers, Console(file=said or io.StringIO(), width=200))
    return Sweep(made, results, workers=workers, **more).run(display)


def comparable(results: Path) -> dict[str, str]:
    """By id, the text of everything in a store that two sweeps must agree in: records and histories."""
    store = Store.open(results)
    found = {}
    for run_id, record in store.records().items():
        kept = {key: value for key, value in record.items() if key not in OF_THE_MOMENT}
        kept["config"] = {key: value for key, value in record["config"].items() if key not in ("tracker", "harness")}
        found[run_id] = json.dumps(kept, sort_keys=True) + (store.folder(run_id) / "history.jsonl").read_text()
    return found


def claims(results: Path, run_id: str) -> list[dict[str, Any]]:
    """How each attempt at a run ended, the outcomes in order; one that has none is {}."""
    folders = sorted((results / "runs" / run_id / "attempts").iterdir())
    files = [folder / "outcome.json" for folder in folders]
    return [json.loads(file.read_text()) if file.exists() else {} for file in files]


def temporaries(results: Path) -> list[Path]:
    """Files that a writer left half-written."""
    return [path for path in results.rglob(".*") if path.is_file()]


def start(*words: str, results: Path, cwd: Path, nap: float = 0.0) -> subprocess.Popen[str]:
    """`rnnbench WORDS` as the leader of a process group of its own, with the lab's cells."""
    command = [sys.executable, "-m", "rnnbench", *words, "--results", str(results), "--config-dir", str(LAB)]
    return subprocess.Popen(
        command, cwd=cwd, env=os.environ | {"LAB_NAP": str(nap)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip


def call(*words: str, results: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The same, waited for."""
    process = start(*words, results=results, cwd=cwd)
    out, err = process.communicate(timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def until(true: Callable[[], Any], seconds: float = 60.0) -> float:
    """Wait until something is true and return how long that took; fails after `seconds`."""
    began = monotonic()
    while not true():
        assert monotonic() - began < seconds, f"did not come true in {seconds} s"
        sleep(0.02)
    return monotonic() - began


def family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Everything a command has started so far: fork server, resource tracker, workers."""
    return psutil.Process(process.pid).children(recursive=True)


def gone(processes: list[psutil.Process]) -> bool:
    return not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes)
