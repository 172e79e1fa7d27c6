"""What a claim can be about: one number of one run, from its record and its history. None where the run has none."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from rnnbench.store.record import Record
from rnnbench.store.rows import number, part
from rnnbench.store.store import Line

Rows = Sequence[Line]
Measure = Callable[[Record, Rows, int | None], float | None]

TARGET_SCORE = 0.9  # of `target_seconds`, on validation
NOTHING = 45.0  # decades: a gradient that is exactly zero in float32, whose smallest number is 1e-45


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def normalised(value: float, record: Record) -> float:
    """The main metric on the scale of 0 (the floor) to 1 (the target; an error of 0 where no target is known); NaN if
    unknown."""
    floor = number(part(record, "floors").get(str(record.get("floor"))))
    target = number(record.get("target"))
    if math.isnan(target) and record.get("goal") == "min":
        target = 0.0
    return (value - floor) / (target - floor) if target != floor else math.nan


def score(record: Record, rows: Rows, outputs: int | None) -> float | None:
    """The normalised score on test. A run that diverged has the floor's, 0: it is no reason to leave it out."""
    if record["status"] == "diverged":
        return 0.0
    return _known(normalised(number(part(record, "metrics").get(f"test/{record.get('metric')}")), record))


def gap(record: Record, rows: Rows, outputs: int | None) -> float | None:
    """Validation loss less training loss at the last validation: how much better a network knows what it was shown."""
    if not rows:
        return None
    return _known(number(rows[-1].get("val/loss")) - number(rows[-1].get("train/loss")))


def gradient_decades(record: Record, rows: Rows, outputs: int | None) -> float | None:
    """|log10| of dLoss/dh at the first step by that at the last, of the first layer at the best weights.

    0: the gradient is the same at every lag; 3: a thousand times smaller, or larger, where it has come from the last
    step to the first.
    """
    curves = part(part(record, "diagnostics"), "h_grad_norm")
    curve: Sequence[float] = next(iter(curves.values()), [])
    if len(curve) < 2 or not (number(curve[-1]) > 0 and number(curve[0]) >= 0):
        return None
    ratio = curve[0] / curve[-1]
    return min(NOTHING, abs(math.log10(ratio))) if 0 < ratio < math.inf else NOTHING


def recurrent_params(record: Record, rows: Rows, outputs: int | None) -> float | None:
    """Parameters less those of the linear head, outputs x (hidden size + 1); of a network in one direction."""
    hidden, params = part(record, "axes").get("hidden_size"), record.get("params")
    return None if not (hidden and params and outputs) else float(params - outputs * (hidden + 1))


def target_seconds(record: Record, rows: Rows, outputs: int | None) -> float | None:
    """Seconds of training until the score on validation was 0.9; None where it never was."""
    seconds, updates, key = number(record.get("train_seconds")), number(record.get("updates")), record.get("metric")
    for row in rows:
        if normalised(number(row.get(f"val/{key}")), record) >= TARGET_SCORE:
            return _known(number(row.get("step")) / updates * seconds) if updates > 0 else None
    return None


def plain(key: str) -> Measure:
    """A number that the record has under this key."""
    return lambda record, rows, outputs: _known(number(record.get(key)))


MEASURES: dict[str, Measure] = {
    "score": score,
    "gap": gap,
    "gradient_decades": gradient_decades,
    "recurrent_params": recurrent_params,
    "updates_per_second": plain("steps_per_second"),
    "target_seconds": target_seconds,
    "peak_memory_mb": plain("peak_memory_mb"),
}
NEEDS_HISTORY = ("gap", "target_seconds")
OF_COST = ("updates_per_second", "target_seconds", "peak_memory_mb")  # compared with the backend and device in words
CENSORED = {"target_seconds": "train_seconds"}  # never reached: it would have taken at least so long
EXACT = ("recurrent_params",)  # the same in every run: one is enough
