"""Who works on a run: claims, heartbeats, and how each attempt ended. Imports no torch.

The folder `attempts/NNN` is the claim: it appears by a rename, with the claimer's name in it, for one process only.
While that lives, a thread touches `heartbeat`; when it ends, `outcome.json` says how. No outcome and a dead process (or
a stale heartbeat) means it was killed. A `forgiven` attempt counts for nothing: its run was set aside to be done again.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import platform
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from rnnbench.store.store import write_atomic

BEAT_SECONDS = 5.0
STALE_SECONDS = 60.0
FORGIVEN = "forgiven"  # the file that says so
DEATHS = 3  # a run that dies of itself so often is recorded as killed


@dataclass(frozen=True)
class Seen:
    """One attempt as another process sees it. status: running, or how it ended."""

    number: int
    status: str
    reason: str
    seconds: float
    own_death: bool = False  # it died while the sweep that started it lived
    forgiven: bool = False  # its failed record was set aside since


def look(run_folder: Path) -> list[Seen]:
    """Every attempt at a run, oldest first."""
    folder = run_folder / "attempts"
    if not folder.is_dir():
        return []
    paths = sorted((p for p in folder.iterdir() if p.name.isdigit()), key=lambda p: int(p.name))
    return [replace(_look(p), forgiven=True) if (p / FORGIVEN).exists() else _look(p) for p in paths]


def alive(run_folder: Path) -> bool:
    """Whether a living process has the run: only the latest attempt can be one."""
    return any(seen.status == "running" for seen in look(run_folder))


def _look(path: Path) -> Seen:
    number = int(path.name)
    try:
        outcome = json.loads((path / "outcome.json").read_text())
        return Seen(number, outcome["status"], outcome["reason"], outcome["seconds"], outcome.get("own_death", False))
    except FileNotFoundError:
        pass
    except (ValueError, KeyError, TypeError, OSError):
        return Seen(number, "killed", "its outcome.json cannot be read", 0.0)
    last = _last_sign(path)
    try:
        claim = json.loads((path / "claim.json").read_text())
        host, pid, born, began = (claim[key] for key in ("host", "pid", "born", "time"))
    except (
        ValueError,
        KeyError,
        TypeError,
        OSError,
    ):  # the claimer is between mkdir and its first write, or died there
        fresh = time.time() - last < STALE_SECONDS
        return Seen(number, "running" if fresh else "killed", "no claim written", 0.0)
    seconds = max(0.0, last - began)
    if host == platform.node():
        alive = _alive(pid, born)
        why = f"process {pid} is gone"
    else:
        alive = time.time() - last < STALE_SECONDS
        why = f"no heartbeat from {host} for {time.time() - last:.0f} s"
    return Seen(number, "running" if alive else "killed", "" if alive else why, seconds)


def _last_sign(path: Path) -> float:
    for name in ("heartbeat", "claim.json", "."):
        try:
            return (path / name).stat().st_mtime
        except OSError:
            continue
    return 0.0


def _alive(pid: int, born: float) -> bool:
    """Whether the very process that claimed still runs; a new process with the old number does not count."""
    try:
        process = psutil.Process(pid)
        same = abs(float(process.create_time()) - born) < 2.0
        return same and bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


class Attempt:
    """This process's claim on a run. Use `claim`; close with an outcome, whatever happens."""

    def __init__(self, folder: Path, began: float) -> None:
        self.folder = folder
        self.number = int(folder.name)
        self._began = began
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._thread.start()

    def _beat(self) -> None:
        beat = self.folder / "heartbeat"
        while True:
            with contextlib.suppress(OSError):  # a full disk or a lost mount for a moment is no death
                beat.touch()
            if self._done.wait(BEAT_SECONDS):
                return

    @property
    def seconds(self) -> float:
        return time.time() - self._began

    def stop(self) -> None:
        """No more heartbeats: the folder may go."""
        self._done.set()
        self._thread.join()

    def close(self, status: str, reason: str = "", *, traceback: str | None = None) -> None:
        """Write how it ended. The first word counts: a second call changes nothing."""
        self._done.set()
        if traceback:
            with contextlib.suppress(OSError):  # a full disk: the outcome says the same in a line
                write_atomic(self.folder / "traceback.txt", traceback)
        write_outcome(self.folder, status, reason, self.seconds)


def claim(run_folder: Path) -> Attempt | None:
    """Claim a run for this process; None while a living process has it. What dead writers left half-written goes."""
    seen = look(run_folder)
    if any(a.status == "running" for a in seen):
        return None
    number = seen[-1].number + 1 if seen else 1
    folder = run_folder / "attempts" / f"{number:03d}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    began = time.time()
    me = psutil.Process()
    text = json.dumps({"host": platform.node(), "pid": me.pid, "born": me.create_time(), "time": began})
    made = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        made.chmod(0o755)
        with (made / "claim.json").open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        made.rename(folder)  # fails where the folder is there: another process was faster by a moment
    except OSError as error:
        shutil.rmtree(made, ignore_errors=True)
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOENT):  # or has even swept ours away
            return None
        raise
    for path in temporaries(run_folder):
        remove(path)
    return Attempt(folder, began)


def write_outcome(folder: Path, status: str, reason: str, seconds: float, *, own_death: bool = False) -> None:
    """Write an attempt's outcome unless it has one."""
    path = folder / "outcome.json"
    if path.exists():
        return
    outcome: dict[str, object] = {"status": status, "reason": reason, "seconds": round(seconds, 3)}
    if own_death:
        outcome["own_death"] = True
    write_atomic(path, json.dumps(outcome))


def note_end(run_folder: Path, status: str, reason: str, *, own_death: bool = False) -> None:
    """Write how the latest attempt ended, whose process is gone without a word. Nothing where it lives, or has one."""
    for seen in look(run_folder)[-1:]:  # an earlier one without an outcome died together with its sweep
        if seen.status == "killed":
            folder = run_folder / "attempts" / f"{seen.number:03d}"
            write_outcome(folder, status, reason, seen.seconds, own_death=own_death)


def note_death(run_folder: Path, reason: str) -> int:
    """A worker died under a living sweep: write that into its open attempt. Returns how often that has happened."""
    note_end(run_folder, "killed", reason, own_death=True)
    return deaths(run_folder)


def deaths(run_folder: Path) -> int:
    """How often a worker died of this run while its sweep lived, since it was last set aside to be done again."""
    return sum(seen.own_death and not seen.forgiven for seen in look(run_folder))


def out_of_memory(run_folder: Path) -> int:
    """How often this run ran out of memory, since it was last set aside to be done again."""
    return sum(seen.status == "oom" and not seen.forgiven for seen in look(run_folder))


def forgive(run_folder: Path) -> None:
    """A failed record was set aside: neither deaths nor seconds of the attempts so far count against the run."""
    for seen in look(run_folder):
        (run_folder / "attempts" / f"{seen.number:03d}" / FORGIVEN).touch()


def temporaries(run_folder: Path) -> list[Path]:
    """What writers have in hand in a run's folder, or left there when they were killed: files and unborn claims."""
    folders = [run_folder, run_folder / "attempts", *run_folder.glob("attempts/[0-9]*")]
    return [path for folder in folders for path in folder.glob(".*.*")]


def remove(path: Path) -> None:
    """Remove a file or a folder that may be gone already."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def tidy(run_folder: Path, before: float) -> None:
    """Remove temporaries that were last written before a time, unless a living process has the run."""
    found = []
    for path in temporaries(run_folder):
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < before:
                found.append(path)
    if found and not alive(run_folder):
        for path in found:
            remove(path)
