"""Made-up stores for the report page: one with everything on it, one whose every text is markup."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reports.ablation.ablated import history, study
from reports.search.test_search import searched
from reports.synthetic import fill_store, make_record, make_records, noise
from rnnbench.store.store import Store

# Each would show itself: as an element, as a run script, as the end of the script element, or as an expression.
EVIL = '</script><script>window.owned=1</script><img src=x onerror="window.owned=1"><b id=owned>x</b>'
SHORT = "<img src=x onerror=window.owned=1>"
EXPRESSION = "a']['constructor\"]('window.owned=1')() {{7*7}} ${window.owned=1} <i id=owned>"


def write_sweep(store: Store, name: str, records: list[dict[str, Any]], **more: Any) -> None:
    """A manifest as a sweep leaves it."""
    folder = store.root.parent / "sweeps"
    folder.mkdir(parents=True, exist_ok=True)
    head = {
        "name": name,
        "command": f"rnnbench sweep experiment={name}",
        "skipped": [],
        "runs": [r["id"] for r in records],
    }
    (folder / f"{name}.json").write_text(json.dumps(head | more), encoding="utf-8")


def write_history(store: Store, record: Mapping[str, Any], rows: list[dict[str, Any]]) -> None:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (store.folder(record["id"]) / "history.jsonl").write_text(text, encoding="utf-8")


def falling(record: Mapping[str, Any], rows: int = 20) -> list[dict[str, Any]]:
    """A history of a made-up run on digits."""
    end = 0.2 + 0.02 * noise("end", record["id"])
    return [
        {"step": 25 * n, "train/loss": end + 2 / n, "val/loss": end + 2.2 / n, "val/accuracy": 1 - end - 0.8 / n,
         "train/grad_norm_max": 1 / n}
        for n in range(1, rows + 1)
    ]  # fmt: skip


def full_store(results: Path) -> Store:
    """A sweep with failures and curves, an ablation, and a search."""
    store = Store(results / "runs")
    plain = make_records(("rnn", "lstm", "gru", "mgu"), range(4))
    plain += [make_record("nig", seed=seed, status="diverged") for seed in range(2)]
    small: dict[str, Any] = {"dataset": "adding", "metric": "mse", "goal": "min", "floor": 0.167, "target": 0.0}
    plain += [make_record("lstm", seed=seed, value=0.01 * (seed + 1), **small) for seed in range(3)]
    arms = study(("off", "on", "conv"), range(6))
    rules, trials = searched(24, {"lstm": 0.0, "gru": 0.02}, finals=3, failed=[("gru", 3)])
    have = {record["id"] for record in plain}
    trials = [record for record in trials if record["id"] not in have]
    fill_store(store, [*plain, *arms, *trials])
    for record in plain:
        write_history(store, record, falling(record, 20 if record["status"] == "ok" else 5))
    for record in arms:
        write_history(store, record, history(record))
    write_sweep(store, "quick", plain, skipped=[{"reason": "a GRU has no peepholes", "cells": 4, "label": "GRU"}])
    write_sweep(store, "peep", arms, ablation={"baseline": {"peephole": "off"}})
    write_sweep(store, "rates", trials, search=rules, command="rnnbench tune cell=lstm,gru")
    return store


def evil_store(results: Path) -> Store:
    """Every text that a record, a history or a manifest can hold is markup."""
    store = Store(results / "runs")
    same: dict[str, Any] = {
        "dataset": EVIL, "protocol": EVIL, "budget": SHORT, "metric": SHORT, "label": EVIL, "host": {EVIL: EVIL},
        "device": EVIL, "precision": SHORT, "backend": EXPRESSION, "data_hash": EVIL,
        "git": {"commit": EVIL, "dirty": True},
        "source_hash": EVIL, "packages": {EVIL: EVIL, "torch": EVIL}, "command": EVIL, "target_source": EVIL,
    }  # fmt: skip
    plain = [make_record(EXPRESSION, seed=seed, options={EVIL: EVIL, SHORT: EXPRESSION}, **same) for seed in range(4)]
    plain += [make_record(SHORT, seed=seed, status="error", reason=EVIL, **same) for seed in range(2)]
    rules, trials = searched(12, {EVIL: 0.0, SHORT: 0.1})
    rules = copy.deepcopy(rules)
    for dimension, key in zip(rules["space"], (EVIL, EXPRESSION), strict=True):
        for row in rules["trials"]:
            row["values"][key] = row["values"].pop(dimension["key"])
        dimension |= {"key": key}
    arms = study({"off": {}, EVIL: {"shift": -0.01}, EXPRESSION: {"shift": 0.01}}, range(6))
    for arm in arms:
        if part := arm.get("diagnostics"):
            part["saturation"] = {EVIL: {SHORT: {"low": 0.1, "high": 0.2}}}
            part["h_grad_norm"] = {EXPRESSION: [0.1, 0.2, 0.3]}
        arm["axes"]["label"] = EVIL + arm["axes"]["peephole"]
    fill_store(store, [*plain, *arms, *trials])
    for record in [*plain, *arms]:
        write_history(store, record, [{"step": n, f"val/{SHORT}": n, "val/loss": 1 / n, EVIL: 1} for n in range(1, 9)])
    write_sweep(store, SHORT, plain, skipped=[{"reason": EVIL, "cells": 1}], command=EVIL, not_run={EVIL: EVIL})
    write_sweep(store, "evil arms", arms, command=EVIL,
                ablation={"baseline": {"peephole": "off"}, "questions": [{"effect": EVIL}]})  # fmt: skip
    write_sweep(store, "evil search", trials, search=rules, command=EVIL)
    return store
