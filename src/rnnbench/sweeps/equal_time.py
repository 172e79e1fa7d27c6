"""One budget in seconds for all entries of a sweep, turned into updates of each before anything is run.

A run that stops by the clock has another length on every machine and in every hour, so no seed makes it again. Here the
seconds are divided by what an update of each entry took where it is recorded, and the experiment holds the updates.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import yaml

from rnnbench.errors import BadInput, listed_ids
from rnnbench.runs.compose import key_of
from rnnbench.runs.plan import Job
from rnnbench.store.config import Config
from rnnbench.store.gathered import Gathered
from rnnbench.store.record import Record, config_of, run_id

UPDATES = "budget.updates"
UNNAMED = "an unnamed processor"
NAMED = 3  # entries that a sentence names
NOT_OF_AN_ENTRY = ("seed", "tracker", UPDATES)
# What leaves the cost of an update as it is: how many there are, what is drawn, and how far each one goes.
NO_COST = ("seed", "schedule")
NO_COST_OF_BUDGET = ("name", "updates", "val_every", "patience")  # validation is not counted
NO_COST_OF_OPTIMIZER = ("lr", "weight_decay", "betas", "eps")


@dataclass(frozen=True)
class Share:
    """What an entry gets. overrides: what asks for it, without seed and updates; seconds: of one update, the median of
    `runs` recorded ones; updates: how many of them the budget pays, at least one."""

    overrides: tuple[str, ...]
    seeds: tuple[int, ...]
    seconds: float
    runs: int
    updates: int


def cost_id(config: Config) -> str:
    """The id of all runs whose updates cost the same: of one network on one dataset, batch size and backend."""
    kept = {key: value for key, value in config.items() if key not in NO_COST}
    kept["budget"] = {key: value for key, value in config["budget"].items() if key not in NO_COST_OF_BUDGET}
    kept["optimizer"] = {key: value for key, value in config["optimizer"].items() if key not in NO_COST_OF_OPTIMIZER}
    return run_id(kept)


def shares(jobs: Sequence[Job], records: Iterable[Record], seconds: float) -> list[Share]:
    """The updates of each entry of a sweep for so many seconds of training, in the order of the sweep.

    records: finished runs, from which an update's seconds are known (of ok ones; training alone, validation beside it).
    Raises BadInput where an entry's are not.
    """
    entries: dict[tuple[str, ...], list[Job]] = defaultdict(list)
    for job in jobs:
        entries[tuple(o for o in job.overrides if key_of(o) not in NOT_OF_AN_ENTRY)].append(job)
    known = _seconds_an_update(records)
    unknown = [same[0].title for same in entries.values() if cost_id(same[0].config) not in known]
    if unknown:
        raise BadInput(
            f"no finished run there says what an update takes of {listed_ids(unknown, NAMED)}: "
            "do a short run of each first (the same sweep with budget.updates=100), or name another place by --speeds."
        )
    made = []
    for overrides, same in entries.items():
        times = known[cost_id(same[0].config)]
        each = statistics.median(times)
        seeds = tuple(dict.fromkeys(job.seed for job in same))
        made.append(Share(overrides, seeds, each, len(times), max(1, int(seconds / each))))
    return made


def _seconds_an_update(records: Iterable[Record]) -> dict[str, list[float]]:
    """Seconds of training by update, of each run that ended ok, by `cost_id`."""
    found: dict[str, list[float]] = defaultdict(list)
    for record in records:
        seconds, updates = record.get("train_seconds"), record.get("updates")
        if record["status"] == "ok" and seconds and updates:
            found[cost_id(config_of(record))].append(seconds / updates)
    return found


def as_experiment(found: Sequence[Share], seconds: float, speeds: Gathered) -> str:
    """An experiment's yaml: a grid an entry, with its updates. speeds: where they are from."""
    lines = [
        f"# {seconds:g} s of training a run, as updates: by the medians of what an update took in {speeds.label}",
        f"# ({', '.join(_machines(speeds.records))}). Elsewhere they take other seconds, and are the same updates.",
        "grids:",
    ]
    for share in found:
        asked = dict(override.split("=", 1) for override in share.overrides)
        asked |= {UPDATES: str(share.updates), "seed": ",".join(map(str, share.seeds))}
        grid = yaml.safe_dump(asked, default_flow_style=True, sort_keys=False, width=10**6).strip()
        times = f"{1000 * share.seconds:.3g} ms an update, of {share.runs} run{'s' * (share.runs != 1)}"
        lines.append(f"  - {grid}  # {times}")
    return "\n".join(lines) + "\n"


def _machines(records: Iterable[Record]) -> list[str]:
    """The processors, or other devices, that records name, sorted."""
    hosts = [record["host"] for record in records if record["status"] == "ok"]
    return sorted({str(host.get("cpu") or UNNAMED) if isinstance(host, Mapping) else UNNAMED for host in hosts})
