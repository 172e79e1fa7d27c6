"""Over Ray: each run on some node of a cluster, straight on Ray's core. Needs ``pip install "rnnbench[ray]"``.

An actor is a seat on a node that does one run after another, each in a process of its own (see `hosted`). A seat whose
node is gone takes no run with it: the run ends `lost` and is done elsewhere from its checkpoint.

Without an address a Ray of our own is started on this machine, bound to 127.0.0.1, without dashboard, and with a token
that nobody else has. With one a cluster is joined, and its token is asked for: who can talk to a Ray without one can
run anything on it.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnnbench.errors import BadInput
from rnnbench.runs.plan import Job
from rnnbench.sweeps.executors.base import Ended, Executor, Running
from rnnbench.sweeps.executors.hosted import Answer, Host, Place, take_options

MISSING = '--executor ray needs the package ray: pip install "rnnbench[ray]"'
POLL_SECONDS = 0.5  # how long a seat looks at its run before it listens again: what a cancel may be late
PATIENCE_SECONDS = 60.0  # without any node that has room, before that is said
KNOCK_SECONDS = 5.0
STARTS = 3  # seats that could not be made, one after the other, before the sweep gives up
OPTIONS: dict[str, Any] = {"address": "", "gpus": 1.0, "cpus": 1.0}


class Seat(Host):
    """What the actor is."""

    def __init__(self, place: Place) -> None:
        self._complaint = place.complaint()
        if self._complaint is None:
            super().__init__(place)

    def ready(self) -> str | None:
        """Why runs cannot be done here; None where they can."""
        return self._complaint

    def begin(self, job: Job) -> Answer | None:
        """Start a run and poll it once."""
        self.start(job)
        return self.poll(POLL_SECONDS)


@dataclass(eq=False)
class Held:
    """A seat as the sweep sees it. asked: the one answer it owes; None while it is idle."""

    actor: Any
    room: tuple[float, float]  # CPUs, GPUs
    asked: Any
    seated: bool = False


@dataclass(eq=False)
class RayRun(Running):
    """A run and its seat; None while it waits for one."""

    held: Held | None = None

    @property
    def seconds(self) -> float:
        """Since it has a seat: waiting for a node is not running."""
        return super().seconds if self.held else 0.0


class RayExecutor(Executor):
    """Up to `size` runs at once on a Ray cluster.

    address: `auto` or HOST:PORT of a cluster to join; without one Ray is started here, for this sweep only. cpus: of a
    node, for each run; gpus: the same where a run's device is cuda; 0.5 lets two runs share one. memory: bytes that a
    run's process may hold.
    """

    def __init__(self, size: int, results: Path, /, *, memory: int | None = None, **options: str) -> None:
        given = take_options("ray", options, OPTIONS)
        self.size, self._cpus, self._gpus = size, given["cpus"], given["gpus"]
        self._ray = start_ray(given["address"], size * self._cpus)
        self._place = Place.here(results, memory)
        self._seat = self._ray.remote(Seat)
        self._running: list[RayRun] = []
        self._unstarted: list[RayRun] = []  # cancelled while they waited for a seat
        self._seats: list[Held] = []
        self._unmade, self._since = 0, time.monotonic()

    @property
    def running(self) -> Sequence[RayRun]:
        return self._running

    def submit(self, job: Job) -> None:
        self._running.append(RayRun(job))
        self._assign()

    def _assign(self) -> None:
        """Give waiting runs to idle seats, and make the seats that are missing."""
        for run in self._waiting():
            idle = [held for held in self._seats if held.seated and held.asked is None]
            room = (self._cpus, self._gpus_of(run.job))
            if fitting := [held for held in idle if held.room == room]:
                run.held, run.began = fitting[0], time.monotonic()
                fitting[0].asked = fitting[0].actor.begin.remote(run.job)
            elif len(self._seats) >= self.size and idle:
                self._dismiss(idle[0])
        coming = sum(not held.seated for held in self._seats)  # a seat that is being made is for one that waits
        free = self.size - len(self._seats)
        for run in self._waiting()[coming : coming + free]:
            self._make(self._gpus_of(run.job))

    def _waiting(self) -> list[RayRun]:
        """The runs without a seat, in order."""
        return [run for run in self._running if run.held is None]

    def _gpus_of(self, job: Job) -> float:
        """How much of a GPU a job's seat needs."""
        return self._gpus if job.config["device"] == "cuda" else 0.0

    def _make(self, gpus: float) -> None:
        if not any(held.seated for held in self._seats):
            self._since = time.monotonic()
        actor = self._seat.options(num_cpus=self._cpus, num_gpus=gpus).remote(self._place)
        self._seats.append(Held(actor, (self._cpus, gpus), actor.ready.remote()))

    def _dismiss(self, held: Held) -> None:
        self._seats.remove(held)
        with contextlib.suppress(Exception):  # its node may be gone
            self._ray.kill(held.actor)

    def poll(self, seconds: float) -> Iterator[Ended]:
        """Wait until a run ends, at most `seconds`, and yield those that did."""
        while self._unstarted:
            yield Ended(self._unstarted.pop().job, "interrupted", "not started", None, 0.0)
        asked = [held.asked for held in self._seats if held.asked is not None]
        if asked:
            ready, _ = self._ray.wait(asked, num_returns=1, timeout=seconds)
        else:
            time.sleep(seconds)
            ready = []
        for held in [held for held in self._seats if held.asked in ready]:
            run = next((run for run in self._running if run.held is held), None)
            if run is None:
                self._take_seat(held)
            elif (answer := self._answer(held)) is not None:
                self._running.remove(run)
                yield Ended(run.job, *answer, run.seconds)
        self._say_where_there_is_no_room()
        self._assign()

    def _take_seat(self, held: Held) -> None:
        """A seat is there, or could not be made."""
        try:
            complaint = self._ray.get(held.asked)
        except self._ray.exceptions.RayError as error:
            self._dismiss(held)
            self._unmade += 1
            if self._unmade >= STARTS:
                raise BadInput(f"Ray could not start a worker {STARTS} times; at last: {_last_line(error)}") from None
            return
        if complaint is not None:
            raise BadInput(complaint)
        held.asked, held.seated, self._unmade = None, True, 0

    def _answer(self, held: Held) -> Answer | None:
        """What a seat says of its run; asks again where it goes on."""
        try:
            answer: Answer | None = self._ray.get(held.asked)
        except self._ray.exceptions.RayError as error:
            self._dismiss(held)
            return Answer("lost", f"its node or worker is gone ({type(error).__name__})", None)
        held.asked = held.actor.poll.remote(POLL_SECONDS) if answer is None else None
        return answer

    def _say_where_there_is_no_room(self) -> None:
        if any(held.seated for held in self._seats):
            self._since = time.monotonic()
        elif self._seats and time.monotonic() - self._since > PATIENCE_SECONDS:
            self._since = float("inf")  # said once
            print("rnnbench: no node of the Ray cluster has room yet; the sweep waits for one.", file=sys.stderr)

    def cancel(self, reason: str, running: Running | None = None, *, prune: bool = False) -> None:
        """Ask one run, or all of them, to checkpoint and end; those without a seat end at once."""
        for held in self._seats_of(running):
            held.actor.cancel.remote(reason, prune)

    def kill(self, running: Running | None = None) -> None:
        """End one run, or all of them, at once; they resume from the last checkpoint."""
        for held in self._seats_of(running):
            held.actor.kill.remote()

    def _seats_of(self, running: Running | None) -> list[Held]:
        """The seats of one run or of all; runs without a seat are taken back."""
        meant = [run for run in self._running if running is None or run is running]
        self._unstarted += [run for run in meant if run.held is None]
        self._running = [run for run in self._running if run not in self._unstarted]
        return [run.held for run in meant if run.held is not None]

    def close(self) -> None:
        """Let the nodes go; a Ray that was started here ends."""
        for held in list(self._seats):
            self._dismiss(held)
        self._place.clear()
        self._ray.shutdown()


