"""`make bench`, its last table: what a run costs beside its training, in our sweep and in other ways to do many runs.

Tiny runs, so that the ways are what is timed. Runs a minute count from the command's start to its end; the overhead is
what lies between the first and the last record, a run and a worker, less the training itself. Below it what a fresh
process computes for a run of one update, most of it imports, as a multiple of what `import torch` alone does.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from rnnbench.store.store import Store

TINY = ["cell=rnn", "dataset=digits", "budget=smoke", "budget.updates=8", "budget.val_every=4", "hidden_size=8",
        "tracker=none"]  # fmt: skip
ONE_UPDATE = [*TINY, "budget.updates=1", "budget.val_every=1"]
LIMIT_SECONDS, LIMIT_TIMES = 0.1, 3.0  # overhead a run; runs a minute, as a multiple of fresh processes'
LIMIT_START = 2.0  # what a process of one update computes, as a multiple of `import torch`

# The same run as a Hydra user would start it from an application of their own.
APPLICATION = """
import hydra
from hydra.core.global_hydra import GlobalHydra

import rnnbench


@hydra.main(version_base=None, config_path=None)
def main(cfg):
    GlobalHydra.instance().clear()  # the run composes its own config
    record = rnnbench.run([*{tiny!r}, f"seed={{cfg.seed}}"], results={results!r})
    assert record["status"] == "ok", record["reason"]


if __name__ == "__main__":
    main()
"""


@dataclass(frozen=True)
class Measured:
    """One way's runs. wall: seconds from start to end; overhead: seconds a run beside its training."""

    runs: int
    workers: int
    wall: float
    overhead: float

    @property
    def a_minute(self) -> float:
        return 60 * self.runs / self.wall


def measure(results: Path, runs: int, workers: int, do: Callable[[Path, int, int], None]) -> Measured:
    """Time a way that fills `results` with `runs` records. Raises RuntimeError where it does not."""
    began = time.monotonic()
    do(results, runs, workers)
    wall = time.monotonic() - began
    store = Store.open(results)
    records = store.records()
    if len(records) != runs or any(record["status"] != "ok" for record in records.values()):
        raise RuntimeError(f"{len(records)} records where {runs} were expected in {results}")
    written = sorted(store.record_path(run_id).stat().st_mtime for run_id in records)
    trained = sum(record["train_seconds"] or 0.0 for record in records.values()) / runs
    between = (written[-1] - written[0]) * workers / (runs - workers)
    return Measured(runs, workers, wall, between - trained)


def run(*command: str, **more: str) -> None:
    """One silent command to its end, with more in its environment. Raises RuntimeError with what it said on failure."""
    environment = os.environ | {"RNNBENCH_RESULTS": ""} | more
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()[-2000:]}")


def sweep(results: Path, runs: int, workers: int) -> None:
    """Our sweep."""
    run(sys.executable, "-m", "rnnbench", "sweep", *TINY, f"seed=range({runs})", "--workers", str(workers),
        "--results", str(results))  # fmt: skip


def fresh(results: Path, runs: int, workers: int) -> None:
    """`rnnbench run`, one after the other."""
    for seed in range(runs):
        run(sys.executable, "-m", "rnnbench", "run", *TINY, f"seed={seed}", "--results", str(results))


def hydra(results: Path, runs: int, workers: int) -> None:
    """Hydra's multirun: its basic launcher for one worker, joblib's for more."""
    application = results / "application.py"
    application.write_text(APPLICATION.format(tiny=TINY, results=str(results)), encoding="utf-8")
    more = [] if workers == 1 else ["hydra/launcher=joblib", f"hydra.launcher.n_jobs={workers}"]
    seeds = ",".join(map(str, range(runs)))
    run(sys.executable, str(application), "-m", f"+seed={seeds}", f"hydra.sweep.dir={results}/hydra", *more)


def computed(*command: str) -> float:
    """Seconds of a core that a command takes, its children's with it."""

    def so_far() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    before = so_far()
    run(*command)
    return so_far() - before


