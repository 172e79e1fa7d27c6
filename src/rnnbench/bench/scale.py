"""How commands that read the store grow with it: `python -m rnnbench.bench.scale [RUNS ...]`.

Makes stores of synthetic records (planned configs, made-up numbers, no training) in a temporary folder and times the
commands that read them, warm and once cold (no index): in seconds of the processor, which other work on the machine
hardly changes, and by the clock. Prints the table of docs/scale.md.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from rnnbench.runs.plan import Job, reseed
from rnnbench.runs.recording import Facts, make_record
from rnnbench.store.folder import Results
from rnnbench.store.record import Record, dumps
from rnnbench.store.store import Store
from rnnbench.sweeps.plan import Plan, plan, write_manifest

CELLS, DATASETS, SEEDS = "rnn,lstm,gru,mgu,cifg", "digits,adding", 50
SIZES, RATES = (8, 16, 24, 32, 48, 64, 96, 128, 192, 256), 20
PLANNED = ["cell=rnn,lstm", "hidden_size=8,16", "dataset=digits", "seed=range(250)"]  # 1,000 runs, a part of them done
COMMANDS = {
    "plan (1,000 runs)": ["plan", *PLANNED],
    "status": ["status"],
    "leaderboard": ["leaderboard", "--format", "csv"],
    "tables": ["tables"],
    "report": ["report"],
}


def synthetic(runs: int) -> Plan:
    """A sweep of so many runs: 5 cells x 2 datasets x 10 sizes x up to 20 learning rates, and seeds to fill it up."""
    entries = max(1, runs // SEEDS)
    rates = max(1, min(RATES, -(-entries // 100)))
    lrs = ",".join(f"{0.0005 * (n + 1):.4f}" for n in range(rates))
    sizes = ",".join(map(str, SIZES[: max(1, entries // 10)]))
    made = plan([f"cell={CELLS}", f"dataset={DATASETS}", f"hidden_size={sizes}", f"optimizer.lr={lrs}"], name="scale")
    made.jobs = list(_seeded(made.jobs, runs))
    return made


def _seeded(jobs: Sequence[Job], runs: int) -> Iterator[Job]:
    for n in range(runs):
        seed, at = divmod(n, len(jobs))
        kept = [o for o in jobs[at].overrides if not o.startswith("seed=")]
        yield reseed(jobs[at], [*kept, f"seed={seed}"], seed)


def fill(store: Store, jobs: Sequence[Job]) -> None:
    """Write a made-up record for each job; one in twenty diverged. Not synced to disk: they are worth nothing."""
    chance = random.Random(0)
    for job in jobs:
        folder = store.folder(job.id)
        folder.mkdir(parents=True)
        (folder / "record.json").write_text(dumps(made_up(job, chance)), encoding="utf-8")


def made_up(job: Job, chance: random.Random) -> Record:
    """A whole record of a run that never was."""
    seconds, updates = chance.uniform(1, 60), job.config["budget"]["updates"]
    lost = chance.random() < 0.05
    reason = f"loss is not finite at update {chance.randrange(updates)}" if lost else ""
    facts: Facts = {"reason": reason, "data_hash": "0123456789abcdef", "started": "2026-01-02T03:04:05+00:00"}
    facts |= {"updates": updates, "train_seconds": seconds, "params": 19_338, "live_params": 19_338}
    if not lost:
        names = [f"{split}/{name}" for split in ("val", "test") for name in ("accuracy", "loss")]
        facts |= {"best_step": updates, "metrics": {name: chance.random() for name in names}}
    record = make_record(job, "diverged" if lost else "ok", facts, [], seconds + 1)
    record["metric"], record["goal"] = "accuracy", "max"
    record["dataset"]["protocol"] = "synthetic"
    return record


def measure(runs: int, folder: Path) -> dict[str, tuple[float, float]]:
    """Seconds of each command, warm, on a store of so many runs: (of the processor, by the clock), the less of two.

    Each is a process of its own. `cold` is status without an index, which it makes.
    """
    results = folder / f"store-{runs}"
    made = synthetic(runs)
    fill(Store.open(results), made.jobs)
    write_manifest(made, results)
    Results(results).index.unlink(missing_ok=True)
    cold = _timed(COMMANDS["status"], results)
    return {name: min(_timed(words, results) for _ in range(2)) for name, words in COMMANDS.items()} | {"cold": cold}


def _timed(words: Sequence[str], results: Path) -> tuple[float, float]:
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "rnnbench", *words, "--results", str(results)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=results)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} ended with {done.returncode}: {done.stderr}")
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table. Returns 0."""
    parser = argparse.ArgumentParser("python -m rnnbench.bench.scale", description=__doc__)
    parser.add_argument("runs", nargs="*", type=int, default=[1_000, 10_000, 100_000], help="sizes of the stores")
    parser.add_argument("--json", action="store_true", help="one line a size, for programs")
    args = parser.parse_args(argv)
    if not args.json:
        print(f"| records | {' | '.join(COMMANDS)} | cold: the first command makes the index |")
        print("|---:|" + "---:|" * (len(COMMANDS) + 1))
    for runs in args.runs:
        with tempfile.TemporaryDirectory() as folder:
            found = measure(runs, Path(folder))
        if args.json:
            print(json.dumps({"runs": runs, **found}), flush=True)
        else:
            cells = " | ".join(f"{spent:.1f} s ({wall:.1f} s)" for spent, wall in found.values())
            print(f"| {runs:,} | {cells} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