def start_ray(address: str, cpus: float) -> Any:
    """Ray's module, connected: to a cluster at address, or to one of our own. Raises BadInput where it cannot be."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # a run without a GPU sees none anyhow
    common = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": False}
    if address:
        _demand_token()
        _knock(address)
        options: dict[str, Any] = {"address": address}
    else:
        # Before Ray is imported, which reads them then. The last makes all of Ray listen on 127.0.0.1 only.
        os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        options = {"address": "local", "num_cpus": cpus, "include_dashboard": False, "object_store_memory": 80 << 20}
    try:
        ray = importlib.import_module("ray")
    except ImportError:
        raise BadInput(MISSING) from None
    # Ray prints a dead node's last words, pages of them, to stdout whatever its settings; the sweep has its own.
    with contextlib.suppress(ImportError):
        vars(importlib.import_module("ray._private.worker"))["print_to_stdstream"] = lambda *args, **kwargs: None
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        ray.init(**options, **common)
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        where = f"{address}, or not with this token (RAY_AUTH_TOKEN_PATH)" if address else "this machine"
        raise BadInput(f"no Ray cluster at {where}: {_last_line(error)}") from None
    finally:
        for number, handler in handlers.items():  # Ray would end the driver at SIGTERM; the sweep has better to do
            signal.signal(number, handler)
    return ray


def _knock(address: str) -> None:
    """Is anybody there? Ray itself ends the process where nobody is."""
    host, _, port = address.rpartition(":")
    if not port.isdecimal():  # auto: Ray looks for it
        return
    try:
        socket.create_connection((host, int(port)), timeout=KNOCK_SECONDS).close()
    except OSError as error:
        raise BadInput(f"no Ray cluster at {address}: {error.strerror or error}.") from None


def _demand_token() -> None:
    """A cluster is joined with its token, unless the user says that it has none."""
    if os.environ.get("RAY_AUTH_MODE", "token") != "token":
        return
    default = Path.home() / ".ray" / "auth_token"
    named = os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH")
    if not named and not default.is_file():
        raise BadInput(
            "a Ray cluster is joined with its token: make one with `ray get-auth-token --generate`, start every node "
            "with RAY_AUTH_MODE=token and name its file in RAY_AUTH_TOKEN_PATH (RAY_AUTH_MODE=disabled goes without)."
        )
    os.environ["RAY_AUTH_MODE"] = "token"


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:300]
