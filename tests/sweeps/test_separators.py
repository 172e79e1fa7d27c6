"""The learning rates of experiment=separators are those that its published pilot chooses, by the rule of its yaml."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict

from rnnbench.store.config import Config
from rnnbench.store.published import published, read_published
from rnnbench.store.record import config_of, run_id
from rnnbench.store.store import Store
from rnnbench.sweeps.plan import plan


def cell_of_the_matrix(config: Config) -> str:
    """One network on one task, whatever its seed and learning rate, and the backend, which follows from the machine."""
    optimizer = {key: value for key, value in config["optimizer"].items() if key != "lr"}
    return run_id({**config, "seed": 0, "backend": "any", "optimizer": optimizer})


def test_the_pilot_chooses_the_rates():
    folder = published(Store.open().results)["separators_pilot"]
    values: dict[str, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for record in read_published(folder):
        config = config_of(record)
        value = record["metrics"][f"val/{record['metric']}"]
        worse = value if record["goal"] == "min" else -value
        values[cell_of_the_matrix(config)][config["optimizer"]["lr"]].append(
            worse if record["status"] == "ok" else math.inf
        )
    chosen = {}
    for cell, rates in values.items():
        assert sorted(rates) == [0.001, 0.003, 0.01]
        assert {len(of_seeds) for of_seeds in rates.values()} == {2}
        chosen[cell] = min(rates, key=lambda rate: (statistics.fmean(rates[rate]), rate))
    jobs = plan(["experiment=separators"]).jobs
    asked = {cell_of_the_matrix(job.config): job.config["optimizer"]["lr"] for job in jobs}
    assert asked == chosen
    assert len(asked) == 12 * 7


def test_the_pilots_seeds_are_used_nowhere_else():
    pilot = {job.seed for job in plan(["experiment=separators_pilot"]).jobs}
    assert pilot == {100, 101}
    for name in ("separators", "separators_others"):
        assert not pilot & {job.seed for job in plan([f"experiment={name}"]).jobs}