def start_up(folder: Path, rounds: int) -> float:
    """What `rnnbench run` of one update computes, as a multiple of `import torch`: the median of interleaved rounds.

    folder: an empty one, for the records.
    """
    found = []
    for seed in range(rounds + 1):
        torch = computed(sys.executable, "-c", "import torch")
        ours = computed(sys.executable, "-m", "rnnbench", "run", *ONE_UPDATE, f"seed={seed}", "--results", str(folder))
        found.append(ours / torch)
    return statistics.median(found[1:])  # the first reads the files from the disk


def ways(workers: int) -> dict[str, tuple[Callable[[Path, int, int], None], int, str | None]]:
    """By name: how, with how many workers, and what has to be installed for it."""
    return {
        "rnnbench sweep": (sweep, 1, None),
        "fresh processes": (fresh, 1, None),
        "Hydra, basic launcher": (hydra, 1, None),
        f"rnnbench sweep, {workers} workers": (sweep, workers, None),
        f"Hydra, joblib launcher, {workers} jobs": (hydra, workers, "hydra_plugins.hydra_joblib_launcher"),
    }


def installed(module: str) -> bool:
    """Whether a module could be imported."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def missed(ours: Measured, fresh: Measured, *, busy: bool = False) -> list[str]:
    """The limits that were missed, a sentence each. busy: the machine has other work, and seconds say nothing."""
    found = []
    if ours.overhead > LIMIT_SECONDS and not busy:
        found.append(f"a run of our sweep costs {ours.overhead:.2f} s beside its training, limit {LIMIT_SECONDS} s")
    if ours.a_minute < LIMIT_TIMES * fresh.a_minute:
        times = ours.a_minute / fresh.a_minute
        found.append(f"our sweep does {times:.1f} times the runs of fresh processes, limit {LIMIT_TIMES:g} times")
    return found


def missed_start(times: float) -> list[str]:
    """The limit of the start, where it was missed, in a sentence."""
    if times <= LIMIT_START:
        return []
    return [f"a process of one update computes {times:.1f} times what `import torch` does, limit {LIMIT_START:g} times"]


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table as it is measured; 1 where a limit was missed."""
    parser = argparse.ArgumentParser("python -m rnnbench.bench.sweep", description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="tiny runs of each way")
    parser.add_argument("--workers", type=int, default=2, help="of the ways that do several at once")
    parser.add_argument("--rounds", type=int, default=5, help="of a fresh process against `import torch`")
    args = parser.parse_args(argv)
    if not args.runs > args.workers > 1:
        parser.error("--workers is at least 2, and --runs more than that")
    if args.rounds < 1:
        parser.error("--rounds is at least 1")
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    table = Table(box=None, pad_edge=False)
    for n, column in enumerate(("way", "runs a minute", "times fresh processes'", "overhead a run, s")):
        table.add_column(column, justify="right" if n else "left")
    found: dict[str, Measured] = {}
    with tempfile.TemporaryDirectory() as folder:
        for n, (name, (do, workers, needs)) in enumerate(ways(args.workers).items()):
            if needs is None or installed(needs):
                results = Path(folder) / str(n)
                results.mkdir()
                found[name] = measure(results, args.runs, workers, do)
        times = start_up(Path(folder) / "start", args.rounds)
    once = found["fresh processes"]
    for name in ways(args.workers):
        if (m := found.get(name)) is not None:
            table.add_row(name, f"{m.a_minute:.0f}", f"{m.a_minute / once.a_minute:.1f}", f"{m.overhead:.2f}")
        else:
            table.add_row(name, "not installed", "", "")
    console.print(f"\n{args.runs} tiny runs, from start to end", table, sep="\n", markup=False)
    console.print(f"A process of one update computes {times:.2f} times what `import torch` does.", markup=False)
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    if busy := load > cores + 1:
        console.print(f"This machine is busy (load {load:.1f}, {cores} cores): the seconds are not judged.")
    sentences = missed(found["rnnbench sweep"], once, busy=busy) + missed_start(times)
    for sentence in sentences:
        print(f"limit missed: {sentence}", file=sys.stderr)
    return int(bool(sentences))


if __name__ == "__main__":
    sys.exit(main())
