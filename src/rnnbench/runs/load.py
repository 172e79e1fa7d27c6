"""A finished run's network, from its record and its best weights. A record names classes; it never grants them."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from torch import nn

from rnnbench import toolchain
from rnnbench.datasets.base.task import Task
from rnnbench.errors import BadInput
from rnnbench.runs import build, checkpoint, grants
from rnnbench.store.config import Composed, Config
from rnnbench.store.gathered import resolve_run, the_record
from rnnbench.store.record import Record, config_of
from rnnbench.store.store import Store

AXES = re.compile(r" (N?TC?HW) [0-9x]+, ")  # in the protocol of an own_frames run from before `layout`
MADE = ("cell", "dataset")  # the groups of a record's config that a network is made from


def load_model(run_id: str, *, results: str | Path | None = None) -> nn.Module:
    """A finished run's network with the weights of its best validation, in eval mode, on the CPU.

    run_id: of the store, or whatever else means one run (`store.gathered.resolve_run`). No data is read. Raises
    BadInput where there is no such run, it did not end ok, it is a published one, or its cell or dataset is of a folder
    that is no part of the registry.
    """
    found = resolve_run(Store.open(results), run_id)
    if not isinstance(found.where, Store):
        command = the_record(found).get("command")
        raise BadInput(f"run {found.name} is published, without its weights; the run makes them again: {command}")
    store = found.where
    record = finished(store, found.name)
    task = make_task(record)
    task.recall(str(record["dataset"]["protocol"]))
    return restored(store, record, task)


def finished(store: Store, run_id: str) -> Record:
    """The record of a run that ended ok, by its id or the beginning of it. Raises BadInput where there is none."""
    full = store.find(run_id)
    record = store.read(full)
    if record is None or record["status"] != "ok":
        how = "is not finished" if record is None else f"ended as {record['status']} ({record['reason']})"
        raise BadInput(f"run {full} {how}; only a run that ended ok has weights to load.")
    return record


def make_task(record: Record) -> Task:
    """The dataset of a record. Raises BadInput as `granted` does."""
    return build.make_task(granted(record))


def restored(store: Store, record: Record, task: Task) -> nn.Module:
    """The network of a record with its best weights. Raises BadInput, with the way to make them again, without any."""
    folder = store.folder(record["id"])
    model = build.make_model(_computable(granted(record)), task)
    weights = checkpoint.load(folder / checkpoint.BEST)
    if weights is None:
        raise BadInput(
            f"{folder / checkpoint.BEST} is missing or damaged; move {folder} away and make the run again: "
            f"{record.get('command')}"
        )
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        text = " ".join(str(error).split())[:300]
        what = f"run {record['id']} cannot be loaded by this version of rnnbench"
        raise BadInput(f"{what} ({type(error).__name__}: {text}).") from None
    return model.eval()


def granted(record: Record) -> Config:
    """A record's config with the classes that the registry has for its cell and dataset; the options are the record's.

    A record may come from anywhere, and a class that it names (`_target_`) would be imported and called. Raises
    BadInput where the registry does not have the choice, or has another class for it.
    """
    config: Composed = {**config_of(record)}
    for group in MADE:
        node = config[group]
        if not isinstance(node, Mapping) or not isinstance(node.get("meta"), Mapping):
            raise BadInput(f"run {record['id']}: its record names no {group} (config.{group}.meta); it is damaged.")
        if any("${" in text for text in _texts(node)):  # a resolver may make whatever it is told, and call it
            raise BadInput(f"run {record['id']}: its record has a {group} that is to be computed: ${{...}}.")
        name = str(node["meta"].get("name"))
        known = grants.of_choice(group, name)
        ours = all(str(each.get("_target_")).startswith(grants.OURS) for each in (known, node))
        if ours:  # rnnbench's own, which may have lain elsewhere when it was recorded
            node = {**node, "_target_": known["_target_"]}
        for stranger in grants.strangers(group, name, node):
            raise BadInput(_not_granted(record, stranger))
        config[group] = {**_as_called_today(record, name, node), "_target_": known["_target_"]}
    return cast(Config, config)


def _computable(config: Config) -> Config:
    """The config with a backend that this machine has. A network with its weights is the same network on each."""
    compiler_is_missing = config["backend"] == "compiled" and toolchain.find() is None
    return {**config, "backend": "eager"} if compiler_is_missing else config


def _as_called_today(record: Record, name: str, node: Mapping[str, Any]) -> Mapping[str, Any]:
    """The options of a cell or dataset from before one of them was renamed, by their names of today.

    own_frames had `axes`, whose null was settled by the number of the array's axes: the protocol says to what.
    """
    if name != "own_frames" or "axes" not in node:
        return node
    settled = AXES.search(str(record["dataset"]["protocol"]))
    rest = {key: value for key, value in node.items() if key != "axes"}
    return {**rest, "layout": node["axes"] or (settled[1] if settled else None)}


def _texts(node: Any) -> Iterator[str]:
    """Every text in a config's node."""
    if isinstance(node, str):
        yield node
    for each in node if isinstance(node, list) else node.values() if isinstance(node, Mapping) else ():
        yield from _texts(each)


def _not_granted(record: Record, stranger: grants.Stranger) -> str:
    """Why a record's own class is not made, with the folder that its command knows."""
    folders = _folders(str(record.get("command") or ""))
    give = f"config_dir={folders[0]!r}" if folders else "config_dir=..., the folder with it,"
    return (
        f"run {record['id']} was made with {stranger}; a record's code is not imported unasked: "
        f"give {give} to load_model, or name the folder in RNNBENCH_CONFIG_DIR."
    )


def _folders(command: str) -> list[str]:
    """The folders that a record's command names with --config-dir."""
    try:
        words = shlex.split(command)
    except ValueError:
        return []
    return [after for word, after in itertools.pairwise(words) if word == "--config-dir"]
