"""Weights & Biases: curves live, the record as a mirror at the end. Imports no wandb: its helper process does.

One W&B run per attempt, grouped by the sweep. W&B has its own run ids; ours is in the config (``rnnbench_id``) and in
the name, so both can be found from either side.

Under ``wandb agent`` the agent has made the W&B run and waits for its curves: then its ids and its project, which the
environment has, are the ones that count, and online is the mode unless another is set. Only a run of its own is meant,
as `rnnbench run` does one; the runs of a sweep of ours each have their W&B run, whoever started the sweep.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from rnnbench.errors import BadInput, nearest
from rnnbench.store.record import Record
from rnnbench.tracking.base import RunInfo, Tracker, TrackerError, record_row, record_summary

Mode = Literal["offline", "online", "disabled"]
PATIENCE_SECONDS = 6.0  # for W&B's own start and end; below the guard's limit, so that W&B says itself what is wrong
HELPER = Path(__file__).with_name("wandb_process.py")

# What W&B would take from the environment although it is decided here: which run this is, and where it belongs.
DECIDED_HERE = frozenset(
    f"WANDB_{name}"
    for name in ["RUN_ID", "RUN_GROUP", "NAME", "RESUME", "SWEEP_ID", "MODE", "DIR", "PROJECT", "SERVICE"]
)

# What of that a `wandb agent` decides for the run that it starts.
OF_THE_AGENT = frozenset({"WANDB_RUN_ID", "WANDB_SWEEP_ID", "WANDB_PROJECT"})


def agent_run() -> str | None:
    """The id of the W&B run that this process was started for by ``wandb agent``; None without one."""
    return (os.environ.get("WANDB_SWEEP_ID") or None) and (os.environ.get("WANDB_RUN_ID") or None)


def resolve_mode(mode: str | None) -> Mode:
    """The mode asked for; without one what WANDB_MODE says; without that offline, or online under ``wandb agent``.

    A mode in the config wins over WANDB_MODE: what is written on the command line is meant. Raises BadInput on a mode
    that is none of W&B's.
    """
    asked = mode if mode is not None else os.environ.get("WANDB_MODE") or ("online" if agent_run() else "offline")
    if asked not in get_args(Mode):
        where = "tracker.mode" if mode is not None else "WANDB_MODE"
        raise BadInput(f"{where}={asked!r} is not a mode of W&B; {nearest(str(asked), get_args(Mode))}")
    return asked  # type: ignore[return-value]  # one of get_args(Mode)


class WandbTracker(Tracker):
    """One attempt as one W&B run, in a helper process (see `wandb_process` for why).

    project, entity: where the run goes; entity None is the account's own. mode: offline writes files only, which
    ``wandb sync`` uploads later; online needs ``wandb login`` once; disabled does nothing; None asks WANDB_MODE. dir:
    where W&B puts its folder ``wandb/``, the run's folder unless set.

    Raises BadInput on an unknown mode; `start`, `log` and `finish` raise TrackerError when W&B or its process fails.
    """

    def __init__(
        self,
        project: str = "rnnbench",
        entity: str | None = None,
        mode: str | None = None,
        dir: str | Path | None = None,
    ) -> None:
        self.project = project
        self.entity = entity
        self.mode = resolve_mode(mode)
        self.dir = Path(dir) if dir else None
        self._process: subprocess.Popen[bytes] | None = None
        self._abandoned = False
        self._busy = threading.RLock()  # held while a call is under way: who holds it cleans up

    def start(self, info: RunInfo) -> None:
        if self.mode == "disabled":
            return
        folder = (self.dir or info.folder).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        attempt = f" #{info.attempt}" if info.attempt > 1 else ""
        init = {
            "project": self.project,
            "entity": self.entity,
            "mode": self.mode,
            "dir": str(folder),
            "name": f"{info.name} {info.id}{attempt}",
            "group": info.group,
            "config": {**info.config, "rnnbench_id": info.id, "rnnbench_attempt": info.attempt},
        }
        if of_agent := agent_run() is not None and info.group is None:
            init = {key: init[key] for key in ("mode", "dir", "config")}
        with self._busy:
            self._process = self._open(OF_THE_AGENT if of_agent else frozenset())
            if self._abandoned:  # while the process was being started
                self._process.kill()
            self._send(["start", {"init": init, "patience": PATIENCE_SECONDS}])
            self._answer()

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        if self.mode == "disabled":
            return
        with self._busy:
            self._send(["log", int(step), {name: float(value) for name, value in metrics.items()}])

    def finish(self, record: Record | None, ok: bool) -> None:
        if self._process is None:
            return
        message = {
            "summary": record_summary(record) if record is not None else {},
            "row": record_row(record) if record is not None else {},
            "exit_code": 0 if ok else 1,
        }
        with self._busy:
            self._send(["finish", message])
            self._answer()
            self._close()

    def abandon(self) -> None:
        self._abandoned = True
        if self._process is None:
            return
        self._process.kill()
        if self._busy.acquire(blocking=False):  # else the call under way sees the end of its pipe, and closes
            try:
                self._close()
            finally:
                self._busy.release()

    def _open(self, kept: frozenset[str] = frozenset()) -> subprocess.Popen[bytes]:
        env = {name: value for name, value in os.environ.items() if name not in DECIDED_HERE - kept}
        env.setdefault("WANDB_ERROR_REPORTING", "false")  # offline is offline: no crash reports to the maker either
        # -P: the folder of the script, where our own module names lie, stays off its import path. Its own session:
        # Ctrl-C is for the training process, which then finishes the W&B run in order.
        return subprocess.Popen(
            [sys.executable, "-P", str(HELPER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=env,
            start_new_session=True,
        )

    def _send(self, message: list[Any]) -> None:
        if self._process is None or self._process.stdin is None or self._process.stdin.closed:
            raise TrackerError("W&B is not running")
        try:
            self._process.stdin.write(json.dumps(message, default=str).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:  # it ended, and its last line says why
            self._answer()
            raise TrackerError("W&B's process ended early") from None

    def _answer(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        answer = json.loads(line) if line.endswith(b"\n") else {"error": "W&B's process ended without a word"}
        if "error" in answer:
            self._close()
            raise TrackerError(answer["error"])

    def _close(self) -> None:
        """Close the pipes and collect the process, which has ended or is about to."""
        process = self._process
        assert process is not None
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # a broken pipe complains about what it could not write
                    pipe.close()
        process.wait()
