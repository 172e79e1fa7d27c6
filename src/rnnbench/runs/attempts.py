"""Who works on a run: claims, heartbeats, and how each attempt ended. Imports no torch.

The folder `attempts/NNN` is the claim: it appears by a rename, with the claimer's name in it, for one process only.
While that lives, a thread writes `heartbeat`; when it ends, `outcome.json` says how. No outcome and a dead process mean
it was killed; one on another machine is dead when its heartbeat, watched from here, has stood still for a minute
(`living`). Who takes over writes that into the first attempt's outcome. A process that was only suspended finds it
there, and leaves without a word. A `forgiven` attempt counts for nothing: its run was set aside to be done again.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from rnnbench.runs import living
from rnnbench.runs.living import STALE_SECONDS, WATCH
from rnnbench.store.small_files import read, read_json
from rnnbench.store.store import write_atomic, write_once

BEAT_SECONDS = 5.0
LOOK_SECONDS = 1.0  # between two looks at a heartbeat that is watched
LEFT_SECONDS = 2.0  # a file that nobody has written for so long, watched, is not being written
FORGIVEN = "forgiven"  # the file that says so
DEATHS = 3  # a run that dies of itself so often is recorded as killed
ENDS = frozenset({"ok", "diverged", "oom", "error", "timeout", "killed", "pruned", "interrupted", "refused"})


class TakenOver(Exception):
    """Another process has the run by now: this one was taken for dead, and has nothing more to say of it."""


@dataclass(frozen=True)
class Seen:
    """One attempt as another process sees it. status: running, or how it ended."""

    number: int
    status: str
    reason: str
    seconds: float
    own_death: bool = False  # it died while the sweep that started it lived
    forgiven: bool = False  # its failed record was set aside since
    host: str | None = None  # of one that runs where its process cannot be looked up
    silent: float | None = None  # seconds since its last sign by this machine's clock, which may be wrong: for people


def look(run_folder: Path) -> list[Seen]:
    """Every attempt at a run, oldest first."""
    paths = _folders(run_folder)
    found = [_look(path, latest=path == paths[-1]) for path in paths]
    return [
        replace(seen, forgiven=True) if (path / FORGIVEN).exists() else seen
        for path, seen in zip(paths, found, strict=True)
    ]


def alive(run_folder: Path) -> bool:
    """Whether a process has the run that is not known to be dead."""
    return any(seen.status == "running" for seen in look(run_folder))


def _folders(run_folder: Path) -> list[Path]:
    """The attempts at a run, in order. What has another name or is no folder is none."""
    try:
        with os.scandir(run_folder / "attempts") as entries:
            names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    numbers = sorted(int(name) for name in names if name.isascii() and name.isdecimal() and name == _name(int(name)))
    return [run_folder / "attempts" / _name(number) for number in numbers]


def _name(number: int) -> str:
    return f"{number:03d}"


def _look(path: Path, *, latest: bool) -> Seen:
    number = int(path.name)
    if os.path.lexists(path / "outcome.json"):
        return _ended(number, read_json(path / "outcome.json"))
    said = read_json(path / "claim.json")
    who, lasted = living.who(said), _seconds(path, said)
    if who is not None and who.here:
        if who.lives:
            return Seen(number, "running", "", lasted)
        return Seen(number, "killed", f"process {who.pid} is gone", lasted)
    if not latest:
        return Seen(number, "killed", "another attempt took over", lasted)
    quiet = WATCH.silent(path, _sign(path))
    if quiet < STALE_SECONDS:
        host = who.host if who is not None else "an unknown host"
        return Seen(number, "running", "", lasted, host=host, silent=max(0.0, time.time() - _last_sign(path)))
    why = "no claim written" if who is None else f"no heartbeat from {who.host} for {quiet:.0f} s"
    return Seen(number, "killed", why, lasted)


def _ended(number: int, said: object) -> Seen:
    """What an outcome says, where it says what an outcome can."""
    if isinstance(said, dict):
        status, reason, seconds = said.get("status"), said.get("reason"), living.seconds(said.get("seconds"))
        if isinstance(status, str) and status in ENDS and isinstance(reason, str) and seconds is not None:
            return Seen(number, status, reason, seconds, said.get("own_death") is True)
    return Seen(number, "killed", "its outcome.json cannot be read", 0.0)


def _seconds(path: Path, said: object) -> float:
    """How long an attempt lasted until its last sign: its own count, else (before there was one) by the stamps."""
    with contextlib.suppress(ValueError, IndexError):
        counted = living.seconds(float((read(path / "heartbeat") or b"").split()[1]))
        if counted is not None:
            return counted
    began = living.seconds(said.get("time")) if isinstance(said, dict) else None
    return 0.0 if began is None else max(0.0, _last_sign(path) - began)


def _last_sign(path: Path) -> float:
    for name in ("heartbeat", "claim.json", "."):
        try:
            return (path / name).stat().st_mtime
        except OSError:
            continue
    return 0.0


def _sign(path: Path) -> living.Sign:
    return living.sign(path / "heartbeat"), living.sign(path / "claim.json"), living.sign(path)


class Attempt:
    """This process's claim on a run. Use `claim`; close with an outcome, whatever happens."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.number = int(folder.name)
        self.lost: str | None = None  # why it is no longer ours, once the heartbeat has noticed
        self._began = time.monotonic()
        self._closed = False
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._thread.start()

    def _beat(self) -> None:
        count = 0
        while True:
            if self.lost_now():
                return
            count += 1
            with contextlib.suppress(OSError):  # a full disk or a lost mount for a moment is no death
                self._give_sign(count)
            if self._done.wait(BEAT_SECONDS):
                return

    def _give_sign(self, count: int) -> None:
        """Write a count and the attempt's seconds. In place and of one length, so that no reader finds half of it."""
        handle = os.open(self.folder / "heartbeat", os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            os.utime(handle)  # first: it is a sign even where the disk is full
            os.pwrite(handle, f"{count:012d} {self.seconds:016.3f}\n".encode(), 0)
        finally:
            os.close(handle)

    def _taken_over(self) -> str | None:
        """Why the run is another's, in a sentence; None while it is ours."""
        if self._closed:
            return None
        with contextlib.suppress(OSError):
            later = any(int(path.name) > self.number for path in _folders(self.folder.parents[1]))
            if later or os.path.lexists(self.folder / "outcome.json"):
                return f"attempt {self.number} gave no sign for long, and another process has taken the run over"
        return None

    def check(self) -> None:
        """Before anything of the run is written. Raises TakenOver where it is no longer ours."""
        if self.lost_now():
            raise TakenOver(self.lost)

    def lost_now(self) -> bool:
        """Whether the run is no longer ours, asked of the disk."""
        self.lost = self.lost or self._taken_over()
        return self.lost is not None

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def stop(self) -> None:
        """No more heartbeats: the folder may go."""
        self._done.set()
        self._thread.join()

    def close(self, status: str, reason: str = "", *, traceback: str | None = None) -> None:
        """Write how it ended. The first word counts: a second call changes nothing."""
        self._closed = True
        self._done.set()
        if traceback:
            with contextlib.suppress(OSError):  # a full disk: the outcome says the same in a line
                write_atomic(self.folder / "traceback.txt", traceback)
        write_outcome(self.folder, status, reason, self.seconds)


def claim(run_folder: Path) -> Attempt | None:
    """Claim a run for this process; None while a process has it that is not known to be dead. What dead writers left
    half-written goes."""
    seen = look(run_folder)
    if any(a.status == "running" for a in seen):
        return None
    bury(run_folder, seen)
    number = seen[-1].number + 1 if seen else 1
    folder = run_folder / "attempts" / _name(number)
    folder.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({**living.me(), "time": time.time()})
    made = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        made.chmod(0o755)
        with (made / "claim.json").open("w", encoding="utf-8") as file:
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
    return Attempt(folder)


def claim_when_dead(run_folder: Path, go_on: Callable[[], bool] = lambda: True) -> Attempt | None:
    """As `claim`, but a process on another machine is watched until it gives a sign (None) or is known to be dead.

    go_on: asked now and then whether to watch any longer.
    """
    mine = claim(run_folder)
    first = look(run_folder)[-1:] if mine is None else []
    if mine is not None or not first or first[0].host is None:
        return mine
    place = run_folder / "attempts" / _name(first[0].number)
    sign = _sign(place)
    while go_on():
        time.sleep(LOOK_SECONDS)
        if (mine := claim(run_folder)) is not None:
            return mine
        now = look(run_folder)[-1]
        if now.status != "running" or now.host is None or now.number != first[0].number or _sign(place) != sign:
            return None
    return None


def settle(run_folders: Iterable[Path]) -> None:
    """Learn whether processes on other machines are dead that have one of these runs and whose last sign seems old.

    Each is watched until it gives a sign or has been silent for a minute. The clock is only a hint whom to watch.
    """
    signs = {}
    for folder in run_folders:
        seen = look(folder)
        if seen and seen[-1].status == "running" and (seen[-1].silent or 0.0) > STALE_SECONDS:
            signs[folder] = _sign(folder / "attempts" / _name(seen[-1].number))
    while signs:
        time.sleep(LOOK_SECONDS)
        for folder, before in list(signs.items()):
            last = look(folder)[-1:]
            if not last or last[0].status != "running" or _sign(folder / "attempts" / _name(last[0].number)) != before:
                del signs[folder]


def bury(run_folder: Path, seen: Iterable[Seen] | None = None) -> None:
    """Write the outcome of attempts that are known to be dead and have none: from then on everybody knows it, and one
    that was suspended only. seen: of a moment ago."""
    for each in look(run_folder) if seen is None else seen:
        folder = run_folder / "attempts" / _name(each.number)
        if each.status == "killed" and not os.path.lexists(folder / "outcome.json"):
            write_outcome(folder, each.status, each.reason, each.seconds)


def write_outcome(folder: Path, status: str, reason: str, seconds: float, *, own_death: bool = False) -> None:
    """Write an attempt's outcome unless it has one."""
    outcome: dict[str, object] = {"status": status, "reason": reason, "seconds": round(seconds, 3)}
    if own_death:
        outcome["own_death"] = True
    with contextlib.suppress(FileExistsError):
        write_once(folder / "outcome.json", json.dumps(outcome))


def note_end(run_folder: Path, status: str, reason: str, *, own_death: bool = False) -> None:
    """Write how the latest attempt ended, whose process is gone without a word. Nothing where it lives, or has one."""
    for seen in look(run_folder)[-1:]:  # an earlier one without an outcome died together with its sweep
        if seen.status == "killed":
            folder = run_folder / "attempts" / _name(seen.number)
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
        (run_folder / "attempts" / _name(seen.number) / FORGIVEN).touch()


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


def tidy(run_folders: Iterable[Path]) -> None:
    """Remove what killed writers left in the folders of runs that no living process has.

    Whether a file was left is no question of its stamp, which a step of the clock makes old: it is looked at twice.
    """
    found = [path for folder in run_folders for path in temporaries(folder)]
    for path in left(found):
        if not alive(_run_of(path)):
            remove(path)


def _run_of(path: Path) -> Path:
    """The folder of the run that a temporary is in."""
    return next((p.parent for p in path.parents if p.name == "attempts"), path.parent)


def left(paths: Iterable[Path]) -> list[Path]:
    """Those that nobody writes: they stay the same while watched, for two seconds. Without any no time passes."""
    before = {path: found for path in paths if (found := _extent(path))}
    if before:
        time.sleep(LEFT_SECONDS)
    return [path for path, found in before.items() if _extent(path) == found]


def _extent(path: Path) -> list[tuple[str, int, int, int]]:
    """Name, identity, size and stamp of a file, or of all there is in a folder; [] where it is gone."""
    found = []
    for each in [path, *(path.rglob("*") if path.is_dir() else ())]:
        with contextlib.suppress(OSError):
            stat = each.lstat()
            found.append((str(each), stat.st_ino, stat.st_size, stat.st_mtime_ns))
    return found
