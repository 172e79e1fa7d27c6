"""When a sweep stops by itself: the user's limits, how they are written, and failures that come too often."""

from __future__ import annotations

import math
import re
import time
from dataclasses import dataclass

from rnnbench.errors import BadInput
from rnnbench.store.record import Record
from rnnbench.sweeps.source import Refused

SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
BYTES = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
# So many in a row, each so soon, and not one ok: what is wrong is wrong for all.
QUICK_SECONDS, QUICK_FAILURES = 5.0, 10
NO_RESULT = ("error", "killed", "oom", "refused")  # a run that diverged or was pruned did what it was asked


def duration(text: str) -> float:
    """90s, 20m, 4h, 1h30m or plain seconds, as seconds. Raises BadInput."""
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*(d|h|min|m|s)", text)
    if re.fullmatch(r"\d+(\.\d+)?", text):
        parts = [(text, "s")]
    elif re.fullmatch(r"(\d+(\.\d+)?\s*(d|h|min|m|s)\s*)+", text) is None:
        parts = []
    seconds = float(sum(float(number) * SECONDS[unit] for number, unit in parts))
    if not 0 < seconds < math.inf:
        raise BadInput(f"{text!r} is no duration above 0: write it as 90s, 20m or 4h")
    return seconds


def memory(text: str) -> int:
    """4G, 500M as bytes. Raises BadInput."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT])(i?B)?", text, re.IGNORECASE)
    size = float(match[1]) * BYTES[match[2].upper()] if match else 0.0
    if not 1 <= size < math.inf:  # more digits than a float has
        raise BadInput(f"{text!r} is no size above 0: write it as 500M or 4G")
    return int(size)


def as_memory(size: float) -> str:
    """Bytes as 4.2G."""
    unit = "G" if size >= BYTES["G"] else "M"
    return f"{size / BYTES[unit]:.3g}{unit}"


@dataclass(frozen=True)
class Limit:
    """How long a sweep takes new runs: seconds of wall time, or a number of runs started."""

    text: str
    seconds: float | None = None
    runs: int | None = None

    @classmethod
    def read(cls, text: str) -> Limit:
        """4h, or 200runs. Raises BadInput."""
        if match := re.fullmatch(r"(\d+)\s*runs?", text):
            if int(match[1]) < 1:
                raise BadInput("a limit of 0 runs leaves nothing to do")
            return cls(text, runs=int(match[1]))
        try:
            return cls(text, seconds=duration(text))
        except BadInput:
            raise BadInput(f"{text!r} is no limit: write a duration (4h) or a number of runs (200runs)") from None


@dataclass(frozen=True)
class Limits:
    """What the user allows. timeout: seconds a run; memory: bytes a run; max_failures: failed runs of one sweep."""

    timeout: float | None = None
    memory: int | None = None
    limit: Limit | None = None
    max_failures: int | None = None


class Brakes:
    """Counts what a sweep does, and says when that is enough."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.began = time.monotonic()
        self.started = self.failed = self.quick = 0
        self.any_ok = False

    def ended(self, record: Record | Refused, seconds: float) -> None:
        """A run is over, with its record (or what stands for one where it was refused)."""
        status = record["status"]
        self.any_ok = self.any_ok or status == "ok"
        self.failed += status not in ("ok", "pruned")
        self.quick = self.quick + 1 if status in NO_RESULT and seconds < QUICK_SECONDS else 0

    @property
    def takes_no_more(self) -> bool:
        """Whether as many runs were started as --limit allows; the running ones go on."""
        limit = self.limits.limit
        return limit is not None and limit.runs is not None and self.started >= limit.runs

    def time_is_over(self) -> str | None:
        """The sentence, once the sweep has lasted as long as --limit allows."""
        limit = self.limits.limit
        if limit is not None and limit.seconds is not None and time.monotonic() - self.began >= limit.seconds:
            return f"the time of --limit {limit.text} is over"
        return None

    def too_many_failures(self, last: str | None) -> str | None:
        """The sentence, once there were too many. last: the reason of the latest."""
        most = self.limits.max_failures
        if most is not None and self.failed >= most:
            return f"--max-failures {most} is reached; at last: {last}"
        if self.quick >= QUICK_FAILURES and not self.any_ok:
            return f"{self.quick} runs in a row failed at once and none succeeded; at last: {last}"
        return None
