"""A finished run's network, from its record and its best weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from rnnbench.datasets.base.task import Task
from rnnbench.errors import BadInput
from rnnbench.runs import build, checkpoint
from rnnbench.store.store import Store


def load_model(run_id: str, *, results: str | Path | None = None) -> nn.Module:
    """A finished run's network with the weights of its best validation, in eval mode, on the CPU.

    Raises BadInput where there is no such run, or it did not end ok.
    """
    store = Store.open(results)
    record = finished(store, run_id)
    return restored(store, record, build.make_task(record["config"]))


def finished(store: Store, run_id: str) -> dict[str, Any]:
    """The record of a run that ended ok, by its id or the beginning of it. Raises BadInput where there is none."""
    full = store.find(run_id)
    record = store.read(full)
    if record is None or record["status"] != "ok":
        how = "is not finished" if record is None else f"ended as {record['status']} ({record['reason']})"
        raise BadInput(f"run {full} {how}; only a run that ended ok has weights to load.")
    return record


def restored(store: Store, record: dict[str, Any], task: Task) -> nn.Module:
    """The network of a record with its best weights. Raises BadInput, with the way to make them again, without any."""
    folder = store.folder(record["id"])
    model = build.make_model(record["config"], task)
    weights = checkpoint.load(folder / checkpoint.BEST)
    if weights is None:
        raise BadInput(
            f"{folder / checkpoint.BEST} is missing or damaged; move {folder} away and make the run again: "
            f"{record.get('command')}"
        )
    model.load_state_dict(weights)
    return model.eval()
