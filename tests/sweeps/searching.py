"""Helpers of the search tests: a search whose runs are made up at once, by a formula, and never trained."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rnnbench.runs.plan import Job
from rnnbench.store.record import run_id
from rnnbench.store.store import Store
from rnnbench.sweeps.search.definition import Search, Study, define
from rnnbench.sweeps.search.journal import open_journal
from rnnbench.sweeps.search.source import SearchSource
from rnnbench.sweeps.search.studies import OneStudy

RATE = "optimizer.lr=tag(log,interval(1e-4,1e-1))"
BASE = ["dataset=digits", "budget=smoke", "cell=rnn"]
Formula = Callable[[dict[str, Any]], dict[str, Any]]


def search(*overrides: str, **given: Any) -> Search:
    return define([*BASE, *overrides], name=given.pop("name", "searched"), **given)


def plain_job(made: Search, study: Study, number: int, parameters: dict[str, Any]) -> Job:
    """A trial's job without composing its config, which takes a tenth of a second: what is sampled, and the seed."""
    seeds = [o.partition("=")[2] for o in study.overrides if o.startswith("seed=")]
    dataset = [o.partition("=")[2] for o in study.overrides if o.startswith("dataset=")][-1]
    config: dict[str, Any] = {"seed": int(seeds[0]) if seeds else number, "dataset": {"meta": {"name": dataset}}}
    config |= {"optimizer": {}, "budget": {"updates": 60, "val_every": 20}}
    for dimension in made.space:
        group, _, option = dimension.key.partition(".")
        (config[group] if option else config)[option or group] = float(dimension.value(parameters[dimension.key]))
    return Job(run_id(config), config, {}, ())


def opened(made: Search, results: Path) -> list[OneStudy]:
    """The search's studies as a process of its own would open them."""
    storage = open_journal(results / "tune" / f"{made.name}.journal")
    return [OneStudy(made, study, storage) for study in made.studies]


def source_of(studies: list[OneStudy], results: Path) -> SearchSource:
    return SearchSource(studies, Store.open(results), lambda job: None)


def by_rate(config: dict[str, Any]) -> dict[str, Any]:
    """A record whose validation is best at a learning rate of 0.01."""
    return ended(config, 1 - abs(math.log10(config["optimizer"]["lr"]) + 2) / 4)


def ended(config: dict[str, Any], val: float | None, status: str = "ok", **more: Any) -> dict[str, Any]:
    """What of a record a search may read. Its test value says the opposite of validation: who reads it errs."""
    metrics = {} if val is None else {"val/accuracy": val, "test/accuracy": 1 - val}
    return {"status": status, "reason": "", "metric": "accuracy", "goal": "max", "metrics": metrics, **more}


def do(source: SearchSource, formula: Formula = by_rate, *, most: int = 10**6) -> list[Job]:
    """Take trials and tell how they ended, one by one; at most so many."""
    done: list[Job] = []
    while len(done) < most and (job := source.take()) is not None:
        source.tell(job, formula(job.config))
        done.append(job)
    return done
