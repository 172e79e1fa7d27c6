"""What the tests of the trackers share: a run to watch, a record, and a reader of W&B's offline files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from rnnbench.tracking import RunInfo

SRC = Path(__file__).parents[2] / "src"


@pytest.fixture(autouse=True)
def no_wandb_of_the_user(monkeypatch, tmp_path):
    """No key, mode or server of whoever runs the tests."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))


@pytest.fixture
def info(tmp_path):
    folder = tmp_path / "0123456789ab"
    folder.mkdir()
    config = {"cell": {"name": "lstm"}, "seed": 3, "sizes": [1, 2]}
    return RunInfo("0123456789ab", "LSTM digits seed 3", "my-sweep", config, 1, folder)


@pytest.fixture
def record():
    return {
        "id": "0123456789ab",
        "status": "ok",
        "reason": None,
        "seed": 3,
        "best_step": 2,
        "dataset": {"name": "digits", "version": 1},
        "axes": {"cell": "lstm", "depth": 2, "peephole": False, "options": {"groups": 4, "sizes": [1, 2]}},
        "metrics": {"val/loss": 0.25, "test/accuracy": 0.9, "test/auc": None},
    }


@pytest.fixture
def python():
    """Run a script in a fresh interpreter: `python(code, limit_seconds, **env)` gives the finished process."""

    def run(code: str, limit: float = 20, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)],
            env={**os.environ, "PYTHONPATH": str(SRC), **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
        )

    return run


def _log_payloads(data: bytes) -> list[bytes]:
    """The records of a LevelDB log (W&B's own header of 7 bytes; blocks of 32 KiB; crc, length, type before a part)."""
    whole, part, at = [], b"", 7
    while at + 7 <= len(data):
        room = 32768 - at % 32768
        if room < 7:
            at += room
            continue
        length, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        part = (b"" if kind in (1, 2) else part) + data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # full, or the last part
            whole.append(part)
    return whole


def _read_wandb(folder: Path) -> dict:
    """What one offline W&B run holds: name, group, project, config, history rows, summary and exit code."""
    from wandb.proto.wandb_internal_pb2 import Record

    (path,) = folder.glob("wandb/offline-run-*/*.wandb")
    found: dict = {"folder": path.parent, "config": {}, "history": [], "summary": {}, "exit_code": None}
    for payload in _log_payloads(path.read_bytes()):
        entry = Record.FromString(payload)
        kind = entry.WhichOneof("record_type")
        if kind == "run":
            run = entry.run
            found |= {"name": run.display_name, "group": run.run_group, "project": run.project}
            found["config"] |= {item.key: json.loads(item.value_json) for item in run.config.update}
        elif kind == "history":
            rows = {item.key or item.nested_key[0]: json.loads(item.value_json) for item in entry.history.item}
            found["history"].append(rows)
        elif kind == "summary":
            found["summary"] |= {
                item.key or item.nested_key[0]: json.loads(item.value_json) for item in entry.summary.update
            }
        elif kind == "exit":
            found["exit_code"] = entry.exit.exit_code
    return found


@pytest.fixture
def read_wandb():
    pytest.importorskip("wandb.proto.wandb_internal_pb2", exc_type=ImportError)
    return _read_wandb
