"""What compiling gains a whole run: a training update, and a sweep of runs; two tables of `make bench`."""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from rnnbench.bench.cells import COMPILED, ROUNDS, goals_here, why_not
from rnnbench.bench.goals import below
from rnnbench.bench.harness import NoHooks, Result, interleaved, ratio
from rnnbench.bench.sweep import measure, run
from rnnbench.datasets.base import loading
from rnnbench.datasets.base.spec import Data
from rnnbench.runs import build
from rnnbench.runs.plan import prepare
from rnnbench.store.config import Config
from rnnbench.store.store import Store
from rnnbench.sweeps.plan import plan
from rnnbench.training.fit import fit

RUN = ("cell=lstm", "peephole=on", "seed=0")  # with 64 units, batches of 50 and Adam, as experiment=quickstart has it
UPDATES = {"adding": 60, "digits": 200}  # of one measurement: half a second and more
EXPERIMENT = ("experiment=quickstart", "seed=0")
WORKERS = 2


def updates(rounds: int = ROUNDS, counts: Mapping[str, int] = UPDATES, backend: str = COMPILED) -> Result:
    """CPU milliseconds of a whole update of a peephole LSTM, through the training loop of a run, without validation.

    counts: updates of one measurement by dataset.
    """
    title = "Whole training updates of a peephole LSTM: CPU ms an update"
    if reason := why_not(backend):
        return Result(f"{title}: left out, for {reason}", (), ())
    goals = goals_here()
    rows, missed = [], []
    for dataset, count in counts.items():
        overrides = [*RUN, f"dataset={dataset}"]
        configs = {name: prepare([*overrides, f"backend={name}"]).config for name in ("eager", backend)}
        data = loading.load(build.make_task(configs["eager"]))
        found = interleaved({name: partial(_train, config, data, count) for name, config in configs.items()}, rounds)
        gain = ratio(found["eager"], found[backend])
        goal = None if goals is None else goals.updates[dataset]
        ms = [f"{sorted(found[name])[rounds // 2] / count:.2f}" for name in configs]
        rows.append((dataset, *ms, str(gain), "" if goal is None else f">= {goal:g}"))
        if below(gain.median, goal):
            missed.append(f"a training update on {dataset} is {gain} times as fast as eager, goal {goal:g}")
    return Result(title, ("dataset", "eager", backend, f"eager/{backend}", "goal"), rows, missed)


def _train(config: Config, data: Data, count: int) -> None:
    task = build.make_task(config)
    options = replace(build.fit_options(config), updates=count, val_every=count + 1)
    fit(build.make_model(config, task), task, data, options, build.make_optimizer(config), None, NoHooks())


def sweep_before_and_after(experiment: Sequence[str] = EXPERIMENT, workers: int = WORKERS) -> Result:
    """Runs a minute of a sweep, without a compiler and with one: backend=auto in both.

    From the command's start to its end, so with what the processes' start and each compilation take.
    """
    title = f"`sweep {' '.join(experiment)}`, {workers} workers"
    if reason := why_not(COMPILED):
        return Result(f"{title}: left out, for {reason}", (), ())
    expected = len(plan(experiment).jobs)
    ways: dict[str, dict[str, str]] = {"without a compiler": {"RNNBENCH_CC": ""}, "with one": {}}
    rows: list[tuple[str, ...]] = []
    first: float | None = None
    for name, environment in ways.items():
        with tempfile.TemporaryDirectory() as folder:
            results = Path(folder)
            do = partial(_sweep, experiment, environment)
            measured = measure(results, expected, workers, do)
            used = Counter(record["backend"] for record in Store.open(results).records().values())
        first = first or measured.a_minute
        backends = ", ".join(f"{count} {backend}" for backend, count in sorted(used.items()))
        a_minute = f"{measured.a_minute:.1f}"
        rows.append((name, backends, a_minute, f"{measured.a_minute / first:.2f}"))
    return Result(title, ("way", "runs", "runs a minute", "ratio"), rows)


def _sweep(experiment: Sequence[str], environment: Mapping[str, str], results: Path, runs: int, workers: int) -> None:
    where = ["--workers", str(workers), "--results", str(results)]
    run(sys.executable, "-m", "rnnbench", "sweep", *experiment, *where, **environment)
