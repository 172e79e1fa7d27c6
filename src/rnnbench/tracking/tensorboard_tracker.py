"""TensorBoard: the curves as event files in the run's folder, seen with ``tensorboard --logdir results/runs``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rnnbench.errors import BadInput
from rnnbench.store.record import Record
from rnnbench.tracking.base import Row, RunInfo, Tracker, record_row, record_summary

MISSING = "tracker=tensorboard needs the package tensorboard: pip install 'rnnbench[tensorboard]'"


class TensorboardTracker(Tracker):
    """One folder ``tensorboard/`` per run; a later attempt adds a file, and TensorBoard drops what it did again.

    The config is a text at the start; the record's metrics are the scalars ``record/...`` and a text at the end.
    `start` raises BadInput where tensorboard is not installed, and OSError where the folder cannot be written.
    """

    def __init__(self) -> None:
        self._writer: Any = None
        self._step = 0

    def start(self, info: RunInfo) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise BadInput(MISSING) from None
        self._writer = SummaryWriter(log_dir=str(info.folder / "tensorboard"))
        config = {**info.config, "rnnbench_id": info.id, "rnnbench_attempt": info.attempt}
        self._writer.add_text("config", f"{info.name}\n\n{_block(config)}", global_step=0)

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        self._step = step
        for name, value in metrics.items():
            self._writer.add_scalar(name, float(value), global_step=step)

    def finish(self, record: Record | None, ok: bool) -> None:
        if self._writer is None:
            return
        try:
            if record is not None:
                for name, value in (record.get("metrics") or {}).items():
                    if isinstance(value, int | float):
                        self._writer.add_scalar(f"record/{name}", value, global_step=self._step)
                self._writer.add_text("record", _block(record_row(record) | record_summary(record)), self._step)
            self._writer.add_text("ended", "ok" if ok else "failed", self._step)
        finally:
            self._writer.close()


def _block(values: Row) -> str:
    """As indented JSON, which Markdown shows as it stands."""
    return "\n".join("    " + line for line in json.dumps(values, indent=2, default=str).splitlines())
