"""Made-up runs that predict frames: records, and samples of a blob that moves through noise-free clips."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from reports.synthetic import make_record
from rnnbench.store.record import run_id
from rnnbench.store.samples import FILE, Frames, Scale, dumps
from rnnbench.store.store import Store, write_atomic

PLAIN = Scale("plain", 1.0)


def make_samples(
    run: str, *, clips: int = 4, before: int = 3, after: int = 2, channels: int = 1, size: tuple[int, int] = (8, 8),
    seed: int = 0, scale: Scale = PLAIN, fade: float = 0.8,
) -> Frames:  # fmt: skip
    """A bright spot that moves; the prediction fades with time. seed: of the clips, not of the run."""
    steps, (h, w) = before + after, size
    frames = np.zeros((clips, steps, channels, h, w), np.uint8)
    for n in range(clips):
        for t in range(steps):
            frames[n, t, :, (t + n + seed) % h, (2 * t + n) % w] = 200
    coming = frames[:, before:]
    dim = fade ** np.arange(1, after + 1)[:, None, None, None]
    prediction = np.rint(coming * dim).astype(np.uint8)
    return Frames(run, scale, np.arange(clips, dtype=np.int64) * 5, frames[:, :before], coming, prediction)


def frame_record(cell: str = "convlstm", *, seed: int = 0, value: float = 36.25, **same: Any) -> dict[str, Any]:
    """A record of a run on frames."""
    usual: dict[str, Any] = {
        "dataset": "moving_digits", "protocol": "3->2", "metric": "mse_sum", "goal": "min", "floor": 50.0,
        "target": None, "label": {"convlstm": "ConvLSTM", "convgru": "ConvGRU"}.get(cell, cell),
    }  # fmt: skip
    status = same.get("status", "ok")
    record = make_record(cell, seed=seed, value=value if status == "ok" else None, **usual | same)
    record["config"]["dataset"] |= {"meta": {"name": record["dataset"]["name"], "outputs": "frames"}}
    record["id"] = run_id(record["config"])
    return record


def fill(store: Store, records: Iterable[dict[str, Any]], **same: Any) -> list[str]:
    """Write records and the samples of the ok ones as runs would; returns the ids."""
    ids = []
    for record in records:
        store.write(record)
        ids.append(str(record["id"]))
        if record["status"] == "ok":
            write_atomic(store.folder(ids[-1]) / FILE, dumps(make_samples(ids[-1], **same)))
    return ids
